"""The one engine that answers: a bundle and texts in, probabilities out.

Takes a `Bundle`, gives a `Predictor`. Everything that answers goes through it: the estimator, the
command line, the server. NumPy only: torch is for learning, never for answering.

Each distinct message of a call is computed once. Messages are sorted by length and run in chunks
without padding, so a message scores the same alone and in any company.
"""

from __future__ import annotations

import json
import sys
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.engine.batches import Packed, pack, pack_flat, pad
from tidegate.engine.blas import one_thread
from tidegate.engine.bundle import Bundle
from tidegate.engine.lstm import Floats
from tidegate.engine.network import Network
from tidegate.engine.workers import Workers, serve
from tidegate.errors import ConfigError, DataError
from tidegate.evaluation.thresholds import decide
from tidegate.text.encoder import MAX_OPEN_WORDS, Encoder
from tidegate.text.ids import Flat, flatten
from tidegate.text.vocabulary import PAD_ID, Vocabulary

Probabilities = npt.NDArray[np.float64]
CHUNK_VALUES = 192 * 1024  # of a step's gates, so that they stay in the processor's cache
CHUNK_MESSAGES = 384  # at least: fewer rows make slow matrix products
CHUNK_TOKENS = 131_072  # of a chunk at most, for messages of many tokens
BLOCK_MESSAGES = 2048  # sorted by length together
SHARED_MESSAGES = 1024  # given to a helper at a time
HELPED_MESSAGES = 6144  # of a call, beyond which helpers are started for it


class Predictor:
    """A model ready to answer.

    Parameters
    ----------
    bundle : the model
    threads : cores used at most; beyond one, helper processes are started for the first call of
        over 6,144 distinct messages, and stay until the predictor goes

    Examples
    --------
    >>> model = Predictor.load("model")  # doctest: +SKIP
    >>> model.predict_proba(["house on fire on 5th street"]).shape  # doctest: +SKIP
    (1, 2)
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        if threads < 1:
            raise ConfigError(f"threads: found {threads}; it must be at least 1")
        self.bundle = bundle
        self.threads = threads
        self._workers: Workers | None = None
        text, network = bundle.config.text, bundle.config.network
        vectors = bundle.word_vectors
        self.network = Network(network, bundle.weights, tokens=bundle.tokens, vectors=vectors)
        self.encoder = Encoder(
            text,
            Vocabulary(bundle.tokens),
            open_words=vectors is not None,
            length=bundle.sequence_length,
        )

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1) -> Predictor:
        """Load a bundle from its directory.

        Raises
        ------
        BundleError
            The bundle is missing, incomplete or changed.
        """
        return cls(Bundle.load(path), threads=threads)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels' names, in the order of `predict_proba`'s columns."""
        return self.bundle.labels

    @property
    def kind(self) -> Kind:
        """Binary, multiclass or multilabel."""
        return self.bundle.kind

    @property
    def n_outputs(self) -> int:
        """Logits of a message: one for a binary model, else one a label."""
        return 1 if self.kind == "binary" else len(self.labels)

    @property
    def threshold(self) -> float | Probabilities:
        """The probability from which a label is given: one, or (n_labels,) for multi-label."""
        thresholds = self.bundle.thresholds
        return thresholds[0] if len(thresholds) == 1 else np.array(thresholds)

    def predict_proba(self, texts: Iterable[Any]) -> Probabilities:
        """Return the probability of each label: (n_texts, n_labels), in [0, 1].

        Binary and multi-class rows sum to 1; multi-label columns are independent.

        Raises
        ------
        DataError
            A message is not text.
        """
        messages = [texts] if isinstance(texts, str) else list(texts)
        for number, text in enumerate(messages, 1):
            if not isinstance(text, str):
                found = type(text).__name__
                raise DataError(f"texts: row {number}: found {found} {text!r}; a message is text")
        distinct = list(dict.fromkeys(messages))
        probabilities = to_probabilities(
            self._spread(distinct), kind=self.kind, temperature=self.bundle.temperature
        )
        if len(distinct) == len(messages):
            return probabilities
        place = {text: i for i, text in enumerate(distinct)}
        return probabilities[[place[text] for text in messages]]

    def predict(self, texts: Iterable[Any]) -> list[str] | list[tuple[str, ...]]:
        """Return each message's label; multi-label: the tuple of those above their threshold."""
        return self.decide(self.predict_proba(texts))

    def decide(self, probabilities: Probabilities) -> list[str] | list[tuple[str, ...]]:
        """Return the labels that probabilities (n, n_labels) lead to."""
        chosen = self.choose(probabilities)
        if self.kind == "multilabel":
            return [tuple(self.labels[j] for j in np.flatnonzero(row)) for row in chosen]
        return [self.labels[i] for i in chosen]

    def choose(self, probabilities: Probabilities) -> npt.NDArray[np.int64]:
        """Return label numbers (n,), or (n, n_labels) of 0 and 1, by the bundle's thresholds."""
        return decide(probabilities, kind=self.kind, threshold=self.threshold)

    def _spread(self, texts: list[str]) -> Floats:
        """Return the logits (n, n_outputs) of distinct texts, block by block, helped if it pays."""
        if self.threads > 1 and self._workers is None and len(texts) > HELPED_MESSAGES:
            self._workers = _start_workers(self)
        size = SHARED_MESSAGES if self._workers else BLOCK_MESSAGES
        blocks = [texts[i : i + size] for i in range(0, len(texts), size)]
        if self._workers and len(blocks) > 1:
            shape = (-1, self.n_outputs)
            answers = self._workers.map(
                blocks,
                ask=self._block_logits,
                tell=lambda block: json.dumps(block).encode(),
                heard=lambda answer: np.frombuffer(answer, np.float32).reshape(shape),
            )
            return np.concatenate(answers)
        if len(blocks) == 1:
            return self._block_logits(texts)
        empty = np.empty((0, self.n_outputs), np.float32)
        return np.concatenate([empty, *map(self._block_logits, blocks)])

    def _block_logits(self, texts: Sequence[str]) -> Floats:
        if len(self.encoder.new_words) > MAX_OPEN_WORDS:
            self.encoder.forget_new_words()
            self.network.forget_new_words()
        return self._logits(self.encoder.encode_all(texts))

    def packed(self, id_lists: Sequence[Sequence[int]]) -> Packed:
        """Return id lists, sorted from long to short, as the network reads them."""
        if self.bundle.config.network.pooling != "padded_last":
            return pack_flat(flatten(id_lists))
        batch = pad(id_lists, width=self.bundle.sequence_length)
        batch.lengths[:] = batch.token_ids.shape[1]
        return pack(batch)

    def logits(self, id_lists: Sequence[Sequence[int]]) -> Floats:
        """Return logits (n, n_outputs) of encoded messages, in their order."""
        return self._logits(flatten(id_lists))

    def _logits(self, flat: Flat) -> Floats:
        lengths = flat.lengths
        logits = np.empty((len(lengths), self.n_outputs), np.float32)
        if not len(lengths):
            return logits
        order = np.argsort(-lengths, kind="stable")
        padded = self.bundle.config.network.pooling == "padded_last"
        self.network.learn_words(np.append(flat.ids, PAD_ID), self.encoder.new_words)
        size = max(CHUNK_VALUES // (4 * self.bundle.config.network.hidden_size), CHUNK_MESSAGES)
        start = 0
        with one_thread():
            while start < len(order):
                longest = max(int(lengths[order[start]]), 1)
                rows = order[start : start + max(min(size, CHUNK_TOKENS // longest), 1)]
                packed = self.packed(flat.lists(rows)) if padded else pack_flat(flat, rows)
                logits[rows] = self.network.logits(packed)
                start += len(rows)
        return logits


def _start_workers(predictor: Predictor) -> Workers:
    """Start the processes that help a predictor, with a copy of its bundle."""
    folder = tempfile.TemporaryDirectory(prefix="tidegate-")
    path = predictor.bundle.save(Path(folder.name) / "model")
    code = "from tidegate.engine.predictor import help_out; help_out()"
    workers = Workers(predictor.threads - 1, code, [str(path)])

    def close() -> None:
        workers.close()
        folder.cleanup()

    weakref.finalize(predictor, close)
    return workers


def help_out() -> None:
    """Be a helper process: logits for blocks of texts, by the bundle named on the command line."""
    predictor = Predictor.load(sys.argv[1])
    serve(lambda block: predictor._block_logits(json.loads(block)).tobytes())


def to_probabilities(
    logits: npt.NDArray[np.floating], *, kind: Kind, temperature: float = 1.0
) -> Probabilities:
    """Return probabilities (n, n_labels) of logits (n, n_outputs), in float64.

    Binary: σ(z) for the second label and the rest for the first; multi-class: softmax;
    multi-label: σ of each.
    """
    z = np.asarray(logits, np.float64) / temperature
    if kind == "multiclass":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        softmax: Probabilities = e / e.sum(axis=1, keepdims=True)
        return softmax
    positive = 0.5 * np.tanh(0.5 * z) + 0.5
    return positive if kind == "multilabel" else np.hstack([1.0 - positive, positive])
