"""Intervals by resampling rows: Efron's bootstrap (1979).

Takes how many rows there are, gives weights that count how often each was drawn; takes a score and
its replicates, gives the score with its interval. Knows nothing of what is scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.evaluation.calibration import Floats

_WORK = 40_000_000  # replicates × rows × ranked columns: seconds on one core
_FEWEST = 200  # replicates that still carry a 95 % interval
_CHUNK = 1_000_000  # weights held at a time: 8 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score and its 95 % percentile bootstrap interval; NaN where undefined.

    Chance alone gives every bin of a calibration error some gap, and a resample adds to it: its
    interval is moved by the bootstrap's estimate of that bias (Efron & Tibshirani 1993, ch. 10).
    """

    value: float
    low: float
    high: float


def resamples(shape: tuple[int, ...], bootstrap: int, *, seed: int) -> Iterator[Floats]:
    """Yield weights (r, n): how often each row was drawn, n draws with replacement.

    Parameters
    ----------
    shape : rows n, and ranked columns, which cost most: with many there are fewer resamples
    bootstrap : resamples wanted; 200 are drawn however much they cost, if so many are wanted
    seed : of the draws

    Examples
    --------
    >>> weights = next(resamples((4,), 3, seed=0))
    >>> weights.shape, weights.sum(axis=1).tolist()
    ((3, 4), [4.0, 4.0, 4.0])
    """
    n, replicates = shape[0], min(bootstrap, max(_FEWEST, _WORK // math.prod(shape)))
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // n)
    for start in range(0, replicates, size):
        r = min(size, replicates - start)
        drawn = rng.integers(0, n, size=(r, n)) + n * np.arange(r)[:, None]
        yield np.bincount(drawn.ravel(), minlength=r * n).reshape(r, n).astype(np.float64)


def interval(value: Floats, replicas: Sequence[Floats], *, centred: bool = False) -> Score:
    """Return a score with its interval.

    Parameters
    ----------
    value, replicas : (1,) the score; its replicates, in parts
    centred : take out what resampling adds on average, for a score that is never below 0

    Examples
    --------
    >>> found = interval(np.array([0.1]), [np.array([0.2, 0.3, 0.4])], centred=True)
    >>> round(found.low, 3), round(found.high, 3)
    (0.005, 0.195)
    """
    drawn = np.concatenate([*replicas, np.empty(0)])
    drawn = drawn[~np.isnan(drawn)]  # a resample without positives has no recall
    if centred and drawn.size:
        drawn = np.maximum(drawn - (drawn.mean() - value[0]), 0.0)
    low, high = np.percentile(drawn, [2.5, 97.5]).tolist() if drawn.size else (math.nan, math.nan)
    return Score(value=float(value[0]), low=low, high=high)
