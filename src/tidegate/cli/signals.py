"""SIGTERM and SIGHUP end a verb as an interrupt does: what is open is closed, temporary files go.

By default a process just stops at them, and what it would have removed at its end stays.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from tidegate.cli.printing import say

_INTERRUPTED = ("interrupted", 130)


class Ended(BaseException):
    """A signal asks this process to end. Not an `Exception`: nobody should go on after it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """The signal's name."""
        return signal.Signals(self.number).name

    @property
    def code(self) -> int:
        """The exit code that a shell gives a process which ended so."""
        return 128 + self.number


@contextmanager
def told_to_resume(verb: str, kept: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """End a verb at a signal with one line, which says how to go on, and the signal's exit code.

    Parameters
    ----------
    kept : whether there is something to go on from
    """
    try:
        yield
    except (KeyboardInterrupt, Ended) as end:
        how, code = (f"ended by {end.name}", end.code) if isinstance(end, Ended) else _INTERRUPTED
        cure = "--resume goes on from here" if kept() else "nothing was kept yet"
        say(f"tidegate: {verb}: {how}; {cure}")
        raise typer.Exit(code) from None


@contextmanager
def raised_signals() -> Iterator[None]:
    """Raise `Ended` at SIGTERM and SIGHUP, in the main thread alone, as Python has it.

    A signal that is ignored (by nohup, say) or that the caller handles is left as it is.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    unraisable, later = sys.unraisablehook, list[threading.Timer]()

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
        raise Ended(number)

    def dropped(fault: sys.UnraisableHookArgs) -> None:
        """Send the signal once more if it came in a finalizer, whose faults Python drops."""
        if not isinstance(fault.exc_value, Ended):
            unraisable(fault)
            return
        number = fault.exc_value.number
        signal.signal(number, end)
        later.append(threading.Timer(0.05, os.kill, (os.getpid(), number)))
        later[-1].start()

    for number in ours:
        signal.signal(number, end)
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        for timer in later:
            timer.cancel()
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
