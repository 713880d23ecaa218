"""Logistic regression in the span of the rows: exact, and fast where features are many.

Takes an operator that multiplies by the rows' inner products, and targets; gives a coefficient a
row. Knows nothing of what the features are.

    minimise  Σ_i w_i · ℓ(y_i, f_i) + ‖W‖² / 2C      f_i = φ_iᵀ W + b

The best W is a combination of the rows (representer theorem, Kimeldorf & Wahba 1970): W = Φᵀ a. So
the search is over a (n, k) in place of W (features, k), and every inner product of two such W is
⟨a, K a'⟩ with K = Φ Φᵀ. It is L-BFGS (Liu & Nocedal 1989) in that inner product: the same path as
L-BFGS on W itself would take, at the cost of one product with K a step.

n rows, k outputs. ℓ is the cross-entropy: of a softmax over k ≥ 2 outputs, or of a sigmoid each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Gram = Callable[[Floats], Floats]

_MEMORY, _LESS_MEMORY = 20, 8  # past steps remembered; fewer where they are large
_LARGE = 300_000  # values of a step
_MAX_STEPS = 200
_GRADIENT = 2e-3  # of the first gradient's norm, at which it stops
_PROGRESS = 1e-7  # of the objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients of the rows, and what comes of them.

    Attributes
    ----------
    rows : (n, k) a, of which the weights are W = Φᵀ a
    bias : (k,)
    steps : how many it took
    """

    rows: Floats
    bias: Floats
    steps: int


@dataclass(frozen=True, slots=True)
class _Point:
    """A place or a direction: a, b, and K a."""

    a: Floats
    b: Floats
    ka: Floats

    def dot(self, other: _Point) -> float:
        return _dot(self.a, other.ka) + _dot(self.b, other.b)

    def plus(self, scale: float, other: _Point) -> _Point:
        c = np.float32(scale)
        return _Point(self.a + c * other.a, self.b + c * other.b, self.ka + c * other.ka)


@dataclass(frozen=True, slots=True)
class _Step:
    """A past step, the change of the gradient over it, and two of their inner products."""

    moved: _Point
    turned: _Point
    moved_turned: float
    turned_turned: float


def solve(
    gram: Gram,
    targets: Floats,
    *,
    softmax: bool,
    penalty: float,
    weights: Floats | None = None,
    before: Floats | None = None,
) -> Solution:
    """Find the coefficients of least penalised cross-entropy.

    Parameters
    ----------
    gram : (n, k) → (n, k), the product with K = Φ Φᵀ
    targets : (n, k) the share of each output; a softmax's rows sum to 1
    softmax : outputs exclude one another; else each is a sigmoid of its own
    penalty : C, the inverse weight of ‖W‖²
    weights : (n, 1) or (n, k), how much each row counts; by default 1
    before : (n, k) values of a model that W and b are added to; by default none

    Examples
    --------
    Two rows with one feature of their own each:

    >>> found = solve(lambda a: a, np.array([[1.0], [0.0]], np.float32), softmax=False, penalty=1.0)
    >>> [round(float(a), 2) for a in found.rows[:, 0]]
    [0.4, -0.4]
    """
    cost = _softmax_cost if softmax else _sigmoid_cost
    counted = np.ones((1, 1), np.float32) if weights is None else weights

    def loss(values: Floats) -> tuple[float, Floats]:
        return cost(values if before is None else before + values, targets, counted)

    at = _start(targets, softmax=softmax, anew=before is None)
    total, residual = loss(at.ka + at.b)
    objective, first = total, 0.0
    past: list[_Step] = []
    memory = _MEMORY if targets.size < _LARGE else _LESS_MEMORY
    last: tuple[_Point, _Point] | None = None
    for steps in range(_MAX_STEPS):  # noqa: B007 - how many there were is told
        slope = residual + at.a / np.float32(penalty)
        gradient = _Point(slope, np.asarray(residual.sum(axis=0), np.float32), gram(slope))
        norm = float(np.sqrt(max(gradient.dot(gradient), 0.0)))
        first = first or norm
        if norm <= _GRADIENT * first:
            break
        if last is not None:
            past = _remembered(past, *last, gradient)[-memory:]
        direction = _direction(gradient, past, norm)
        downhill = -gradient.dot(direction)
        if downhill >= 0:
            break
        step, total, residual = _line_search(loss, at, direction, objective, downhill, penalty)
        moved = _Point(*(np.float32(-step) * x for x in (direction.a, direction.b, direction.ka)))
        at, last = at.plus(1.0, moved), (moved, gradient)
        progress, objective = objective - total, total
        if progress < _PROGRESS * abs(total):
            break
    return Solution(rows=at.a, bias=at.b, steps=steps)


def _dot(x: Floats, y: Floats) -> float:
    return float(np.vdot(x, y))


def _start(targets: Floats, *, softmax: bool, anew: bool) -> _Point:
    """Return the place where every row is answered by the targets' shares, or as before."""
    zeros = np.zeros_like(targets)
    if not anew:
        return _Point(zeros, np.zeros(targets.shape[1], np.float32), zeros)
    shares = np.clip(targets.mean(axis=0), 1e-4, 1 - 1e-4)
    bias = np.log(shares) if softmax else np.log(shares / (1 - shares))
    return _Point(zeros, bias.astype(np.float32), zeros)


def _sigmoid_cost(values: Floats, targets: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return the summed loss, and its slope (n, k) by the outputs' values."""
    each = np.logaddexp(np.float32(0), values) - values * targets
    slope = 1 / (1 + np.exp(-np.clip(values, -40, 40))) - targets
    return float((each * weights).sum(dtype=np.float64)), np.asarray(slope * weights, np.float32)


def _softmax_cost(values: Floats, targets: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return the summed loss, and its slope (n, k) by the outputs' values."""
    z = values - values.max(axis=1, keepdims=True)
    agreed = (z * targets).sum(axis=1, keepdims=True)
    np.exp(z, out=z)
    total = z.sum(axis=1, keepdims=True)
    each = (np.log(total) - agreed) * weights
    return float(each.sum(dtype=np.float64)), np.asarray((z / total - targets) * weights, "f4")


def _remembered(past: list[_Step], moved: _Point, before: _Point, gradient: _Point) -> list[_Step]:
    """Return the steps with the last one, unless it shows no curvature."""
    turned = gradient.plus(-1.0, before)
    step = _Step(moved, turned, moved.dot(turned), turned.dot(turned))
    return [*past, step] if step.moved_turned > 1e-10 * step.turned_turned else past


def _direction(gradient: _Point, past: list[_Step], norm: float) -> _Point:
    """Return L-BFGS's direction by the two loops of Nocedal 1980."""
    found, shares = gradient, []
    for step in reversed(past):
        share = step.moved.dot(found) / step.moved_turned
        shares.append(share)
        found = found.plus(-share, step.turned)
    scale = past[-1].moved_turned / past[-1].turned_turned if past else 1 / max(norm, 1e-9)
    c = np.float32(scale)
    found = _Point(found.a * c, found.b * c, found.ka * c)
    for step, share in zip(past, reversed(shares), strict=True):
        found = found.plus(share - step.turned.dot(found) / step.moved_turned, step.moved)
    return found


def _line_search(
    loss: Callable[[Floats], tuple[float, Floats]],
    at: _Point,
    direction: _Point,
    objective: float,
    downhill: float,
    penalty: float,
) -> tuple[float, float, Floats]:
    """Return a step length that lowers the objective enough (Armijo 1966), and what is there.

    Along the line the penalty is a parabola and the outputs' values a straight line, so that a
    trial costs no product with K.
    """
    values = at.ka + at.b
    change = direction.ka + direction.b
    aa, ad, dd = _dot(at.a, at.ka), _dot(at.a, direction.ka), _dot(direction.a, direction.ka)

    def trial(step: float) -> tuple[float, Floats]:
        total, residual = loss(values - np.float32(step) * change)
        return total + 0.5 / penalty * (aa - 2 * step * ad + step * step * dd), residual

    step = 1.0
    total, residual = trial(step)
    while total > objective + 1e-4 * step * downhill and step > 1e-7:
        step /= 2
        total, residual = trial(step)
    if not aa:  # the first step of all: its length is a guess, and may be far too short
        while (further := trial(2 * step))[0] < total:
            step *= 2
            total, residual = further
    return step, total, residual
