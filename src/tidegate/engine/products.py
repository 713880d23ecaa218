"""Matrix products whose rows do not depend on the rows beside them, to the last bit.

Takes rows (n, K) and a matrix (K, N), gives (n, N). Knows nothing of networks.

A BLAS adds a row's K products up in another order for one row than for many, for few columns than
for many, and for long rows than for short ones. So one row is computed as two, columns are filled
up to a multiple of 16, and rows are cut into parts of at most 256, whose products are added in
turn. Within these limits OpenBLAS was found to add a row up in one way only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

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
        several = np.concatenate((rows, rows)) if n == 1 else rows
        first, *others = self._parts
        result: Floats = several[:, : len(first)] @ first
        for k, part in enumerate(others, start=1):
            result += several[:, k * LONGEST : (k + 1) * LONGEST] @ part
        return result[:n, : self._n]


def product_into(out: Floats, rows: Floats, matrix: Floats) -> Floats:
    """Put rows (n, K) times a matrix (K, N) into `out` (n, N), and return it.

    Unlike `Product` it leaves the columns as they are: it is for the recurrence, whose matrices are
    as wide as four times the units.
    """
    if len(rows) > 1 and len(matrix) <= LONGEST:
        return rows.dot(matrix, out=out)
    several = np.concatenate((rows, rows)) if len(rows) == 1 else rows
    result = several[:, :LONGEST] @ matrix[:LONGEST]
    for k in range(LONGEST, len(matrix), LONGEST):
        result += several[:, k : k + LONGEST] @ matrix[k : k + LONGEST]
    out[:] = result[: len(rows)]
    return out
