"""What an answer costs: parameters, bytes on disk, messages a second, time for one.

Takes whatever answers texts, gives a `Cost`. Measured on one core, so that models can be compared;
seconds differ from run to run, and so never go into what must repeat byte for byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Answer = Callable[[Sequence[str]], Any]
_BULK_S = 0.5  # of work in bulk at least, if there are texts enough
_SINGLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a model weighs, and what its answers take on one core.

    Attributes
    ----------
    parameters : numbers it has learned or was given
    size_bytes : on disk
    messages_per_s : in bulk, from raw text
    one_ms : median milliseconds for one message
    """

    parameters: int
    size_bytes: int
    messages_per_s: float
    one_ms: float


def cost(answer: Answer, texts: Sequence[str], *, parameters: int, size_bytes: int) -> Cost:
    """Time a model's answers to distinct texts, after a first one that is not counted."""
    texts = list(dict.fromkeys(texts))
    answer(texts[:32])
    done, spent, size = 0, 0.0, 64
    while done < len(texts) and (not spent or spent < _BULK_S):
        block = texts[done : done + size]
        started = time.perf_counter()
        answer(block)
        spent += time.perf_counter() - started
        done += len(block)
        size *= 4
    singles = []
    for text in texts[:_SINGLES]:
        started = time.perf_counter()
        answer([text])
        singles.append(time.perf_counter() - started)
    return Cost(
        parameters=parameters, size_bytes=size_bytes, messages_per_s=done / max(spent, 1e-9),
        one_ms=1e3 * float(np.median(singles)),
    )  # fmt: skip
