"""Files that every machine of a cluster reaches: on a shared folder, or in an object store.

Takes paths, patterns and URIs as people write them; gives `Input`s, and reads and writes by path. A
path without a scheme is a local one, which all machines must see under the same name. Everything
else (`s3://`, `gs://`, `hdfs://`) is pyarrow's to reach, with its own ways to find credentials.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow.fs

from tidegate.data.outputs import beside, said
from tidegate.errors import DataError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_ONE_SLASH = re.compile(r"\A([a-z][a-z0-9+.-]+):/(?=[^/])")  # what a Path leaves of a URI's two
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file to score.

    Attributes
    ----------
    path : an absolute path, or a URI
    inner : its path below the folder that was named, which its parts keep
    size_bytes, changed : by what a file that was replaced is told
    """

    path: str
    inner: str
    size_bytes: int
    changed: int


def is_uri(place: str) -> bool:
    """Return whether a place is an object store's, and no path of this machine.

    Examples
    --------
    >>> is_uri("s3://bucket/day"), is_uri("data/day"), is_uri("file:///data")
    (True, False, False)
    """
    return bool(_SCHEME.match(place)) and not place.startswith("file://")


def plain(place: str) -> str:
    """Return a place as a URI, or as an absolute path.

    Examples
    --------
    >>> plain("s3://bucket/day/"), plain(str(Path("s3://bucket/day")))
    ('s3://bucket/day', 's3://bucket/day')
    """
    place = _ONE_SLASH.sub(r"\1://", place)
    if is_uri(place):
        return place.rstrip("/")
    return str(Path(place.removeprefix("file://")).absolute())


def inputs_of(source: str) -> list[Input]:
    """Return the files of a folder (and those in it), of a pattern, or one file, by name.

    What begins with a dot or an underscore is no data, as for Spark and Hive.

    Raises
    ------
    DataError
        There is nothing.
    """
    place = plain(source)
    try:
        found = _stored(place) if is_uri(place) else _local(place)
    except OSError as fault:
        raise DataError(f"{source}: {said(fault)}; check the place") from None
    if not found:
        raise DataError(f"{source}: no files; name a folder, a pattern or a file that has rows")
    return sorted(found, key=lambda one: one.inner)


def _local(place: str) -> list[Input]:
    if Path(place).is_dir():
        base, paths = Path(place), [p for p in Path(place).rglob("*") if p.is_file()]
    elif Path(place).exists() or not _WILD.search(place):
        base, paths = Path(place).parent, [Path(place)]
    else:
        base = Path(place[: place.rindex("/", 0, _first_wild(place)) + 1])
        paths = [Path(p) for p in glob.glob(place, recursive=True) if Path(p).is_file()]  # noqa: PTH207
    found = []
    for path in paths:
        inner = path.relative_to(base).as_posix()
        if not _is_hidden(inner):
            state = path.stat()
            found.append(
                Input(
                    path=str(path),
                    inner=inner,
                    size_bytes=state.st_size,
                    changed=state.st_mtime_ns,
                )
            )
    return found


def _first_wild(place: str) -> int:
    found = _WILD.search(place)
    return len(place) if found is None else found.start()


def _stored(place: str) -> list[Input]:
    base = place[: place.rindex("/", 0, _first_wild(place)) + 1] if _WILD.search(place) else place
    system, inside = filesystem(base)
    first = system.get_file_info(inside.rstrip("/"))
    scheme = base[: len(base.rstrip("/")) - len(inside.rstrip("/"))]
    if first.type == pyarrow.fs.FileType.File:
        infos, root = [first], os.path.dirname(inside)  # noqa: PTH120
    else:
        infos = system.get_file_info(pyarrow.fs.FileSelector(inside, recursive=True))
        root = inside.rstrip("/")
    wanted = place[len(scheme) :] if _WILD.search(place) else "*"
    return [
        Input(
            path=scheme + info.path,
            inner=info.path[len(root) :].lstrip("/"),
            size_bytes=info.size,
            changed=info.mtime_ns or 0,
        )
        for info in infos
        if info.type == pyarrow.fs.FileType.File
        and fnmatch.fnmatchcase(info.path, wanted)
        and not _is_hidden(info.path[len(root) :].lstrip("/"))
    ]


def _is_hidden(inner: str) -> bool:
    return any(part.startswith((".", "_")) for part in inner.split("/"))


def filesystem(place: str) -> tuple[Any, str]:
    """Return pyarrow's file system of a place, and the place's path in it."""
    try:
        found: tuple[Any, str] = pyarrow.fs.FileSystem.from_uri(place)
    except (ValueError, NotImplementedError, pyarrow.ArrowException) as fault:
        first = str(fault).splitlines()[0]
        raise DataError(f"{place}: cannot be reached ({first}); check the place") from None
    return found


def read_bytes(path: str, start: int, stop: int) -> bytes:
    """Return some bytes of a file."""
    system, inside = filesystem(path)
    with system.open_input_file(inside) as stream:
        stream.seek(start)
        found: bytes = stream.read(stop - start)
    return found


@contextmanager
def local_copy(path: str, folder: Path) -> Iterator[Path]:
    """Give a file as one of this machine: itself, or a copy that goes afterwards."""
    if not is_uri(path):
        yield Path(path)
        return
    copy = folder / Path(path).name
    system, inside = filesystem(path)
    try:
        with system.open_input_stream(inside) as source, copy.open("wb") as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


@contextmanager
def writing(path: str) -> Iterator[IO[bytes]]:
    """Give a file to write that is there whole or not at all.

    Here it is renamed into its place; in an object store it appears when it is closed.
    """
    if not is_uri(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with beside(Path(path)) as stream:
            yield stream
        return
    system, inside = filesystem(path)
    # Written here first: a stream to a store that is dropped might put in place what there is.
    with tempfile.TemporaryFile() as copy:
        yield copy
        copy.seek(0)
        with system.open_output_stream(inside) as stream:
            shutil.copyfileobj(copy, stream, 1 << 20)


def read_whole(path: str) -> bytes | None:
    """Return a file's bytes, or None if there is none."""
    system, inside = filesystem(path)
    if system.get_file_info(inside).type != pyarrow.fs.FileType.File:
        return None
    with system.open_input_stream(inside) as stream:
        found: bytes = stream.read()
    return found


def listed(place: str) -> list[str]:
    """Return the files below a folder, by their path in it; none if there is no folder."""
    system, inside = filesystem(place)
    selector = pyarrow.fs.FileSelector(inside, recursive=True, allow_not_found=True)
    root = inside.rstrip("/")
    return [
        info.path[len(root) :].lstrip("/")
        for info in system.get_file_info(selector)
        if info.type == pyarrow.fs.FileType.File
    ]


def remove(path: str) -> None:
    """Remove a file; that there is none is all right."""
    system, inside = filesystem(path)
    if system.get_file_info(inside).type == pyarrow.fs.FileType.File:
        system.delete_file(inside)
