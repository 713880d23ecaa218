"""CSV and TSV files to rows.

Takes a path, gives `Record`s: what `delimited` cuts, under the columns' names. What one look at the
file can tell of how it was written (a header or none, quotes escaped by backslashes, a separator at
the end of every row) is found out when it is opened.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from tidegate.data.delimited import Cells, Csv, Tsv
from tidegate.data.encodings import Encoding, open_text
from tidegate.data.lines import Lines
from tidegate.data.record import BLANK, Before, Record, unique_names
from tidegate.errors import DataError

_BY_BACKSLASHES = (
    "its quotes are escaped by backslashes, as MySQL and Spark write, and were read so"
)
_LOOKED_AT = 50  # rows that tell whether every row ends in a separator


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """Reads CSV or TSV.

    Attributes
    ----------
    cut : how lines are cut into cells
    headed : the first row names the columns
    ends_in_mark : every row has one more cell than the header, a blank one
    before : what stands before these rows in the file that they are a span of
    """

    path: Path
    name: str
    encoding: Encoding
    cut: Csv | Tsv
    columns: tuple[str, ...]
    headings: tuple[str, ...]
    notes: tuple[str, ...]
    headed: bool
    ends_in_mark: bool = False
    before: Before = Before()

    @classmethod
    def of(
        cls,
        path: Path,
        name: str,
        *,
        kind: Literal["csv", "tsv"],
        encoding: Encoding,
        columns: Sequence[str],
    ) -> TableReader:
        """Look at a file and return what reads it.

        Parameters
        ----------
        columns : the columns' names, of a file without a header

        Raises
        ------
        DataError
            Its header cannot be read, or it has none and other columns than those named.
        """
        cut = Csv() if kind == "csv" else Tsv(width=len(columns))
        headings = tuple(columns) or _header(path, name, cut=cut, encoding=encoding)
        reader = cls(
            path=path, name=name, encoding=encoding, cut=cut, notes=encoding.notes,
            columns=unique_names(headings), headings=headings, headed=not columns,
        )  # fmt: skip
        if isinstance(cut, Tsv):
            reader = replace(reader, cut=Tsv(width=len(headings)))
        elif encoding.escapes:
            reader = reader._escaped()
        return reader._like_its_rows()

    def _escaped(self) -> TableReader:
        """Return what reads a file with backslashes before quotes: by them, if that fits better."""
        other = replace(
            self, cut=Csv(escaped=True),
            notes=(*self.notes, f"{self.name}: {_BY_BACKSLASHES}"),
        )  # fmt: skip
        return other if other._n_misfits() < self._n_misfits() else self

    def _n_misfits(self) -> int:
        width = len(self.columns)
        return sum(bool(row.fault) or len(row.cells) != width for row in self._rows() if row.cells)

    def _like_its_rows(self) -> TableReader:
        """Return what reads a file whose first rows tell how all of them were written."""
        with closing(self._rows()) as rows:
            found = [row for row in islice(rows, _LOOKED_AT) if row.cells and not row.fault]
        found, width = found[self.headed :], len(self.columns)
        if not found:
            return self
        if not self.headed:
            first = found[0].cells
            if tuple(first) == self.headings:
                raise DataError(
                    f"{self.name}: its first row names the columns already; leave out --columns"
                )
            if all(len(row.cells) != width for row in found):
                raise DataError(
                    f"{self.name}: {width} columns are named, and its first row has {len(first)} "
                    f"cells: {_shown(first)}; name each"
                )
        longer = all(len(row.cells) == width + 1 for row in found)
        if longer and all(not row.cells[-1].strip() for row in found):
            return replace(self, ends_in_mark=True)
        if longer and self.headed and len(found) > 1:
            raise DataError(
                f"{self.name}: its header has {width} names and every row {width + 1} cells; add "
                "the name that is missing, or quote the texts that hold the separator"
            )
        return self

    def records(self, wanted: Sequence[str] | None) -> Iterator[Record]:
        """Yield the rows, with the values of the wanted columns (None: of all).

        A blank line is a row only where there is one column, and more rows after it.
        """
        row, width = self.before.rows, len(self.columns)
        chosen = None
        if wanted is not None:
            chosen = [(name, self.columns.index(name)) for name in wanted]
        empty: list[int] = []
        headed = self.headed
        for found in self._rows():
            cells, fault = found.cells, found.fault
            if not cells and not fault:
                if width == 1 and not headed:
                    empty.append(found.line)
                continue
            if headed:
                headed = False
                continue
            for line in empty:
                row += 1
                yield self._blank(row, line, wanted)
            empty.clear()
            row += 1
            if self.encoding.faulty and not fault:
                fault = self.encoding.fault_of("\n".join(cells))
            if self.ends_in_mark and len(cells) == width + 1 and not cells[-1].strip():
                cells.pop()
            # In a file of one column a cell of nothing is an empty message that somebody wrote.
            blank = width > 1 and not any(map(str.strip, cells))
            if not fault and len(cells) == width and blank:
                yield self._blank(row, found.line, wanted)
                continue
            short = not fault and len(cells) < width
            if not fault and len(cells) != width:
                fault = _width_fault(len(cells), width)
            if chosen is None:
                values = dict(zip(self.columns, cells, strict=False))
            else:
                values = {name: cells[k] for name, k in chosen if k < len(cells)}
            yield Record(row=row, line=found.line, values=values, fault=fault, short=short)

    def _blank(self, row: int, line: int, wanted: Sequence[str] | None) -> Record:
        values = dict.fromkeys(self.columns if wanted is None else wanted, "")
        return Record(row=row, line=line, values=values, fault=BLANK, blank=True)

    def _rows(self) -> Generator[Cells, None, None]:
        with open_text(self.path, self.name, self.encoding) as stream:
            yield from self.cut.rows(Lines(stream, before=self.before.lines))


def _header(path: Path, name: str, *, cut: Csv | Tsv, encoding: Encoding) -> tuple[str, ...]:
    """Return the first row with a cell that is not empty."""
    with open_text(path, name, encoding) as stream:
        rows = cut.rows(Lines(stream))
        found = next((row for row in rows if any(row.cells) or row.fault), None)
    if found is None:
        raise DataError(f"{name}: only white space was found; it needs a header and rows")
    fault = found.fault or encoding.fault_of("\n".join(found.cells))
    if fault:
        raise DataError(f"{name}: header, line {found.line}: {fault}")
    return tuple(found.cells)


def _width_fault(found: int, needed: int) -> str:
    cells = "field" if found == 1 else "fields"
    cure = "write what is missing" if found < needed else "quote a text that holds the separator"
    return f"{found} {cells} found, {needed} needed; {cure}"


def _shown(cells: Sequence[str]) -> str:
    words = [cell if len(cell) < 30 else cell[:29] + "…" for cell in cells[:5]]
    return ", ".join(map(repr, words)) + ", …" * (len(cells) > 5)
