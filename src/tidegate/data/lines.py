"""Characters to lines, in bounded memory.

Takes a stream of text, gives its `Line`s one at a time, and takes back lines that were read too
far. Knows nothing of what is on a line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from tidegate.data.record import ROW_LIMIT


class Line(NamedTuple):
    """A line: its number from 1, its text, what ended it, and whether it is longer than a row."""

    number: int
    text: str
    end: str
    too_long: bool = False


class Lines:
    """The lines of a stream, one after the other.

    Parameters
    ----------
    before : how many lines of the file stand before the stream

    Examples
    --------
    >>> import io
    >>> [line.text for line in Lines(io.StringIO("one\\ntwo"))]
    ['one', 'two']
    """

    def __init__(self, stream: IO[str], *, before: int = 0) -> None:
        self._readline, self._number = stream.readline, before
        self._returned: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        while (line := self.take()) is not None:
            yield line

    def take(self) -> Line | None:
        """Return the next line, or None at the end. Of one that is too long, its beginning."""
        if self._returned:
            return self._returned.popleft()
        found = self._readline(ROW_LIMIT + 1)
        if not found:
            return None
        self._number += 1
        if self._number == 1:
            found = found.removeprefix("\ufeff")
        text = found.rstrip("\r\n")
        if len(text) <= ROW_LIMIT:
            return Line(self._number, text, found[len(text) :])
        while found and not found.endswith(("\n", "\r")):
            found = self._readline(ROW_LIMIT)
        return Line(self._number, text[:100], "\n", True)

    def put_back(self, lines: Sequence[Line]) -> None:
        """Let lines be taken again."""
        self._returned.extendleft(reversed(lines))
