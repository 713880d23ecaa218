"""From probabilities to trust and decisions: temperature, thresholds, reliability.

Takes     targets and probabilities (or logits) of rows held out from training.
Gives     decisions, one temperature, one threshold, the bins of a reliability diagram.
Knows     nothing of models, texts, files or the names of labels.

Three kinds of labels; n rows, C classes, L labels:

    kind          targets                   probabilities
    binary        (n,) of 0 or 1            (n, 2), rows sum to 1; column 1 is the positive class
    multiclass    (n,) of 0 … C-1           (n, C), rows sum to 1
    multilabel    (n, L) of 0 or 1          (n, L), each column an independent positive probability
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tidegate.errors import ConfigError, DataError

Kind: TypeAlias = Literal["binary", "multiclass", "multilabel"]
Threshold: TypeAlias = float | Sequence[float] | npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

N_BINS = 15  # as in Guo et al. (2017)
_LOG_T_LIMIT = math.log(20.0)
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_FORMS = "half, f1, f<beta>, precision:<share>, cost:<false negative>:<false positive>"


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


def decide(probabilities: npt.ArrayLike, *, kind: Kind, threshold: Threshold = 0.5) -> Integers:
    """Turn probabilities into decisions.

    Binary: 1 where p[:, 1] >= threshold. Multilabel: 1 where p >= threshold, which may be one
    number per label. Multiclass: the most probable class, the first among equals.

    Parameters
    ----------
    probabilities : array (n, 2), (n, C) or (n, L)
    kind : "binary", "multiclass" or "multilabel"
    threshold : float, or for multilabel an array (L,); a probability; multiclass ignores it

    Returns
    -------
    int64 array, (n,) class indices, or (n, L) of 0 and 1 for multilabel

    Raises
    ------
    ConfigError : an unknown kind, a threshold that is NaN or has the wrong shape
    DataError : probabilities that are none

    Examples
    --------
    >>> decide([[0.7, 0.3], [0.4, 0.6]], kind="binary", threshold=0.3).tolist()
    [1, 1]
    >>> decide([[0.7, 0.3], [0.4, 0.6]], kind="multilabel", threshold=[0.5, 0.2]).tolist()
    [[1, 1], [0, 1]]
    """
    p = check_probabilities(probabilities, kind=kind)
    if kind == "multiclass":
        return np.asarray(p.argmax(axis=1), dtype=np.int64)
    t = np.asarray(threshold, dtype=np.float64)
    if np.isnan(t).any() or not (t.ndim == 0 or (kind == "multilabel" and t.shape == p.shape[1:])):
        needed = "one number" if kind == "binary" else f"one number or {p.shape[1]} of them"
        raise ConfigError(f"threshold: {threshold!r}; {kind} needs {needed}")
    return np.asarray((p[:, 1] if kind == "binary" else p) >= t, dtype=np.int64)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A threshold rule, read: its name and its numbers (beta; precision; the two costs)."""

    name: Literal["half", "f", "precision", "cost"]
    values: tuple[float, ...]


def parse_rule(rule: str) -> Rule:
    """Read a threshold rule.

    half; f1, f2, f0.5 (the F-score with that beta); precision:0.9 (at least that precision);
    cost:5:1 (a false negative costs 5, a false positive 1).

    Raises
    ------
    ConfigError : text that is no rule, or numbers out of range; the message lists the forms

    Examples
    --------
    >>> parse_rule("cost:5:1")
    Rule(name='cost', values=(5.0, 1.0))
    """
    name, *parts = rule.split(":")
    if name.startswith("f"):
        name, parts = "f", [name[1:], *parts]
    try:
        values = tuple(float(part) for part in parts)
    except ValueError:
        values = (math.nan,)
    if all(math.isfinite(value) and value >= 0.0 for value in values):
        if name == "half" and not values:
            return Rule(name="half", values=values)
        if name == "f" and len(values) == 1 and values[0] > 0.0:
            return Rule(name="f", values=values)
        if name == "precision" and len(values) == 1 and 0.0 < values[0] <= 1.0:
            return Rule(name="precision", values=values)
        if name == "cost" and len(values) == 2 and max(values) > 0.0:
            return Rule(name="cost", values=values)
    raise ConfigError(f"threshold rule: {rule!r} is none; use one of {_FORMS}")


def choose_threshold(
    targets: npt.ArrayLike, positive_probability: npt.ArrayLike, *, rule: str
) -> float:
    """Choose the threshold of one positive class on validation rows.

    Candidates lie midway between neighbouring scores, 0 and 1 counted among them. "precision"
    takes the lowest that reaches its share; the other rules take the best and, among equals
    (to 1e-12), the one nearest 0.5, then the lower.

    F_beta = (1 + beta²) TP / ((1 + beta²) TP + beta² FN + FP), van Rijsbergen (1979), chapter 7.

    Parameters
    ----------
    targets : array (n,) of 0 and 1
    positive_probability : array (n,), probabilities of class 1
    rule : see `parse_rule`

    Returns
    -------
    float to be used as `probability >= threshold`; just above 1 if nothing should be positive
    and a score of exactly 1 occurs

    Raises
    ------
    ConfigError : a rule that does not exist, or a precision that no threshold reaches
    DataError : shapes that do not fit, or an F rule without any positive row

    Examples
    --------
    >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], rule="precision:0.9")
    0.6000000000000001
    """
    asked = parse_rule(rule)
    p = np.asarray(positive_probability, dtype=np.float64).ravel()
    check_probabilities(p[:, None], kind="multilabel")
    y = check_targets(targets, shape=p.shape, n_values=2)
    if asked.name == "half":
        return 0.5
    return _search(p, y, asked=asked, rule=rule)


def _search(p: Floats, y: Integers, *, asked: Rule, rule: str) -> float:
    score, first = np.unique(np.sort(p), return_index=True)
    found = np.concatenate([[0], np.cumsum(y[np.argsort(p, kind="stable")])])
    start = np.append(first, len(p))  # threshold k makes the rows from start[k] on positive
    tp = (found[-1] - found[start]).astype(np.float64)
    fp, fn = len(p) - start - tp, found[-1] - tp
    thresholds = _midpoints(score)
    if asked.name == "precision":
        reached = (tp > 0) & (tp >= asked.values[0] * (tp + fp) - 1e-9)
        if not reached.any():
            raise ConfigError(
                f"threshold rule: no threshold reaches {rule!r} on these {len(p)} rows; "
                "ask for a lower precision"
            )
        return float(thresholds[reached.argmax()])
    if asked.name == "cost":
        gain = -(asked.values[0] * fn + asked.values[1] * fp) / len(p)
    elif found[-1] == 0:
        raise DataError(f"threshold rule: {rule!r} needs a positive row; these {len(p)} have none")
    else:
        weight = asked.values[0] ** 2
        gain = (1 + weight) * tp / ((1 + weight) * tp + weight * fn + fp)
    best = thresholds[gain >= gain.max() - 1e-12 * max(1.0, abs(gain.max()))]
    return float(best[np.abs(best - 0.5).argmin()])


def _midpoints(score: Floats) -> Floats:
    middle: Floats = (np.append(0.0, score) + np.append(score, 1.0)) / 2.0
    middle[1:] = np.maximum(middle[1:], np.nextafter(score, 2.0))  # neighbours one ulp apart
    return middle
