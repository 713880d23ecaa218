"""What a Parquet file says of its own size, read without trusting it.

Takes a path, gives `Sizes`. pyarrow reads the rows, but its view of a column's metadata ends the
process where the metadata are broken, and does not tell how long a dictionary's values may be: so
the footer is read here, field by field, as Thrift's compact protocol writes it
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BYTE_ARRAY = 6
_DELTA_BYTE_ARRAY = 7
_DICTIONARY_PAGE = 2
_DEEPEST = 16
_INTEGERS = (3, 4, 5, 6)  # of 8 to 64 bits, all written alike but for those of 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much there is in a Parquet file.

    Attributes
    ----------
    n_rows : rows
    expanded_bytes : bytes of all columns, decompressed
    row_bytes : the most that the texts of one row may be, of those that stand once in a dictionary
        or in the value before
    """

    n_rows: int
    expanded_bytes: int
    row_bytes: int


def sizes_of(path: Path) -> Sizes:
    """Return what a file's footer says.

    Raises
    ------
    ValueError
        The footer is broken.
    OSError
        The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(size - 8, 0))
        tail = stream.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or length > size - 8:
            raise ValueError("its end is not that of a Parquet file")
        stream.seek(size - 8 - length)
        footer = _Thrift(stream.read(length)).struct()
        expanded = longest = 0
        for group in _list(footer, 4):
            values = 0
            for chunk in _list(_struct(group), 1):
                column = _struct(_struct(chunk).get(3))
                expanded += max(_integer(column, 6), 0)
                if _integer(column, 1) == _BYTE_ARRAY:
                    starts = [_integer(column, field) for field in (9, 11) if field in column]
                    start = min(starts, default=-1)
                    if not 0 <= start < size:
                        raise ValueError("a column that begins outside the file")
                    stream.seek(start)
                    values += _longest_value(column, stream.read(64))
            longest = max(longest, values)
    return Sizes(n_rows=_integer(footer, 3), expanded_bytes=expanded, row_bytes=longest)


def _longest_value(column: dict[int, Any], page: bytes) -> int:
    """Return the most bytes that a value of a column may have which is stored for many rows."""
    if _DELTA_BYTE_ARRAY in _list(column, 2):  # each value may repeat the one before
        return _integer(column, 6)
    header = _Thrift(page)
    head = header.fields(2)  # the type of the first page, and its size decompressed
    return _integer(head, 2) if head.get(1) == _DICTIONARY_PAGE else 0


def _struct(value: Any) -> dict[int, Any]:
    if not isinstance(value, dict):
        raise ValueError("a column without metadata")
    return value


def _integer(struct: dict[int, Any], field: int) -> int:
    found = struct.get(field)
    if not isinstance(found, int):
        raise ValueError("a number is missing in its metadata")
    return found


def _list(struct: dict[int, Any], field: int) -> list[Any]:
    found = struct.get(field, [])
    if not isinstance(found, list):
        raise ValueError("a list is missing in its metadata")
    return found


class _Thrift:
    """Bytes as Thrift's compact protocol writes them; a ValueError where they are not."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return a struct's values by the numbers of their fields."""
        return self.fields(1 << 16, depth)

    def fields(self, most: int, depth: int = 0) -> dict[int, Any]:
        """Return the first fields of a struct."""
        if depth > _DEEPEST:
            raise ValueError("its metadata are too deep")
        found: dict[int, Any] = {}
        number = 0
        while len(found) < most:
            head = self._byte()
            kind = head & 0x0F
            if not kind:
                break
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            found[number] = self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind in _INTEGERS:
            return self._byte() if kind == 3 else self._zigzag()
        if kind in (7, 13):
            return self._bytes(8 if kind == 7 else 16)
        if kind == 8:
            return self._bytes(self._number())
        if kind in (9, 10):
            head = self._byte()
            n = head >> 4 if head >> 4 < 15 else self._number()
            return [self._element(head & 0x0F, depth) for _ in range(self._possible(n))]
        if kind == 11:
            n = self._possible(self._number())
            kinds = self._byte() if n else 0
            for _ in range(n):
                self._element(kinds >> 4, depth)
                self._element(kinds & 0x0F, depth)
            return None
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError("its metadata are broken")

    def _element(self, kind: int, depth: int) -> Any:
        return self._byte() if kind in (1, 2) else self._value(kind, depth + 1)

    def _possible(self, n: int) -> int:
        if n > len(self._data) - self._at:
            raise ValueError("its metadata end too early")
        return n

    def _bytes(self, n: int) -> bytes:
        start, self._at = self._at, self._at + self._possible(n)
        return self._data[start : self._at]

    def _byte(self) -> int:
        self._at += 1
        try:
            return self._data[self._at - 1]
        except IndexError:
            raise ValueError("its metadata end too early") from None

    def _number(self) -> int:
        byte = self._byte()
        value = byte & 0x7F
        shift = 7
        while byte >= 0x80:
            if shift > 63:
                raise ValueError("a number in its metadata is too long")
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
        return value

    def _zigzag(self) -> int:
        value = self._number()
        return (value >> 1) ^ -(value & 1)
