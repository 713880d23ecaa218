"""A teacher's probabilities made to fit what is so: Platt's scaling, label by label.

Takes probabilities that were given out of fold and the true labels; gives a function of
probabilities. Small teachers trained on few rows lean to one side; on rows that they have not
learned it can be seen by how much, and no held-back row is needed for it.

    q = 1 / (1 + exp(−(a · log(p / (1 − p)) + b)))          Platt 1999, one-against-rest

Of labels that exclude one another the results are divided by their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.distillation.soft_labels import log_odds, sigmoid

Floats = npt.NDArray[np.float64]
_RIDGE = 1.0  # what draws a to 1 and b to 0, where rows are few
_STEPS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Platt:
    """A slope a and an offset b for each label.

    Attributes
    ----------
    slopes, offsets : (L,)
    kind : of the labels

    Examples
    --------
    >>> p = np.repeat([[0.4, 0.6], [0.8, 0.2]], 500, axis=0)
    >>> truth = np.tile([[1.0, 0.0], [0.0, 1.0]], (500, 1))  # half of each
    >>> np.round(Platt.fit(p, truth, kind="binary")(p[[0, 999]]), 1).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    slopes: Floats
    offsets: Floats
    kind: Kind

    @classmethod
    def fit(cls, probabilities: Floats, shares: Floats, *, kind: Kind) -> Platt:
        """Fit on probabilities (n, L) and the rows' own labels as shares (n, L)."""
        x = log_odds(probabilities)
        found = np.array([_fitted(x[:, k], shares[:, k]) for k in range(x.shape[1])])
        return cls(slopes=found[:, 0], offsets=found[:, 1], kind=kind)

    def __call__(self, probabilities: Floats) -> Floats:
        """Return the fitted probabilities (n, L)."""
        q = sigmoid(self.slopes * log_odds(probabilities) + self.offsets)
        return q if self.kind == "multilabel" else q / q.sum(axis=1, keepdims=True)


def _fitted(x: Floats, y: Floats) -> Floats:
    """Return (a, b) of least penalised cross-entropy, by Newton's steps, halved where they fail."""
    design = np.stack([x, np.ones_like(x)], axis=1)  # (n, 2)
    start = np.array([1.0, 0.0])

    def loss(found: Floats) -> float:
        z = design @ found
        penalty = 0.5 * _RIDGE * ((found - start) ** 2).sum()
        return float((np.logaddexp(0.0, z) - y * z).sum() + penalty)

    found = start
    for _ in range(_STEPS):
        q = sigmoid(design @ found)
        gradient = design.T @ (q - y) + _RIDGE * (found - start)
        curvature = (design * (q * (1 - q))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    return found if found[0] > 0 else start  # a teacher that ranks backwards is left as it is
