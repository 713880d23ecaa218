"""Whether probabilities keep what they promise: reliability, calibration error, temperature.

Takes     targets and probabilities (or logits) of rows held out from training.
Gives     the bins of a reliability diagram, its error, and one temperature that lowers it.
Knows     nothing of models, texts, files or the names of labels.

Three kinds of labels; n rows, C classes, L labels:

    kind          targets                   probabilities
    binary        (n,) of 0 or 1            (n, 2), rows sum to 1; column 1 is the positive class
    multiclass    (n,) of 0 … C-1           (n, C), rows sum to 1
    multilabel    (n, L) of 0 or 1          (n, L), each column an independent positive probability
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.errors import ConfigError, DataError

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

N_BINS = 15  # as in Guo et al. (2017)
_LOG_T_LIMIT = math.log(20.0)
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def check_kind(kind: str) -> None:
    """Raise ConfigError unless `kind` is one of the three that exist."""
    if kind not in get_args(Kind):
        raise ConfigError(f"kind: {kind!r} does not exist; use one of {', '.join(get_args(Kind))}")


def check_probabilities(probabilities: npt.ArrayLike, *, kind: Kind) -> Floats:
    """Return the probabilities as float64, or raise DataError saying why they are none."""
    check_kind(kind)
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] == 0 or (kind == "binary" and p.shape[1] != 2):
        needed = "(n, 2)" if kind == "binary" else "(n, columns)"
        raise DataError(f"probabilities: shape {p.shape}; {kind} needs {needed}")
    if not ((p >= 0.0) & (p <= 1.0 + 1e-6)).all():  # written so that NaN fails, too
        raise DataError("probabilities: a value is NaN or outside 0 … 1; pass probabilities")
    if kind != "multilabel" and (np.abs(p.sum(axis=1) - 1.0) > 1e-3).any():
        raise DataError(f"probabilities: a row does not sum to 1; {kind} needs rows that do")
    return p


def check_targets(targets: npt.ArrayLike, *, shape: tuple[int, ...], n_values: int) -> Integers:
    """Return the targets as int64, or raise DataError unless they are 0 … n_values-1 in `shape`."""
    y = np.asarray(targets)
    if y.shape != shape:
        raise DataError(f"targets: shape {y.shape}; the predictions need {shape}")
    if y.size == 0:
        raise DataError("targets: no rows; at least one is needed")
    whole = y.astype(np.int64) if y.dtype.kind in "biuf" and np.isfinite(y).all() else None
    if whole is None or (whole != y).any() or whole.min() < 0 or whole.max() >= n_values:
        raise DataError(f"targets: a value is not an index 0 … {n_values - 1}; pass label indices")
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A reliability diagram: what was promised and what happened, in equal-width bins.

    Bin b holds the probabilities in (edges[b], edges[b + 1]]; zero falls into the first. An empty
    bin has NaN for both means. `edges` has one entry more than the other three.
    """

    edges: tuple[float, ...]
    mean_probability: tuple[float, ...]
    observed_share: tuple[float, ...]
    count: tuple[int, ...]


def bin_indices(probability: Floats) -> Integers:
    """Return the bin of each probability, 0 … N_BINS-1."""
    inner = np.linspace(0.0, 1.0, N_BINS + 1)[1:-1]
    return np.searchsorted(inner, probability, side="left").astype(np.int64)


def reliability(probability: Floats, happened: Floats) -> Reliability:
    """Bin promised probabilities (n,) against what happened (n,) of 0 or 1.

    Examples
    --------
    >>> bins = reliability(np.array([0.9, 0.92]), np.array([1.0, 0.0]))
    >>> bins.count[13], round(bins.mean_probability[13], 2), bins.observed_share[13]
    (2, 0.91, 0.5)
    """
    bins = bin_indices(probability)
    count = np.bincount(bins, minlength=N_BINS)
    size = np.where(count > 0, count, np.nan)
    promised = np.bincount(bins, weights=probability, minlength=N_BINS) / size
    observed = np.bincount(bins, weights=happened, minlength=N_BINS) / size
    return Reliability(
        edges=tuple(np.linspace(0.0, 1.0, N_BINS + 1).tolist()),
        mean_probability=tuple(promised.tolist()),
        observed_share=tuple(observed.tolist()),
        count=tuple(count.tolist()),
    )


def calibration_error(weights: Floats, probability: Floats, happened: Floats) -> Floats:
    """Return the expected calibration error (R,) of rows (n,) under row weights (R, n).

    Σ_b (n_b / n) |mean probability - observed share| over 15 bins of equal width: Guo et al.
    (2017), equation 3. Binary and multiclass: `probability` is that of the most probable class,
    `happened` whether it is the true one. Multilabel: positive probability and truth, a label
    at a time; the reported error is the mean over labels. Few rows bias it upwards and resamples
    more so: its bootstrap interval can lie above it.

    Examples
    --------
    >>> two = np.array([0.9, 0.92]), np.array([1.0, 0.0])
    >>> calibration_error(np.ones((1, 2)), *two).round(3).tolist()
    [0.41]
    """
    gaps = np.zeros((len(probability), N_BINS))
    gaps[np.arange(len(probability)), bin_indices(probability)] = probability - happened
    error: Floats = np.abs(weights @ gaps).sum(axis=1) / len(probability)
    return error


def fit_temperature(
    logits_or_log_odds: npt.ArrayLike, targets: npt.ArrayLike, *, kind: Kind
) -> float:
    """Find the temperature T that minimises the log loss of softmax(logits / T).

    One number cannot change the order of predictions, so the ranking (and for multiclass every
    decision) stays. The log loss is convex in 1 / T, hence has one valley in log T, and golden
    section finds it. Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.

    Parameters
    ----------
    logits_or_log_odds : binary: log-odds (n,) or logits (n, 2); multiclass: logits (n, C);
        multilabel: log-odds (n, L)
    targets : array of class indices (n,), or (n, L) of 0 and 1 for multilabel
    kind : "binary", "multiclass" or "multilabel"

    Returns
    -------
    float in [1/20, 20]; 1.0 if no temperature is better. An end of the range means that the
    rows are separated without error (1/20), or that the logits mislead (20).

    Raises
    ------
    ConfigError : an unknown kind
    DataError : shapes that do not fit, or a logit that is not finite

    Examples
    --------
    Log-odds of ±4 that are right three times in four should have been ±log 3.

    >>> t = fit_temperature([4.0, 4.0, 4.0, -4.0], [1, 1, 0, 0], kind="binary")
    >>> round(t, 4) == round(4 / math.log(3), 4)
    True
    """
    return _golden_section(_margins(logits_or_log_odds, targets, kind=kind))


def _margins(logits: npt.ArrayLike, targets: npt.ArrayLike, *, kind: Kind) -> Floats:
    check_kind(kind)
    z = np.asarray(logits, dtype=np.float64)
    if kind == "binary" and z.ndim == 2 and z.shape[1] == 2:
        z = z[:, 1] - z[:, 0]
    if z.ndim != (1 if kind == "binary" else 2) or z.size == 0 or not np.isfinite(z).all():
        raise DataError(f"logits: shape {z.shape}; {kind} needs finite logits, at least one row")
    if kind == "multiclass":
        y = check_targets(targets, shape=z.shape[:1], n_values=z.shape[1])
        return z - z[np.arange(len(y)), y][:, None]  # (n, C): every class minus the true one
    y = check_targets(targets, shape=z.shape, n_values=2)
    return np.stack([np.zeros(z.size), np.where(y == 1, -z, z).ravel()], axis=1)


def _golden_section(margins: Floats) -> float:
    def loss(log_t: float) -> float:
        scaled = margins * math.exp(-log_t)
        top = scaled.max(axis=1)
        return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))))

    low, high = -_LOG_T_LIMIT, _LOG_T_LIMIT
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    for _ in range(50):  # 6 · 0.618⁵⁰ ≈ 2e-10, finer than float64 can tell losses apart
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - _GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + _GOLDEN * (high - low)
            loss_right = loss(right)
    best = min((0.0, (low + high) / 2.0, -_LOG_T_LIMIT, _LOG_T_LIMIT), key=loss)
    return math.exp(best)


def apply_temperature(
    probabilities: npt.ArrayLike, temperature: float, *, kind: Kind
) -> npt.NDArray[np.float64]:
    """Soften (T > 1) or sharpen (T < 1) probabilities: softmax(log p / T), in float64.

    Multilabel columns are scaled each as the pair (1 - p, p), that is sigmoid(log-odds / T).

    Parameters
    ----------
    probabilities : array (n, 2), (n, C) or (n, L)
    temperature : float > 0; 1.0 returns the values as they came
    kind : "binary", "multiclass" or "multilabel"

    Returns
    -------
    float64 array of the same shape; 0 stays 0

    Raises
    ------
    ConfigError : a temperature that is not a positive finite number, an unknown kind
    DataError : probabilities that are none

    Examples
    --------
    >>> apply_temperature([[0.1, 0.9]], 2.0, kind="binary").round(9).tolist()
    [[0.25, 0.75]]
    """
    p = check_probabilities(probabilities, kind=kind)
    if not (math.isfinite(temperature) and temperature > 0.0):
        raise ConfigError(f"temperature: {temperature!r}; use a positive finite number")
    if temperature == 1.0:
        return p
    pairs = np.stack([np.maximum(1.0 - p, 0.0), p], axis=-1) if kind == "multilabel" else p
    # p / max first: the largest becomes 1, so no power can underflow to a row of zeros
    powers: Floats = (pairs / pairs.max(axis=-1, keepdims=True)) ** (1.0 / temperature)
    scaled: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return scaled[..., 1] if kind == "multilabel" else scaled
