"""One thread for NumPy's matrix products while the engine runs.

The engine's products are small: several threads on one of them cost more than they bring, and fight
with the engine's own. NumPy has no switch for it, so the OpenBLAS that its wheels carry is asked
directly; with another BLAS nothing is changed. Knows nothing of models.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
_lock = threading.Lock()
_users = 0
_before = 0


@cache
def _switches() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return OpenBLAS's getter and setter of its number of threads, if NumPy came with it."""
    folder = Path(np.__file__).parent
    for path in [*folder.parent.glob("numpy.libs/*openblas*"), *folder.glob(".dylibs/*openblas*")]:
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for name in _NAMES:
            getter = getattr(library, name.format("get_num_threads"), None)
            setter = getattr(library, name.format("set_num_threads"), None)
            if getter is not None and setter is not None:
                return getter, setter
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Let each matrix product use one thread, until the last user has left."""
    global _users, _before
    switches = _switches()
    if switches is None:
        yield
        return
    get, set_ = switches
    with _lock:
        if _users == 0:
            _before = get()
            set_(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                set_(_before)
