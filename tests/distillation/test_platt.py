"""Platt's scaling: what a teacher leans to is taken out, what it ranks stays."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.distillation.platt import Platt


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_a_known_lean_is_found() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 20_000)
    truth = (rng.random(20_000) < sigmoid(0.8 * z - 0.3)).astype(float)
    p = np.stack([1 - sigmoid(z), sigmoid(z)], axis=1)
    scale = Platt.fit(p, np.stack([1 - truth, truth], axis=1), kind="binary")
    assert scale.slopes == pytest.approx([0.8, 0.8], abs=0.03)
    assert scale.offsets == pytest.approx([0.3, -0.3], abs=0.05)
    found = scale(p)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(z)))
    assert found[:, 1].mean() == pytest.approx(truth.mean(), abs=1e-3)
    assert (np.argsort(found[:, 1]) == np.argsort(p[:, 1])).mean() > 0.999


def test_each_class_gets_its_share() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet([2, 2, 2], 9000)
    so = p * [0.6, 0.3, 0.1] / (p @ [0.6, 0.3, 0.1])[:, None]  # rarer than the teacher says
    truth = np.eye(3)[[rng.choice(3, p=row) for row in so]]
    found = Platt.fit(p, truth, kind="multiclass")(p)
    assert found.sum(axis=1) == pytest.approx(np.ones(9000))
    assert found.mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.02)


def test_a_label_with_no_row_or_a_backward_teacher_does_no_harm() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0.01, 0.99, (300, 2))
    truth = np.stack([np.zeros(300), (rng.random(300) > p[:, 1]).astype(float)], axis=1)
    scale = Platt.fit(p, truth, kind="multilabel")
    found = scale(p)
    assert np.isfinite(found).all()
    assert found[:, 0].max() < 0.5
    assert found[:, 1] == pytest.approx(p[:, 1])  # it ranks backwards: left as it is


def test_certain_and_extreme_probabilities_are_taken() -> None:
    p = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    found = Platt.fit(p, np.array([[0, 1], [1, 0], [0, 1.0]]), kind="binary")(p)
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(3))
