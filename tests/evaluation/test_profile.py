"""Drift: histograms of messages, and how far two of them are apart."""

import math

import numpy as np
import pytest

from conftest import made_up, small
from tidegate.evaluation.profile import Profile, counts, profile, stability_index
from tidegate.training.learner import Learner, train_and_score


def test_the_index_is_worked_by_hand() -> None:
    p, q = np.array([10.5, 30.5]) / 41, np.array([20.5, 20.5]) / 41
    expected = ((q - p) * np.log(q / p)).sum()
    assert stability_index([10, 30], [20, 20]) == pytest.approx(expected)
    assert stability_index([5, 7], [5, 7]) == 0
    assert math.isnan(stability_index([1, 2], [0, 0]))
    assert math.isfinite(stability_index([0, 9], [9, 0]))


def test_every_value_falls_into_one_bin() -> None:
    values = np.array([0.0, 0.1, 0.1000001, 0.95, 1.0])
    assert counts("score", values).sum() == 5
    assert counts("score", values)[:2].tolist() == [2, 1]
    assert counts("tokens", np.array([0, 2, 3, 10_000])).tolist()[0] == 2


def test_a_profile_is_read_as_it_was_written() -> None:
    p = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])
    made = profile(p, np.array([3, 8]), np.array([0.0, 0.5]), kind="multiclass")
    assert Profile.from_dict(made.to_dict()) == made
    assert made.score[4] == 1  # the largest probability, 0.5
    for wrong in (None, 5, {}, {"score": [1], "tokens": [1], "unknown": [1]}):
        assert Profile.from_dict(wrong) is None
    negative = made.to_dict() | {"score": [-1] * 10}
    assert Profile.from_dict(negative) is None


def test_a_bundle_keeps_the_profile_of_its_held_out_rows() -> None:
    scored = train_and_score(Learner(made_up(), small(epochs=1)))
    found = Profile.from_dict(scored.bundle.metrics["profile"])
    assert found is not None
    assert sum(found.score) == sum(found.tokens) == sum(found.unknown) == scored.report.n_rows
