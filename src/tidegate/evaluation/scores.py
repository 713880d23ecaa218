"""The scores: the only place where they are defined.

Takes     targets and probabilities of rows the model has not seen, in the three kinds of
          `tidegate.evaluation.calibration`, and the names of the labels.
Gives     a Report (scores with intervals, confusion, reliability, a row per label), or the
          Comparison of two models on the same rows.
Knows     nothing of models, texts, files or figures.

Every score is a function of row weights (R, n). Weights of one give the score; weights that count
how often a bootstrap resample drew each row give its replicates, in the same matrix products.
Binary scores are those of the positive class, labels[1]; the others are means over the labels
(macro). A label that no row carries has no precision, recall, F1, ROC-AUC or average precision:
NaN, left out of the mean. A label that rows carry and nothing predicts has precision 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.errors import ConfigError, DataError
from tidegate.evaluation import calibration
from tidegate.evaluation.bootstrap import (
    Score,
    at_edge,
    interval,
    of_gap,
    of_share,
    resamples,
)
from tidegate.evaluation.calibration import Floats
from tidegate.evaluation.report import LabelScores, Report, frozen
from tidegate.evaluation.thresholds import Threshold, decide

__all__ = ["Comparison", "LabelScores", "Report", "compare", "evaluate", "mcnemar"]

_CALIBRATION = "expected_calibration_error"


def evaluate(
    targets: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    labels: Sequence[str],
    kind: Kind,
    threshold: Threshold = 0.5,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Report:
    """Score probabilities against targets, each score with its bootstrap interval.

    Parameters
    ----------
    targets, probabilities, kind, threshold : as in `decide`
    labels : names, one a column
    bootstrap : resamples of the rows (Efron, 1979), drawn from `seed`; 0 leaves the intervals NaN.
        Fewer, never under 200, where resamples × rows × ranked columns would pass 4e7

    Raises
    ------
    ConfigError, DataError : as `decide`; no rows; labels that are not one a column

    Examples
    --------
    >>> p = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    >>> report = evaluate([0, 1, 1, 1], p, labels=("calm", "flood"), kind="binary")
    >>> round(report.scores["recall"].value, 3), report.confusion
    (0.667, [[1, 0], [1, 2]])
    """
    p = calibration.check_probabilities(probabilities, kind=kind)
    if len(labels) != p.shape[1]:
        raise ConfigError(f"labels: {len(labels)} names for {p.shape[1]} columns; name each column")
    rows = _Rows.of(targets, p, kind=kind, threshold=threshold)
    draws = resamples(p[:, rows.scored].shape, bootstrap, seed=seed)
    replicas = [_measure(rows, p, weights) for weights in draws]
    values = _measure(rows, p, np.ones((1, len(p))))
    confusion = (rows.truth.T @ rows.decided).astype(int).tolist()
    return Report(
        kind=kind,
        labels=tuple(labels),
        n_rows=len(p),
        threshold=_stated(threshold),
        replicates=sum(len(part["accuracy"]) for part in replicas),
        scores={
            name: _held(
                name,
                interval(value, [part[name] for part in replicas], centred=name == _CALIBRATION),
                rows,
            )
            for name, value in values.items()
        },
        confusion=None if kind == "multilabel" else confusion,
        reliability=calibration.reliability(*(part.ravel() for part in _promises(rows, p))),
        per_label=_label_scores(rows, labels),
    )


def _stated(threshold: Threshold) -> float | tuple[float, ...]:
    """Return the threshold as the report states it; of one per row, the mean over the rows."""
    t = np.asarray(threshold, dtype=np.float64)
    if t.ndim == 2:
        t = t.mean(axis=0) if t.shape[1] > 1 else t.mean()
    found: float | tuple[float, ...] = frozen(t.tolist())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Truth and decisions, one-hot for the single-label kinds: K columns, classes or labels."""

    kind: Kind
    truth: Floats  # (n, K)
    decided: Floats  # (n, K)
    right: Floats  # (n,) share of right decisions in the row
    scored: slice  # the columns that enter a mean

    @classmethod
    def of(
        cls, targets: npt.ArrayLike, p: npt.ArrayLike, *, kind: Kind, threshold: Threshold
    ) -> _Rows:
        decisions = decide(p, kind=kind, threshold=threshold)
        n_values = 2 if kind == "multilabel" else np.shape(p)[1]
        y = calibration.check_targets(targets, shape=decisions.shape, n_values=n_values)
        truth, decided = (m if m.ndim == 2 else np.eye(n_values)[m] for m in (y, decisions))
        return cls(
            kind=kind,
            truth=truth.astype(np.float64),
            decided=decided.astype(np.float64),
            right=(y == decisions).reshape(len(y), -1).mean(axis=1),
            scored=slice(1 if kind == "binary" else 0, None),
        )


def _by_label(rows: _Rows, weights: Floats) -> dict[str, Floats]:
    """Scores (R, K) of each label against the rest."""
    hits = weights @ (rows.truth * rows.decided)
    support, decided = weights @ rows.truth, weights @ rows.decided
    carried = np.where(support > 0, 1.0, np.nan)
    return {
        "precision": carried * hits / np.maximum(decided, 1.0),
        "recall": carried * hits / np.maximum(support, 1.0),
        "f1": carried * 2.0 * hits / np.maximum(support + decided, 1.0),
    }


def _held(name: str, score: Score, rows: _Rows) -> Score:
    """Return a score whose interval holds at the edges, too."""
    n, single = len(rows.right), rows.kind != "multilabel"
    support, decided = rows.truth.sum(axis=0), rows.decided.sum(axis=0)
    resting = {  # of each label's part of a score, on how many rows it rests
        "precision": decided, "recall": support, "f1": np.maximum(support, decided),
        "roc_auc": np.minimum(support, n - support), "average_precision": support,
    }  # fmt: skip
    if name in resting:
        ns = resting[name][rows.scored][support[rows.scored] > 0].tolist()
        if rows.kind == "binary" and name in ("precision", "recall") and ns:
            return of_share(score, ns[0])
        return at_edge(score, ns)
    if name == "subset_accuracy" or (name == "accuracy" and single):
        return of_share(score, n)
    return at_edge(score, [n]) if name in ("accuracy", "micro_f1") else score


def _label_scores(rows: _Rows, labels: Sequence[str]) -> tuple[LabelScores, ...]:
    columns = _by_label(rows, np.ones((1, len(rows.right)))).items()
    support = rows.truth.sum(axis=0).astype(int).tolist()
    return tuple(
        LabelScores(label=label, support=n, **{name: float(v[0, k]) for name, v in columns})
        for k, (label, n) in enumerate(zip(labels, support, strict=True))
    )


def _measure(rows: _Rows, p: Floats, weights: Floats) -> dict[str, Floats]:
    """Every score of every row of weights (R, n), whose sums are n."""
    n = len(p)
    scores = {"accuracy": weights @ rows.right / n}
    for name, columns in _by_label(rows, weights).items():
        scores[name] = _mean(columns[:, rows.scored])
    pairs = zip(p.T[rows.scored], rows.truth.T[rows.scored], strict=True)
    ranked = [_ranking(weights, *pair) for pair in pairs]
    scores["roc_auc"] = _mean(np.stack([auc for auc, _ in ranked], axis=1))
    scores["average_precision"] = _mean(np.stack([ap for _, ap in ranked], axis=1))
    multilabel = rows.kind == "multilabel"
    likelihood = np.where(rows.truth == 1.0, p, 1.0 - p if multilabel else 1.0)
    loss = -np.log(np.clip(likelihood, np.finfo(np.float64).eps, 1.0)).sum(axis=1)
    scores["log_loss"] = weights @ loss / (n * p.shape[1] if multilabel else n)
    promises = zip(*(matrix.T for matrix in _promises(rows, p)), strict=True)
    errors = [calibration.calibration_error(weights, *promise) for promise in promises]
    scores[_CALIBRATION] = np.mean(errors, axis=0)
    if multilabel:
        hits, total = (rows.truth * rows.decided).sum(axis=1), rows.truth + rows.decided
        carried = np.where(weights @ rows.truth.sum(axis=1) > 0, 2.0, np.nan)
        scores["subset_accuracy"] = weights @ (rows.right == 1.0) / n
        scores["micro_f1"] = carried * (weights @ hits) / np.maximum(weights @ total.sum(axis=1), 1)
    return scores


def _promises(rows: _Rows, p: Floats) -> tuple[Floats, Floats]:
    """Probabilities and whether what they promise happened, both (n, L), or (n, 1)."""
    if rows.kind == "multilabel":
        return p, rows.truth
    top = decide(p, kind=rows.kind)[:, None]  # at 0.5 whatever the threshold: calibration has none
    return np.take_along_axis(p, top, axis=1), np.take_along_axis(rows.truth, top, axis=1)


def _ranking(weights: Floats, score: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """ROC-AUC (R,) and average precision (R,) of one column."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-1.0))  # last row of each distinct score
    sorted_weights = weights[:, order]
    above = np.cumsum(sorted_weights, axis=1)[:, last]  # (R, scores): rows at this score or higher
    hits = np.cumsum(sorted_weights * truth[order], axis=1)[:, last]
    positives = hits[:, -1]
    gained = np.diff(hits, axis=1, prepend=0.0)
    passed = np.diff(above - hits, axis=1, prepend=0.0)
    pairs = positives * (above[:, -1] - positives)
    auc = (passed * (hits - gained / 2.0)).sum(axis=1) / np.where(pairs > 0, pairs, np.nan)
    steps = (gained * hits / np.maximum(above, 1.0)).sum(axis=1)
    return auc, steps / np.where(positives > 0, positives, np.nan)


def _mean(columns: Floats) -> Floats:
    count = (~np.isnan(columns)).sum(axis=1)
    return np.asarray(np.nansum(columns, axis=1) / np.where(count > 0, count, np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Ours minus theirs on the same rows; positive means ours is better.

    `ours_only` rows only ours has right, `theirs_only` only theirs. Multilabel: rows where one has
    more labels right than the other; `mcnemar_p` is None, as a row is not just right or wrong.
    """

    n_rows: int
    replicates: int
    accuracy: Score
    f1: Score
    ours_only: int
    theirs_only: int
    mcnemar_p: float | None


def compare(
    targets: npt.ArrayLike,
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    *,
    kind: Kind,
    threshold: Threshold = 0.5,
    their_threshold: Threshold | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same rows: paired bootstrap and McNemar's test.

    Parameters
    ----------
    targets, ours, theirs, kind, threshold : as in `decide`; probabilities of two models
    their_threshold : theirs, where it is not ours
    bootstrap, seed : as in `evaluate`; both models see the same resamples

    Raises
    ------
    ConfigError, DataError : as `decide`; no rows

    Examples
    --------
    >>> ours, theirs = [[0.9, 0.1], [0.2, 0.8]], [[0.4, 0.6], [0.2, 0.8]]
    >>> found = compare([0, 1], ours, theirs, kind="binary")
    >>> found.accuracy.value, found.ours_only, found.mcnemar_p
    (0.5, 1, 1.0)
    """
    other = threshold if their_threshold is None else their_threshold
    a = _Rows.of(targets, ours, kind=kind, threshold=threshold)
    b = _Rows.of(targets, theirs, kind=kind, threshold=other)
    if a.truth.shape != b.truth.shape:
        raise DataError(f"theirs: {b.truth.shape[1]} columns, ours {a.truth.shape[1]}; match them")
    n = len(a.right)
    unseen = math.inf if np.array_equal(ours, theirs) and np.array_equal(threshold, other) else n
    drawn = [_gap(a, b, weights) for weights in resamples((n,), bootstrap, seed=seed)]
    accuracy, f1 = _gap(a, b, np.ones((1, n)))
    wins, losses = int((a.right > b.right).sum()), int((a.right < b.right).sum())
    return Comparison(
        n_rows=n,
        replicates=sum(part.shape[1] for part in drawn),
        accuracy=of_gap(interval(accuracy, [part[0] for part in drawn]), unseen),
        f1=of_gap(interval(f1, [part[1] for part in drawn]), unseen),
        ours_only=wins,
        theirs_only=losses,
        mcnemar_p=None if kind == "multilabel" else mcnemar(wins, losses),
    )


def _gap(a: _Rows, b: _Rows, weights: Floats) -> Floats:
    """Differences in accuracy and F1, (2, R)."""
    f1 = [_mean(_by_label(rows, weights)["f1"][:, rows.scored]) for rows in (a, b)]
    return np.stack([weights @ (a.right - b.right) / len(a.right), f1[0] - f1[1]])


def mcnemar(ours_only: int, theirs_only: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (1947): a fair coin's binomial.

    Examples
    --------
    >>> round(mcnemar(1, 5), 5)
    0.21875
    """
    n, k = ours_only + theirs_only, min(ours_only, theirs_only)
    log_p = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2.0)
    i = np.arange(k, 0, -1)  # P(X = i-1) / P(X = i) = i / (n - i + 1)
    tail = 1.0 + np.cumprod(i / (n - i + 1.0)).sum()
    return min(1.0, 2.0 * math.exp(log_p) * float(tail))
