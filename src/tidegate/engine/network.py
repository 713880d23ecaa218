"""The whole network in NumPy: word ids to logits.

Takes the config and weights of a bundle; gives logits for packed messages. Knows nothing of text
or files. This is the engine that answers; `lstm` holds its recurrence. A network only holds weights
and never changes, so any number of threads may use it.

The first layer's W x + b depends on the word alone: it is worked out the first time a word is met
and kept in a table (a row a word, for each direction; `words` keeps them), so a step costs a
look-up, one product with h, and the gates.

B messages, S tokens in all, E values of a word, H units, G gates, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidegate.config import NetworkConfig
from tidegate.engine.batches import Packed
from tidegate.engine.cells import gru_layer, rnn_layer
from tidegate.engine.lstm import Floats, Trace, fold, lstm_layer, lstm_message
from tidegate.engine.ngrams import NgramBranch
from tidegate.engine.products import LONGEST, Product
from tidegate.engine.vectors import WordVectors
from tidegate.text.ids import Flat

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One direction of a layer, folded: W.T (E, GH), b (GH,), U.T (H, GH), GRU's b_hn (H,)."""

    inputs: Floats
    times_inputs: Product
    bias: Floats
    recurrent: Floats
    hidden_bias: Floats | None
    reverse: bool


class Network:
    """Weights ready to answer.

    Parameters
    ----------
    config : the network's shape
    weights : arrays under PyTorch's names, as a bundle holds them
    tokens : the vocabulary, in id order
    vectors : pretrained vectors, if the network reads them beside its own embedding
    """

    def __init__(
        self,
        config: NetworkConfig,
        weights: Mapping[str, npt.NDArray[np.floating]],
        *,
        tokens: Sequence[str],
        vectors: WordVectors | None = None,
    ) -> None:
        self.config = config
        self.vectors = vectors
        self._embedding = np.asarray(weights["embedding.weight"], np.float32)  # (V, E)
        self._unknown = min(1, len(self._embedding) - 1)
        self._words = list(tokens)
        self.layers = [
            [_direction(config, weights, layer, reverse=r) for r in _directions(config)]
            for layer in range(config.num_layers)
        ]
        self._first_recurrent = np.stack([one.recurrent for one in self.layers[0]])
        self.ngrams: NgramBranch | None = None
        if config.ngrams != "none":
            pieces = vectors.pieces if vectors is not None else ""
            self.ngrams = NgramBranch(weights, n_words=len(tokens), pieces=pieces)
        self.dense = _linear(weights, "dense") if config.head_size else None
        self.output = _linear(weights, "output")
        self._into_dense = None if self.dense is None else Product(self.dense[0])
        self._into_output = Product(self.output[0])

    @property
    def n_outputs(self) -> int:
        """Logits of a message."""
        return len(self.output[1])

    @property
    def table_widths(self) -> tuple[int, ...]:
        """The columns of each table of words: one a direction of the first layer, then n-grams'."""
        widths = [direction.inputs.shape[1] for direction in self.layers[0]]
        if self.ngrams is not None:
            widths.append(self.ngrams.n_outputs + 1)
        return tuple(widths)

    def word_rows(self, ids: npt.NDArray[np.int64], new_words: Sequence[str] = ()) -> list[Floats]:
        """Return words' rows of each table: the first layer's folded W x + b, (n, GH) a direction.

        Last comes what the words bring to the n-gram branch, (n, k + 1), if there is one.

        `new_words` are the words of the ids from `len(vocabulary)` on, in id order.
        """
        x = self.word_vectors(ids, new_words)  # (n, E)
        rows = [direction.times_inputs(x) + direction.bias for direction in self.layers[0]]
        if self.ngrams is not None:
            rows.append(self.ngrams.word_rows(ids, new_words))
        return rows

    def word_vectors(self, ids: npt.NDArray[np.int64], new_words: Sequence[str] = ()) -> Floats:
        """Return the first layer's input (n, E) for word ids: pretrained values, then trained."""
        n_known = len(self._embedding)
        trained = self._embedding[np.where(ids < n_known, ids, self._unknown)]
        if self.vectors is None:
            return trained
        words = [self._words[i] if i < n_known else new_words[i - n_known] for i in ids]
        pretrained = self.vectors.rows(words)
        pretrained[ids == 0] = 0.0  # padding is no word
        return np.concatenate([pretrained, trained], axis=1)

    def logits(self, packed: Packed, tables: Sequence[Floats]) -> Floats:
        """Return (B, C) logits; `tables` as for `states`."""
        return self.head(self.pool(self.states(packed, tables), packed))

    def with_ngrams(self, logits: Floats, flat: Flat, tables: Sequence[Floats]) -> Floats:
        """Return the LSTM's logits (B, C) and those of the n-gram branch, weighted and added up.

            z = (1 − s) · z_LSTM + s · z_ngrams        s: the config's `ngram_share`

        Parameters
        ----------
        flat : the messages' token ids
        tables : as for `states`
        """
        if self.ngrams is None:
            return logits
        share = np.float32(self.config.ngram_share)
        mixed: Floats = (np.float32(1) - share) * logits
        return mixed + share * self.ngrams.logits(flat, tables[-1])

    def states(
        self,
        packed: Packed,
        tables: Sequence[Floats],
        *,
        traces: list[list[Trace]] | None = None,
    ) -> Floats:
        """Return (S, dirs · H): the top layer's state after every token.

        Parameters
        ----------
        tables : what `packed.token_ids` are rows of, a table a direction
        traces : `traces[layer][direction]` are filled, if given
        """
        below = np.empty((0, 0), np.float32)
        for number, layer in enumerate(self.layers):
            steps = packed
            if number:
                steps = replace(packed, token_ids=None)
            elif traces is None and packed.token_ids is not None and self._alone(packed):
                below = lstm_message(tables[: len(layer)], self._first_recurrent, packed.token_ids)
                continue
            outputs = []
            for d, direction in enumerate(layer):
                table = _table(below, direction) if number else tables[d]
                trace = traces[number][d] if traces is not None else None
                outputs.append(self._run(direction, table, steps, trace))
            below = np.concatenate(outputs, axis=1) if len(outputs) > 1 else outputs[0]
        return below

    def _alone(self, packed: Packed) -> bool:
        """Whether there is one message, for an LSTM whose products are not cut into parts."""
        config = self.config
        return len(packed.lengths) == 1 and config.cell == "lstm" and config.hidden_size <= LONGEST

    def _run(
        self, direction: Direction, table: Floats, packed: Packed, trace: Trace | None
    ) -> Floats:
        reverse, recurrent = direction.reverse, direction.recurrent
        if self.config.cell == "lstm":
            return lstm_layer(table, recurrent, packed, reverse=reverse, trace=trace)
        if direction.hidden_bias is not None:
            bias = direction.hidden_bias
            return gru_layer(table, recurrent, packed, hidden_bias=bias, reverse=reverse)
        return rnn_layer(table, recurrent, packed, reverse=reverse)

    def pool(self, states: Floats, packed: Packed) -> Floats:
        """Return one vector a message: (B, F), from its states (S, F)."""
        how = self.config.pooling
        if how in ("last", "padded_last"):
            rows = np.arange(len(packed.lengths))
            ends: Floats = states[packed.offsets[packed.lengths - 1] + rows]
            return ends
        first = states[: packed.counts[0]]
        largest, total = first.copy(), first.copy()
        if len(packed.lengths) == 1:  # one message needs no steps
            largest[0], total[0] = states.max(axis=0), states.sum(axis=0)
        else:
            for n, start in zip(packed.counts[1:], packed.offsets[1:], strict=False):
                step = states[start : start + n]
                np.maximum(largest[:n], step, out=largest[:n])
                total[:n] += step
        total /= packed.lengths[:, None].astype(np.float32)
        if how == "mean_max":
            return np.concatenate([total, largest], axis=1)
        return total if how == "mean" else largest

    def head(self, pooled: Floats) -> Floats:
        """Return logits (B, C) of pooled states (B, F)."""
        if self.dense is not None and self._into_dense is not None:
            pooled = np.maximum(self._into_dense(pooled) + self.dense[1], 0.0)
        return self._into_output(pooled) + self.output[1]


def _table(below: Floats, direction: Direction) -> Floats:
    """Return W x + b of the layer below's states (S, F): (S, GH)."""
    table = direction.times_inputs(below)
    table += direction.bias
    return table


def _directions(config: NetworkConfig) -> list[bool]:
    return [False, True] if config.bidirectional else [False]


def _linear(weights: Mapping[str, npt.NDArray[np.floating]], name: str) -> tuple[Floats, Floats]:
    w = np.ascontiguousarray(np.asarray(weights[f"{name}.weight"], np.float32).T)
    return w, np.asarray(weights[f"{name}.bias"], np.float32)


def weight_names(config: NetworkConfig, layer: int, *, reverse: bool) -> dict[str, str]:
    """Return PyTorch's names of one direction's arrays, by part."""
    end = f"_l{layer}_reverse" if reverse else f"_l{layer}"
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {part: f"{config.cell}.{part}{end}" for part in parts}


def _direction(
    config: NetworkConfig,
    weights: Mapping[str, npt.NDArray[np.floating]],
    layer: int,
    *,
    reverse: bool,
) -> Direction:
    names = weight_names(config, layer, reverse=reverse)
    w, u, b_x, b_h = (np.asarray(weights[name], np.float32) for name in names.values())
    hidden_bias = None
    if config.cell == "gru":
        units = config.hidden_size
        hidden_bias = b_h[2 * units :].copy()
        bias = b_x.copy()
        bias[: 2 * units] += b_h[: 2 * units]
    else:
        bias = b_x + b_h
    if config.cell == "lstm":
        w, u, bias = fold(w), fold(u), fold(bias)
    inputs = np.ascontiguousarray(w.T)
    return Direction(
        inputs=inputs, times_inputs=Product(inputs), bias=bias, recurrent=np.ascontiguousarray(u.T),
        hidden_bias=hidden_bias, reverse=reverse,
    )  # fmt: skip


def table_width(config: NetworkConfig) -> int:
    """Return how many numbers the tables of words hold for each word, all directions together."""
    return _GATES[config.cell] * config.hidden_size * len(_directions(config))


def weight_shapes(
    config: NetworkConfig, *, n_words: int, n_outputs: int
) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every array a bundle of this config must hold."""
    width = config.embedding_size + (config.vector_size if config.vectors != "none" else 0)
    rows = _GATES[config.cell] * config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (n_words, config.embedding_size)}
    out = config.hidden_size * len(_directions(config))
    for layer in range(config.num_layers):
        for reverse in _directions(config):
            names = weight_names(config, layer, reverse=reverse)
            shapes[names["weight_ih"]] = (rows, out if layer else width)
            shapes[names["weight_hh"]] = (rows, config.hidden_size)
            shapes[names["bias_ih"]] = shapes[names["bias_hh"]] = (rows,)
    pooled = out * (2 if config.pooling == "mean_max" else 1)
    if config.head_size:
        shapes["dense.weight"], shapes["dense.bias"] = (
            (config.head_size, pooled),
            (config.head_size,),
        )
        pooled = config.head_size
    shapes["output.weight"], shapes["output.bias"] = (n_outputs, pooled), (n_outputs,)
    return shapes
