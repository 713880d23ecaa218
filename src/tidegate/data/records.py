"""Files of rows: CSV, TSV, JSON lines, Parquet, any of them gzipped, or standard input.

Takes a path (or `-`), gives `Record`s one at a time in bounded memory, each with its place in the
file. Knows nothing of labels or messages: that is `dataset`'s room.

Text is UTF-8, with or without a byte-order mark. A file that is not is read as cp1252 (what older
spreadsheets write), and the `RecordFile` says so in its notes.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast

from tidegate.data.spool import spool
from tidegate.errors import DataError, MissingExtraError

Format = Literal["csv", "tsv", "jsonl", "parquet"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MAGIC = {
    b"PK\x03\x04": "a zip archive or spreadsheet",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file under another name",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row: its number (from 1, the header not counted), line, values by column, and fault.

    A record whose `fault` is not empty could not be read; its values are what there was of it.
    """

    row: int
    line: int
    values: dict[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """An input file, checked once: iterate over it as often as needed.

    Attributes
    ----------
    name : what to call the file in messages
    columns : the columns' names, in file order (of JSON lines: those of the first object)
    notes : what a person should know, such as an encoding fallback
    """

    name: str
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    format: Format
    _path: Path
    _encoding: str
    _spooled: Any = field(default=None, repr=False)

    def __iter__(self) -> Iterator[Record]:
        if self.format == "parquet":
            return _parquet_records(self._path, self.name)
        if self.format == "jsonl":
            return _json_records(self)
        return _delimited_records(self)

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
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def about_rows(self) -> int | None:
        """Return how many rows the file has, about: of text its lines, or None if it is zipped."""
        if self.format == "parquet":
            with _parquet(self._path, self.name) as file:
                return int(file.metadata.num_rows)
        with self._path.open("rb") as stream:
            if stream.read(2) == b"\x1f\x8b":
                return None
            chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
            return sum(chunk.count(b"\n") for chunk in chunks)

    def arrow_schema(self) -> Any:
        """Return the columns' types as pyarrow has them, of a Parquet file; else None."""
        if self.format != "parquet":
            return None
        with _parquet(self._path, self.name) as file:
            return file.schema_arrow

    def require(self, column: str) -> None:
        """Raise a `DataError` that lists the columns unless `column` is among them."""
        if column in self.columns:
            return
        have = ", ".join(repr(name) for name in self.columns)
        cure = "name the right one"
        if len(self.columns) == 1 and self.format == "csv":
            for mark in ";\t|":
                if mark in self.columns[0]:
                    cure = f"its separator seems to be {mark!r}: save it with commas"
        raise DataError(f"{self.name}: no column {column!r}; it has {have}: {cure}")


def open_records(source: str | Path, *, format: Format | None = None) -> RecordFile:
    """Check a file and return it ready to iterate.

    Parameters
    ----------
    source : a path, or `-` for standard input (CSV unless `format` says otherwise)
    format : the format when the file's name does not tell

    Raises
    ------
    DataError
        The file is missing, empty, binary, of an unknown format, or in no readable encoding.
    MissingExtraError
        A Parquet file without pyarrow installed.
    """
    name, spooled = str(source), None
    if name == "-":
        name = "standard input"
        spooled = spool(sys.stdin.buffer if sys.stdin is not None else None, name=name)
        path = spooled.path
    else:
        path = Path(source)
        if not path.exists():
            raise DataError(f"{name}: no such file; check the path (from {Path.cwd()})")
        if path.is_dir():
            raise DataError(f"{name}: a folder was found; name one file in it")
    kind = format or format_of(name, path)
    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty; it needs a header and rows")
    encoding, notes = "", tuple[str, ...]()
    if kind == "parquet":
        columns = _parquet_columns(path, name)
    else:
        encoding, notes = _encoding_of(path, name)
        columns = _first_columns(path, name=name, kind=kind, encoding=encoding)
    return RecordFile(
        name=name, columns=columns, notes=notes, format=kind,
        _path=path, _encoding=encoding, _spooled=spooled,
    )  # fmt: skip


def format_of(name: str, path: Path) -> Format:
    """Return the format that a file's name tells."""
    if name == "standard input":
        return "csv"
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        known = ", ".join(sorted(_SUFFIXES))
        raise DataError(f"{name}: unknown kind of file; its name should end in one of {known}")
    return _SUFFIXES[suffixes[-1]]


def _open_bytes(path: Path) -> IO[bytes]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if zipped else path.open("rb")


def _encoding_of(path: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the encoding that reads the whole file, and what to say about it."""
    decoder, offset, fault = codecs.getincrementaldecoder("utf-8")(), 0, ""
    try:
        with _open_bytes(path) as stream:
            head = stream.read(_CHUNK_BYTES)
            _refuse_binary(head, name)
            chunk = head
            while chunk and not fault:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    byte, place = error.object[error.start], offset + error.start
                    fault = f"byte 0x{byte:02x} near offset {place} is not UTF-8"
                offset += len(chunk)
                chunk = stream.read(_CHUNK_BYTES)
            if not fault and decoder.getstate()[0]:
                fault = "its last character is cut off"
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name}: the gzip data is broken ({error}); compress it anew") from None
    if not fault:
        return "utf-8-sig", ()
    with _open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="cp1252")
        try:
            while text.read(_CHUNK_BYTES):
                pass
        except UnicodeDecodeError:
            raise DataError(f"{name}: {fault} and not cp1252 either; save it as UTF-8") from None
    return "cp1252", (f"{name}: {fault}, so the file was read as cp1252; save it as UTF-8",)


def _refuse_binary(head: bytes, name: str) -> None:
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise DataError(f"{name}: found {what}; save it as UTF-8 CSV")
    if len(head) - len(head.translate(None, _CONTROL)) > len(head) // 20:
        raise DataError(f"{name}: found binary data; save it as UTF-8 CSV, TSV or JSON lines")


def _open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_open_bytes(path), encoding=encoding, newline="")


def _first_columns(path: Path, *, name: str, kind: Format, encoding: str) -> tuple[str, ...]:
    """Return the header of a delimited file, or the keys of the first JSON object."""
    with _open_text(path, encoding) as stream:
        if kind == "jsonl":
            for number, line in enumerate(stream, 1):
                if line.strip():
                    values, fault = _json_object(line)
                    if fault:
                        raise DataError(f"{name}: line {number}: {fault}")
                    return tuple(values)
            raise DataError(f"{name}: no rows; write one JSON object a line")
        try:
            header = next((row for row in _reader(stream, kind) if any(row)), None)
        except csv.Error as error:
            raise DataError(f"{name}: header, line 1: {_csv_cure(error)}") from None
    if header is None:
        raise DataError(f"{name}: only white space was found; it needs a header and rows")
    twice = next((c for c in header if header.count(c) > 1), None)
    if twice is not None:
        raise DataError(f"{name}: header: column {twice!r} stands twice; rename one")
    return tuple(header)


def _reader(stream: IO[str], kind: Format) -> Any:
    return csv.reader(stream, delimiter="\t" if kind == "tsv" else ",", strict=True)


def _csv_cure(error: csv.Error) -> str:
    text = str(error)
    if "field larger" in text:
        return f"a field of over {csv.field_size_limit():,} characters; is a quote left open?"
    if "unexpected end of data" in text:
        return 'a quote is left open to the end of the file; close it, or double it ("")'
    return f'{text}; a quote inside a quoted field is written ""'


def _delimited_records(file: RecordFile) -> Iterator[Record]:
    with _open_text(file._path, file._encoding) as stream:
        reader, row, line = _reader(stream, file.format), 0, 0
        columns, width = file.columns, len(file.columns)
        header_seen = False
        while True:
            start = line + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                # The reader goes on at the next line: all the rows up to it are one broken row.
                row, line = row + 1, max(reader.line_num, start)
                cure = _csv_cure(error)
                if line > start:
                    cure = f"lines {start} to {line} cannot be told apart: {cure}"
                yield Record(row=row, line=start, values={}, fault=cure)
                continue
            if fields is None:
                return
            line = reader.line_num
            if not any(fields) and (width > 1 or not fields):
                continue
            if not header_seen:
                header_seen = True
                continue
            row += 1
            fault = "" if len(fields) == width else _fields_cure(len(fields), width)
            values = dict(zip(columns, fields, strict=False))
            yield Record(row=row, line=start, values=values, fault=fault)


def _fields_cure(found: int, needed: int) -> str:
    fields = "field" if found == 1 else "fields"
    cure = "write what is missing" if found < needed else "quote a text that holds the separator"
    return f"{found} {fields} found, {needed} needed; {cure}"


def _json_object(line: str) -> tuple[dict[str, Any], str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON ({error}); write one object a line"
    if not isinstance(value, dict):
        return {}, f"found {type(value).__name__}; write one JSON object a line"
    return value, ""


def _json_records(file: RecordFile) -> Iterator[Record]:
    with _open_text(file._path, file._encoding) as stream:
        row = 0
        for number, line in enumerate(stream, 1):
            if line.strip():
                row += 1
                values, fault = _json_object(line)
                yield Record(row=row, line=number, values=values, fault=fault)


def _parquet(path: Path, name: str) -> Any:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError(
            needed_for=f"reading {name}", missing="pyarrow", extra="parquet"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{name}: not a Parquet file ({first}); write it anew") from None


def _parquet_columns(path: Path, name: str) -> tuple[str, ...]:
    with _parquet(path, name) as file:
        return tuple(file.schema_arrow.names)


def _parquet_records(path: Path, name: str) -> Iterator[Record]:
    with _parquet(path, name) as file:
        row = 0
        for batch in file.iter_batches(batch_size=8192):
            for values in batch.to_pylist():
                row += 1
                yield Record(row=row, line=row, values=values)
