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
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from tidegate.data.records import RecordFile, format_of
from tidegate.errors import DataError, MissingExtraError

Row = Mapping[str, Any]
ColumnKind = Literal["text", "number", "names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """How rows become bytes.

    Attributes
    ----------
    source : the file whose columns come first, with their types if it is Parquet
    added : the columns added, and what they hold: text, numbers, or lists of names
    """

    path: Path
    source: RecordFile
    added: Mapping[str, ColumnKind]

    def __post_init__(self) -> None:
        if self.kind == "parquet":
            _arrow(self.path)

    @property
    def kind(self) -> str:
        """The format, by the file's name."""
        return format_of(str(self.path), self.path)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in order."""
        return (*self.source.columns, *self.added)

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
        stream = io.StringIO()
        self._writer(stream).writerows([_cell(row.get(c)) for c in self.columns] for row in rows)
        return stream.getvalue()

    def _writer(self, stream: io.StringIO) -> Any:
        mark = "\t" if self.kind == "tsv" else ","
        return csv.writer(stream, delimiter=mark, lineterminator="\n")

    def _parquet(self, rows: Sequence[Row]) -> bytes:
        arrow, parquet = _arrow(self.path)
        schema = self._schema(arrow)
        texts = self.source.format != "parquet"
        arrays = []
        for field in schema:
            values = [row.get(field.name) for row in rows]
            if texts and field.name not in self.added:
                values = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
            arrays.append(arrow.array(values, type=field.type))
        stream = io.BytesIO()
        parquet.write_table(arrow.Table.from_arrays(arrays, schema=schema), stream)
        return stream.getvalue()

    def _schema(self, arrow: Any) -> Any:
        kinds = {
            "text": arrow.string(), "number": arrow.float64(), "names": arrow.list_(arrow.string()),
        }  # fmt: skip
        known = self.source.arrow_schema()
        fields = (
            [(name, arrow.string()) for name in self.source.columns]
            if known is None
            else [(f.name, f.type) for f in known]
        )
        return arrow.schema([*fields, *((name, kinds[k]) for name, k in self.added.items())])

    def join(self, parts: Iterable[Path], *, folder: Path) -> None:
        """Write the whole file from its parts, in a folder beside its place, then renamed."""
        with beside(self.path, folder=folder) as target:
            if self.kind == "parquet":
                arrow, parquet = _arrow(self.path)
                with parquet.ParquetWriter(target, self._schema(arrow)) as writer:
                    for part in parts:
                        with parquet.ParquetFile(part) as source_part:
                            writer.write_table(source_part.read(use_threads=False))
                return
            if self.kind != "jsonl":
                stream = io.StringIO()
                self._writer(stream).writerow(self.columns)
                target.write(self._zipped(stream.getvalue().encode("utf-8")))
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def beside(path: Path, *, folder: Path | None = None) -> Iterator[IO[bytes]]:
    """Give a file to write, in a folder near, that takes the place of `path` when all went well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder or path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    DataError
        It cannot be written there.
    """
    check_place(path)
    with beside(path) as stream:
        stream.write(text.encode("utf-8", "replace"))


def check_place(path: Path) -> None:
    """Raise a `DataError` unless a file can be written there."""
    if path.is_dir():
        raise DataError(f"{path}: a folder is in the way; name a file")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise DataError(f"{path}: the folder {path.parent} cannot be written to; name another")


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
