"""Parquet to rows.

Takes a path, gives `Record`s, in memory that the file cannot decide. Whatever is broken in it is a
`DataError` that says near which row. Knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.data.compression import MAX_EXPANSION, max_expanded_bytes, said
from tidegate.data.parquet_footer import sizes_of
from tidegate.data.record import ROW_LIMIT, ROW_TOO_LONG, Record, unique_names
from tidegate.errors import DataError, MissingExtraError

_BATCH_ROWS = 8192
_BATCH_BYTES = 128 << 20
# A file of one repeated value is small however many rows it has; this many are still a table.
_FREE_ROWS = 2_000_000
_ROWS_A_BYTE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetReader:
    """Reads Parquet.

    Attributes
    ----------
    n_rows : how many rows it has
    batch_rows : how many are read at a time
    schema : its columns with their types, as pyarrow has them
    """

    path: Path
    name: str
    columns: tuple[str, ...]
    headings: tuple[str, ...]
    n_rows: int
    batch_rows: int
    schema: Any

    @classmethod
    def of(cls, path: Path, name: str) -> ParquetReader:
        """Look at a file's metadata and return what reads it.

        Raises
        ------
        DataError
            It is no Parquet file, its metadata are broken, or it expands beyond all measure.
        MissingExtraError
            pyarrow is not installed.
        """
        parquet, faults = _library(name)
        size = path.stat().st_size
        try:
            with parquet.ParquetFile(path) as file:
                schema = file.schema_arrow
                headings = tuple(schema.names)
            sizes = sizes_of(path)
        except faults as error:
            raise DataError(f"{name}: not a Parquet file ({said(error)}); write it anew") from None
        many = sizes.n_rows > max(_FREE_ROWS, _ROWS_A_BYTE * size)
        if many or sizes.expanded_bytes > max_expanded_bytes(size):
            raise DataError(
                f"{name}: {sizes.n_rows:,} rows and {sizes.expanded_bytes:,} bytes in a file of "
                f"{size:,}, more than {_ROWS_A_BYTE} rows a byte or {MAX_EXPANSION} times its "
                "size; if the file is not hostile, write it as CSV"
            )
        return cls(
            path=path, name=name, columns=unique_names(headings), headings=headings,
            n_rows=sizes.n_rows, schema=schema,
            batch_rows=min(_BATCH_ROWS, max(16, _BATCH_BYTES // max(sizes.row_bytes, 1))),
        )  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the file."""
        return ()

    def records(self, wanted: Sequence[str] | None) -> Iterator[Record]:
        """Yield the rows, with the values of the wanted columns (None: of all).

        Raises
        ------
        DataError
            What is stored from here on cannot be read.
        """
        parquet, faults = _library(self.name)
        places = range(len(self.columns))
        asked = [k for k in places if wanted is None or self.columns[k] in wanted]
        # A repeated name would choose all columns that have it.
        alone = all(self.headings.count(self.headings[k]) == 1 for k in asked[: len(wanted or ())])
        chosen = None if wanted is None or not alone else [self.headings[k] for k in asked]
        row = 0
        try:
            with parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=self.batch_rows, columns=chosen):
                    there = batch.schema.names
                    names = {
                        self.columns[k]: k if chosen is None else there.index(self.headings[k])
                        for k in asked
                    }
                    columns, wrong = _columns_of(batch, names, faults)
                    cells = zip(*columns, strict=True) if columns else iter([()] * len(batch))
                    for number, values in enumerate(cells):
                        row += 1
                        yield Record(
                            row=row, line=row, values=dict(zip(names, values, strict=True)),
                            fault=wrong.get(number, ""),
                        )  # fmt: skip
        except faults as error:
            raise DataError(
                f"{self.name}: after row {row}: its data are broken ({said(error)}); write it anew"
            ) from None


def _columns_of(
    batch: Any, names: dict[str, int], faults: tuple[type[BaseException], ...]
) -> tuple[list[list[Any]], dict[int, str]]:
    """Return the values of some columns, None for those that cannot be, and why they cannot."""
    columns: list[list[Any]] = []
    wrong: dict[int, str] = {}
    for name, place in names.items():
        column = batch.column(place)
        try:
            values: list[Any] = column.to_pylist()
        except faults:
            values = []
            for number, cell in enumerate(column):
                try:
                    values.append(cell.as_py())
                except faults as error:
                    values.append(None)
                    wrong.setdefault(number, f"column {name!r}: it cannot be read ({said(error)})")
        if any(kind in str(column.type) for kind in ("string", "binary")):
            for number, value in enumerate(values):
                if isinstance(value, (str, bytes)) and len(value) > ROW_LIMIT:
                    values[number] = None
                    wrong.setdefault(number, f"column {name!r}: {ROW_TOO_LONG}")
        columns.append(values)
    return columns, wrong


def _library(name: str) -> tuple[Any, tuple[type[BaseException], ...]]:
    """Return pyarrow's Parquet module, and what it raises at files that are broken."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError(
            needed_for=f"reading {name}", missing="pyarrow", extra="parquet"
        ) from None
    raised = (arrow.ArrowException, OSError, ValueError, OverflowError, TypeError, KeyError)
    return parquet, (*raised, IndexError, RecursionError, NotImplementedError, MemoryError)
