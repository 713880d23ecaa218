"""How far back gradients reach: the norms of ∂h_T/∂h_t, exactly.

Takes a torch cell and sequences, gives for each step t the size of what the last hidden state still
owes to the state at t. A cell whose norms fall to 1e-10 in 100 steps cannot learn what happened
100 steps ago, whatever it is shown (Bengio et al. 1994).

    ∂h_T/∂s_t = ∂h_T/∂s_T · ∂s_T/∂s_{T−1} · … · ∂s_{t+1}/∂s_t          s = h, or (h, c) for an LSTM
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def gradient_norms(cell: nn.RNNBase, x: Tensor) -> dict[str, list[float]]:
    """Return, by state ("h", and "c" for an LSTM), the norms for t = 1 … T.

    A norm is the largest singular value, so that it is 1 at t = T for h whatever the size of the
    cell; of several sequences the median is given.

    Parameters
    ----------
    cell : nn.RNN, nn.LSTM or nn.GRU of one layer and one direction, batch_first
    x : (B, T, inputs)

    Examples
    --------
    >>> norms = gradient_norms(nn.RNN(2, 3, batch_first=True), torch.zeros(1, 5, 2))
    >>> len(norms["h"]), round(norms["h"][-1], 6)
    (5, 1.0)
    """
    units, step = cell.hidden_size, _step(cell)
    states = units * (2 if isinstance(cell, nn.LSTM) else 1)
    jacobian = torch.func.vmap(torch.func.jacrev(step))
    with torch.no_grad():
        state = torch.zeros(len(x), states)
        slopes = []  # ∂s_t/∂s_{t−1} for t = 2 … T, each (B, S, S)
        for t in range(x.shape[1]):
            if t:
                slopes.append(jacobian(state, x[:, t]))
            state = step(state, x[:, t])
        back = torch.eye(states)[:units].expand(len(x), units, states)
        found = [back]
        for slope in reversed(slopes):
            back = back @ slope
            found.append(back)
        reach = torch.stack(found[::-1])  # (T, B, H, S)
        norms = {"h": _median_norm(reach[..., :units])}
        if states > units:
            norms["c"] = _median_norm(reach[..., units:])
    return norms


def _median_norm(matrices: Tensor) -> list[float]:
    """Return the median over B of the largest singular values of (T, B, H, H)."""
    norms = torch.linalg.matrix_norm(matrices.double(), ord=2)
    return [float(n) for n in norms.quantile(0.5, dim=1)]


def _step(cell: nn.RNNBase) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the cell's one step: state (…, S) and input (…, I) → the next state."""
    W, U, b, b_h = (p.detach() for p in cell.parameters())

    def rnn(h: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(x @ W.T + b + h @ U.T + b_h)

    def gru(h: Tensor, x: Tensor) -> Tensor:
        (xr, xz, xn), (hr, hz, hn) = (x @ W.T + b).chunk(3, -1), (h @ U.T + b_h).chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        return (1 - z) * torch.tanh(xn + r * hn) + z * h

    def lstm(state: Tensor, x: Tensor) -> Tensor:
        h, c = state.chunk(2, -1)
        i, f, g, o = (x @ W.T + b + h @ U.T + b_h).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat([torch.sigmoid(o) * torch.tanh(c), c], -1)

    if isinstance(cell, nn.LSTM):
        return lstm
    return gru if isinstance(cell, nn.GRU) else rnn
