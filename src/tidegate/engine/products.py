"""Matrix products whose rows do not depend on the rows beside them, to the last bit.

Takes rows (n, K) and a matrix (K, N), gives (n, N). Knows nothing of networks.

A BLAS adds a row's K products up in another order for one row than for many, for few columns than
for many, for long rows than for short ones, and on some processors by where a row stands among the
others (OpenBLAS for Haswell and Zen: rows 1 to 6 of twelve in one way, 7 to 12 in another). So
products are of eight rows each, the last filled up with zeros, columns are filled up to a multiple
of 16, and rows are cut into parts of at most 256, whose products are added in turn. Within these
limits OpenBLAS was found to add every row up in one way only, for all processors it knows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROWS = 8
COLUMNS = 16
LONGEST = 256


class Product:
    """The product with one matrix.

    Parameters
    ----------
    matrix : (K, N)

    Examples
    --------
    >>> double = Product(np.array([[2.0, 0.0], [0.0, 2.0]], np.float32))
    >>> double(np.array([[1.0, 3.0]], np.float32)).tolist()
    [[2.0, 6.0]]
    """

    def __init__(self, matrix: Floats) -> None:
        n_rows, self._n = matrix.shape
        width = -(-self._n // COLUMNS) * COLUMNS
        padded = np.zeros((n_rows, width), np.float32)
        padded[:, : self._n] = matrix
        self._parts = [padded[k : k + LONGEST] for k in range(0, max(n_rows, 1), LONGEST)]

    def __call__(self, rows: Floats) -> Floats:
        """Return rows (n, K) times the matrix: (n, N)."""
        n = len(rows)
        blocks = _blocks(rows)
        first, *others = self._parts
        result: Floats = blocks[:, :, : len(first)] @ first
        for k, part in enumerate(others, start=1):
            result += blocks[:, :, k * LONGEST : (k + 1) * LONGEST] @ part
        return result.reshape(len(result) * ROWS, -1)[:n, : self._n]


def product_into(out: Floats, rows: Floats, matrix: Floats) -> Floats:
    """Put rows (n, K) times a matrix (K, N) into `out` (n, N), and return it.

    Unlike `Product` it leaves the columns as they are: it is for the recurrence, whose matrices are
    as wide as four times the units. Rows and `out` have no gaps.
    """
    whole = len(rows) - len(rows) % ROWS
    if whole:
        _into(out[:whole].reshape(-1, ROWS, out.shape[1]), _blocks(rows[:whole]), matrix)
    if whole < len(rows):
        last = np.empty((1, ROWS, out.shape[1]), np.float32)
        _into(last, _blocks(rows[whole:]), matrix)
        out[whole:] = last[0, : len(rows) - whole]
    return out


def _into(out: Floats, blocks: Floats, matrix: Floats) -> None:
    """Put blocks (b, 8, K) times a matrix (K, N) into `out` (b, 8, N)."""
    np.matmul(blocks[:, :, :LONGEST], matrix[:LONGEST], out=out)
    for k in range(LONGEST, len(matrix), LONGEST):
        out += blocks[:, :, k : k + LONGEST] @ matrix[k : k + LONGEST]


def _blocks(rows: Floats) -> Floats:
    """Return rows (n, K) as blocks (b, 8, K), the last filled up with zeros."""
    missing = -len(rows) % ROWS
    if missing:
        rows = np.concatenate((rows, np.zeros((missing, rows.shape[1]), np.float32)))
    return rows.reshape(-1, ROWS, rows.shape[1])
