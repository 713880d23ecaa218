"""How far a stage is and how long the rest may take, as a line for people."""

from __future__ import annotations

import time


class Pace:
    """The progress of a stage of n parts, done one by one.

    Parts before the first one told were an earlier run's: they say nothing of this run's pace.

    Examples
    --------
    >>> Pace("epoch", 4).line(4)
    'epoch 4 of 4, 0 s left'
    """

    def __init__(self, what: str, n: int) -> None:
        self._what, self._n = what, n
        self._before: int | None = None
        self._started = time.monotonic()

    def line(self, done: int) -> str:
        """Return the line after so many parts are done."""
        spent = time.monotonic() - self._started
        if self._before is None:
            self._before = done - 1
        left = spent / max(done - self._before, 1) * (self._n - done)
        return f"{self._what} {done:,} of {self._n:,}, {left:.0f} s left"
