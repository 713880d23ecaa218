"""A model's scores on held-out rows, beside those of what people would use instead.

Takes `HeldOut` answers and the bundle that is shipped; gives `Scored`: the bundle with its metrics,
and all that a report shows. Every figure comes from the engine, on rows that the models which
answered had not learned from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset
from tidegate.engine.bundle import Bundle
from tidegate.evaluation.profile import Profile, profile
from tidegate.evaluation.scores import Comparison, Report, compare, evaluate
from tidegate.training.cost import Cost
from tidegate.training.held_out import BEFORE, OURS, Answers, Contestant, HeldOut, by_split
from tidegate.training.loop import Epoch
from tidegate.training.train import Trained

Probabilities = npt.NDArray[np.float64]
_DOUBTFUL_ROWS = 30


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
    bundle : the model that is shipped
    held_out : the answers to held-out rows that the figures are made from
    report, rivals : the scores of our model and of others on these rows
    history : what happened in each epoch of the model that was scored; of several, of the shipped
    state_changes : test rows whose label random initial states change, for a config that has them
    teacher : the teacher's facts, if there was one
    """

    bundle: Bundle
    held_out: HeldOut
    report: Report
    rivals: tuple[Rival, ...]
    history: list[Epoch]
    state_changes: int | None = None
    teacher: dict[str, Any] | None = None

    @property
    def test(self) -> Dataset:
        """The rows that were held out (n of them)."""
        return self.held_out.test

    @property
    def probabilities(self) -> Probabilities:
        """What our model says of them, (n, n_labels)."""
        return self.held_out.ours.probabilities

    @property
    def costs(self) -> Mapping[str, Cost]:
        """What our model, its rivals and its teacher cost, by name.

        These are measured, so no file that must repeat holds them.
        """
        return self.held_out.costs

    @property
    def shipped_rows(self) -> int:
        """How many rows the model that is shipped learned from."""
        return int(self.bundle.training_data["rows"])

    def protocol(self) -> str:
        """Return one sentence that says which models the figures are of, and which is shipped."""
        held = self.held_out
        n, learned = self.report.n_rows, held.learned_rows
        before = self.bundle.training_data.get("from")
        first = f" It had learned from {before['rows']:,} rows before." if before else ""
        if held.way == "cv":
            who = f"{held.folds} models that each learned from about {learned:,} of them and "
            scores = f"The figures are of {who}answered the rest: {n:,} rows in all."
        else:
            scores = f"The figures are of a model that learned from {learned:,} other rows."
        if self.shipped_rows == learned and held.way == "split":
            return scores + " That model is the one shipped." + first
        return (
            scores + f" The model that is shipped learned from all {self.shipped_rows:,}." + first
        )

    def doubtful(self) -> list[dict[str, Any]]:
        """Return the rows whose given label has the lowest out-of-fold probability.

        Only cross-validation holds every row out; after a split there are none.
        """
        if self.held_out.way != "cv":
            return []
        test, p = self.test, self.probabilities
        if test.kind == "multilabel":
            given = np.where(test.targets == 1, p, 1 - p)
            label_numbers, lowest = given.argmin(axis=1), given.min(axis=1)
        else:
            label_numbers, lowest = test.targets, p[np.arange(len(test)), test.targets]
        return [
            {
                "row": test.rows[i],
                "text": test.texts[i],
                "label": test.labels[label_numbers[i]],
                "probability": float(lowest[i]),
            }
            for i in np.argsort(lowest, kind="stable")[:_DOUBTFUL_ROWS]
        ]

    def verdict(self) -> str:
        """Say whether the model is better than the strongest baseline, by how much, how surely."""
        rival = self.rivals[-1]
        gap = rival.ahead.accuracy
        ours, theirs = self.report.scores["accuracy"].value, rival.report.scores["accuracy"].value
        of = "labels" if self.test.kind == "multilabel" else "messages"
        spread = f"{gap.value:+.3f}, 95 % interval {gap.low:+.3f} to {gap.high:+.3f}"
        if gap.low > 0:
            judgement = "It is better than"
        elif gap.high < 0:
            judgement = "It is worse than"
        else:
            judgement = "On so few messages it cannot be told apart from"
        return self._against_before() + (
            f"The model decides {100 * ours:.1f} % of the {of} rightly. {judgement} "
            f"{rival.name} ({100 * theirs:.1f} %) trained on the same rows: {spread}.{self._rule()}"
        )

    def _rule(self) -> str:
        """Return what the verdict must add where thresholds were not chosen for accuracy."""
        rule = self.bundle.config.training.threshold
        if rule == "half" or self.test.kind == "multiclass":
            return ""
        return f" Its threshold was chosen by {rule}, which may cost accuracy."

    def _against_before(self) -> str:
        """Say how it compares with the model that it went on from, if it did."""
        rival = next((rival for rival in self.rivals if rival.name == BEFORE), None)
        if rival is None:
            return ""
        before, after = (r.scores["accuracy"].value for r in (rival.report, self.report))
        gap = rival.ahead.accuracy
        return (
            f"Of {self.report.n_rows:,} held-out messages that the model before had not learned "
            f"from, before {100 * before:.1f} % were decided rightly, after {100 * after:.1f} %: "
            f"difference {gap.value:+.3f}, 95 % interval {gap.low:+.3f} to {gap.high:+.3f}. "
        )

    def lines(self) -> list[str]:
        """Return the report for a terminal: the verdict first."""
        told = [self.verdict(), ""] if self.rivals else []
        found = [*told, *self.report.lines(), "", *comparison_lines(self.report, self.rivals)]
        if self.costs:
            found += ["", *cost_lines(self.costs)]
        if self.state_changes is not None:
            found += [
                "",
                f"random initial states change the label of {self.state_changes} of "
                f"{self.report.n_rows} test rows; the bundle answers with zero states",
            ]
        return [*found, "", self.protocol()]

    def to_dict(self) -> dict[str, Any]:
        """Return report.json's content: scores, rivals and learning curves; no messages."""
        doubtful = [{k: v for k, v in row.items() if k != "text"} for row in self.doubtful()]
        return {
            "report_version": 2,
            "protocol": _protocol(self),
            "model": self.report.to_dict(),
            "rivals": [
                {"name": r.name, "report": r.report.to_dict(), "ahead": finite(asdict(r.ahead))}
                for r in self.rivals
            ],
            "history": [finite(asdict(epoch)) for epoch in self.history],
            "initial_state_changes": self.state_changes,
            "doubtful": doubtful,
            "teacher": self.teacher,
        }


def score(
    trained: Trained,
    *,
    contestants: Mapping[str, Contestant] | None = None,
    teacher: dict[str, Any] | None = None,
) -> Scored:
    """Score a model that was trained on one side of a split on the other side, and ship it.

    Parameters
    ----------
    contestants : further rivals by name, whose cost is measured, too
    teacher : what the report says of the teacher, if there was one
    """
    held_out = by_split(trained, contestants)
    scored = scores_of(held_out, trained.bundle, trained.history, teacher=teacher)
    return with_metrics(replace(scored, state_changes=trained.state_changes))


def scores_of(
    held_out: HeldOut,
    bundle: Bundle,
    history: list[Epoch],
    *,
    teacher: dict[str, Any] | None = None,
) -> Scored:
    """Score the held-out answers of our model and of its rivals."""
    ours = held_out.ours
    rivals = tuple(
        Rival(
            name=name,
            report=_report(held_out, theirs),
            ahead=compare(
                held_out.test.targets, ours.probabilities, theirs.probabilities,
                kind=held_out.test.kind, threshold=ours.threshold,
                their_threshold=theirs.threshold,
            ),
            probabilities=theirs.probabilities,
        )
        for name, theirs in held_out.rivals.items()
    )  # fmt: skip
    return Scored(
        bundle=bundle, held_out=held_out, report=_report(held_out, ours), rivals=rivals,
        history=history, teacher=teacher,
    )  # fmt: skip


def with_metrics(scored: Scored) -> Scored:
    """Return the scores with the metrics in the bundle's manifest."""
    kept: dict[str, Any] = {
        "n_rows": scored.report.n_rows,
        "protocol": _protocol(scored),
        "scores": scored.report.to_dict()["scores"],
        "rivals": {r.name: r.report.to_dict()["scores"] for r in scored.rivals},
        "profile": _profile(scored).to_dict(),
    }
    if scored.state_changes is not None:
        kept["initial_state_changes"] = scored.state_changes
    return replace(scored, bundle=replace(scored.bundle, metrics=kept))


def _profile(scored: Scored) -> Profile:
    """Return what the held-out messages were like, for a server to compare later ones with."""
    held = scored.held_out
    unknown = held.n_unknown / np.maximum(held.n_tokens, 1)
    return profile(scored.probabilities, held.n_tokens, unknown, kind=held.test.kind)


def _protocol(scored: Scored) -> dict[str, Any]:
    """Return how the figures were made, JSON-ready."""
    held = scored.held_out
    return {
        "score": held.way,
        "folds": held.folds,
        "scored_rows": scored.report.n_rows,
        "learned_rows": held.learned_rows,
        "shipped_rows": scored.shipped_rows,
    }


def _report(held_out: HeldOut, answers: Answers) -> Report:
    test = held_out.test
    return evaluate(
        test.targets, answers.probabilities, labels=test.labels, kind=test.kind,
        threshold=answers.threshold,
    )  # fmt: skip


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


def finite(value: Any) -> Any:
    """Return JSON-ready values, with None for what is not a number."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
