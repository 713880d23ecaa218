"""A model's arrays as text that a page holds, and what is rounded on the way there.

Takes arrays and a header, gives one string: in it, gzipped, the header in JSON and the arrays
behind it. `assets/engine_bytes.js` reads it back. Knows nothing of what the arrays mean.

An array may be rounded to multiples of a step. They are written as whole numbers,
0, −1, 1, −2, … as 0, 1, 2, 3, …, so that large ones alone need their upper bytes: what gzip leaves
of them is close to the least that the numbers need.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

# Five characters for four bytes. "<" is spelled ",": nothing in the text looks like a tag.
_SPELLED = bytes.maketrans(b"<", b",")
# Single precision holds 24 bits, so the multiple of a step that has 8 of them is exact up to here.
_STEP_BITS, _MOST = 8, 1 << 16

_MORE_BITS = tuple((60 - k) / 20 for k in range(61))  # from 3 down to 0

Array = npt.NDArray[Any]
Steps = dict[str, float]


def step_of(array: Array, *, bits: float) -> float | None:
    """Return the step that is 2⁻ᵇⁱᵗˢ of the array's size, or None if it is better left as it is.

    Its size is the root of its mean square.

    Examples
    --------
    >>> step_of(np.array([2.0, -2.0]), bits=4)
    0.125
    """
    values = array.astype(np.float64)
    size = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
    if not 1e-30 < size < 1e30:  # nor if it is not a number
        return None
    fraction, exponent = np.frexp(size * 2.0**-bits)
    step = float(np.ldexp(np.round(fraction * 2**_STEP_BITS), exponent - _STEP_BITS))
    return step if np.abs(values).max() / step < _MOST else None


def fitting_steps(arrays: Mapping[str, Array], bits: Mapping[str, float], *, room: float) -> Steps:
    """Return the finest steps with which arrays take no more room than there is.

    Parameters
    ----------
    arrays : all that travels
    bits : at the coarsest, of arrays whose names begin so; the finest have three bits more
    room : bytes of text

    Returns
    -------
    name to step, of the arrays that are rounded; the coarsest steps, if even these take more room
    """
    mine = {n: b for n in arrays for part, b in bits.items() if n.startswith(part)}
    rest = sum(len(gzip.compress(a.tobytes(), 1)) for n, a in arrays.items() if n not in mine)
    steps: Steps = {}
    for more in _MORE_BITS:
        found = {name: step_of(arrays[name], bits=b + more) for name, b in mine.items()}
        steps = {name: step for name, step in found.items() if step is not None}
        needed = sum(_needed(_stored(arrays[n], step)) for n, step in steps.items())
        needed += sum(arrays[name].nbytes for name in mine if name not in steps)
        if needed + rest <= room * 4 / 5:
            break
    return steps


def _needed(numbers: Array) -> float:
    """Return about how many bytes gzip leaves of whole numbers: the entropy of their bytes."""
    total = 0.0
    for plane in np.frombuffer(_planes(numbers), np.uint8).reshape(numbers.itemsize, -1):
        shares = np.bincount(plane, minlength=256) / max(plane.size, 1)
        total -= plane.size * float(np.sum(shares * np.log2(np.maximum(shares, 1e-12)))) / 8
    return total


def rounded(array: Array, step: float) -> Array:
    """Return an array's nearest multiples of a step, halves to even, in single precision."""
    return (np.round(array.astype(np.float64) / step) * step).astype(np.float32)


def packed(
    header: Mapping[str, Any], arrays: Mapping[str, Array], steps: Mapping[str, float]
) -> str:
    """Return the text that a page holds.

    Parameters
    ----------
    arrays : float16, float32, int8, int32 or uint32
    steps : of the arrays that hold multiples of a step
    """
    stored = {name: _stored(array, steps.get(name)) for name, array in sorted(arrays.items())}
    found: list[dict[str, Any]] = []
    at = 0
    for name, array in stored.items():
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        entry = {"name": name, "kind": kind, "shape": list(array.shape), "at": at}
        found.append(entry | ({"step": steps[name]} if name in steps else {}))
        at += -(-array.nbytes // 8) * 8
    # Where the arrays begin is not known before the header is written: it says so relative to the
    # end of itself, which is padded to a multiple of 8.
    whole = {**header, "arrays": found}
    head = json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()
    head += b" " * (-(len(head) + 4) % 8)
    parts = [struct.pack("<I", len(head)), head]
    for array in stored.values():
        data = _planes(array.astype(array.dtype.newbyteorder("<")))
        parts += [data, b"\0" * (-len(data) % 8)]
    return as_text(gzip.compress(b"".join(parts), compresslevel=9, mtime=0))


def as_text(data: bytes) -> str:
    """Return bytes as text, five characters for four of them.

    >>> from_text(as_text(b"gates")) == b"gates"
    True
    """
    return base64.b85encode(data).translate(_SPELLED).decode()


def from_text(text: str) -> bytes:
    """Return the bytes of a text that `as_text` made."""
    return base64.b85decode(text.replace(",", "<"))


def _stored(array: Array, step: float | None) -> Array:
    if step is None:
        return array
    steps = np.round(array.astype(np.float64) / step).astype(np.int64)
    numbers: Array = (steps << 1) ^ (steps >> 63)
    return numbers.astype(np.uint16 if numbers.max(initial=0) < 1 << 16 else np.uint32)


def _planes(array: Array) -> bytes:
    """Return an array's first bytes, then its second ones, …: like among like is packed smaller."""
    wide = np.frombuffer(array.tobytes(), np.uint8).reshape(-1, array.itemsize)
    return wide.T.tobytes()
