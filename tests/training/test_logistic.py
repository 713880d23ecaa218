"""Logistic regression in the span of the rows finds what scikit-learn finds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tidegate.training.logistic import Floats, solve


def made_up(n: int = 400, features: int = 150, classes: int = 3) -> tuple[Floats, np.ndarray]:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(n, features)) / 8).astype(np.float32)
    values = x @ rng.normal(size=(features, classes)) * 3 + rng.gumbel(size=(n, classes))
    return x, values.argmax(axis=1)


def probabilities(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("penalty", [0.5, 3.0, 20.0])
def test_a_softmax_is_scikit_learns(penalty: float) -> None:
    x, y = made_up()
    targets = np.eye(3, dtype=np.float32)[y]
    found = solve(lambda a: x @ (x.T @ a), targets, softmax=True, penalty=penalty)
    z = x @ (x.T @ found.rows) + found.bias
    wanted = LogisticRegression(C=penalty, max_iter=2000).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(probabilities(z), wanted, atol=0.02)
    assert found.steps < 100


def test_weights_count_as_repeated_rows_do() -> None:
    x, y = made_up()
    weights = np.where(y == 1, 3.0, 1.0).astype(np.float32)[:, None]
    targets = (y == 1).astype(np.float32)[:, None]
    found = solve(lambda a: x @ (x.T @ a), targets, softmax=False, penalty=2.0, weights=weights)
    z = x @ (x.T @ found.rows) + found.bias
    model = LogisticRegression(C=2.0, max_iter=2000).fit(x, y == 1, sample_weight=weights.ravel())
    np.testing.assert_allclose(1 / (1 + np.exp(-z[:, 0])), model.predict_proba(x)[:, 1], atol=0.02)


def test_soft_targets_are_learned() -> None:
    found = solve(lambda a: a, np.array([[0.7], [0.2]], np.float32), softmax=False, penalty=1e4)
    shares = 1 / (1 + np.exp(-(found.rows + found.bias).ravel()))
    np.testing.assert_allclose(shares, [0.7, 0.2], atol=0.01)


def test_outputs_of_a_sigmoid_each_are_learned_apart() -> None:
    x, y = made_up()
    both = np.stack([y == 0, y == 2], axis=1).astype(np.float32)
    gram = lambda a: x @ (x.T @ a)  # noqa: E731
    together = solve(gram, both, softmax=False, penalty=2.0)
    alone = solve(gram, both[:, 1:], softmax=False, penalty=2.0)
    z = [x @ (x.T @ s.rows) + s.bias for s in (together, alone)]
    np.testing.assert_allclose(z[0][:, 1], z[1][:, 0], atol=0.15)
