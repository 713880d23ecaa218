"""The part of the report that one acts on: what thresholds cost, and what to leave to a person."""

from __future__ import annotations

from html import escape

import numpy as np

from tidegate.evaluation.operating import abstentions, operating_points
from tidegate.evaluation.thresholds import decide
from tidegate.report.parts import table
from tidegate.training.score import Scored

_MOST_LABELS = 6  # of a model of several labels, the most frequent
_PER = 1000  # messages that alarms are counted among


def acting(scored: Scored) -> list[str]:
    """Return the tables of thresholds and of certainties, with how to read them."""
    return [*_thresholds(scored), *_leaving(scored)]


def _thresholds(scored: Scored) -> list[str]:
    test, p = scored.test, scored.probabilities
    if test.kind == "multiclass":
        return []
    if test.kind == "binary":
        labels = [(test.labels[1], p[:, 1], test.targets == 1)]
    else:
        often = np.argsort(-test.targets.sum(axis=0), kind="stable")[:_MOST_LABELS]
        labels = [(test.labels[k], p[:, k], test.targets[:, k] == 1) for k in often.tolist()]
    parts = [
        "<h2>What a threshold costs</h2>"
        '<p class="soft">Of held-out messages. Read a row as: with this threshold, of 100 messages '
        "that have the label so many get it; of 100 that get it so many have it. False and missed "
        f"ones are counted among {_PER:,} messages as they arrived here: multiply by your own "
        "thousands a day. If the label is rarer where the model works, more of those that get it "
        f"are false.</p><p>{_in_use(scored)}</p>"
    ]
    for name, score, truth in labels:
        rows = [
            [f"{point.threshold:.1f}", _of_100(point.caught), _of_100(point.right),
             f"{_PER * point.alarms:.0f}", f"{_PER * point.false_alarms:.0f}",
             f"{_PER * point.missed:.0f}"]
            for point in operating_points(score, truth)
        ]  # fmt: skip
        head = ["threshold", "of 100 with it, get it", "of 100 that get it, have it",
                f"get it, of {_PER:,}", "falsely", "missed"]  # fmt: skip
        parts.append(f"<p><b>{escape(name)}</b></p>" + table(head, rows))
    return parts


def _in_use(scored: Scored) -> str:
    """Return a sentence on the thresholds that the model decides by."""
    thresholds = scored.bundle.thresholds
    if len(thresholds) == 1:
        return f"The model gives a label from a probability of {thresholds[0]:.3g} on."
    named = [f"{escape(n)} {t:.3g}" for n, t in zip(scored.test.labels, thresholds, strict=True)]
    return f"The model gives each label from its own probability on: {', '.join(named)}."


def _of_100(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}"


def _leaving(scored: Scored) -> list[str]:
    test, p = scored.test, scored.probabilities
    if test.kind == "multilabel":
        return []
    threshold = scored.held_out.ours.threshold
    decided = decide(p, kind=test.kind, threshold=threshold)
    certainty = p[np.arange(len(p)), decided]
    rows = []
    for found in abstentions(certainty, decided == test.targets):
        if found is not None:
            rows.append(
                [f"{found.wanted:.0%}", f"{found.certainty:.3g}", f"{found.decided:.0%}",
                 f"{found.right:.1%}", f"{1 - found.decided:.0%}"]
            )  # fmt: skip
    if not rows:
        return []
    head = ["to be right for", "if the label decided has at least", "the model decides", "rightly",
            "left to a person"]  # fmt: skip
    return [
        "<h2>What to leave to a person</h2>"
        '<p class="soft">If only answers with a large enough probability are taken, more of those '
        "taken are right. The probability is that of the label that the model decides. These "
        "limits were chosen on the very messages they are counted on, so expect a little less.</p>",
        table(head, [[cell.replace("%", " %") for cell in row] for row in rows]),
    ]
