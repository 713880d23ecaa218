"""A trained model's scores on the rows held back, beside what people would use instead.

Takes `Trained`, gives `Scored`: the bundle with its metrics, and all a report shows. Every figure
comes from the engine that will answer, on rows that neither weights nor thresholds have seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.scores import Comparison, Report, compare, evaluate
from tidegate.training.baseline import Baseline, majority
from tidegate.training.cost import Answer, Cost, cost
from tidegate.training.loop import Epoch
from tidegate.training.threads import torch_threads
from tidegate.training.train import Trained, thresholds

Probabilities = npt.NDArray[np.float64]
BASELINE = "TF-IDF + logistic regression"
MAJORITY = "majority class"
OURS = "this model"


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
    costs : of a taught model, what it, its rivals and its teacher cost, by name; these are
        measured, so no file that must repeat holds them
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
    costs: Mapping[str, Cost] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report for a terminal."""
        found = [*self.report.lines(), "", *comparison_lines(self.report, self.rivals)]
        if self.costs:
            found += ["", *cost_lines(self.costs)]
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


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A model that learned from the same rows: its answers, its threshold, and its size."""

    answer: Answer
    threshold: Any
    parameters: int
    size_bytes: int

    def cost(self, texts: Sequence[str]) -> Cost:
        """Return what it costs to answer texts, measured."""
        return cost(self.answer, texts, parameters=self.parameters, size_bytes=self.size_bytes)


def score(
    trained: Trained,
    *,
    contestants: Mapping[str, Contestant] | None = None,
    teacher: dict[str, Any] | None = None,
) -> Scored:
    """Score the engine and its rivals on the test rows.

    Parameters
    ----------
    contestants : further rivals by name, whose cost is measured, too
    teacher : what the report says of the teacher, if there was one
    """
    test, prepared = trained.test, trained.prepared
    ours = contestant_of(trained.bundle)
    probabilities = ours.answer(test.texts)
    learned = prepared.dataset.subset(prepared.train_rows)
    report = _report(test, probabilities, threshold=ours.threshold)
    most = majority(learned.targets, len(test), kind=test.kind, n_labels=len(test.labels))
    others = {**(contestants or {}), BASELINE: _baseline(trained, learned)}
    guesses = {name: (o.answer(test.texts), o.threshold) for name, o in others.items()}
    # The baseline stands last: what people would use instead is what ours is compared with.
    guesses = {MAJORITY: (most, np.array(0.5)), **guesses}
    rivals = tuple(
        Rival(
            name=name,
            report=_report(test, theirs, threshold=threshold),
            ahead=compare(
                test.targets, probabilities, theirs,
                kind=test.kind, threshold=ours.threshold, their_threshold=threshold,
            ),
            probabilities=theirs,
        )
        for name, (theirs, threshold) in guesses.items()
    )  # fmt: skip
    costs = {}
    if contestants:
        with torch_threads(1):
            costs = {name: o.cost(test.texts) for name, o in {OURS: ours, **others}.items()}
    n_tokens, n_unknown = _words(trained)
    scored = Scored(
        bundle=trained.bundle, report=report, rivals=rivals, history=trained.history, test=test,
        probabilities=probabilities, n_tokens=n_tokens, n_unknown=n_unknown,
        state_changes=trained.state_changes, costs=costs,
        teacher=teacher,
    )  # fmt: skip
    return replace(scored, bundle=replace(trained.bundle, metrics=_metrics(scored)))


def contestant_of(bundle: Bundle) -> Contestant:
    """Return a bundle as a contestant."""
    predictor = Predictor(bundle)
    return Contestant(
        answer=predictor.predict_proba, threshold=predictor.threshold,
        parameters=bundle.n_parameters, size_bytes=bundle.size_bytes,
    )  # fmt: skip


def _baseline(trained: Trained, learned: Dataset) -> Contestant:
    found = Baseline(learned.kind, len(learned.labels)).fit(learned.texts, learned.targets)
    return Contestant(
        answer=found.predict_proba, threshold=chosen_threshold(trained, found.predict_proba),
        parameters=found.n_parameters, size_bytes=found.size_bytes,
    )  # fmt: skip


def chosen_threshold(trained: Trained, answer: Answer) -> npt.NDArray[np.float64]:
    """Return a rival's thresholds, chosen as ours were: by the same rule on the same rows."""
    dataset, rule = trained.prepared.dataset, trained.prepared.config.training.threshold
    if rule == "half" or dataset.kind == "multiclass":
        return np.array(0.5)
    kept = dataset.subset(trained.kept_rows)
    probabilities = answer(kept.texts)
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
    lines = [f"{'on the same rows':42}" + "".join(f"{n[:12]:>13}" for n in names)]
    reports = [(OURS, report), *((r.name, r.report) for r in rivals)]
    for name, found in reports:
        lines.append(f"{name[:41]:42}" + "".join(f"{found.scores[n].value:13.3f}" for n in names))
    best = rivals[-1]
    gap, p = best.ahead.accuracy, best.ahead.mcnemar_p
    lines.append(
        f"ahead of {best.name} by {gap.value:+.3f} accuracy ({gap.low:+.3f} to {gap.high:+.3f})"
        + ("" if p is None else f", McNemar p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}")
    )
    return lines


def cost_lines(costs: Mapping[str, Cost]) -> list[str]:
    """Return what a taught model and its rivals cost, for a terminal."""
    lines = [f"{'on one core':42}{'parameters':>12}{'MB':>8}{'messages/s':>12}{'one, ms':>9}"]
    lines += [
        f"{name[:41]:42}{c.parameters:12,}{c.size_bytes / 1e6:8.1f}{c.messages_per_s:12,.0f}"
        f"{c.one_ms:9.2f}"
        for name, c in costs.items()
    ]
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
