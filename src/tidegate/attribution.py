"""What each token contributed to an answer: integrated gradients, in NumPy.

Takes a `Predictor`, a message's ids and a label; gives a number a token. Knows nothing of text.

The message is compared with one of as many tokens that say nothing (inputs of zeros). Along the
straight line between the two, x(α) = α x, a token's contribution is the integral of the gradient
of the label's probability with respect to that token's input, times the input:

    contribution_t = x_t · ∫₀¹ ∂p/∂x_t (α x) dα

Source: Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", equation 1. The
contributions add up to p(x) − p(0); by how much they miss it is the completeness error, and the
number of points on the line is doubled until that is small.

The first layer's W x + b is linear in x, so the line may be walked in its values: from b to
W x + b. The gradients are those of `lstm`'s equations, taken back through time by hand.

T tokens, M points on the line, H units, G = 4H.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from tidegate.batching import Packed
from tidegate.calibration import Kind
from tidegate.lstm import Floats, Trace
from tidegate.network import Direction, Network
from tidegate.runtime import Predictor, to_probabilities

Doubles = npt.NDArray[np.float64]

TOLERANCE = 5e-4
PANEL_POINTS = 16
MAX_POINTS = 512
MAX_VALUES = 16_000_000  # of gates and states kept at once, which bounds memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """What each token brought to a label's probability.

    Attributes
    ----------
    values : (T,) they sum, nearly, to `probability` − `baseline`
    probability, baseline : of the message, and of as many tokens that say nothing
    error : sum of the values − (probability − baseline)
    n_points : points on the line
    """

    values: Doubles
    probability: float
    baseline: float
    error: float
    n_points: int


def integrated_gradients(
    predictor: Predictor, ids: npt.NDArray[np.int64], *, label: int
) -> Contributions:
    """Return the contribution of each of a message's tokens to a label's probability.

    Parameters
    ----------
    ids : (T,) token ids as the network reads them, their words met before
    label : the label's number

    The line is cut into panels of 16 points, and into twice as many until the error is below 5e-4
    or there are 512 points, or fewer for a message of many tokens.
    """
    network = predictor.network
    rows = network.rows(ids)
    a_point = 11 * len(ids) * network.config.hidden_size * sum(map(len, network.layers))
    most = min(MAX_VALUES // a_point, MAX_POINTS)
    n_panels = 1
    while True:
        found = _along_the_line(predictor, rows, label=label, n_panels=n_panels)
        if abs(found.error) <= TOLERANCE or 2 * n_panels * PANEL_POINTS > most:
            return found
        n_panels *= 2


@cache
def _line(n_panels: int) -> tuple[Floats, Doubles]:
    """Return the points (M,) and weights (M,) of Gauss and Legendre's rule, panel by panel."""
    points, weights = np.polynomial.legendre.leggauss(PANEL_POINTS)
    starts = np.arange(n_panels)[:, None]
    alphas = (starts + 0.5 * (points + 1.0)) / n_panels
    return alphas.ravel().astype(np.float32), np.tile(0.5 * weights / n_panels, n_panels)


def _along_the_line(
    predictor: Predictor, rows: list[Floats], *, label: int, n_panels: int
) -> Contributions:
    """Integrate over the line's points; its two ends ride along for their values."""
    network = predictor.network
    points, weights = _line(n_panels)
    alphas = np.concatenate([points, np.array([0.0, 1.0], np.float32)])  # (M + 2,)
    n_tokens, n_lines = len(rows[0]), len(alphas)
    packed = Packed(
        token_ids=None,
        counts=np.full(n_tokens, n_lines),
        offsets=np.arange(n_tokens + 1) * n_lines,
        lengths=np.full(n_lines, n_tokens),
    )
    inputs = [row - d.bias for row, d in zip(rows, network.layers[0], strict=True)]  # (T, G)
    tables = [
        (x[:, None, :] * alphas[None, :, None] + d.bias).reshape(-1, x.shape[1])
        for x, d in zip(inputs, network.layers[0], strict=True)
    ]
    traces = [[Trace() for _ in layer] for layer in network.layers]
    states = network.states(packed, traces=traces, tables=tables)
    logits = network.head(network.pool(states, packed))
    p = to_probabilities(logits, kind=predictor.kind, temperature=predictor.bundle.temperature)
    slope = _logit_slope(p, label, predictor.kind) / predictor.bundle.temperature
    d_states = _through_head(network, states.reshape(n_tokens, n_lines, -1), slope)
    gradients = _through_layers(network, traces, d_states)
    values = np.zeros(n_tokens)
    for x, gradient in zip(inputs, gradients, strict=True):
        mean = np.einsum("tmg,m->tg", gradient[:, :-2], weights)  # over the line
        values += (mean * x).sum(axis=1)
    baseline, probability = float(p[-2, label]), float(p[-1, label])
    return Contributions(
        values=values, probability=probability, baseline=baseline, n_points=len(points),
        error=float(values.sum() - (probability - baseline)),
    )  # fmt: skip


def _logit_slope(p: Doubles, label: int, kind: Kind) -> Floats:
    """Return ∂p_label/∂logits: (M, n_outputs)."""
    mine = p[:, label]
    if kind == "multiclass":
        slope = -mine[:, None] * p
        slope[:, label] += mine
    elif kind == "multilabel":
        slope = np.zeros_like(p)
        slope[:, label] = mine * (1 - mine)
    else:
        slope = (p[:, 0] * p[:, 1])[:, None] * (1.0 if label == 1 else -1.0)
    return slope.astype(np.float32)


def _through_head(network: Network, states: Floats, slope: Floats) -> Floats:
    """Return ∂p/∂states (T, M, F) of the top layer, back through the head and the pooling."""
    n_tokens, n_lines, width = states.shape
    how = network.config.pooling
    d_pooled = slope @ network.output[0].T
    if network.dense is not None:
        pooled = states[-1] if how in ("last", "padded_last") else _pooled(states, how)
        open_ = pooled @ network.dense[0] + network.dense[1] > 0
        d_pooled = (d_pooled * open_) @ network.dense[0].T
    d_states = np.zeros_like(states)
    if how in ("last", "padded_last"):
        d_states[-1] = d_pooled
        return d_states
    if how in ("mean", "mean_max"):
        d_states += d_pooled[:, :width] / np.float32(n_tokens)
    if how in ("max", "mean_max"):
        highest = states.argmax(axis=0)  # (M, F)
        lines, units = np.ogrid[:n_lines, :width]
        d_states[highest, lines, units] += d_pooled[:, -width:]
    return d_states


def _pooled(states: Floats, how: str) -> Floats:
    parts = {"mean": ["mean"], "max": ["max"], "mean_max": ["mean", "max"]}[how]
    pooled: Floats = np.concatenate([getattr(states, part)(axis=0) for part in parts], axis=1)
    return pooled


def _through_layers(network: Network, traces: list[list[Trace]], d_above: Floats) -> list[Floats]:
    """Return the gradient of each direction's first-layer values W x + b: (T, M, G)."""
    gradients: list[Floats] = []
    for layer, layer_traces in zip(reversed(network.layers), reversed(traces), strict=True):
        units = network.config.hidden_size
        gradients = [
            _through_time(direction, trace, d_above[:, :, k * units : (k + 1) * units])
            for k, (direction, trace) in enumerate(zip(layer, layer_traces, strict=True))
        ]
        below = [g @ d.inputs.T for g, d in zip(gradients, layer, strict=True)]
        d_above = np.sum(below, axis=0)
    return gradients


def _through_time(direction: Direction, trace: Trace, d_h: Floats) -> Floats:
    """Return the gradient of the folded pre-activations (T, M, G) of one direction.

    The folded pre-activations of i, f and o are half of their own, whose gradient is σ(1 − σ): so
    theirs is twice that.
    """
    n_tokens, n_lines, units = d_h.shape
    gradient = np.empty((n_tokens, n_lines, 4 * units), np.float32)
    dh_next = np.zeros((n_lines, units), np.float32)
    dc_next = np.zeros((n_lines, units), np.float32)
    for step in reversed(range(n_tokens)):  # in the order the direction read
        t = n_tokens - 1 - step if direction.reverse else step
        i, f, o, g, c = (getattr(trace, name)[step] for name in "ifogc")
        before = trace.c[step - 1] if step else np.zeros_like(c)
        shown = np.tanh(c)
        dh = d_h[t] + dh_next
        dc = dc_next + dh * o * (1 - shown**2)
        gradient[t] = np.concatenate(
            [
                2 * dc * g * i * (1 - i),
                2 * dc * before * f * (1 - f),
                2 * dh * shown * o * (1 - o),
                dc * i * (1 - g**2),
            ],
            axis=1,
        )
        dc_next = dc * f
        dh_next = gradient[t] @ direction.recurrent.T
    return gradient
