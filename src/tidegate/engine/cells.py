"""The cells an LSTM is compared with: the plain recurrent cell and the gated recurrent unit.

Takes the same folded tables and packed steps as `lstm`, gives hidden states. Here for comparison
and teaching; the house is built for the LSTM.

    RNN   h_t = tanh(W x_t + U h_{t−1} + b)
    GRU   r = σ(W_r x_t + U_r h_{t−1} + b_r)            reset gate
          z = σ(W_z x_t + U_z h_{t−1} + b_z)            update gate
          n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t−1} + b_hn))
          h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}               (Cho et al. 2014, in PyTorch's form)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegate.engine.batches import Packed
from tidegate.engine.lstm import Floats
from tidegate.engine.products import product_into

Step = Callable[[Floats, Floats], Floats]


def rnn_layer(table: Floats, recurrent: Floats, packed: Packed, *, reverse: bool = False) -> Floats:
    """Run the plain recurrent cell; table (V, H), recurrent (H, H) transposed → (S, H)."""

    def step(x: Floats, h: Floats) -> Floats:
        total: Floats = np.tanh(x + product_into(np.empty_like(x), h, recurrent))
        return total

    return _run(table, packed, step, units=recurrent.shape[0], reverse=reverse)


def gru_layer(
    table: Floats,
    recurrent: Floats,
    packed: Packed,
    *,
    hidden_bias: Floats,
    reverse: bool = False,
) -> Floats:
    """Run the GRU; table (V, 3H) in the order r, z, n, recurrent (H, 3H), b_hn (H,) → (S, H)."""
    units = recurrent.shape[0]

    def step(x: Floats, h: Floats) -> Floats:
        u = product_into(np.empty_like(x), h, recurrent)
        half = np.float32(0.5)
        gates: Floats = np.tanh((x[:, : 2 * units] + u[:, : 2 * units]) * half) * half + half
        reset, update = gates[:, :units], gates[:, units:]
        new: Floats = np.tanh(x[:, 2 * units :] + reset * (u[:, 2 * units :] + hidden_bias))
        return new + update * (h - new)

    return _run(table, packed, step, units=units, reverse=reverse)


def _run(table: Floats, packed: Packed, step: Step, *, units: int, reverse: bool) -> Floats:
    """Carry one hidden state through the steps; messages drop off, or join, at the end."""
    counts, offsets = packed.counts.tolist(), packed.offsets.tolist()
    out = np.empty((offsets[-1], units), np.float32)
    h = np.zeros((counts[0], units), np.float32)
    steps = range(len(counts))
    for t in reversed(steps) if reverse else steps:
        n, start = counts[t], offsets[t]
        rows = slice(start, start + n)
        x = table[rows if packed.token_ids is None else packed.token_ids[rows]]
        h[:n] = step(x, h[:n])
        out[start : start + n] = h[:n]
    return out
