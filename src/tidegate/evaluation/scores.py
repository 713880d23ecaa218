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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.errors import ConfigError, DataError
from tidegate.evaluation import calibration
from tidegate.evaluation.bootstrap import Score, interval, resamples
from tidegate.evaluation.calibration import Floats, Reliability
from tidegate.evaluation.thresholds import Threshold, decide

_CALIBRATION = "expected_calibration_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """The scores of one label against the rest; `support` is the number of rows carrying it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `evaluate` found.

    `scores`: accuracy, precision, recall, f1, roc_auc (one label against the rest, ties are half),
    average_precision (Σ (R_k - R_{k-1}) P_k, not interpolated), log_loss (nats),
    expected_calibration_error (`calibration.calibration_error`); multilabel adds subset_accuracy
    (all labels of a row right) and micro_f1, its accuracy is the share of right label decisions.
    `replicates` resamples made the intervals. `confusion[t][p]` counts rows of label t decided as
    p; None for multilabel. `reliability` bins what the calibration error is made of.
    """

    kind: Kind
    labels: tuple[str, ...]
    n_rows: int
    threshold: float | tuple[float, ...]
    replicates: int
    scores: dict[str, Score]
    confusion: list[list[int]] | None
    reliability: Reliability
    per_label: tuple[LabelScores, ...]

    def to_dict(self) -> dict[str, object]:
        """Return dicts, lists, strings and numbers that strict JSON can hold; NaN becomes None."""
        return cast(dict[str, object], _plain(asdict(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Report:
        """Read what `to_dict` wrote; DataError if a key is missing, unknown or misshapen."""
        try:
            raw = {key: _frozen(value) for key, value in data.items()} | {
                "scores": {name: Score(**row) for name, row in _frozen(data["scores"]).items()},
                "confusion": data["confusion"],
                "reliability": Reliability(**_frozen(data["reliability"])),
                "per_label": tuple(LabelScores(**row) for row in _frozen(data["per_label"])),
            }
            return cls(**raw)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"report: not as to_dict writes it ({error}); evaluate anew") from error

    def lines(self) -> list[str]:
        """Return the report as aligned plain text, one string a line.

        Examples
        --------
        >>> p = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
        >>> report = evaluate([0, 1, 1, 1], p, labels=("calm", "flood"), kind="binary")
        >>> report.lines()[0]
        'binary, 4 rows, threshold 0.5; 95 % intervals, 1000 resamples'
        """
        t = "one a label" if isinstance(self.threshold, tuple) else f"{self.threshold:.4g}"
        cut = "" if self.kind == "multiclass" else f", threshold {t}"
        head = f"{self.kind}, {self.n_rows} rows{cut}; 95 % intervals, {self.replicates} resamples"
        scores = ([name, s.value, s.low, s.high] for name, s in self.scores.items())
        rows = ([r.label, r.precision, r.recall, r.f1, r.support] for r in self.per_label)
        lines = [head, "", *_table(["score", "value", "low", "high"], scores), ""]
        lines += _table(["label", "precision", "recall", "f1", "support"], rows)
        if self.confusion is not None and len(self.labels) <= 12:  # wider ones fit no terminal
            counts = ([name, *row] for name, row in zip(self.labels, self.confusion, strict=True))
            lines += ["", *_table(["truth \\ decided", *self.labels], counts)]
        return lines


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _frozen(value: object) -> Any:
    """Undo `_plain`: lists are tuples, None is NaN."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return math.nan if value is None else value


def _table(header: list[str], rows: Iterable[Sequence[object]]) -> list[str]:
    shown = [[f"{c:.3f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    shown.insert(0, header)
    first, *rest = (max(map(len, column)) for column in zip(*shown, strict=True))
    form = "  ".join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in rest)])
    return [form.format(*row) for row in shown]


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
            name: interval(value, [part[name] for part in replicas], centred=name == _CALIBRATION)
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
    return cast("float | tuple[float, ...]", _frozen(t.tolist()))


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

    drawn = [_gap(a, b, weights) for weights in resamples((n,), bootstrap, seed=seed)]
    accuracy, f1 = _gap(a, b, np.ones((1, n)))
    wins, losses = int((a.right > b.right).sum()), int((a.right < b.right).sum())
    return Comparison(
        n_rows=n,
        replicates=sum(part.shape[1] for part in drawn),
        accuracy=interval(accuracy, [part[0] for part in drawn]),
        f1=interval(f1, [part[1] for part in drawn]),
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
