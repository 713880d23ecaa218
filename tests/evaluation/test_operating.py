"""What thresholds cost, counted by hand; and in the report of a real model."""

from pathlib import Path

import numpy as np
import pytest

from conftest import made_up, small
from tidegate.evaluation.operating import abstentions, operating_points
from tidegate.report.page import report_page
from tidegate.training.learner import Learner, train_and_score


def test_counts_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(3)
    p, truth = rng.random(500).round(2), rng.random(500) < 0.3
    for point in operating_points(p, truth):
        given = [score >= point.threshold for score in p]
        hits = sum(g and t for g, t in zip(given, truth, strict=True))
        assert point.caught == pytest.approx(hits / truth.sum())
        assert point.right == pytest.approx(hits / sum(given))
        assert point.false_alarms == pytest.approx((sum(given) - hits) / 500)
        assert point.missed == pytest.approx((truth.sum() - hits) / 500)


def test_without_alarms_or_without_the_label_there_is_no_share() -> None:
    low, high = operating_points(np.array([0.2, 0.3]), np.array([False, False]), (0.1, 0.9))
    assert (low.caught, low.right, low.false_alarms) == (None, 0.0, 1.0)
    assert (high.caught, high.right) == (None, None)


def test_equal_certainties_are_decided_together() -> None:
    certainty = np.array([0.9, 0.9, 0.8, 0.8, 0.7])
    right = np.array([True, True, True, False, True])
    whole, none, most = abstentions(certainty, right, (0.8, 1.01, 0.9))
    assert whole is not None
    assert (whole.certainty, whole.decided) == (0.7, 1.0)
    assert none is None
    assert most is not None
    assert (most.certainty, most.decided, most.right) == (0.9, 0.4, 1.0)


@pytest.mark.parametrize(
    ("kind", "has", "lacks"),
    [("binary", ("What a threshold costs", "What to leave to a person"), ()),
     ("multiclass", ("What to leave to a person",), ("What a threshold costs",)),
     ("multilabel", ("What a threshold costs",), ("What to leave to a person",))],
)  # fmt: skip
def test_the_report_has_what_fits_the_labels(
    kind: str, has: tuple[str, ...], lacks: tuple[str, ...], tmp_path: Path
) -> None:
    config = small(epochs=12, score="split", ngrams="none", refit=False)
    scored = train_and_score(Learner(made_up(kind), config))
    page = report_page(scored, title="m")
    assert all(part in page for part in has)
    assert not any(part in page for part in lacks)
    assert scored.lines()[0] == scored.verdict()
    of = "labels" if kind == "multilabel" else "messages"
    assert f"% of the {of} rightly" in scored.verdict()
