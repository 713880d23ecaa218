"""How many cores torch uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tidegate.engine.workers import cores


@contextmanager
def torch_threads(wanted: int) -> Iterator[None]:
    """Let torch use so many cores for a while; a small network is slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)
