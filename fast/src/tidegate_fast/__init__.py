"""The recurrence of tidegate's engine in C, behind three classes.

Takes folded weights, tables and token ids as NumPy arrays; gives logits. `Surfaces` gives the ids
of texts whose words were met before. Knows nothing of bundles, of files or of how text is read:
tidegate's engine in NumPy is the reference, and checks this one when it loads a model.

The interface is numbered: `INTERFACE` changes when a caller would have to. All classes may be used
by any number of threads; the interpreter's lock is released while they work.

n messages, V rows of the tables, H units, G gates, D directions, F pooled values, C outputs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate_fast import _kernel

__all__ = ["INSTRUCTION_SETS", "INTERFACE", "Direction", "Network", "Ngrams", "Surfaces"]

INTERFACE = 1
INSTRUCTION_SETS: tuple[str, ...] = tuple(name for name, _ in _kernel.INSTRUCTION_SETS)
"""What this processor has of what the kernel was compiled for, the best first."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_CELLS = {"lstm": (0, 4), "gru": (1, 3), "rnn": (2, 1)}
_POOLINGS = {"last": 0, "mean": 1, "max": 2, "mean_max": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One direction of a layer.

    Attributes
    ----------
    recurrent : (H, G H) U transposed; an LSTM's blocks i, f, o halved, then g
    hidden_bias : (H,) a GRU's b_hn
    inputs, bias : (D H, G H) W transposed and (G H,) b, of the layers above the first
    """

    recurrent: Floats
    hidden_bias: Floats | None = None
    inputs: Floats | None = None
    bias: Floats | None = None


class Network:
    """Weights ready to answer.

    Parameters
    ----------
    cell : lstm, gru or rnn
    pooling : last, mean, max or mean_max
    layers : each layer's directions: the forward one, and the backward one if there is one
    dense : weights (F, K) and bias (K,) of a layer with ReLU, if there is one
    output : weights (F or K, C) and bias (C,)
    instructions : one of `INSTRUCTION_SETS`; by default the first

    Raises
    ------
    ValueError
        The shapes do not belong together, or the processor has no such instructions.
    """

    def __init__(
        self,
        *,
        cell: str,
        pooling: str,
        layers: Sequence[Sequence[Direction]],
        output: tuple[Floats, Floats],
        dense: tuple[Floats, Floats] | None = None,
        instructions: str = "",
    ) -> None:
        if cell not in _CELLS or pooling not in _POOLINGS:
            raise ValueError(f"cell, pooling: found {cell!r}, {pooling!r}; there is no such one")
        self.instructions = instructions or INSTRUCTION_SETS[0]
        lanes = dict(_kernel.INSTRUCTION_SETS).get(self.instructions, 1)
        number, gates = _CELLS[cell]
        units, n_directions = len(layers[0][0].recurrent), len(layers[0])
        wide, below = gates * units, n_directions * units
        parts: list[Floats] = []
        for level, layer in enumerate(layers):
            _check("directions", np.empty(len(layer)), n_directions)
            for direction in layer:
                inputs, bias = np.zeros((0, wide), np.float32), None
                if level:
                    inputs = _check("inputs", direction.inputs, below, wide)
                    bias = _check("bias", direction.bias, wide)
                if direction.hidden_bias is not None or cell == "gru":
                    _check("hidden_bias", direction.hidden_bias, units)
                parts += _packed(inputs, bias, gates, lanes)
                recurrent = _check("recurrent", direction.recurrent, units, wide)
                parts += _packed(recurrent, direction.hidden_bias, gates, lanes)
        head = 0 if dense is None else len(dense[1])
        features = below * (2 if pooling == "mean_max" else 1)
        if dense is not None:
            _check("dense", dense[0], features, head)
        _check("output", output[0], head or features, len(output[1]))
        nothing = np.zeros((0, 1), np.float32), np.zeros(1, np.float32)
        for matrix, values in (dense or nothing, output):
            parts += _packed(matrix, values, 0, lanes)
        self._kernel: Any = _kernel.Network(
            number, _POOLINGS[pooling], units, len(layers), n_directions, head, len(output[1]),
            self.instructions, np.concatenate(parts),
        )  # fmt: skip
        self.n_outputs = len(output[1])

    def logits(
        self,
        ids: Ints,
        starts: Ints,
        lengths: Ints,
        *,
        tables: Sequence[Floats],
        ngrams: Ngrams | None = None,
    ) -> Floats:
        """Return logits (n, C) of messages.

        A message's logits do not depend on the others, to the last bit.

        Parameters
        ----------
        ids : all token ids; message m reads `lengths[m]` ≥ 1 of them from `starts[m]` on
        tables : W x + b of the first layer by id, (V, G H) a direction; last, with `ngrams`, what
            words bring to that branch, (V, C + 1)

        Raises
        ------
        ValueError
            A message ends past the ids, an id past the tables, or a shape is another.
        TypeError
            An array is not of int64 or float32.
        """
        out = np.empty((len(starts), self.n_outputs), np.float32)
        order = np.argsort(-lengths, kind="stable") if len(lengths) > 1 else np.zeros(1, np.int64)
        branch = None if ngrams is None else ngrams._kernel
        self._kernel.logits(ids, starts, lengths, order[: len(out)], tuple(tables), out, branch)
        return out


class Ngrams:
    """The linear branch's pairs of words; its rows of single words are in a table.

    Parameters
    ----------
    n_words : size of the vocabulary; ids from there on are in no pair
    floor : the least a message's sum of squares counts
    share : of the answer, 0 to 1
    keys : (P,) left · (n_words + 2) + right, ascending
    numbers : (2^b,) the pair that a slot holds, or −1: a key's slot are the b upper bits of its
        product with 0x9E3779B97F4A7C15
    crowded : (n,) the pairs whose slot holds another, ascending
    rows : (P, C + 1) weights, and in the last column squares
    bias : (C,)
    """

    def __init__(
        self,
        *,
        n_words: int,
        floor: float,
        share: float,
        keys: Ints,
        numbers: npt.NDArray[np.int32],
        crowded: Ints,
        rows: Floats,
        bias: Floats,
    ) -> None:
        arrays = keys, crowded, numbers, np.ascontiguousarray(rows), np.ascontiguousarray(bias)
        self._kernel: Any = _kernel.Ngrams(n_words, floor, share, *arrays)


class Surfaces:
    """Words between white space, and their token ids.

    Examples
    --------
    >>> words = Surfaces()
    >>> words.add("Fire!".encode(), np.array([7, 3]))
    >>> ids, ends, missed = words.encode(b"Fire!  Fire!\\0\\0smoke\\0", 3)
    >>> ids.tolist(), ends.tolist(), missed
    ([7, 3, 7, 0, 0, 0], [3, 4, 5], [b'smoke'])
    >>> len(words)
    1
    """

    def __init__(self) -> None:
        self._kernel: Any = _kernel.Surfaces(os.urandom(16))

    def __len__(self) -> int:
        return len(self._kernel)

    def add(self, word: bytes, ids: Ints) -> None:
        """Remember a word's ids, unless it has some already."""
        self._kernel.add(word, ids)

    def encode(
        self, text: bytes, limit: int, more: Surfaces | None = None
    ) -> tuple[Ints, Ints, list[bytes]]:
        """Return the ids of messages, where each ends, and the words not known.

        Parameters
        ----------
        text : messages in UTF-8, each ended by a NUL
        limit : ids of a message at most; 0: all
        more : further words

        Returns
        -------
        ids with one place, a 0, behind each message's; the places of these; words neither knows,
        which are left out of the ids
        """
        other = None if more is None else more._kernel
        ids, ends, missed = self._kernel.encode(text, limit, other)
        bounds = np.frombuffer(missed, np.int64).tolist()
        words = [text[a:b] for a, b in zip(bounds[::2], bounds[1::2], strict=True)]
        return np.frombuffer(ids, np.int64), np.frombuffer(ends, np.int64), words


def _check(name: str, array: npt.NDArray[Any] | None, *shape: int) -> npt.NDArray[Any]:
    """Return an array, or raise a `ValueError` if it is not of that shape."""
    if array is None or array.shape != shape:
        found = "nothing" if array is None else array.shape
        raise ValueError(f"{name}: found {found}; {shape} is needed")
    return array


def _packed(matrix: Floats, bias: Floats | None, blocks: int, lanes: int) -> list[Floats]:
    """Return a matrix in the panels that the kernel reads, and its bias, each flat.

    Parameters
    ----------
    blocks : of columns, each filled up with zeros to whole vectors; 0: the columns are no blocks
    lanes : of a vector
    """
    if bias is not None and blocks and len(bias) * blocks == matrix.shape[1]:
        full, bias = bias, np.zeros(matrix.shape[1], np.float32)  # a GRU's b_hn: of one block
        bias[: len(full)] = full
    values = np.zeros((len(matrix) + 1, matrix.shape[1]), np.float32)
    values[:-1] = matrix
    values[-1] = 0.0 if bias is None else bias
    if blocks:
        block = values.shape[1] // blocks
        wide = np.zeros((len(values), blocks, -(-block // lanes) * lanes), np.float32)
        wide[:, :, :block] = values.reshape(len(values), blocks, block)
        values = wide.reshape(len(values), -1)
    panel = 2 * lanes
    padded = np.zeros((len(values), -(-values.shape[1] // panel) * panel), np.float32)
    padded[:, : values.shape[1]] = values
    n_panels = padded.shape[1] // panel
    panels = padded[:-1].reshape(len(matrix), n_panels, panel).transpose(1, 0, 2)
    return [panels.ravel(), padded[-1]]
