"""A text file in spans that can be read apart, on any machine.

Takes a `RecordFile`; gives `Span`s of its bytes, each of which begins where a row does, and reads
the bytes of one as the rows they are in the whole file: same cells, same numbers, same faults.

A row of CSV may hold line ends, so where rows begin is found out by reading the file once with the
reader's own rules. A file that is compressed, in an encoding of several bytes without ASCII's, or
one JSON array, is a single span.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tidegate.data.compression import compression_of
from tidegate.data.delimited import Csv, Tsv
from tidegate.data.encodings import Encoding
from tidegate.data.json_rows import JsonReader
from tidegate.data.lines import Line, Lines
from tidegate.data.record import Before
from tidegate.data.records import RecordFile
from tidegate.data.spool import spool
from tidegate.data.tables import TableReader

# In these a byte below 128 is the ASCII character, wherever it stands.
_LIKE_ASCII = ("utf-8-sig", "utf-8", "ascii", "cp1252", "latin-1", "iso8859-1")
_MARK = b"\xef\xbb\xbf"
_MARK_TEXT = _MARK.decode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Some bytes of a file, and what stands before them.

    Attributes
    ----------
    start, stop : where they begin and end
    rows, lines : how many of either come before
    """

    start: int
    stop: int
    rows: int = 0
    lines: int = 0


def can_be_cut(file: RecordFile) -> bool:
    """Return whether rows can be found in the bytes of a file without what is before them."""
    reader = file.reader
    if not isinstance(reader, (TableReader, JsonReader)) or compression_of(file.path):
        return False
    if isinstance(reader, JsonReader) and reader.array:
        return False
    return reader.encoding.name in _LIKE_ASCII


def spans_of(file: RecordFile, *, span_bytes: int) -> list[Span]:
    """Return spans of about so many bytes, which together are the file.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from tidegate.data.records import open_records
    >>> file = open_records(files("tidegate") / "sample" / "messages.csv")
    >>> spans = spans_of(file, span_bytes=10_000)
    >>> spans[1].start == spans[0].stop
    True
    """
    if file.size_bytes <= span_bytes or not can_be_cut(file):
        return [Span(start=0, stop=file.size_bytes)]
    found = [Span(start=0, stop=file.size_bytes)]
    for start in _starts(file):
        if start.start - found[-1].start >= span_bytes:
            found[-1] = replace(found[-1], stop=start.start)
            found.append(start)
    return found


def layout_of(file: RecordFile) -> dict[str, Any]:
    """Return all that reads a span of a file, in values that JSON can hold."""
    reader = file.reader
    if not isinstance(reader, (TableReader, JsonReader)):
        raise TypeError(f"{file.name}: {file.format} has no spans")
    encoding = {"name": reader.encoding.name, "faulty": reader.encoding.faulty}
    found: dict[str, Any] = {
        "name": file.name, "format": file.format, "columns": list(file.columns),
        "headings": list(file.headings), "encoding": encoding,
    }  # fmt: skip
    if isinstance(reader, TableReader):
        found |= {
            "escaped": isinstance(reader.cut, Csv) and reader.cut.escaped,
            "headed": reader.headed, "ends_in_mark": reader.ends_in_mark,
        }  # fmt: skip
    return found


def span_file(layout: dict[str, Any], span: Span, data: bytes) -> RecordFile:
    """Return the rows of a span as a file, from its bytes."""
    spooled = spool(io.BytesIO(data), name=layout["name"])
    columns, headings = tuple(layout["columns"]), tuple(layout["headings"])
    encoding = Encoding(**layout["encoding"])
    before = Before(rows=span.rows, lines=span.lines)
    reader: TableReader | JsonReader
    if layout["format"] in ("csv", "tsv"):
        tsv = layout["format"] == "tsv"
        reader = TableReader(
            path=spooled.path, name=layout["name"], encoding=encoding,
            cut=Tsv(width=len(headings)) if tsv else Csv(escaped=layout["escaped"]),
            columns=columns, headings=headings, notes=(), before=before,
            headed=layout["headed"] and span.start == 0, ends_in_mark=layout["ends_in_mark"],
        )  # fmt: skip
    else:
        reader = JsonReader(
            path=spooled.path, name=layout["name"], encoding=encoding, array=False,
            columns=columns, before=before,
        )  # fmt: skip
    return RecordFile(
        name=layout["name"], columns=columns, headings=headings, notes=(),
        format=layout["format"], size_bytes=len(data), read_as=(), _path=spooled.path,
        _reader=reader, _spooled=spooled,
    )  # fmt: skip


class _Placed(Lines):
    """Lines that remember where in the file they begin.

    Attributes
    ----------
    at : where the lines that were not forgotten begin, by number
    furthest : the last line that was read, perhaps to be put back
    """

    def __init__(self, stream: io.TextIOWrapper, *, start: int) -> None:
        super().__init__(stream)
        self.at: dict[int, int] = {}
        self.furthest, self._place = 0, start
        readline = self._readline

        def counted(limit: int = -1) -> str:
            found = readline(limit)
            self._place += len(found)
            return found

        self._readline = counted

    def take(self) -> Line | None:
        place = self._place
        line = super().take()
        if line is not None and line.number > self.furthest:
            self.at[line.number] = place
            self.furthest = line.number
        return line

    def forget(self, before: int) -> None:
        """Forget where lines before a number begin."""
        for number in [number for number in self.at if number < before]:
            del self.at[number]


def _starts(file: RecordFile) -> Iterator[Span]:
    """Yield where a span may begin: at a row that no fault before it can reach into."""
    with file.path.open("rb") as raw:
        marked = len(_MARK) if raw.read(len(_MARK)) == _MARK else 0
        raw.seek(marked)
        # Bytes as characters: what cuts rows is ASCII, and places are those in the file.
        with io.TextIOWrapper(raw, encoding="latin-1", newline="") as stream:
            lines = _Placed(stream, start=marked)
            reader = file.reader
            if isinstance(reader, TableReader):
                found = _table_starts(reader, lines)
            else:
                found = _line_starts(lines)
            for row, line in found:
                yield Span(start=lines.at[line], stop=file.size_bytes, rows=row, lines=line - 1)


def _line_starts(lines: _Placed) -> Iterator[tuple[int, int]]:
    """Yield the rows before each row of JSON lines, and its line."""
    row = 0
    for line in lines:
        lines.forget(line.number)
        if line.text.strip():
            if not line.text.startswith(_MARK_TEXT):
                yield row, line.number
            row += 1


def _table_starts(reader: TableReader, lines: _Placed) -> Iterator[tuple[int, int]]:
    """Yield the rows before each row of a table after which a span may end, and the line after it.

    In a table of one column a blank line is a row if another row follows it, so that blank lines
    go with the row after them.
    """
    headed, one = reader.headed, len(reader.columns) == 1
    row, blank, doubtful = 0, 0, 0
    for found in reader.cut.rows(lines):
        lines.forget(found.line)
        if not found.cells and not found.fault:
            blank += one and not headed
            if blank == 1 and found.line > doubtful and row:
                yield row, found.line
            continue
        if headed:
            headed = False
            continue
        marked = bool(found.cells) and found.cells[0].startswith(_MARK_TEXT)
        if not blank and row and found.line > doubtful and not marked:
            yield row, found.line
        row += 1 + blank
        blank = 0
        if found.fault:
            doubtful = lines.furthest
