"""Signals wait while a step changes the weights, so that what is kept at them is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def held_signals() -> Iterator[None]:
    """Let the handlers of signals that ask a process to end run only afterwards.

    Elsewhere than in the main thread there are none, as Python has it.

    Examples
    --------
    >>> with held_signals():
    ...     pass  # half of a change
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def later(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))

    try:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            handler = signal.getsignal(number)
            if callable(handler):  # else the system ends the process, or nothing happens
                before[number] = handler
                signal.signal(number, later)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, frame in came:
        before[number](number, frame)
