"""A row's product is the same to the last bit, wherever it stands: on every processor's BLAS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import numpy as np
from tidegate.engine.blas import one_thread
from tidegate.engine.products import Product, product_into

rng = np.random.default_rng(0)
for inner in (1, 3, 24, 32, 128, 256, 300):
    for columns in (2, 4, 12, 24, 100, 128, 600, 1024):
        rows = rng.standard_normal((400, inner)).astype(np.float32)
        matrix = rng.standard_normal((inner, columns)).astype(np.float32)
        product = Product(matrix)

        def into(some):
            return product_into(np.empty((len(some), columns), np.float32), some, matrix)

        with one_thread():
            for answer in (product, into):
                whole = answer(rows)
                np.testing.assert_allclose(whole, rows.astype(float) @ matrix, atol=1e-3)
                for n in (1, 2, 3, 5, 8, 9, 12, 13, 16, 31, 100):
                    start = int(rng.integers(0, len(rows) - n))
                    part = answer(rows[start : start + n])
                    assert (part == whole[start : start + n]).all(), (inner, columns, n)
"""


@pytest.mark.parametrize("core", ["", "Haswell", "SkylakeX", "Nehalem"])
def test_a_row_does_not_depend_on_its_place_or_its_company(core: str) -> None:
    """OpenBLAS takes its products for a processor from this variable; another BLAS ignores it."""
    if core == "SkylakeX" and not _has_avx512():
        pytest.skip("this processor has no AVX-512")
    environment = {**os.environ, "OPENBLAS_CORETYPE": core} if core else dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _has_avx512() -> bool:
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "avx512f" in facts.read_text(encoding="ascii", errors="replace")
