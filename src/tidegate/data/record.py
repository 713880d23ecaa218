"""What every reader of a file gives: one row at a time, with its place.

Takes nothing, gives `Record`, the names of the formats, and the limits that keep memory bounded.
Knows nothing of how any format is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Format = Literal["csv", "tsv", "jsonl", "json", "parquet", "xlsx"]

# A row of more characters than this is a fault. A document of 180,000 characters is a message; a
# quote left open, or a file without line ends, must not fill the memory.
ROW_LIMIT = 1 << 24
BLANK = "every cell is blank; fill it, or leave the row out"
ROW_TOO_LONG = f"a row of over {ROW_LIMIT:,} characters; is a quote left open?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of a file.

    Attributes
    ----------
    row : its number, from 1; the header is not counted
    line : the line it begins on, from 1
    values : its cells by column
    fault : why the row could not be read, or nothing; its values are then what there was of it
    short : the fault is only that its last cells are missing
    blank : the fault is only that every cell is blank
    """

    row: int
    line: int
    values: dict[str, Any]
    fault: str = ""
    short: bool = False
    blank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How many rows and lines of a file stand before a span of it."""

    rows: int = 0
    lines: int = 0


class Reader(Protocol):
    """What reads one format.

    `headings` are the columns' names as the file has them, `columns` the same made unique.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def headings(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102

    def records(self, wanted: Sequence[str] | None) -> Iterator[Record]:
        """Yield the rows, with the values of the wanted columns (None: of all)."""
        ...


def unique_names(headings: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each column by which it can be asked for.

    A column without a name is called by its number, and one whose name stood before by its turn.

    Examples
    --------
    >>> unique_names(["v1", "", "v1", "v2"])
    ('v1', 'column 2', 'v1 (2)', 'v2')
    """
    found: list[str] = []
    taken = set(headings)
    turns: Counter[str] = Counter()
    for number, heading in enumerate(headings, 1):
        turns[heading] += 1
        if heading and turns[heading] == 1:
            found.append(heading)
            continue
        name = f"{heading} ({turns[heading]})" if heading else f"column {number}"
        while name in taken:
            name += "'"
        taken.add(name)
        found.append(name)
    return tuple(found)
