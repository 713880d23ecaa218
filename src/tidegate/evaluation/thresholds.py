"""From probabilities to decisions: thresholds, and the rules that choose them.

Takes     targets and probabilities of rows held out from training.
Gives     decisions, and the threshold that a rule chooses.
Knows     nothing of models, texts, files or the names of labels.

The kinds of labels and the shapes of their targets and probabilities are those of `calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.errors import ConfigError, DataError
from tidegate.evaluation.calibration import Floats, Integers, check_probabilities, check_targets

Threshold: TypeAlias = float | Sequence[float] | npt.NDArray[np.float64]

_FORMS = "half, f1, f<beta>, precision:<share>, cost:<false negative>:<false positive>"


def decide(probabilities: npt.ArrayLike, *, kind: Kind, threshold: Threshold = 0.5) -> Integers:
    """Turn probabilities into decisions.

    Binary: 1 where p[:, 1] >= threshold. Multilabel: 1 where p >= threshold, which may be one
    number per label. Multiclass: the most probable class, the first among equals. Rows answered by
    different models may have a threshold each.

    Parameters
    ----------
    probabilities : array (n, 2), (n, C) or (n, L)
    kind : "binary", "multiclass" or "multilabel"
    threshold : a probability: one number, for multilabel also one per label (L,); or one per row,
        (n, 1) for binary and (n, L) for multilabel. Multiclass ignores it

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
    positive = p[:, 1:] if kind == "binary" else p  # (n, 1) or (n, L)
    several = kind == "multilabel" and t.shape == p.shape[1:]
    if np.isnan(t).any() or not (t.ndim == 0 or several or t.shape == positive.shape):
        needed = "one number" if kind == "binary" else f"one number or {p.shape[1]} of them"
        raise ConfigError(f"threshold: {threshold!r}; {kind} needs {needed}")
    decided = np.asarray(positive >= t, dtype=np.int64)
    return decided[:, 0] if kind == "binary" else decided


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
    raise ConfigError(f"threshold: found {rule!r}, which is no rule; use one of {_FORMS}")


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
            most = float((tp / np.maximum(tp + fp, 1)).max())
            raise ConfigError(
                f"threshold rule: no threshold reaches {rule!r} on these {len(p)} rows; the most "
                f"is {most:.3f}: ask for a lower precision"
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
