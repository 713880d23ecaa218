"""What each token contributed to an answer: integrated gradients, in NumPy.

Takes a `Predictor`, a message's ids and a label; gives a number a token. Knows nothing of text.

The message is compared with one of as many tokens that say nothing (inputs of zeros). Along the
straight line between the two, x(α) = α x, a token's contribution is the integral of the gradient
of the label's probability with respect to that token's input, times the input:

    contribution_t = x_t · ∫₀¹ ∂p/∂x_t (α x) dα

Source: Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", equation 1. The
contributions add up to p(x) − p(0); by how much they miss it is the completeness error. The same
holds between any two points of the line, which tells where it needs more of them.

The first layer's W x + b is linear in x, so the line may be walked in its values: from b to
W x + b. The gradients are those of `lstm`'s equations, taken back through time by hand.

The n-gram branch is linear in what its tokens bring, so along the same line its logits go from its
bias to its answer, and a token's contribution through it is its share of them times the slope.

T tokens, M points on the line, H units, G = 4H.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.engine.batches import Packed
from tidegate.engine.lstm import Floats, Trace
from tidegate.engine.network import Direction, Network
from tidegate.engine.predictor import Predictor, to_probabilities
from tidegate.engine.reader import Reader

Doubles = npt.NDArray[np.float64]

TOLERANCE = 5e-4
PANEL_POINTS = 8
FIRST_PANELS = 2
MAX_POINTS = 1024
MAX_VALUES = 16_000_000  # of gates and states kept at once, which bounds memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """What each token brought to a label's probability.

    Attributes
    ----------
    values : (T,) they sum, nearly, to `probability` − `baseline`
    ngrams : (T,) the part of them that came through the n-gram branch; zeros without one
    probability, baseline : of the message, and of as many tokens that say nothing
    error : sum of the values − (probability − baseline)
    n_points : points on the line
    """

    values: Doubles
    ngrams: Doubles
    probability: float
    baseline: float
    error: float
    n_points: int


@dataclass(frozen=True, slots=True)
class _Panel:
    """A piece of the line, integrated: its ends, values a token (2, T), and p at its two ends.

    The first values came through the LSTM, the second through the n-gram branch.
    """

    start: float
    end: float
    values: Doubles
    p_start: float
    p_end: float

    @property
    def error(self) -> float:
        return float(self.values.sum() - (self.p_end - self.p_start))

    def halves(self) -> list[tuple[float, float]]:
        middle = (self.start + self.end) / 2
        return [(self.start, middle), (middle, self.end)]


def integrated_gradients(
    predictor: Predictor, ids: npt.NDArray[np.int64], *, label: int, reader: Reader
) -> Contributions:
    """Return the contribution of each of a message's tokens to a label's probability.

    Parameters
    ----------
    ids : (T,) token ids as the network reads them
    label : the label's number
    reader : which gave the ids

    The line is cut into panels of 8 points. What a panel's contributions sum to is known, so each
    shows its own error: the worst are halved until the errors sum to less than 5e-4, or 1,024
    points are reached. A sharp turn, of a saturated gate or of max pooling, is so closed in upon.
    """
    network = predictor.network
    tables = reader.tables(ids)
    rows = [table[ids] for table in tables[: len(network.layers[0])]]
    shares = None if network.ngrams is None else network.ngrams.token_shares(ids, tables[-1])
    a_panel = 11 * len(ids) * network.config.hidden_size * sum(map(len, network.layers))
    at_once = max(MAX_VALUES // (a_panel * (PANEL_POINTS + 2)), 1)
    ends = [(k / FIRST_PANELS, (k + 1) / FIRST_PANELS) for k in range(FIRST_PANELS)]
    panels: list[_Panel] = []
    while True:
        for k in range(0, len(ends), at_once):
            part = ends[k : k + at_once]
            panels += _integrated(predictor, rows, part, label=label, shares=shares)
        panels.sort(key=lambda panel: abs(panel.error))
        fine = np.cumsum([abs(panel.error) for panel in panels]) <= TOLERANCE / 2
        n_fine = int(fine.sum())
        n_points = PANEL_POINTS * (2 * len(panels) - n_fine)
        if sum(abs(panel.error) for panel in panels) <= TOLERANCE or n_points > MAX_POINTS:
            break
        ends = [half for panel in panels[n_fine:] for half in panel.halves()]
        panels = panels[:n_fine]
    panels.sort(key=lambda panel: panel.start)
    by_part = np.sum([panel.values for panel in panels], axis=0)  # (2, T)
    values = by_part.sum(axis=0)
    baseline, probability = panels[0].p_start, panels[-1].p_end
    return Contributions(
        values=values, ngrams=by_part[1], probability=probability, baseline=baseline,
        error=float(values.sum() - (probability - baseline)),
        n_points=PANEL_POINTS * len(panels),
    )  # fmt: skip


@cache
def _rule() -> tuple[Floats, Doubles]:
    """Return Gauss and Legendre's points, and the two ends, in [0, 1]; and the points' weights."""
    points, weights = np.polynomial.legendre.leggauss(PANEL_POINTS)
    places = np.concatenate([0.5 * (points + 1.0), [0.0, 1.0]])
    return places.astype(np.float32), 0.5 * weights


def _integrated(
    predictor: Predictor,
    rows: list[Floats],
    ends: list[tuple[float, float]],
    *,
    label: int,
    shares: Floats | None,
) -> list[_Panel]:
    """Integrate some panels at once; their ends ride along for the probability there.

    `shares` (T, k) are what the tokens bring to the n-gram branch's logits, if there is one.
    """
    network = predictor.network
    places, weights = _rule()
    starts, widths = np.array([(a, b - a) for a, b in ends], np.float32).T[:, :, None]
    alphas = (starts + widths * places).ravel()  # (M,), panel by panel
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
    states = network.states(packed, tables, traces=traces)
    logits = network.head(network.pool(states, packed))
    weight = np.float32(1)  # of the LSTM's logits
    if network.ngrams is not None and shares is not None:
        share = np.float32(network.config.ngram_share)
        weight = np.float32(1) - share
        along_line = network.ngrams.bias + alphas[:, None] * shares.sum(axis=0)
        logits = weight * logits + share * along_line
    p = to_probabilities(logits, kind=predictor.kind, temperature=predictor.bundle.temperature)
    slope = _logit_slope(p, label, predictor.kind) / predictor.bundle.temperature
    d_states = _through_head(network, states.reshape(n_tokens, n_lines, -1), slope * weight)
    gradients = _through_layers(network, traces, d_states)
    along = sum(
        np.matmul(g, x[:, :, None])[:, :, 0] for x, g in zip(inputs, gradients, strict=True)
    )  # (T, M) the slope of p along the line, token by token
    through = np.zeros_like(along) if shares is None else (1 - weight) * (shares @ slope.T)
    both = np.stack([np.asarray(along, np.float64), np.asarray(through, np.float64)])
    shaped = both.reshape(2, n_tokens, len(ends), len(places))[:, :, :, :PANEL_POINTS]
    values = (shaped * weights).sum(axis=3) * widths[:, 0].astype(np.float64)  # (2, T, panels)
    p_ends = p[:, label].reshape(len(ends), len(places))[:, PANEL_POINTS:]
    return [
        _Panel(a, b, v, *map(float, p_two))
        for (a, b), v, p_two in zip(ends, np.moveaxis(values, 2, 0), p_ends, strict=True)
    ]


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
