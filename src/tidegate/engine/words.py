"""Tables with a row a word, each row worked out when its word is first met.

Takes what works out rows, and how many columns each table has; gives tables in which the rows of
the ids asked for are filled in. Knows nothing of what the columns mean: the recurrent layers' and
any other numbers that depend on the word alone can stand side by side.

Any number of threads may ask. Rows are worked out beside one another, and put in under a lock. What
is given out is never changed afterwards, except in rows that nobody has been told of:

- which rows are filled is a new array each time, published after the rows are written;
- a table that has become too small is copied, and who holds the old one goes on reading that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Rows = Callable[[Ints, Sequence[str]], Sequence[Floats]]

_WORDS_AT_ONCE = 2048  # so that the vectors of many words need little room


class _Filled(NamedTuple):
    """Tables (n, width), and which of their rows are filled (n,)."""

    known: npt.NDArray[np.bool_]
    tables: tuple[Floats, ...]


class WordTables:
    """Arrays indexed by word id, filled in as words are met.

    Parameters
    ----------
    rows : word ids (n,) and the new words → one array (n, width) for each table. A word's rows
        depend on nothing else. The new words are those of the ids from `n_words` on, in id order
    widths : columns of each table
    n_words : size of the vocabulary

    Examples
    --------
    >>> tables = WordTables(lambda ids, new: [ids[:, None] * 10.0], [1], n_words=3)
    >>> tables.of(np.array([2, 3]), ["smog"])[0][[2, 3]].tolist()
    [[20.0], [30.0]]
    """

    def __init__(self, rows: Rows, widths: Sequence[int], *, n_words: int) -> None:
        self.n_words = n_words
        self._rows = rows
        self._filling = threading.Lock()
        self._filled = _Filled(
            np.zeros(n_words, dtype=bool),
            tuple(np.empty((n_words, width), np.float32) for width in widths),
        )

    def of(self, ids: Ints, new_words: Sequence[str] = ()) -> tuple[Floats, ...]:
        """Return the tables; their rows for `ids` are filled and stay as they are."""
        needed = self.n_words + len(new_words)
        known, tables = self._filled
        if needed <= len(known) and known[ids].all():
            return tables
        unmet = np.zeros(max(needed, len(known)), dtype=bool)
        unmet[ids] = True
        unmet[: len(known)] &= ~known
        numbers = np.flatnonzero(unmet)
        for start in range(0, len(numbers), _WORDS_AT_ONCE):
            wanted = numbers[start : start + _WORDS_AT_ONCE]
            self._put(wanted, self._rows(wanted, new_words), needed)
        return self._filled.tables

    def _put(self, ids: Ints, rows: Sequence[Floats], needed: int) -> None:
        """Fill rows in, but for those that another thread has filled since."""
        with self._filling:
            filled = self._filled
            if needed > len(filled.known):
                filled = _grown(filled, needed * 5 // 4)
            mine = ~filled.known[ids]
            for table, values in zip(filled.tables, rows, strict=True):
                table[ids[mine]] = values[mine]
            known = filled.known.copy()
            known[ids] = True
            self._filled = _Filled(known, filled.tables)

    def without_new_words(self) -> WordTables:
        """Return tables of their own that hold what these hold of the vocabulary."""
        other = WordTables(self._rows, (), n_words=self.n_words)
        known, tables = self._filled
        n = self.n_words
        other._filled = _Filled(known[:n].copy(), tuple(table[:n].copy() for table in tables))
        return other


def _grown(filled: _Filled, n_rows: int) -> _Filled:
    known = np.zeros(n_rows, dtype=bool)
    known[: len(filled.known)] = filled.known
    tables = []
    for table in filled.tables:
        larger = np.empty((n_rows, table.shape[1]), np.float32)
        larger[: len(table)] = table
        tables.append(larger)
    return _Filled(known, tuple(tables))
