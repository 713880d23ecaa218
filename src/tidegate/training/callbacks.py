"""Who wants to watch a training: four calls with plain dicts.

Takes what happens, gives it to every callback. A callback that fails is told once and left out from
then on: watching never ends a training.

    on_start   name, source, rows, settings    once, before anything is learned
    on_epoch   part, number, loss, …, seconds  after each epoch of each part of the work
    on_fold    number, of, rows, right         after each fold of a cross-validation
               number, score, settings         after each trial of a search; score: the folds' mean
    on_end     scores, or fault                once, whatever happened

Values are text, numbers, or dicts of them. A part that is gone on with after a kill tells its
last epoch again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

Facts = Mapping[str, Any]


class Callback(Protocol):
    """What is told how a training goes."""

    def on_start(self, facts: Facts) -> None:
        """Hear that it begins, and with what."""

    def on_epoch(self, facts: Facts) -> None:
        """Hear what an epoch did."""

    def on_fold(self, facts: Facts) -> None:
        """Hear how a fold, or a trial, was scored."""

    def on_end(self, facts: Facts) -> None:
        """Hear that it ended, and how."""


class Callbacks:
    """Several callbacks as one, none of which can do harm.

    Parameters
    ----------
    several : the callbacks
    say : called with a line when one of them fails

    Examples
    --------
    >>> class Faulty:
    ...     def on_epoch(self, facts): raise OSError("disk full")
    >>> both = Callbacks([Faulty()], say=print)
    >>> both.on_epoch({"loss": 0.5})
    Faulty: OSError: disk full; it is told nothing more, and the training goes on
    >>> both.on_epoch({"loss": 0.4})
    """

    def __init__(
        self, several: Sequence[Callback] = (), *, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._several, self._say = list(several), say

    def on_start(self, facts: Facts) -> None:
        """Tell that it begins."""
        self._tell("on_start", facts)

    def on_epoch(self, facts: Facts) -> None:
        """Tell what an epoch did."""
        self._tell("on_epoch", facts)

    def on_fold(self, facts: Facts) -> None:
        """Tell how a fold, or a trial, was scored."""
        self._tell("on_fold", facts)

    def on_end(self, facts: Facts) -> None:
        """Tell that it ended."""
        self._tell("on_end", facts)

    def _tell(self, what: str, facts: Facts) -> None:
        for callback in tuple(self._several):
            try:
                getattr(callback, what)(facts)
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is not the training's
                self._several.remove(callback)
                first = (str(fault).splitlines() or [""])[0][:200]
                self._say(
                    f"{type(callback).__name__}: {type(fault).__name__}: {first}; it is told "
                    "nothing more, and the training goes on"
                )

    @contextmanager
    def watching(self, facts: Facts) -> Iterator[dict[str, Any]]:
        """Tell the beginning and, whatever happens, the end; what is put into the dict is told."""
        found: dict[str, Any] = {}
        self.on_start(facts)
        try:
            yield found
        except BaseException as fault:
            self.on_end({"fault": f"{type(fault).__name__}: {fault}"})
            raise
        self.on_end(found)
