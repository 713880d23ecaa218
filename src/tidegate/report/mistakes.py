"""The hardest mistakes: the table in the report, and the page on which each can be walked.

Takes `Scored`, gives HTML. The figures are those of models that had not learned from the row; the
walk is that of the model in the bundle, which may have learned from it.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset
from tidegate.data.splits import normalise
from tidegate.engine.bundle import LAYOUT
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.thresholds import decide
from tidegate.pages.mistakes import mistakes_page
from tidegate.report.parts import table
from tidegate.training.score import Scored
from tidegate.walking.walk import walk

_SHOWN_ROWS = 20
_FEWEST_WALKED = 3
# H² of the layers of which so many are walked: contributions of larger ones take a second each.
_QUICK = 128**2


def right(scored: Scored) -> npt.NDArray[np.float64]:
    """Return each test row's share of right decisions: 0 or 1, or between for multi-label."""
    ours = scored.held_out.ours
    chosen = decide(ours.probabilities, kind=scored.test.kind, threshold=ours.threshold)
    same = (chosen == scored.test.targets).astype(np.float64)
    shares: npt.NDArray[np.float64] = same.mean(axis=1) if same.ndim == 2 else same
    return shares


def mistakes_section(scored: Scored, *, private: bool) -> str:
    """Return the table of the hardest mistakes, each with a link to its walk."""
    walked = 0 if private else _n_walked(scored)
    rows = [
        [
            message_cell(scored.test.texts[i], private=private),
            _place(int(scored.test.rows[i]), walked=k < walked),
            *_told(scored, i),
        ]
        for k, i in enumerate(hardest(scored))
    ]
    if scored.test.kind == "multilabel":
        return table(["message", "row", "share of labels right"], rows)
    note = "Wrong and surest of it: a hard message, or a wrong label."
    if walked:
        note += " A row's number leads to the message's walk."
    head = ["message", "row", "its label", "probability given to it"]
    return f"<p class=soft>{note}</p>" + table(head, rows)


def mistakes_walked(scored: Scored, *, title: str) -> str | None:
    """Return the page on which the hardest mistakes are walked, None if there is nothing to walk.

    A walk is that of the bundle's model.
    """
    found = hardest(scored)[: _n_walked(scored)]
    if not found:
        return None
    predictor, test = Predictor(scored.bundle, engine="numpy"), scored.test
    cases: list[dict[str, Any]] = []
    for i in found:
        text = test.texts[i]
        cases.append({"row": int(test.rows[i]), "said": _sentence(scored, i), "text": text})
    return mistakes_page(cases, [walk(predictor, case["text"]) for case in cases], title=title)


def hardest(scored: Scored) -> list[int]:
    """Return the places among the held-out rows that were wrong and surest of it, the worst first.

    A message that occurs several times is given once. With several labels a message, the worst are
    those of whose labels the smallest share is right.
    """
    test, share = scored.test, right(scored)
    wrong = np.flatnonzero(share < 1)
    key = share if test.kind == "multilabel" else _given(scored)
    order = wrong[np.argsort(key[wrong], kind="stable")]
    return _distinct(test, order)[:_SHOWN_ROWS]


def _given(scored: Scored) -> npt.NDArray[np.float64]:
    """Return the probability that each held-out row's own label was given."""
    p: npt.NDArray[np.float64] = scored.probabilities
    given: npt.NDArray[np.float64] = p[np.arange(len(p)), scored.test.targets]
    return given


def _told(scored: Scored, i: int) -> list[str]:
    """Return a row's cells: its label and the probability given to it, or the share right."""
    test = scored.test
    if test.kind == "multilabel":
        return [f"{right(scored)[i]:.2f}"]
    return [escape(test.labels[test.targets[i]]), f"{_given(scored)[i]:.3f}"]


def _sentence(scored: Scored, i: int) -> str:
    """Return what the walk's page says of a row."""
    test = scored.test
    if test.kind == "multilabel":
        return f"{right(scored)[i]:.0%} of its labels were right when it was held out."
    label = test.labels[test.targets[i]]
    return f"Its label is “{label}”, given a probability of {_given(scored)[i]:.3f} when held out."


def _n_walked(scored: Scored) -> int:
    """Return how many of the mistakes are walked: fewer of a large model, none but of an LSTM."""
    network = scored.bundle.config.network
    if network.cell != "lstm":
        return 0
    work = network.hidden_size**2 * network.num_layers
    return max(_FEWEST_WALKED, min(_SHOWN_ROWS, _SHOWN_ROWS * _QUICK // work))


def _place(row: int, *, walked: bool) -> str:
    """Return a row's number, with a link where its walk is."""
    return f'<a href="{LAYOUT.mistakes}#row-{row}">{row}</a>' if walked else str(row)


def message_cell(text: str, *, private: bool) -> str:
    """Return a message as a cell, or that it is left out."""
    return "left out" if private else f'<span dir="auto">{escape(text[:400])}</span>'


def _distinct(test: Dataset, order: npt.NDArray[np.int64]) -> list[int]:
    """Return rows in their order, without those whose text repeats an earlier one's."""
    first: dict[str, int] = {}
    for i in order.tolist():
        first.setdefault(normalise(test.texts[i]), i)
    return list(first.values())
