"""TF-IDF with logistic regression, on rows that leave it nothing to learn."""

import numpy as np
import pytest

from tidegate.config import Kind
from tidegate.training.baseline import Baseline

TEXTS = ["fire near", "the river", "storm now", "a coffee"]
WORDLESS = ["!", "a", "", "🔥"]


@pytest.mark.parametrize("characters", [False, True])
@pytest.mark.parametrize(
    ("kind", "n_labels", "targets", "shares"),
    [
        ("binary", 2, [1, 1, 1, 1], [0, 1]),
        ("multiclass", 3, [0, 0, 0, 0], [1, 0, 0]),
        ("multilabel", 2, [[1, 0], [1, 0], [1, 0], [1, 0]], [1, 0]),
    ],
)
def test_labels_that_do_not_differ_keep_their_share(
    kind: Kind, n_labels: int, targets: list[int], shares: list[float], characters: bool
) -> None:
    found = Baseline(kind, n_labels, characters=characters).fit(TEXTS, np.array(targets))
    np.testing.assert_array_equal(found.predict_proba(["fire", ""]), [shares, shares])
    assert found.n_parameters == n_labels
    assert found.size_bytes > 0


@pytest.mark.parametrize("characters", [False, True])
@pytest.mark.parametrize(
    ("kind", "n_labels", "targets", "shares"),
    [
        ("binary", 2, [1, 1, 1, 0], [0.25, 0.75]),
        ("multiclass", 4, [0, 2, 2, 3], [0.25, 0, 0.5, 0.25]),
        ("multilabel", 3, [[1, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0]], [0.5, 0, 0.75]),
    ],
)
def test_rows_without_a_word_are_answered_by_the_labels_shares(
    kind: Kind, n_labels: int, targets: list[int], shares: list[float], characters: bool
) -> None:
    found = Baseline(kind, n_labels, characters=characters).fit(WORDLESS, np.array(targets))
    np.testing.assert_array_equal(found.predict_proba(["fire", ""]), [shares, shares])


def test_a_class_no_row_has_gets_nothing() -> None:
    found = Baseline("multiclass", 4).fit(TEXTS, np.array([0, 2, 0, 2])).predict_proba(TEXTS)
    assert found.shape == (4, 4)
    assert not found[:, [1, 3]].any()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_one_of_several_labels_may_be_all_there_is_to_learn() -> None:
    targets = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]])
    found = Baseline("multilabel", 3).fit(TEXTS, targets).predict_proba(TEXTS)
    np.testing.assert_array_equal(found[:, :2], [[1, 0]] * 4)
    assert found[:, 2].argmax() == 0
