"""A trained model's scores on the rows held back, beside what people would use instead.

Takes `Trained`, gives `Scored`: the bundle with its metrics, and all a report shows. Every figure
comes from the engine that will answer, on rows that neither weights nor thresholds have seen.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.bundle import Bundle
from tidegate.config import untaught
from tidegate.dataset import Dataset
from tidegate.evaluation import Comparison, Report, compare, evaluate
from tidegate.runtime import Predictor
from tidegate.training.baseline import Baseline, majority
from tidegate.training.loop import Epoch
from tidegate.training.train import Trained, thresholds, train

Probabilities = npt.NDArray[np.float64]
BASELINE = "TF-IDF + logistic regression"
MAJORITY = "majority class"
UNTAUGHT = "the same network, no teacher"


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another way to answer, scored on the same rows, and how far ours is ahead of it."""

    name: str
    report: Report
    ahead: Comparison
    probabilities: Probabilities


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A bundle with its metrics, and all that its report shows.

    Attributes
    ----------
    test : the rows held back
    probabilities : (n_test, n_labels) what the engine says of them
    n_tokens, n_unknown : (n_test,) tokens read of each message, and how many were unknown words
    cross_validation : scores over folds and the most doubtful labels, if it was asked for
    teacher : the teacher's facts, if there was one
    """

    bundle: Bundle
    report: Report
    rivals: tuple[Rival, ...]
    history: list[Epoch]
    test: Dataset
    probabilities: Probabilities
    n_tokens: npt.NDArray[np.int64]
    n_unknown: npt.NDArray[np.int64]
    state_changes: int | None = None
    cross_validation: dict[str, Any] | None = None
    teacher: dict[str, Any] | None = None

    def lines(self) -> list[str]:
        """Return the report for a terminal."""
        found = [*self.report.lines(), "", *comparison_lines(self.report, self.rivals)]
        if self.state_changes is not None:
            found += [
                "",
                f"random initial states change the label of {self.state_changes} of "
                f"{self.report.n_rows} test rows; the bundle answers with zero states",
            ]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return report.json's content: scores, rivals and learning curves; no messages."""
        return {
            "report_version": 1,
            "model": self.report.to_dict(),
            "rivals": [
                {"name": r.name, "report": r.report.to_dict(), "ahead": finite(asdict(r.ahead))}
                for r in self.rivals
            ],
            "history": [finite(asdict(epoch)) for epoch in self.history],
            "initial_state_changes": self.state_changes,
            "cross_validation": without_texts(self.cross_validation),
            "teacher": self.teacher,
        }


def score(trained: Trained) -> Scored:
    """Score the engine and its rivals on the test rows."""
    test, prepared = trained.test, trained.prepared
    predictor = Predictor(trained.bundle)
    probabilities = predictor.predict_proba(test.texts)
    learned = prepared.dataset.subset(prepared.train_rows)
    report = _report(test, probabilities, threshold=predictor.threshold)
    baseline = Baseline(test.kind, len(test.labels)).fit(learned.texts, learned.targets)
    most = majority(learned.targets, len(test), kind=test.kind, n_labels=len(test.labels))
    half = np.array(0.5)
    guesses = {
        **_school(trained),
        MAJORITY: (most, half),
        BASELINE: (baseline.predict_proba(test.texts), _their_threshold(trained, baseline)),
    }
    rivals = tuple(
        Rival(
            name=name,
            report=_report(test, theirs, threshold=threshold),
            ahead=compare(
                test.targets, probabilities, theirs,
                kind=test.kind, threshold=predictor.threshold, their_threshold=threshold,
            ),
            probabilities=theirs,
        )
        for name, (theirs, threshold) in guesses.items()
    )  # fmt: skip
    n_tokens, n_unknown = _words(trained)
    scored = Scored(
        bundle=trained.bundle, report=report, rivals=rivals, history=trained.history, test=test,
        probabilities=probabilities, n_tokens=n_tokens, n_unknown=n_unknown,
        state_changes=trained.state_changes,
        teacher=None if trained.teacher is None else trained.teacher.facts,
    )  # fmt: skip
    return replace(scored, bundle=replace(trained.bundle, metrics=_metrics(scored)))


def _school(trained: Trained) -> dict[str, tuple[Probabilities, Any]]:
    """Return what a taught model's teacher says of the test rows, and its untaught like."""
    if trained.teacher is None:
        return {}
    prepared, texts = trained.prepared, trained.test.texts
    rows = np.concatenate([prepared.train_rows, trained.kept_rows])
    alone = train(
        prepared.dataset, untaught(prepared.config), rows=(np.sort(rows), prepared.test_rows[:0])
    )
    predictor = Predictor(alone.bundle)
    teacher = trained.teacher
    return {
        UNTAUGHT: (predictor.predict_proba(texts), predictor.threshold),
        teacher.name: (teacher.predict_proba(texts), np.array(0.5)),
    }


def _their_threshold(trained: Trained, baseline: Baseline) -> npt.NDArray[np.float64]:
    """Return the baseline's thresholds, chosen as ours were: same rule, same rows."""
    dataset, rule = trained.prepared.dataset, trained.prepared.config.training.threshold
    if rule == "half" or dataset.kind == "multiclass":
        return np.array(0.5)
    kept = dataset.subset(trained.kept_rows)
    probabilities = baseline.predict_proba(kept.texts)
    found = thresholds(kept.targets, probabilities, kind=dataset.kind, rule=rule)
    return np.array(found if dataset.kind == "multilabel" else found[0])


def _report(test: Dataset, probabilities: Probabilities, *, threshold: Any = 0.5) -> Report:
    return evaluate(
        test.targets, probabilities, labels=test.labels, kind=test.kind, threshold=threshold
    )


def _metrics(scored: Scored) -> dict[str, Any]:
    """Return what the manifest keeps: the scores, and the rivals' beside them."""
    kept: dict[str, Any] = {
        "n_rows": scored.report.n_rows,
        "scores": scored.report.to_dict()["scores"],
        "rivals": {r.name: r.report.to_dict()["scores"] for r in scored.rivals},
    }
    if scored.state_changes is not None:
        kept["initial_state_changes"] = scored.state_changes
    return kept


def _words(trained: Trained) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how many tokens of each test message were read, and how many were unknown."""
    prepared = trained.prepared
    index = prepared.encoder.vocabulary.index
    limit = prepared.sequence_length or None
    rows = [prepared.tokens[i][:limit] for i in prepared.test_rows]
    unknown = [sum(token not in index for token in tokens) for tokens in rows]
    return np.array([len(tokens) for tokens in rows]), np.array(unknown)


def comparison_lines(report: Report, rivals: tuple[Rival, ...]) -> list[str]:
    """Return the table in which the rivals stand beside the model."""
    names = ["accuracy", "f1", "roc_auc", "expected_calibration_error"]
    lines = [f"{'on the same rows':30}" + "".join(f"{n[:12]:>13}" for n in names)]
    reports = [("this model", report), *((r.name, r.report) for r in rivals)]
    for name, found in reports:
        lines.append(f"{name:30}" + "".join(f"{found.scores[n].value:13.3f}" for n in names))
    best = rivals[-1]
    gap = best.ahead.accuracy
    lines.append(
        f"ahead of {best.name} by {gap.value:+.3f} accuracy ({gap.low:+.3f} to {gap.high:+.3f})"
        + ("" if best.ahead.mcnemar_p is None else f", McNemar p = {best.ahead.mcnemar_p:.3f}")
    )
    return lines


def without_texts(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a cross-validation's dict without messages, which stay in the page for people."""
    if found is None:
        return None
    rows = [{k: v for k, v in row.items() if k != "text"} for row in found["doubtful"]]
    return {**found, "doubtful": rows}


def finite(value: Any) -> Any:
    """Return JSON-ready values, with None for what is not a number."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
