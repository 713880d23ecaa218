"""Intervals hold where few rows are all decided rightly, or all wrongly."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from tidegate.evaluation.bootstrap import Score, at_edge, of_gap, of_share, wilson
from tidegate.evaluation.scores import Report, compare, evaluate


@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 18), (18, 18), (40, 41), (300, 1000), (1, 1)])
def test_wilsons_interval_is_scipys(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_without_rows_nothing_is_known() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


def perfect(n: int, columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % columns
    p = np.full((n, columns), 0.1 / (columns - 1))
    p[np.arange(n), y] = 0.9
    return y, p


def test_eighteen_right_rows_do_not_make_a_certainty() -> None:
    y, p = perfect(18)
    report = evaluate(y, p, labels=("a", "b"), kind="binary")
    for name in ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision"):
        score = report.scores[name]
        n = 18 if name == "accuracy" else 9
        assert (score.value, score.high) == (1.0, 1.0)
        assert score.low == pytest.approx(wilson(1.0, n)[0]), name


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_means_over_labels_hold_at_the_edge(kind: str) -> None:
    y, p = perfect(30, 3)
    y = np.eye(3, dtype=int)[y] if kind == "multilabel" else y
    report = evaluate(y, p, labels=("a", "b", "c"), kind=kind)
    assert report.scores["recall"].low == pytest.approx(wilson(1.0, 10)[0])
    assert report.scores["accuracy"].low == pytest.approx(wilson(1.0, 30)[0])
    if kind == "multilabel":
        assert report.scores["subset_accuracy"].low == pytest.approx(wilson(1.0, 30)[0])
        assert report.scores["micro_f1"].low < 1.0


def test_all_wrong_rows_do_not_make_a_certainty_either() -> None:
    y, p = perfect(18)
    report = evaluate(1 - y, p, labels=("a", "b"), kind="binary")
    assert report.scores["accuracy"].value == 0.0
    assert report.scores["accuracy"].high == pytest.approx(wilson(0.0, 18)[1])
    assert report.scores["recall"].high > 0.2


@pytest.mark.parametrize("n", [10, 25, 80])
def test_intervals_of_shares_cover_what_they_should(n: int) -> None:
    bounds = np.array([wilson(k / n, n) for k in range(n + 1)])
    shares = np.linspace(0.7, 0.995, 60)
    inside = (bounds[:, :1] <= shares) & (shares <= bounds[:, 1:])  # (k, share)
    chances = binom.pmf(np.arange(n + 1)[:, None], n, shares)
    assert (chances * inside).sum(axis=0).mean() > 0.94


def test_without_resamples_there_are_no_intervals() -> None:
    y, p = perfect(18)
    report = evaluate(y, p, labels=("a", "b"), kind="binary", bootstrap=0)
    assert all(np.isnan(score.low) for score in report.scores.values())


def test_two_models_that_decide_alike_may_still_differ() -> None:
    y, p = perfect(18)
    found = compare(y, p, np.where(p > 0.5, 0.8, 0.2), kind="binary")
    assert found.accuracy.value == 0.0
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((-0.1759, 0.1759), abs=1e-3)
    assert found.f1.high > 0.1
    same = compare(y, p, p, kind="binary")
    assert (same.accuracy.low, same.accuracy.high) == (0.0, 0.0)


def test_intervals_that_have_a_width_stay() -> None:
    score = Score(value=0.9, low=0.8, high=0.95)
    assert at_edge(score, [5]) == score
    assert of_gap(score, 5) == score
    assert of_share(Score(value=0.9, low=0.8, high=0.95), 10).low == pytest.approx(0.5958, abs=1e-3)


@pytest.mark.parametrize(("n", "few"), [(99, True), (100, False)])
def test_few_rows_are_cautioned_of(n: int, few: bool) -> None:
    y, p = perfect(n)
    lines = evaluate(y, p, labels=("a", "b"), kind="binary").lines()
    assert (f"caution: {n} rows are few; see how wide the intervals are" in lines) == few


def test_a_report_of_before_has_no_rows_learned() -> None:
    y, p = perfect(20)
    written = evaluate(y, p, labels=("a", "b"), kind="binary").to_dict()
    del written["learned_rows"]
    assert Report.from_dict(written).learned_rows is None
    assert Report.from_dict({**written, "learned_rows": 7}).learned_rows == 7
