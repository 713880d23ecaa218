"""Rows of a file to messages and what their label cells hold.

Takes `Record`s, gives `Rows`: the texts, the labels as found, the rows at fault and what is to be
said of them. Knows nothing of which labels there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.config import DataConfig
from tidegate.data.compression import MAX_EXPANSION, max_expanded_bytes
from tidegate.data.labels import label_text, label_texts
from tidegate.data.records import Record, RecordFile
from tidegate.errors import DataError

_SHOWN_FAULTS = 10
MOST_FAULTS = 1000  # a file of more is not read to its end


@dataclass(slots=True, kw_only=True)
class Rows:
    """The rows of a file as they are read, and what is to be said of them."""

    file: RecordFile
    data: DataConfig
    texts: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)  # a row's labels, or the texts of its columns
    rows: list[int] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    n_faults: int = 0
    blank: list[int] = field(default_factory=list)
    short: list[int] = field(default_factory=list)
    size: int = 0  # characters of all texts

    def add(self, record: Record) -> None:
        """Keep a row, or what is wrong with it."""
        if record.blank:
            self.blank.append(record.row)
            return
        place = f"{self.file.name}: row {record.row} (line {record.line})"
        data = self.data
        try:
            whole = all(c in record.values for c in (*data.extra, data.text, *data.label))
            if record.fault and not (record.short and whole):
                raise DataError(f"{place}: {record.fault}")
            text = message_of(record, data, place=place)
            labels = self._labels(record, place)
        except DataError as fault:
            self.n_faults += 1
            if len(self.faults) < _SHOWN_FAULTS:
                self.faults.append((record.row, str(fault)))
            return
        if record.short:
            self.short.append(record.row)
        self.size += len(text)
        if self.size > max_expanded_bytes(self.file.size_bytes):
            raise DataError(
                f"{self.file.name}: to row {record.row} its texts have {self.size:,} characters, "
                f"over {MAX_EXPANSION} times the file's size; if it is not hostile, write it as CSV"
            )
        self.texts.append(text)
        self.labels.append(labels)
        self.rows.append(record.row)

    def _labels(self, record: Record, place: str) -> Any:
        found = []
        for column in self.data.label:
            value = record.values.get(column)
            try:
                if self.data.label_separator:
                    return label_texts(value, self.data.label_separator)
                found.append(label_text(value))
            except DataError as fault:
                raise DataError(f"{place}, column {column!r}: {fault}") from None
        return found if len(found) > 1 else found[0]

    def check(self) -> None:
        """Raise a `DataError` if rows are at fault, or there are none."""
        if self.faults:
            (_, first), *others = self.faults
            rest = self.n_faults - 1
            many = "at least " * (self.n_faults > MOST_FAULTS)
            more = ", ".join(str(row) for row, _ in others)
            listed = (
                f" (and {many}{rest} more {'row' if rest == 1 else 'rows'}: {more}" if rest else ""
            )
            raise DataError(first + listed + ", …" * (rest > len(others)) + ")" * bool(rest))
        if not self.texts:
            raise DataError(f"{self.file.name}: a header but no rows; add labelled messages")

    def notes(self) -> list[str]:
        """Return what a person should know about the rows."""
        empty = [row for row, t in zip(self.rows, self.texts, strict=True) if not t.strip()]
        name = self.file.name
        found = [
            (self.blank, "rows of blank cells", "they were left out"),
            (self.short, "rows without their last cells", "these were read as blank"),
            (empty, "empty messages", "they were kept, and say nothing"),
        ]
        return [
            f"{name}: {len(rows)} {what}, the first in row {rows[0]}; {done}"
            for rows, what, done in found
            if rows
        ]

    def swallowed(self, names: Sequence[str]) -> list[str]:
        """Return a note of messages that hold lines which look like rows of their own, or nothing.

        In CSV two stray quotes may make one cell of all rows between them. Its lines then have as
        many cells as a row, and a label in its place.
        """
        columns, labels = self.file.columns, self.data.label
        if self.file.format != "csv" or len(labels) > 1 or self.data.label_separator:
            return []
        width, label = len(columns), columns.index(labels[0])
        start = columns.index(self.data.text)

        def is_row(line: str, missing: int) -> bool:
            cells = line.split(",")
            inside = missing <= label and len(cells) == width - missing
            return inside and cells[label - missing].strip() in names

        found = []
        for row, text in zip(self.rows, self.texts, strict=True):
            first, *others = text.split("\n")
            if others and (is_row(first, start) or any(is_row(line, 0) for line in others[:-1])):
                found.append(row)
        if not found:
            return []
        return [
            f"{self.file.name}: {len(found)} messages hold lines that look like rows, the first in "
            f"row {found[0]}; is a quote missing there, or one too many?"
        ]

    def place(self, position: int) -> str:
        """Return what to call a kept row in messages."""
        return f"{self.file.name}: row {self.rows[position]}"


def message_of(record: Record, data: DataConfig, *, place: str) -> str:
    """Return a record's message, its extra columns joined in before it.

    Raises
    ------
    DataError
        The message is missing, or not text. An empty one is a message that says nothing.
    """
    parts: list[str] = []
    for column in (*data.extra, data.text):
        value = record.values.get(column)
        if column != data.text and (value is None or value == ""):
            continue
        if not isinstance(value, str):
            what = "nothing" if value is None else f"{type(value).__name__} {value!r}"
            raise DataError(f"{place}, column {column!r}: found {what}; a message is text")
        parts.append(value)
    return " ".join(parts)
