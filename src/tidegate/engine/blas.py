"""One thread for NumPy's matrix products while the engine runs.

The engine's products are small: several threads on one of them cost more than they bring, and fight
with the engine's own. NumPy has no switch for it, so the OpenBLAS that its wheels carry is asked
directly; with another BLAS nothing is changed. Any number of threads may be users at once. Knows
nothing of models.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")


@dataclass(slots=True)
class _Users:
    """How many calls want one thread at the moment, and how many threads there were before."""

    count: int = 0
    before: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_users = _Users()


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
    switches = _switches()
    if switches is None:
        yield
        return
    get, set_ = switches
    users = _users
    with users.lock:
        if users.count == 0:
            users.before = get()
            set_(1)
        users.count += 1
    try:
        yield
    finally:
        with users.lock:
            users.count -= 1
            if users.count == 0:
                set_(users.before)


def _after_fork() -> None:
    """Start anew in a forked process: its parent's other threads, who were users, are not here."""
    global _users
    left, _users = _users, _Users()
    switches = _switches() if left.count else None
    if switches is not None:
        switches[1](left.before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
