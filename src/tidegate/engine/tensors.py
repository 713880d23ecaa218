"""A safetensors file to arrays, without trusting it, and copying none that lies aligned.

Takes the bytes of a file; gives read-only arrays by name. Knows nothing of networks.

The format: a length (8 bytes, little-endian), a JSON header of that length with each array's dtype,
shape and place, and the values. The library's own reader would copy the values, a tenth of a small
process' memory. The places must follow one another from the first byte to the last, so that no two
arrays share a byte and none is left over.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.engine.files import parse_json
from tidegate.errors import short

MAX_HEADER_BYTES = 1_000_000
MAX_ARRAYS = 1_000
MAX_WEIGHT = 1e6  # so that no sum of products of two of them overflows
MAX_AXES = 4
MAX_SIZE = 2**48  # bytes, or values along an axis
_F16_BITS, _F16_INFINITE = np.uint16(0x7FFF), np.uint16(0x7C00)
_DTYPES = {
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "<i1", "I32": "<i4", "U32": "<u4"
}  # fmt: skip
_AT_ONCE = 1_000_000


def read_tensors(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file.

    Raises
    ------
    ValueError
        The file is not as it must be, or holds a number that is not finite or beyond ±10⁶; the
        message says which.

    Examples
    --------
    >>> import safetensors.numpy
    >>> data = safetensors.numpy.save({"bias": np.ones(2, np.float32)})
    >>> read_tensors(data)["bias"].tolist()
    [1.0, 1.0]
    """
    start = 8 + int.from_bytes(data[:8], "little")
    if not 8 < start <= min(len(data), MAX_HEADER_BYTES):
        raise ValueError("its header is longer than the file, or than 1 MB")
    header = parse_json(data[8:start])
    if not isinstance(header, dict) or len(header) > MAX_ARRAYS:
        raise ValueError(f"its header is no object of at most {MAX_ARRAYS} arrays")
    header.pop("__metadata__", None)
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    found, place = {}, start
    for name, entry in sorted(entries.items(), key=lambda item: item[1].first):
        if start + entry.first != place:
            raise ValueError(f"array {short(name)} does not begin where another ends")
        place = start + entry.last
        if place > len(data):
            raise ValueError(f"array {short(name)} ends beyond the file")
        values = np.frombuffer(
            data, entry.kind, count=prod(entry.shape), offset=start + entry.first
        )
        if not values.flags.aligned:  # the kernel, and not it alone, reads aligned numbers only
            values = values.copy()
            values.flags.writeable = False
        found[name] = _checked(name, values).reshape(entry.shape)
    if place != len(data):
        raise ValueError(f"{len(data) - place:,} bytes belong to no array")
    return found


class _Entry(NamedTuple):
    """An array of the header: its place among the values, and what lies there."""

    first: int
    last: int
    kind: np.dtype[Any]
    shape: tuple[int, ...]


def _entry(name: str, entry: Any) -> _Entry:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"array {short(name)}: found {short(entry)}; dtype, shape and data_offsets"
        )
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(
            f"array {short(name)}: dtype {short(dtype)}; {', '.join(_DTYPES)} are read"
        )
    if not _are_sizes(shape) or not 1 <= len(shape) <= MAX_AXES:
        raise ValueError(f"array {short(name)}: shape {short(shape)}; whole numbers are needed")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"array {short(name)}: data_offsets {short(offsets)}; a place is needed")
    kind = np.dtype(_DTYPES[dtype])
    if prod(shape) * kind.itemsize != offsets[1] - offsets[0]:
        raise ValueError(f"array {short(name)}: shape {short(shape)} has not the size of its place")
    return _Entry(offsets[0], offsets[1], kind, tuple(shape))


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v <= MAX_SIZE for v in value)


def _checked(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values, all of them finite and within ±10⁶; a part at a time, to need little room."""
    for start in range(0, len(values) if values.dtype.kind == "f" else 0, _AT_ONCE):
        part = values[start : start + _AT_ONCE]
        if part.dtype == np.float16:  # twenty times as fast as `isfinite`, which converts
            fine = ((part.view(np.uint16) & _F16_BITS) < _F16_INFINITE).all()
        else:
            with np.errstate(invalid="ignore"):
                fine = part.min() >= -MAX_WEIGHT and part.max() <= MAX_WEIGHT  # false of NaN
        if not fine:
            raise ValueError(f"array {short(name)}: holds NaN, or a number beyond ±10⁶")
    return values
