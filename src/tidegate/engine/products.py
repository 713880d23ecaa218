"""Matrix products whose rows do not depend on the rows beside them, to the last bit.

Takes rows (n, K) and a matrix (K, N), gives (n, N). Knows nothing of networks.

A BLAS adds a row's K products up in another order for few rows than for many, for few columns than
for many, for long rows than for short ones, and on some processors by the row's place (OpenBLAS for
Haswell and Zen: rows 1 to 6 of twelve in one way, 7 to 12 in another). So products are of eight
rows each, the last filled up with zeros, columns are filled up to a multiple of 16, and rows are
cut into parts of at most 256, whose products are added in turn. Within these limits OpenBLAS was
found to add every row up in one way, with its kernels for Haswell, Zen, SkylakeX, Cooperlake,
Sandybridge, Nehalem and Katmai.

A wide matrix makes products of eight rows slow: six times as slow as one product of many rows, at
1,024 columns on a SkylakeX. Of such a matrix there is one product, of two rows at least, where this
machine's BLAS is seen not to go by the row's place.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from tidegate.engine.blas import one_thread

Floats = npt.NDArray[np.float32]

ROWS, FEWEST_ROWS = 8, 2
COLUMNS = 16
WIDE = 1 << 16  # values of a matrix, beyond which it matters how many rows a product is of
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
        first, *others = self._parts
        blocks = _blocks(rows, rows_together(n, first))
        result: Floats = blocks[:, :, : len(first)] @ first
        for k, part in enumerate(others, start=1):
            result += blocks[:, :, k * LONGEST : (k + 1) * LONGEST] @ part
        return result.reshape(-1, result.shape[2])[:n, : self._n]


def product_into(out: Floats, rows: Floats, matrix: Floats) -> Floats:
    """Put rows (n, K) times a matrix (K, N) into `out` (n, N), and return it.

    Unlike `Product` it leaves the columns as they are: it is for the recurrence, whose matrices are
    as wide as four times the units. Rows and `out` have no gaps.
    """
    together = rows_together(len(rows), matrix[:LONGEST])
    whole = len(rows) - len(rows) % together
    if whole:
        blocks = out[:whole].reshape(-1, together, out.shape[1])
        _into(blocks, _blocks(rows[:whole], together), matrix)
    if whole < len(rows):
        last = np.empty((1, together, out.shape[1]), np.float32)
        _into(last, _blocks(rows[whole:], together), matrix)
        out[whole:] = last[0, : len(rows) - whole]
    return out


def rows_together(n: int, matrix: Floats) -> int:
    """Return how many of n rows are multiplied with a matrix (K, N) at once."""
    wide = matrix.size > WIDE and matrix.shape[1] % COLUMNS == 0
    return max(n, FEWEST_ROWS) if wide and not place_matters() else ROWS


@cache
def place_matters() -> bool:
    """Whether this BLAS adds a row up with a wide matrix in a way that goes by the row's place."""
    rng = np.random.default_rng(0)
    with one_thread():
        for inner, columns in ((144, 512), (256, 1024)):
            rows = rng.standard_normal((50, inner), np.float32)
            matrix = rng.standard_normal((inner, columns), np.float32)
            whole = rows @ matrix
            for start, n in product((0, 1, 7, 30), (2, 3, 5, 8, 13, 16)):
                if not np.array_equal(rows[start : start + n] @ matrix, whole[start:][:n]):
                    return True
    return False


def _into(out: Floats, blocks: Floats, matrix: Floats) -> None:
    """Put blocks (b, r, K) times a matrix (K, N) into `out` (b, r, N)."""
    np.matmul(blocks[:, :, :LONGEST], matrix[:LONGEST], out=out)
    for k in range(LONGEST, len(matrix), LONGEST):
        out += blocks[:, :, k : k + LONGEST] @ matrix[k : k + LONGEST]


def _blocks(rows: Floats, together: int) -> Floats:
    """Return rows (n, K) as blocks of r rows (b, r, K), the last filled up with zeros."""
    missing = -len(rows) % together
    if missing:
        rows = np.concatenate((rows, np.zeros((missing, rows.shape[1]), np.float32)))
    return rows.reshape(-1, together, rows.shape[1])
