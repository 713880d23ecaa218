"""JSON to rows: an object a line, or one array of objects.

Takes a path, gives `Record`s. Columns are the keys of the first object; the others may have other
keys. Knows nothing of what the values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tidegate.data.encodings import Encoding, open_text
from tidegate.data.lines import Lines
from tidegate.data.record import ROW_LIMIT, ROW_TOO_LONG, Before, Record
from tidegate.errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 16
_CUT_OFF = 32  # a fault so near the end of what was read may be that more was not


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonReader:
    """Reads JSON lines, or one array.

    Attributes
    ----------
    array : the file is one array of objects
    before : what stands before these rows in the file that they are a span of
    """

    path: Path
    name: str
    encoding: Encoding
    array: bool
    columns: tuple[str, ...]
    before: Before = Before()

    @classmethod
    def of(cls, path: Path, name: str, *, encoding: Encoding, lines: bool) -> JsonReader:
        """Look at the beginning of a file and return what reads it.

        Parameters
        ----------
        lines : it is JSON lines by its name; otherwise an array, or lines if it begins with {

        Raises
        ------
        DataError
            There is no row, or the first one is no object.
        """
        with open_text(path, name, encoding) as stream:
            head = stream.read(1 << 12).removeprefix("\ufeff").lstrip()
        if lines and head.startswith("["):
            raise DataError(
                f"{name}: found a JSON array, not an object a line; name it .json, or give "
                "--format json"
            )
        array = not lines and not head.startswith("{")
        reader = cls(path=path, name=name, encoding=encoding, array=array, columns=())
        first = next(reader.records(None), None)
        if first is None:
            raise DataError(f"{name}: no rows; write an array of objects, or one object a line")
        if first.fault:
            raise DataError(f"{name}: row 1 (line {first.line}): {first.fault}")
        return cls(
            path=path, name=name, encoding=encoding, array=array, columns=tuple(first.values)
        )

    @property
    def headings(self) -> tuple[str, ...]:
        """The columns' names as the file has them."""
        return self.columns

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the file."""
        return self.encoding.notes

    def records(self, wanted: Sequence[str] | None) -> Iterator[Record]:
        """Yield the rows. All of a row's values are there, whatever is wanted: they are read."""
        with open_text(self.path, self.name, self.encoding) as stream:
            yield from (_Array(self, stream).records() if self.array else self._lines(stream))

    def _lines(self, stream: IO[str]) -> Iterator[Record]:
        row = self.before.rows
        for line in Lines(stream, before=self.before.lines):
            if not line.text.strip():
                continue
            row += 1
            fault = ROW_TOO_LONG if line.too_long else self.encoding.fault_of(line.text)
            values: dict[str, Any] = {}
            if not fault:
                values, fault = _object(line.text)
            yield Record(row=row, line=line.number, values=values, fault=fault)


def _object(text: str) -> tuple[dict[str, Any], str]:
    """Return the object a line holds, or what is wrong with it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        return {}, f"not JSON ({error}); write one object a line"
    return _checked(value, "write one JSON object a line")


def _checked(value: Any, cure: str) -> tuple[dict[str, Any], str]:
    if not isinstance(value, dict):
        return {}, f"found {type(value).__name__}; {cure}"
    return value, ""


class _Array:
    """One array, read element by element, no more of it in memory than the longest."""

    def __init__(self, reader: JsonReader, stream: IO[str]) -> None:
        self._reader, self._stream = reader, stream
        self._text, self._at, self._line, self._row = "", 0, 1, 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def records(self) -> Iterator[Record]:
        """Yield the elements; a fault in the JSON itself ends the reading."""
        self._text = self._stream.read(_CHUNK).removeprefix("\ufeff")
        if self._mark() != "[":
            raise self._fault("found no array; write an array of objects, or one object a line")
        self._at += 1
        if self._mark() == "]":
            self._at += 1
        else:
            while True:
                yield self._element()
                mark = self._mark()
                self._at += 1
                if mark == "]":
                    break
                if mark != ",":
                    raise self._fault("',' or ']' expected after it")
        if self._mark():
            raise self._fault("more was found after the array; write one array")

    def _mark(self) -> str:
        """Return the next character that is no space, and stand before it."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text):
                return self._text[end]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on; let go of what was dealt with."""
        left = self._text[self._at :]
        chunk = self._stream.read(max(_CHUNK, len(left)))
        self._text, self._at, self._ended = left + chunk, 0, not chunk
        return bool(chunk)

    def _element(self) -> Record:
        self._mark()
        self._row += 1
        line = self._line
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut_off = error.pos > len(self._text) - _CUT_OFF or "Unterminated" in error.msg
                if not cut_off or not self._grown():
                    raise self._fault(f"not JSON ({error.msg})") from None
                continue
            except (ValueError, RecursionError, OverflowError, MemoryError) as error:
                raise self._fault(f"not JSON that can be read ({error})") from None
            if end < len(self._text) or not self._grown():  # a number may go on
                break
        found = self._text[self._at : end]
        self._line += found.count("\n")
        self._at = end
        fault = self._reader.encoding.fault_of(found)
        values: dict[str, Any] = {}
        if not fault:
            values, fault = _checked(value, "an element of the array is one object")
        return Record(row=self._row, line=line, values=values, fault=fault)

    def _grown(self) -> bool:
        """Read more of an element that is cut off; False at the end of the file."""
        if len(self._text) - self._at > ROW_LIMIT:
            raise self._fault(ROW_TOO_LONG)
        return not self._ended and self._more()

    def _fault(self, what: str) -> DataError:
        place = f"{self._reader.name}: row {max(self._row, 1)} (line {self._line})"
        return DataError(f"{place}: {what}; nothing after it can be read")
