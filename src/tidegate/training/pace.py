"""How far a stage is and how long the rest may take, as a line for people."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """The progress of a stage of n parts, done one by one.

    Parts before the first one told were an earlier run's: they say nothing of this run's pace.

    Parameters
    ----------
    what, n : the parts' name, and how many there are
    after, then : how many parts' time what follows the stage takes, and its name

    Examples
    --------
    >>> Pace("epoch", 4).line(4)
    'epoch 4 of 4, 0 s left'
    """

    def __init__(self, what: str, n: int, *, after: float = 0.0, then: str = "") -> None:
        self._what, self._n, self._after, self._then = what, n, after, then
        self._before: int | None = None
        self._started = time.monotonic()

    def skip(self, n: int) -> None:
        """Leave out parts that took no time."""
        if self._before is not None:
            self._before += n

    def line(self, done: int) -> str:
        """Return the line after so many parts are done."""
        spent = time.monotonic() - self._started
        if self._before is None:
            self._before = done - 1
        each = spent / max(done - self._before, 1)
        left = f"{self._what} {done:,} of {self._n:,}, {each * (self._n - done):.0f} s left"
        return left + (f", then about {each * self._after:.0f} s {self._then}" * bool(self._after))


class Passes:
    """Tells the pace of many passes over the data: the first and the last, and now and then.

    Parameters
    ----------
    pace : of all passes
    n : how many there are, as far as can be told
    every_s : seconds between two lines

    Examples
    --------
    >>> passes = Passes(Pace("pass", 3), 3, say=print)
    >>> for _ in range(3):
    ...     passes.done()
    pass 1 of 3, 0 s left
    pass 3 of 3, 0 s left
    """

    def __init__(
        self, pace: Pace, n: int, *, say: Callable[[str], None], every_s: float = 5.0
    ) -> None:
        self._pace, self._n, self._say, self._every_s = pace, n, say, every_s
        self._done, self._told = 0, float("-inf")

    def done(self, n: int = 1) -> None:
        """Count passes that were just made."""
        self._done = min(self._done + n, self._n)
        now = time.monotonic()
        if self._done == self._n or now - self._told >= self._every_s:
            self._told = now
            self._say(self._pace.line(self._done))

    def skip(self, n: int) -> None:
        """Count passes that an earlier run made: they say nothing of this run's pace."""
        self._done = min(self._done + n, self._n)
        self._pace.skip(n)
