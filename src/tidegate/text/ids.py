"""Many messages' token ids in one array.

Takes lists of ids, gives a `Flat`. Knows nothing of words or weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Messages one after the other: ids (N,), where each begins (B,), its tokens ≥ 1 (B,).

    Where `ends` (B,) is given, one place is free behind each message's tokens, and no other is. An
    empty message is read as the padding that stands there.
    """

    ids: Ints
    starts: Ints
    lengths: Ints
    ends: Ints | None = None

    def lists(self, rows: Ints) -> list[list[int]]:
        """Return the id lists of some messages."""
        spans = zip(self.starts[rows].tolist(), self.lengths[rows].tolist(), strict=True)
        return [self.ids[start : start + length].tolist() for start, length in spans]


def flatten(id_lists: Sequence[Sequence[int]]) -> Flat:
    """Lay id lists one after the other.

    Examples
    --------
    >>> flatten([[5, 6], [7]]).starts.tolist()
    [0, 2]
    """
    lengths = np.fromiter(map(len, id_lists), np.int64, count=len(id_lists))
    ids = np.fromiter(chain.from_iterable(id_lists), np.int64, count=int(lengths.sum()))
    return Flat(ids=ids, starts=np.cumsum(lengths) - lengths, lengths=lengths)


def one_message(ids: list[int]) -> Flat:
    """Return one message, with a free place behind it.

    Examples
    --------
    >>> one_message([5, 6]).ends.tolist()
    [2]
    """
    lengths = np.array([len(ids)])
    return Flat(
        ids=np.array([*ids, 0]), starts=np.zeros(1, np.int64), lengths=lengths, ends=lengths
    )
