"""Rows to files: CSV, TSV, JSON lines or Parquet, text gzipped if asked, put together from parts.

Takes rows as dicts, gives the bytes of a part; takes parts, gives one file, written beside its
place and renamed. Knows nothing of models. It is what `records` reads, written.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from tidegate.data.compression import SUFFIXES
from tidegate.data.records import RecordFile, format_of
from tidegate.errors import ConfigError, DataError, MissingExtraError

Row = Mapping[str, Any]
ColumnKind = Literal["text", "number", "names"]

JOINED = ".joined."  # what the name of a whole file begins with until it takes its place
# What a spreadsheet may take for the beginning of a formula (OWASP, "CSV injection").
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """How rows become bytes.

    Attributes
    ----------
    source : the file whose columns come first, with their types if it is Parquet
    added : the columns added, and what they hold: text, numbers, or lists of names
    safe_for_spreadsheets : in CSV and TSV, put an apostrophe before what would be a formula

    Raises
    ------
    ConfigError
        `safe_for_spreadsheets` of a format that is no spreadsheet's.
    MissingExtraError
        Parquet without pyarrow installed.
    """

    path: Path
    source: RecordFile
    added: Mapping[str, ColumnKind]
    safe_for_spreadsheets: bool = False

    def __post_init__(self) -> None:
        if self.kind == "parquet":
            _arrow(self.path)
        if self.safe_for_spreadsheets and self.kind not in ("csv", "tsv"):
            raise ConfigError(
                f"safe_for_spreadsheets: {self.path} is {self.kind}; it is for CSV and TSV alone"
            )

    @property
    def kind(self) -> str:
        """The format, by the file's name."""
        last = self.path.suffix.lower()
        found = "" if last in SUFFIXES and last != ".gz" else format_of(str(self.path), self.path)
        if found not in ("csv", "tsv", "jsonl", "parquet"):
            raise DataError(
                f"{self.path}: CSV, TSV, JSON lines and Parquet are written, the first three "
                "gzipped if asked; name it .csv, .jsonl.gz or the like"
            )
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in order."""
        return (*self.source.columns, *self.added)

    def header(self) -> bytes:
        """Return the bytes before all parts: the columns' names, in CSV and TSV."""
        if self.kind not in ("csv", "tsv"):
            return b""
        named = (*self.source.headings, *self.added)
        line = self._delimited([dict(zip(self.columns, named, strict=True))])
        return self._zipped(line.encode())

    def part(self, rows: Sequence[Row]) -> bytes:
        """Return the bytes of some rows.

        Raises
        ------
        DataError
            A value that this format cannot hold.
        """
        if self.kind == "parquet":
            return self._parquet(rows)
        lines = self._json(rows) if self.kind == "jsonl" else self._delimited(rows)
        return self._zipped(lines.encode("utf-8"))

    def _zipped(self, data: bytes) -> bytes:
        # Zipped parts one after the other are a zipped file; without a time, always the same one.
        return gzip.compress(data, mtime=0) if self.path.suffix.lower() == ".gz" else data

    def _json(self, rows: Sequence[Row]) -> str:
        return "".join(json.dumps(dict(row), default=str) + "\n" for row in rows)

    def _delimited(self, rows: Iterable[Row]) -> str:
        return delimited(
            ([row.get(c) for c in self.columns] for row in rows),
            mark="\t" if self.kind == "tsv" else ",",
            safe_for_spreadsheets=self.safe_for_spreadsheets,
        )

    def _parquet(self, rows: Sequence[Row]) -> bytes:
        parquet = _arrow(self.path)[1]
        stream = io.BytesIO()
        parquet.write_table(self.table(rows), stream)
        return stream.getvalue()

    def table(self, rows: Sequence[Row]) -> Any:
        """Return rows as a pyarrow table, as they are written to Parquet."""
        arrow, _ = _arrow(self.path)
        schema = self._schema(arrow)
        texts = self.source.format != "parquet"
        arrays = []
        for field in schema:
            values = [row.get(field.name) for row in rows]
            if texts and field.name not in self.added:
                values = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
            arrays.append(arrow.array(values, type=field.type))
        return arrow.Table.from_arrays(arrays, schema=schema)

    def _schema(self, arrow: Any) -> Any:
        kinds = {
            "text": arrow.string(), "number": arrow.float64(), "names": arrow.list_(arrow.string()),
        }  # fmt: skip
        known = self.source.arrow_schema()
        fields = (
            [(name, arrow.string()) for name in self.source.columns]
            if known is None
            else list(zip(self.source.columns, (f.type for f in known), strict=True))
        )
        return arrow.schema([*fields, *((name, kinds[k]) for name, k in self.added.items())])

    def join(self, parts: Iterable[Path], *, folder: Path) -> None:
        """Write the whole file from its parts, in a folder beside its place, then renamed.

        Raises
        ------
        DataError
            A part is not as it was written.
        """
        with beside(self.path, folder=folder) as target:
            if self.kind == "parquet":
                arrow, parquet = _arrow(self.path)
                with parquet.ParquetWriter(target, self._schema(arrow)) as writer:
                    for part in parts:
                        try:
                            with parquet.ParquetFile(part) as source_part:
                                table = source_part.read(use_threads=False)
                        except arrow.ArrowException as fault:
                            first = str(fault).splitlines()[0]
                            raise DataError(
                                f"{part}: broken ({first}); score again without resuming"
                            ) from None
                        writer.write_table(table)
                return
            target.write(self.header())
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def beside(path: Path, *, folder: Path | None = None) -> Iterator[IO[bytes]]:
    """Give a file to write, in a folder near, that takes the place of `path` when all went well."""
    # The name is cut, so that a long one has room for what makes it unique.
    prefix = f".{path.name[:40]}." if folder is None else JOINED
    handle, name = tempfile.mkstemp(prefix=prefix, dir=folder or path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except OSError as fault:
        if fault.filename is None:  # of a write the system does not say to which file
            raise OSError(fault.errno, said(fault), str(path)) from fault
        raise
    finally:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)


@contextmanager
def placed(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` whole or not at all.

    Raises
    ------
    DataError
        It cannot be written there: no room, no permission, something in the way.
    """
    check_place(path)
    try:
        with beside(path) as stream:
            yield stream
    except OSError as fault:
        raise DataError(f"{path}: {said(fault)}; nothing was written there") from fault


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    DataError
        It cannot be written there.
    """
    with placed(path) as stream:
        stream.write(text.encode("utf-8", "replace"))


def check_place(path: Path) -> None:
    """Raise a `DataError` unless a file can be written there."""
    try:
        if path.is_dir():
            raise DataError(f"{path}: a folder is in the way; name a file")
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}; make it first")
        path.exists()
    except OSError as fault:  # a name too long, a path through a file, a folder not to be entered
        raise DataError(f"{path}: {said(fault)}; name another place") from None
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: the folder {path.parent} cannot be written to; name another")


def said(fault: OSError) -> str:
    """Return what the system says of a fault, without its number.

    Examples
    --------
    >>> said(OSError(28, "No space left on device"))
    'No space left on device'
    """
    return fault.strerror or str(fault)


def delimited(
    rows: Iterable[Iterable[Any]], *, mark: str = ",", safe_for_spreadsheets: bool = False
) -> str:
    """Return rows as CSV or TSV, each cell quoted where it needs to be.

    Examples
    --------
    >>> print(delimited([["a, b", 0.5], ["=1+1", None]], safe_for_spreadsheets=True), end="")
    "a, b",0.500000
    '=1+1,
    """
    lines = _Lines()
    guard = _harmless if safe_for_spreadsheets else _cell
    # A writer quotes what it ends lines with: this one a lone carriage return as well, which ends
    # a line for whoever reads the file.
    csv.writer(lines, delimiter=mark, lineterminator="\r\n").writerows(map(guard, r) for r in rows)
    return "".join(lines)


class _Lines(list[str]):
    """Lines as a csv writer gives them, ended as ours are."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix("\r\n") + "\n")


def _harmless(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula: text is marked as text, see OWASP."""
    cell = _cell(value)
    is_text = isinstance(value, (str, list, tuple)) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_text and cell.startswith(_FORMULA) else cell


def _cell(value: Any) -> str:
    """Return a value as a delimited file holds it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return ";".join(value)
    return json.dumps(value) if isinstance(value, (dict, list, bool)) else str(value)


def _arrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError(
            needed_for=f"writing {path}", missing="pyarrow", extra="parquet"
        ) from None
    return arrow, parquet
