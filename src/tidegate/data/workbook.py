"""The first sheet of an Excel workbook to rows.

Takes a path, gives `Record`s whose values are text, as a CSV of that sheet would hold them. Knows
nothing of what the values mean.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.data.compression import MAX_EXPANSION, max_expanded_bytes, said
from tidegate.data.record import BLANK, Record, unique_names
from tidegate.errors import DataError, MissingExtraError

_MAX_ROWS = 1 << 20
# The package reads XML that anybody may have written, and raises whatever comes of it.
_FAULTS = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, LookupError, ValueError,
    TypeError, AttributeError, ArithmeticError, RuntimeError, NotImplementedError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookReader:
    """Reads the first sheet of a workbook.

    Attributes
    ----------
    headed : the first row with a cell that is not blank names the columns
    """

    path: Path
    name: str
    columns: tuple[str, ...]
    headings: tuple[str, ...]
    notes: tuple[str, ...]
    headed: bool

    @classmethod
    def of(cls, path: Path, name: str, *, columns: Sequence[str]) -> WorkbookReader:
        """Look at a workbook and return what reads it.

        Parameters
        ----------
        columns : the columns' names, of a sheet without a header

        Raises
        ------
        DataError
            It is no workbook, or its first sheet is empty.
        MissingExtraError
            openpyxl is not installed.
        """
        _check_expansion(path, name)
        with _Sheet(path, name) as sheet:
            first = next((cells for _, cells in sheet.rows() if any(cells)), None)
            others = sheet.others
        if first is None:
            raise DataError(f"{name}: its first sheet is empty; it needs a header and rows")
        if columns and len(columns) < len(first):
            raise DataError(
                f"{name}: {len(columns)} columns are named, and its first row has {len(first)} "
                "cells; name each"
            )
        note = f"{name}: only its first sheet was read; there are {others} more"
        return cls(
            path=path, name=name, headings=tuple(columns or first), headed=not columns,
            columns=unique_names(columns or first), notes=(note,) * bool(others),
        )  # fmt: skip

    def records(self, wanted: Sequence[str] | None) -> Iterator[Record]:
        """Yield the rows; blank ones after the last that is not are not rows."""
        del wanted  # the whole sheet is read anyway
        row, width, headed, blank = 0, len(self.columns), self.headed, list[int]()
        with _Sheet(self.path, self.name) as sheet:
            for line, cells in sheet.rows():
                if not any(cells):
                    if not headed:
                        blank.append(line)
                    continue
                if headed:
                    headed = False
                    continue
                for place in blank:
                    row += 1
                    values = dict.fromkeys(self.columns, "")
                    yield Record(row=row, line=place, values=values, fault=BLANK, blank=True)
                blank.clear()
                row += 1
                extra = len(cells) - width
                fault = f"{extra} cells stand beyond the last column; name it" * (extra > 0)
                filled = [*cells, *[""] * -extra]
                yield Record(
                    row=row, line=line, fault=fault,
                    values=dict(zip(self.columns, filled, strict=False)),
                )  # fmt: skip


class _Sheet:
    """The first sheet of an open workbook."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def __enter__(self) -> _Sheet:
        try:
            import openpyxl
        except ImportError:
            raise MissingExtraError(
                needed_for=f"reading {self._name}", missing="openpyxl", extra="excel"
            ) from None
        self._stream = self._path.open("rb")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of styles and extensions, which hold no rows
                self._book = openpyxl.load_workbook(self._stream, read_only=True, data_only=True)
            self._sheet = self._book.worksheets[0]
            self.others = len(self._book.worksheets) - 1
        except _FAULTS as error:
            self._stream.close()
            raise self._fault(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()
        self._stream.close()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row's number on the sheet and its cells, without blank ones at its end."""
        try:
            self._sheet.reset_dimensions()  # what a file says of its own size may be wrong
            for number, values in enumerate(self._sheet.iter_rows(values_only=True), 1):
                if number > _MAX_ROWS:
                    raise ValueError(f"a row beyond {_MAX_ROWS:,}, the last that a sheet can have")
                cells = [_text(value) for value in values]
                while cells and not cells[-1]:
                    cells.pop()
                yield number, cells
        except _FAULTS as error:
            raise self._fault(error) from None

    def _fault(self, error: BaseException) -> DataError:
        return DataError(
            f"{self._name}: not a workbook that can be read ({said(error)}); save it anew, or as "
            "UTF-8 CSV"
        )


def _text(value: Any) -> str:
    """Return a cell as a CSV would hold it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def _check_expansion(path: Path, name: str) -> None:
    """Raise a `DataError` unless the parts of a workbook are of a size that can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            expanded = sum(part.file_size for part in archive.infolist())
    except _FAULTS as error:
        raise DataError(f"{name}: not an Excel workbook ({said(error)}); save it anew") from None
    if expanded > max_expanded_bytes(path.stat().st_size):
        raise DataError(
            f"{name}: its parts expand to {expanded:,} bytes, over {MAX_EXPANSION} times its size; "
            "if the file is not hostile, save it as CSV"
        )
