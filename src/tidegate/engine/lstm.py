"""The long short-term memory, equation by equation, in NumPy.

Takes a table of projected inputs, the recurrent weights and packed steps; gives the hidden state
after every token. Knows nothing of words, files or classifiers. The engine that answers and the
walk that explains run this one function; the walk asks it to keep what the engine throws away.

Notation
--------
A message is x_1 … x_T. At token t the cell reads x_t, the hidden state h_{t−1} it gave after the
token before, and the cell state c_{t−1} it carried; σ is the logistic sigmoid, ⊙ multiplies
element by element, and h_0 = c_0 = 0.

    1  Decide what information to throw away from the cell state.
           f_t = σ(W_f x_t + U_f h_{t−1} + b_f)         forget gate
    2  Decide what new information to store in the cell state.
           i_t = σ(W_i x_t + U_i h_{t−1} + b_i)         input gate
           g_t = tanh(W_g x_t + U_g h_{t−1} + b_g)      candidate values (C̃_t in the lesson)
    3  Update to the new cell state.
           c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
    4  Decide what to output.
           o_t = σ(W_o x_t + U_o h_{t−1} + b_o)         output gate
           h_t = o_t ⊙ tanh(c_t)

Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000, in
the form of PyTorch's LSTM. On disk the four blocks of W, U and b stand in PyTorch's order i, f, g,
o. Here they stand as i, f, o, g, the three sigmoids side by side.

Two things make it fast and change no value beyond rounding. W x_t + b depends on the token alone,
so it is worked out once per word and looked up. And σ(z) = ½ tanh(½ z) + ½: with the rows of i, f
and o halved beforehand, one tanh serves all four gates.

Shapes: H units, S tokens in all, n messages at a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tidegate.engine.batches import Packed
from tidegate.engine.products import product_into, rows_together

Floats = npt.NDArray[np.float32]

GATE_ORDER = ("i", "f", "g", "o")  # of the blocks on disk, as in PyTorch
GATE_NAMES = {
    "f": "forget gate",
    "i": "input gate",
    "g": "candidate values",
    "o": "output gate",
}
_HALF = np.float32(0.5)
STEPS = (
    "Decide what information to throw away from the cell state.",
    "Decide what new information to store in the cell state.",
    "Update to the new cell state.",
    "Decide what to output.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one direction of one layer did: a list entry for each step it took, in its own order.

    Each entry is (n, H), for the n messages running at that step. `z` holds the four
    pre-activations before their sigmoid or tanh, (n, 4H) in the order i, f, o, g.
    """

    z: list[Floats] = field(default_factory=list)
    i: list[Floats] = field(default_factory=list)
    f: list[Floats] = field(default_factory=list)
    o: list[Floats] = field(default_factory=list)
    g: list[Floats] = field(default_factory=list)
    c: list[Floats] = field(default_factory=list)
    h: list[Floats] = field(default_factory=list)


def fold(blocks: npt.NDArray[np.floating]) -> Floats:
    """Bring PyTorch's blocks i, f, g, o (4H, …) to the engine's: i, f, o halved, then g.

    Examples
    --------
    >>> fold(np.array([[2.0], [4.0], [6.0], [8.0]])).ravel().tolist()
    [1.0, 2.0, 4.0, 6.0]
    """
    i, f, g, o = np.split(np.asarray(blocks, dtype=np.float32), 4)
    half = np.float32(0.5)
    return np.concatenate([i * half, f * half, o * half, g])


def lstm_layer(
    table: Floats,
    recurrent: Floats,
    packed: Packed,
    *,
    reverse: bool = False,
    trace: Trace | None = None,
) -> Floats:
    """Run one direction of one layer over packed messages.

    Parameters
    ----------
    table : (V, 4H) folded W x + b of every token id
    recurrent : (H, 4H) folded U, transposed
    packed : the messages; `packed.token_ids` are rows of `table`, or its rows are the tokens
    reverse : read from each message's last token to its first
    trace : filled with every gate and state, if given

    Returns
    -------
    (S, H) the hidden state after each token, laid out as `packed`

    Examples
    --------
    One unit, all weights zero but the candidate's input 1: f = i = o = ½, g = tanh 1, so
    c = ½ tanh 1 = 0.3808 and h = ½ tanh c = 0.1817.

    >>> from tidegate.engine.batches import pack, pad
    >>> table = fold(np.array([[0.0], [0.0], [1.0], [0.0]])).T
    >>> h = lstm_layer(table, np.zeros((1, 4), np.float32), pack(pad([[0]])))
    >>> round(float(h[0, 0]), 4)
    0.1817
    """
    units = recurrent.shape[0]
    counts, offsets = packed.counts.tolist(), packed.offsets.tolist()
    ids = packed.token_ids
    h = np.empty((offsets[-1], units), np.float32)
    cell = _Cell(counts[0], units)
    steps = range(len(counts))
    before: Floats | None = None
    for t in reversed(steps) if reverse else steps:
        n, start = counts[t], offsets[t]
        cell.resize(n)
        x = cell.z if ids is not None else table[start : start + n]
        if ids is not None:
            table.take(ids[start : start + n], axis=0, out=x, mode="clip")
        # Going forward, messages that have ended drop off the end; going backward, those that
        # start here have no state yet. Either way the leading rows are the ones that go on.
        m = 0 if before is None else min(n, len(before))
        if before is not None:
            np.add(x[:m], product_into(cell.u[:m], before[:m], recurrent), out=cell.z[:m])
        if ids is None:
            cell.z[m:] = x[m:]
        before = h[start : start + n]
        cell.step(before, trace)
    return h


def lstm_message(tables: Sequence[Floats], recurrent: Floats, ids: npt.NDArray[np.int64]) -> Floats:
    """Run all directions of the first layer over one message, side by side.

    The same numbers as `lstm_layer` gives, to the last bit, in half as many calls of NumPy, which
    are what one message costs. Products are of several rows, as there: see `products`.

    Parameters
    ----------
    tables : (V, 4H) a direction, the second of which reads from the last token to the first
    recurrent : (D, H, 4H) folded U of each, transposed
    ids : (T,)

    Returns
    -------
    (T, D H) the hidden states after each token
    """
    n_directions, units = recurrent.shape[:2]
    x = np.empty((len(ids), n_directions, 4 * units), np.float32)
    for d, table in enumerate(tables):
        x[:, d] = table.take(ids[::-1] if d else ids, axis=0, mode="clip")
    h = np.empty((len(ids), n_directions, units), np.float32)
    n_rows = rows_together(1, recurrent[0])
    before = np.zeros((n_directions, n_rows, units), np.float32)
    u = np.empty((n_directions, n_rows, 4 * units), np.float32)
    own_state, own_u = before[:, 0], u[:, 0]
    z = x[0].copy()
    sigmoids, c = np.empty_like(z), np.zeros_like(h[0])
    i, f, o = (sigmoids[..., k * units : (k + 1) * units] for k in range(3))
    g = z[..., 3 * units :]
    for t, h_t in enumerate(h):
        if t:  # there is no state before the first token
            np.matmul(before, recurrent, out=u)
            np.add(x[t], own_u, out=z)
        np.tanh(z, z)
        np.multiply(z, _HALF, sigmoids)
        np.add(sigmoids, _HALF, sigmoids)
        np.multiply(c, f, c)  # the steps 1 to 4, as `_Cell.step` takes them
        np.multiply(i, g, h_t)
        np.add(c, h_t, c)
        np.tanh(c, h_t)
        np.multiply(h_t, o, h_t)
        own_state[:] = h_t
    if n_directions == 1:
        return np.ascontiguousarray(h[:, 0])
    return np.concatenate([h[:, 0], h[::-1, 1]], axis=1)


class _Cell:
    """The gates and cell state of the messages running, and views of them made once a size.

    Whole buffers are worked on, even where a quarter is not needed: a view that skips columns costs
    three times as much as the columns it skips.
    """

    __slots__ = ("c", "c_all", "f", "g", "i", "n", "o", "u", "u_all", "units", "z", "z_all")

    def __init__(self, n: int, units: int) -> None:
        self.units = units
        self.z_all = np.empty((n, 4 * units), np.float32)  # pre-activations, then their tanh
        self.u_all = np.empty((n, 4 * units), np.float32)  # U h, then the sigmoids
        self.c_all = np.zeros((n, units), np.float32)
        self.n = -1
        self.resize(n)

    def resize(self, n: int) -> None:
        """Work on the first n messages."""
        if n == self.n:
            return
        self.n, units = n, self.units
        self.z, self.u, self.c = self.z_all[:n], self.u_all[:n], self.c_all[:n]
        self.i, self.f, self.o = (self.u[:, k * units : (k + 1) * units] for k in range(3))
        self.g = self.z[:, 3 * units :]

    def step(self, h: Floats, trace: Trace | None) -> None:
        """Turn pre-activations z (n, 4H) into gates, and c and h (n, H) into the new states."""
        z, c, sigmoids = self.z, self.c, self.u
        if trace is not None:
            trace.z.append(np.hstack([z[:, : 3 * self.units] * 2, self.g]))
        np.tanh(z, z)
        np.multiply(z, _HALF, sigmoids)
        np.add(sigmoids, _HALF, sigmoids)
        np.multiply(c, self.f, c)  # 1: what is kept of the old cell state
        np.multiply(self.i, self.g, h)  # 2: what is new
        np.add(c, h, c)  # 3: the new cell state
        np.tanh(c, h)  # 4: what is shown of it
        np.multiply(h, self.o, h)
        if trace is not None:
            for name, value in zip("ifogc", (self.i, self.f, self.o, self.g, c), strict=True):
                getattr(trace, name).append(value.copy())
            trace.h.append(h.copy())
