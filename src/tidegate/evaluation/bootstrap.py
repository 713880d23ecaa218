"""Intervals by resampling rows: Efron's bootstrap (1979); of shares, Wilson's (1927).

Takes how many rows there are, gives weights that count how often each was drawn; takes a score and
its replicates, gives the score with its interval. Knows nothing of what is scored.

Resampling 18 rows that are all decided rightly gives 18 right ones every time, and an interval from
1 to 1. Wilson's interval of a share holds there: it asks which shares would make what was counted
unlikely, not how the count varies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.evaluation.calibration import Floats

_WORK = 40_000_000  # replicates × rows × ranked columns: seconds on one core
_FEWEST = 200  # replicates that still carry a 95 % interval
_Z = 1.959964  # of 95 %
_CHUNK = 1_000_000  # weights held at a time: 8 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A score and its 95 % interval; NaN where undefined.

    The interval is Wilson's where the score is a share of rows; else the bootstrap's percentiles,
    and where all replicates are 1 or all are 0, Wilson's of as many rows as the score rests on.

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


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of n rows; without rows, from 0 to 1.

    (p + z²/2n ± z √(p (1 - p) / n + z²/4n²)) / (1 + z²/n), Wilson (1927).

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(1.0, 18)]
    [0.824, 1.0]
    """
    if not n:
        return 0.0, 1.0
    centre = share + _Z**2 / (2 * n)
    reach = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def of_share(score: Score, n: float) -> Score:
    """Return a score that is a share of n rows, with Wilson's interval if it had one."""
    if math.isnan(score.low):
        return score
    low, high = wilson(score.value, n)
    return Score(value=score.value, low=low, high=high)


def at_edge(score: Score, ns: Iterable[float]) -> Score:
    """Return a score whose interval holds where all replicates were 1, or all were 0.

    Parameters
    ----------
    ns : of each label that the score is the mean of, how many rows its part rests on

    Examples
    --------
    >>> round(at_edge(Score(value=1.0, low=1.0, high=1.0), [18]).low, 3)
    0.824
    """
    if score.low != score.high or score.value not in (0.0, 1.0):
        return score
    bounds = [wilson(score.value, n) for n in ns]
    low, high = (sum(side) / len(bounds) for side in zip(*bounds, strict=True))
    return Score(value=score.value, low=low, high=high)


def of_gap(score: Score, n: float) -> Score:
    """Return a difference between two models whose interval holds where all replicates were 0.

    Two models that decide n rows alike may still differ on a share of rows that n did not show;
    one model twice may not, and its n is infinite.
    """
    if score.low != score.high or score.value != 0.0:
        return score
    reach = wilson(0.0, n)[1]
    return Score(value=0.0, low=-reach, high=reach)
