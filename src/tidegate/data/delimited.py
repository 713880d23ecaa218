"""Lines to cells: CSV and TSV.

Takes `Lines`, gives the cells of each row, or its fault. Knows nothing of columns' names.

CSV is RFC 4180: a cell that begins with a quote ends at the next quote that is not doubled, and may
hold separators and line ends. Where that goes wrong, only the line the cell began on is at fault;
the lines after it are read anew, so that a stray quote does not take other rows with it.

TSV is what most writers of it mean: a quote is a character, unless a pair of them wraps a whole
cell. Only where a line has another number of cells than the header are its quotes read as CSV's:
then a cell may hold tabs and line ends.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.data.lines import Line, Lines
from tidegate.data.record import ROW_LIMIT, ROW_TOO_LONG

STRAY = "',' expected after '\"'; a quote inside a quoted field is written \"\""
UNCLOSED = 'a quote is left open to the end of the file; close it, or double it ("")'
_LINE_COST = 64  # what keeping a line costs beside its characters, of which a row has a limit
_BACKSLASHES = "; its quotes are escaped by backslashes, as MySQL and Spark write, but not all are"


class Cells(NamedTuple):
    """The cells of a row, the line it begins on, and its fault or nothing."""

    cells: list[str]
    line: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A row read by its quotes, the lines that were taken for it, and what is doubtful about it.

    It is `loose` if a cell that does not begin with a quote holds one.
    """

    row: Cells
    spent: list[Line]
    loose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """How CSV is cut into cells.

    Attributes
    ----------
    mark : the separator
    escaped : a backslash before a quote makes it a character, as MySQL and Spark write
    """

    mark: str = ","
    escaped: bool = False

    def rows(self, lines: Lines) -> Iterator[Cells]:
        """Yield the rows; a blank line is one without cells."""
        doubtful = 0  # up to this line a cell whose quotes went wrong may reach
        simple = None if self.escaped else _Simple(self.mark)
        while (line := lines.take()) is not None:
            number, text, _, too_long = line
            if '"' not in text and not too_long:
                yield Cells(text.split(self.mark) if text else [], number)
                continue
            if simple is not None and number > doubtful and not too_long:
                cells = simple.cells(text)
                if cells is not None:
                    yield Cells(cells, number)
                    continue
            found = self.quoted(line, lines)
            row = found.row
            if row.fault:
                doubtful = max(doubtful, found.spent[-1].number)
                lines.put_back(found.spent[1:])
            elif found.loose and line.number <= doubtful:
                row = Cells(row.cells, line.number, f"a cell before it may reach into it; {STRAY}")
            yield row

    def quoted(self, first: Line, lines: Lines) -> Quoted:
        """Return the row that begins on a line, read by its quotes."""
        cells: list[str] = []
        parts: list[str] = []  # of a cell with quotes that is not closed yet
        spent, line, at, opened, loose, size = [first], first, 0, False, False, 0

        def done(fault: str = "") -> Quoted:
            where = f"a quote is open to line {line.number}: " * (fault == STRAY and line != first)
            return Quoted(Cells(cells, first.number, where + fault), spent, loose)

        while not line.too_long:
            text = line.text
            if opened:
                close = self._closing(text, at)
                if close < 0:
                    parts.append(text[at:] + line.end)
                    size += len(parts[-1]) + _LINE_COST
                    if size > ROW_LIMIT:
                        return done(ROW_TOO_LONG)
                    following = lines.take()
                    if following is None:
                        return done(UNCLOSED)
                    line, at = following, 0
                    spent.append(line)
                    continue
                parts.append(text[at:close])
                cells.append(self._plain("".join(parts)))
                opened, at = False, close + 1
                if at == len(text):
                    return done()
                if text[at] != self.mark:
                    return done(STRAY + _BACKSLASHES * text[:close].endswith("\\"))
                at += 1
            elif text.startswith('"', at):
                parts, opened, at = [], True, at + 1
            else:
                end = text.find(self.mark, at)
                cells.append(text[at:] if end < 0 else text[at:end])
                loose = loose or '"' in cells[-1]
                if end < 0:
                    return done()
                at = end + 1
        return done(ROW_TOO_LONG)

    def _closing(self, text: str, at: int) -> int:
        """Return where the quote stands that closes a cell, or -1."""
        if self.escaped:
            return next((m.start() for m in _ESCAPED.finditer(text, at) if m[0] == '"'), -1)
        while (close := text.find('"', at)) >= 0 and text.startswith('"', close + 1):
            at = close + 2
        return close

    def _plain(self, text: str) -> str:
        """Return what the characters between a cell's quotes mean."""
        if self.escaped:
            return _ESCAPE.sub(lambda found: found[0][1], text)
        return text.replace('""', '"')


class _Simple:
    """Cuts lines that hold a whole row, as most do: what Python's own reader does fastest."""

    def __init__(self, mark: str) -> None:
        self._line: str | None = None
        self._reader = csv.reader(self, delimiter=mark, strict=True)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._line = self._line, None
        if line is None:  # the reader asks for more of a cell that is not closed
            raise StopIteration
        return line

    def cells(self, line: str) -> list[str] | None:
        """Return a line's cells; None if it is not a whole row, or has a fault."""
        self._line = line
        try:
            return next(self._reader)
        except (csv.Error, StopIteration):
            return None


_ESCAPED = re.compile(r'\\.|""|"', re.DOTALL)
_ESCAPE = re.compile(r'\\[\\"]|""')


def unwrapped(cell: str) -> str | None:
    """Return the text of a cell that a pair of quotes wraps, or None.

    Examples
    --------
    >>> unwrapped('"a ""b"" c"'), unwrapped('"no" and "yes"')
    ('a "b" c', None)
    """
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return None
    inner = cell[1:-1].replace('""', "")
    return None if '"' in inner else cell[1:-1].replace('""', '"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Tsv:
    """How TSV is cut into cells.

    Attributes
    ----------
    width : cells of a row; 0 while the header is read
    """

    width: int = 0

    def rows(self, lines: Lines) -> Iterator[Cells]:
        """Yield the rows; a blank line is one without cells."""
        by_quotes = Csv(mark="\t")
        for line in lines:
            cells = line.text.split("\t") if line.text else []
            if line.too_long:
                yield Cells(cells, line.number, ROW_TOO_LONG)
                continue
            if '"' in line.text:
                if self.width and len(cells) != self.width:
                    found = by_quotes.quoted(line, lines)
                    if not found.row.fault and len(found.row.cells) == self.width:
                        yield found.row
                        continue
                    lines.put_back(found.spent[1:])
                cells = [cell if (inner := unwrapped(cell)) is None else inner for cell in cells]
            yield Cells(cells, line.number)
