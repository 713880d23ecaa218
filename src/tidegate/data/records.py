"""Files of rows: CSV, TSV, JSON lines or arrays, Parquet, Excel, compressed or not, standard input.

Takes a path (or `-`), gives `Record`s one at a time in bounded memory, each with its place in the
file. Each format is read by a module of its own, all of which this one chooses from. Knows nothing
of labels or messages: that is `dataset`'s room.

Text is UTF-8 unless it has a mark of UTF-16, or somebody names its encoding. A file that is not is
read as cp1252 (what older spreadsheets write) where that makes sense, and the `RecordFile` says so
in its notes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.data.compression import SUFFIXES, compression_of, only_member, said
from tidegate.data.encodings import encoding_of
from tidegate.data.json_rows import JsonReader
from tidegate.data.parquet_rows import ParquetReader
from tidegate.data.record import Format, Reader, Record
from tidegate.data.spool import Spooled, spool
from tidegate.data.tables import TableReader
from tidegate.data.workbook import WorkbookReader
from tidegate.errors import ConfigError, DataError

__all__ = ["Format", "Record", "RecordFile", "format_of", "open_records"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
}
_CHUNK_BYTES = 1 << 20
_SHOWN_COLUMNS = 20
_UNREADABLE = (OSError, UnicodeError, RecursionError, OverflowError, MemoryError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """An input file, checked once: iterate over it as often as needed.

    Attributes
    ----------
    name : what to call the file in messages
    columns : a name for each column, in file order (of JSON: the keys of the first object)
    headings : the columns' names as the file has them, which may be empty or repeated
    notes : what a person should know, such as an encoding fallback
    size_bytes : of the file as it lies there, compressed or not
    read_as : what the file's bytes do not tell: its format, the encoding and columns asked for
    """

    name: str
    columns: tuple[str, ...]
    headings: tuple[str, ...]
    notes: tuple[str, ...]
    format: Format
    size_bytes: int
    read_as: tuple[str, ...]
    _path: Path
    _reader: Reader = field(repr=False)
    _spooled: Spooled | None = field(default=None, repr=False)
    _state: tuple[int, ...] = field(default=(), repr=False)

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    @property
    def path(self) -> Path:
        """Where it lies, or its copy if it is standard input."""
        return self._path

    @property
    def reader(self) -> Reader:
        """What reads its format."""
        return self._reader

    def records(self, columns: Sequence[str] | None = None) -> Iterator[Record]:
        """Yield the rows.

        Parameters
        ----------
        columns : those whose values are wanted; None: all. Some formats give the others too.

        Raises
        ------
        DataError
            The file cannot be read from here on; what is wrong with one row is its `fault`.
        """
        row = 0
        try:
            for record in self._reader.records(columns):
                row = record.row
                yield record
        except _UNREADABLE as error:
            raise DataError(
                f"{self.name}: after row {row}: cannot be read ({said(error)}); check the file"
            ) from error

    def is_at(self, path: Path) -> bool:
        """Return whether a path leads to this very file, by whatever name or link."""
        if not path.exists():
            return False
        if self._spooled is None:
            return path.samefile(self._path)
        try:  # standard input may have been that file
            return os.path.samestat(os.fstat(sys.stdin.fileno()), path.stat())
        except (AttributeError, OSError):
            return False

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        try:
            with self._path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read ({said(error)})") from None

    def check_unchanged(self) -> None:
        """Raise a `DataError` if the file is another than when it was opened."""
        try:
            same = _state_of(self._path) == self._state
        except OSError:
            same = False
        if not same:
            raise DataError(
                f"{self.name}: it changed while it was read; wait until it is whole, and read it "
                "again"
            )

    def about_rows(self) -> int | None:
        """Return how many rows the file has, about: of text its lines; None if that is not known.

        Compressed files and workbooks would have to be read for it.
        """
        if isinstance(self._reader, ParquetReader):
            return self._reader.n_rows
        if self.format in ("json", "xlsx") or compression_of(self._path):
            return None
        with self._path.open("rb") as stream:
            chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
            return sum(chunk.count(b"\n") for chunk in chunks)

    def arrow_schema(self) -> Any:
        """Return the columns' types as pyarrow has them, of a Parquet file; else None."""
        return self._reader.schema if isinstance(self._reader, ParquetReader) else None

    def require(self, column: str, flag: str = "") -> None:
        """Raise a `DataError` that lists the columns unless there is one, and only one, so named.

        Parameters
        ----------
        flag : the command line's flag that names another

        Examples
        --------
        >>> from importlib.resources import files
        >>> open_records(files("tidegate") / "sample" / "messages.csv").require("text")
        """
        turns = self.headings.count(column)
        if turns == 1 or (not turns and column in self.columns):
            return
        if turns:
            places = [str(k) for k, found in enumerate(self.headings, 1) if found == column]
            again = self.columns[int(places[1]) - 1]
            raise DataError(
                f"{self.name}: header: column {column!r} stands twice (columns "
                f"{', '.join(places[:5])}); rename one, or name the second {again!r}"
            )
        shown = ", ".join(repr(name) for name in self.columns[:_SHOWN_COLUMNS])
        more = len(self.columns) - _SHOWN_COLUMNS
        have = shown + f" and {more} more" * (more > 0)
        by = f" by {flag}" * bool(flag)
        cure = self._cure(column, by)
        raise DataError(f"{self.name}: no column {column!r}; it has {have}: {cure}")

    def _cure(self, column: str, by: str) -> str:
        """Return what to do where a column is missing."""
        if len(self.columns) == 1 and self.format in ("csv", "tsv"):
            for mark, cure in ((";", "save it with commas"), ("|", "save it with commas"),
                               ("\t", "save it with commas, or give --format tsv"),
                               (",", "give --format csv")):  # fmt: skip
                if mark in self.columns[0]:
                    return f"its separator seems to be {mark!r}: {cure}"
        plain = {" ".join(name.split()).casefold(): name for name in reversed(self.columns)}
        same = plain.get(" ".join(column.split()).casefold())
        if same is not None:
            return f"{same!r} differs by case or spaces only: name it so, in quotes{by}"
        close = difflib.get_close_matches(column, self.columns[:1000], n=1, cutoff=0.7)
        if close:
            return f"did you mean {close[0]!r}? Name the right one{by}"
        if self.format in ("csv", "tsv", "xlsx") and _no_header(self.headings):
            return (
                "the file seems to have no header: name its columns by --columns, as in label,text"
            )
        return f"name the right one{by}"


def _no_header(headings: Sequence[str]) -> bool:
    """Return whether a file's first row looks like data: numbers, or whole sentences."""
    return any(h.replace(".", "", 1).strip().isdecimal() or len(h.split()) > 3 for h in headings)


def open_records(
    source: str | Path,
    *,
    format: Format | None = None,
    encoding: str | None = None,
    columns: Sequence[str] = (),
) -> RecordFile:
    """Check a file and return it ready to iterate.

    Parameters
    ----------
    source : a path, or `-` for standard input (CSV unless `format` says otherwise)
    format : the format when the file's name does not tell
    encoding : its encoding, as Python names it; by default it is found out
    columns : the names of the columns of a file without a header

    Raises
    ------
    DataError
        The file is missing, empty, binary, of an unknown format, or in no readable encoding.
    ConfigError
        There is no such encoding; columns are named twice, or of a format that names its own.
    MissingExtraError
        What reads the format, or decompresses it, is not installed.
    """
    name = str(source)
    try:
        spooled: Spooled | None
        if name == "-":
            name = "standard input"
            spooled = spool(sys.stdin.buffer if sys.stdin is not None else None, name=name)
        else:
            spooled = _checked(Path(source), name)
        path = Path(source) if spooled is None else spooled.path
        kind = format or format_of(name, Path(name) if spooled else path)
        state = _state_of(path)
        size = state[0]
        if not size:
            raise DataError(f"{name}: the file is empty; it needs a header and rows")
        reader = _reader(path, name, kind=kind, encoding=encoding, columns=columns)
    except _UNREADABLE as error:
        raise DataError(f"{name}: cannot be read ({said(error)}); check the file") from None
    return RecordFile(
        name=name, columns=reader.columns, headings=reader.headings, notes=reader.notes,
        format=kind, size_bytes=size, read_as=(kind, encoding or "", *columns),
        _path=path, _reader=reader, _spooled=spooled, _state=state,
    )  # fmt: skip


def _state_of(path: Path) -> tuple[int, ...]:
    """Return by what a file that was written to, or replaced, can be told."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _reader(
    path: Path, name: str, *, kind: Format, encoding: str | None, columns: Sequence[str]
) -> Reader:
    """Return what reads a format."""
    if len(set(columns)) < len(columns) or "" in columns:
        raise ConfigError(f"columns: found {', '.join(columns)!r}; give each column its own name")
    if columns and kind in ("jsonl", "json", "parquet"):
        raise ConfigError(f"columns: a {kind} file names its own columns; leave this out")
    if kind == "parquet":
        return ParquetReader.of(path, name)
    if kind == "xlsx":
        return WorkbookReader.of(path, name, columns=columns)
    found = encoding_of(path, name, asked=encoding)
    if kind in ("csv", "tsv"):
        return TableReader.of(path, name, kind=kind, encoding=found, columns=columns)
    return JsonReader.of(path, name, encoding=found, lines=kind == "jsonl")


def _checked(path: Path, name: str) -> Spooled | None:
    """Raise a `DataError` unless there is a file; of a pipe, return a copy that can be reread."""
    if "\0" in name or not path.exists():
        raise DataError(f"{name}: no such file; check the path (from {Path.cwd()})")
    if path.is_dir():
        raise DataError(f"{name}: a folder was found; name one file in it")
    if path.is_file():
        return None
    if not stat.S_ISFIFO(path.stat().st_mode):
        raise DataError(f"{name}: not a file; name one")
    with path.open("rb") as stream:
        return spool(stream, name=name)


def format_of(name: str, path: Path) -> Format:
    """Return the format that a file's name tells; of a zip archive, the name of the file in it.

    Raises
    ------
    DataError
        It tells none.
    """
    if name == "standard input":
        return "csv"
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in SUFFIXES:
        zipped = suffixes.pop() == ".zip"
        if zipped and not (suffixes and suffixes[-1] in _SUFFIXES) and path.is_file():
            suffixes = [s.lower() for s in Path(_member_name(path, name)).suffixes]
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        known = ", ".join(sorted(_SUFFIXES))
        raise DataError(
            f"{name}: unknown kind of file; its name should end in one of {known}, or give --format"
        )
    return _SUFFIXES[suffixes[-1]]


def _member_name(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            return only_member(archive, name).filename
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{name}: not a zip archive ({said(error)}); compress it anew") from None
