"""Keys of pairs of words to their numbers, for many keys at once.

Takes ascending keys, gives which of others are among them, and where. Knows nothing of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.text.ids import Ints


class PairIndex:
    """Keys to their numbers: a table by Fibonacci hashing (Knuth 1973, section 6.4).

    A slot holds one key. The few others that fall into it are looked up in their sorted list.
    """

    def __init__(self, keys: Ints) -> None:
        self.keys = keys
        self._shift = np.uint64(64 - min(max(len(keys).bit_length() + 4, 8), 20))
        numbers = np.arange(len(keys), dtype=np.int32)
        slots = self._slots(keys)
        self.numbers = np.full(1 << (64 - int(self._shift)), -1, np.int32)
        self.numbers[slots] = numbers
        self.crowded = np.flatnonzero(self.numbers[slots] != numbers)

    def _slots(self, keys: Ints) -> npt.NDArray[np.int64]:
        product = keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (product >> self._shift).astype(np.int64)

    def find(self, keys: Ints) -> tuple[Ints, Ints]:
        """Return which of some keys are known, ascending, and the numbers of these."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        numbers = self.numbers.take(self._slots(keys))
        same = self.keys.take(numbers, mode="clip") == keys  # −1 is clipped to 0: no harm
        found = numbers.astype(np.int64)
        if len(self.crowded):
            other = np.flatnonzero(~same & (numbers >= 0))
            inside, place = found_in(self.keys[self.crowded], keys[other])
            found[other[inside]] = self.crowded[place]
            same[other[inside]] = True
        places = np.flatnonzero(same)
        return places, found[places]


def found_in(sorted_keys: npt.NDArray[Any], keys: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Return which keys are among the sorted ones, and where these stand."""
    if not len(sorted_keys) or not len(keys):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found = np.flatnonzero(sorted_keys[place] == keys)
    return found, place[found]
