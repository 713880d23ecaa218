"""The files of a bundle, read as if a stranger had written them.

Takes a directory, names and limits; gives bytes, or JSON values. Knows nothing of what is in them.
Each file is opened once, without following links or waiting for a writer, and its size is checked
before it is read. JSON is refused if it is nested too deep to be read, repeats a key, holds NaN or
infinity, or has very many lists and objects (an empty list of two bytes takes 80 in memory).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.errors import BundleError, ConfigError, short

LARGEST = "TIDEGATE_MAX_BUNDLE_MB"
MAX_ENTRIES = 64  # of a bundle's directory
MAX_CONTAINERS = 50_000  # lists and objects in one JSON text

# What git, Hugging Face's client and file managers put beside files. None of it is ever read.
_BESIDE = frozenset(
    {".git", ".gitattributes", ".gitignore", ".cache", ".DS_Store", "Thumbs.db", "desktop.ini"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is read of a bundle, in bytes.

    Attributes
    ----------
    total : all files together
    json : the vocabulary, and the pieces
    manifest : the manifest
    tables : what the tables of words may grow to in memory, for the vocabulary's words
    """

    total: int
    json: int
    manifest: int
    tables: int


def limits() -> Limits:
    """Return the limits: 192 MB in all, or as the environment's TIDEGATE_MAX_BUNDLE_MB says.

    Raises
    ------
    ConfigError
        The environment's value is no whole number from 1 to 1,000,000.
    """
    said = os.environ.get(LARGEST, "192")
    if not said.isascii() or not said.isdecimal() or not 1 <= int(said[:9]) <= 1_000_000:
        raise ConfigError(f"{LARGEST}: found {short(said)}; give megabytes as a whole number")
    total = int(said) * 1_000_000
    return Limits(total=total, json=total // 24, manifest=total // 48, tables=total * 8)


def read_file(folder: Path, name: str, *, limit: int) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    BundleError
        It is missing, no plain file (a link, a pipe, a device), or larger than `limit` bytes.
    """
    flags = os.O_RDONLY
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # not every system has all
        flags |= getattr(os, flag, 0)
    try:
        if (folder / name).is_symlink():  # before it is opened: for a clearer message
            raise BundleError(f"{folder}: {name} is a link; put the file itself there")
        with open(os.open(folder / name, flags), "rb", buffering=0) as stream:  # noqa: PTH123
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BundleError(f"{folder}: {name} is no plain file; put the file itself there")
            if found.st_size > limit:
                raise BundleError(too_large(folder, name, found.st_size, limit=limit))
            return _exactly(stream, found.st_size)
    except OSError as error:
        raise BundleError(f"{folder}: {name} cannot be read ({error.strerror})") from None


def _exactly(stream: Any, size: int) -> bytes:
    """Return what a file holds up to a size: one that grows meanwhile is not followed."""
    data: bytes = stream.read(size)
    while len(data) < size and (more := stream.read(size - len(data))):  # over 2 GB come in parts
        data += more
    return data


def too_large(folder: Path, name: str, size: int, *, limit: int) -> str:
    """Return the message for what is larger than is read."""
    return (
        f"{folder}: {name} has {size:,} bytes and {limit:,} are read at most; if the bundle is "
        f"yours, set {LARGEST} to more megabytes than {limits().total // 1_000_000}"
    )


def check_entries(folder: Path, names: Collection[str], *, unlisted: Collection[str]) -> None:
    """Raise unless a directory holds plain files of these names, or some that may be unlisted.

    Raises
    ------
    BundleError
        Something else is in it: the message names it.
    """
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MAX_ENTRIES:
                raise BundleError(
                    f"{folder}: more than {MAX_ENTRIES} entries; no bundle has so many"
                )
            if entry.name in _BESIDE:
                continue
            if not entry.is_file(follow_symlinks=False):
                raise BundleError(f"{folder}: {short(entry.name)} is no plain file; move it away")
            if entry.name not in names and entry.name not in unlisted:
                raise BundleError(
                    f"{folder}: found {short(entry.name)}, which the manifest does not name; "
                    "move it away"
                )


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        It is no JSON, or not such as this module promises; the message says which.
    """
    if data.count(b"[") + data.count(b"{") > MAX_CONTAINERS:  # those within texts are few
        raise ValueError(f"more than {MAX_CONTAINERS:,} lists and objects")
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("lists and objects nested too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
