"""The one engine that answers: a bundle and texts in, probabilities out.

Takes a `Bundle`, gives a `Predictor`. Everything that answers goes through it: the estimator, the
command line, the server. NumPy only: torch is for learning, never for answering.

Each distinct message of a call is computed once. Messages are sorted by length and run in chunks
without padding, so a message scores the same alone and in any company.

Any number of threads may use one predictor: each call works on the reader it took at its beginning
(`reader`). A forked process goes on with a reader and helper processes of its own, and a pickle
holds the bundle alone.
"""

from __future__ import annotations

import json
import os
import pickle
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.data.messages import as_messages
from tidegate.engine.bundle import Bundle
from tidegate.engine.kernel import TOLERANCE, Kernel, chosen, questions
from tidegate.engine.lstm import Floats
from tidegate.engine.network import Network
from tidegate.engine.reader import Reader
from tidegate.engine.summary import summary_html
from tidegate.engine.workers import Workers, serve
from tidegate.errors import ConfigError
from tidegate.evaluation.thresholds import decide
from tidegate.text.encoder import Encoder
from tidegate.text.vocabulary import Vocabulary

Probabilities = npt.NDArray[np.float64]
BLOCK_MESSAGES = 2048  # sorted by length together
BLOCK_CHARACTERS = 1_048_576  # of a block at most, which bounds the words met by one reader
SHARED_MESSAGES = 1024  # given to a helper at a time
HELPED_MESSAGES = 6144  # of a call, beyond which helpers are started for it


@dataclass(slots=True, kw_only=True)
class _Mine:
    """What a predictor keeps in one process; none of it may be used after a fork."""

    reader: Reader
    workers: Workers | None = None
    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers to n messages.

    Attributes
    ----------
    probabilities : (n, n_labels)
    tokens : (n,) tokens read
    unknown : (n,) share of these that are not in the vocabulary
    """

    probabilities: Probabilities
    tokens: npt.NDArray[np.int64]
    unknown: Probabilities


class Predictor:
    """A model ready to answer, from any number of threads.

    Parameters
    ----------
    bundle : the model
    threads : cores used at most; in NumPy, beyond one, helper processes are started for the first
        call of over 6,144 distinct messages, and stay until the predictor goes
    engine : `"numpy"`; `"fast"`, the kernel of `tidegate[fast]`; or `"auto"`, which is fast where
        that is installed. A kernel that differs from NumPy by more than 1e-6 on a handful of
        messages does not answer: `engine_note` says so, and `"fast"` warns

    Attributes
    ----------
    engine : what answers: `"fast"` or `"numpy"`
    engine_note : the kernel's instruction set, or why NumPy answers; may be empty

    Raises
    ------
    ConfigError
        `engine="fast"`, and `tidegate-fast` is not installed.

    Examples
    --------
    >>> model = Predictor.load("model")  # doctest: +SKIP
    >>> model.predict_proba(["house on fire on 5th street"]).shape  # doctest: +SKIP
    (1, 2)
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, engine: str = "auto") -> None:
        if threads < 1:
            raise ConfigError(f"threads: found {threads}; it must be at least 1")
        self.bundle = bundle
        self.threads = threads
        vectors = bundle.word_vectors
        self.network = Network(
            bundle.config.network, bundle.weights, tokens=bundle.tokens, vectors=vectors
        )
        encoder = Encoder(
            bundle.config.text,
            Vocabulary(bundle.tokens),
            open_words=vectors is not None or self.network.ngrams is not None,
            length=bundle.sequence_length,
        )
        self._wanted = engine
        self._mine = _Mine(reader=self._fastest(Reader.new(self.network, encoder), engine))
        self.engine = "numpy" if self._mine.reader.kernel is None else "fast"

    def _fastest(self, reader: Reader, engine: str) -> Reader:
        """Return the reader with the kernel, if it may be used and answers as NumPy does."""
        module, self.engine_note = chosen(engine)
        if module is None:
            return reader
        kernel = Kernel(self.network, module)
        fast = reader.with_kernel(kernel)
        with np.errstate(all="ignore"):
            asked = questions(len(reader.encoder.vocabulary), reader.encoder.limit or 0)
            expected, found = (self._probable(one.flat_logits(asked)) for one in (reader, fast))
            gap = float(np.abs(expected - found).max())
        if gap <= TOLERANCE:
            self.engine_note = kernel.instructions
            return fast
        self.engine_note = f"tidegate-fast differs by {gap:.1e} on test messages"
        if engine == "fast":
            warnings.warn(f"{self.engine_note}: NumPy answers", RuntimeWarning, stacklevel=3)
        return reader

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1, engine: str = "auto") -> Predictor:
        """Load a bundle from its directory.

        Raises
        ------
        BundleError
            The bundle is missing, incomplete or changed.
        ConfigError
            As for the class.
        """
        return cls(Bundle.load(path), threads=threads, engine=engine)

    def __getstate__(self) -> dict[str, Any]:
        return {"bundle": self.bundle, "threads": self.threads, "engine": self._wanted}

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the model: a table."""
        return summary_html(self.bundle)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Predictor.__init__(self, **state)

    @property
    def encoder(self) -> Encoder:
        """Texts to ids, as this moment's reader does it; to use the ids, hold a `reader`."""
        return self.reader().encoder

    def reader(self) -> Reader:
        """Return what a call works on from its beginning to its end: ids, and logits of ids."""
        mine = self._of_this_process()
        if not mine.reader.full:
            return mine.reader
        with mine.lock:
            if mine.reader.full:  # else another thread was first
                mine.reader = mine.reader.without_new_words()
            return mine.reader

    def _of_this_process(self) -> _Mine:
        mine = self._mine
        if mine.pid != os.getpid():
            # Forked. A thread that is not here may have held a lock, and the helpers are another's.
            mine = self._mine = _Mine(reader=mine.reader.without_new_words())
        return mine

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

        Parameters
        ----------
        texts : a list, an array, a series, a data frame of one column, or another iterable of
            messages; a single text is a list of one

        Raises
        ------
        DataError
            It is something else, such as a dict or a data frame of several columns, or a message
            is not text.
        """
        messages = [texts] if isinstance(texts, str) else as_messages(texts)
        distinct = list(dict.fromkeys(messages))
        probabilities = self._probable(self._spread(distinct))
        if len(distinct) == len(messages):
            return probabilities
        place = {text: i for i, text in enumerate(distinct)}
        return probabilities[[place[text] for text in messages]]

    def answer(self, texts: Sequence[str]) -> Answers:
        """Return probabilities, the same as `predict_proba`'s, and what was read of each message.

        It is for callers that tell their users how well the model knows a message's words. The
        messages are computed together, as they are given, without helpers.
        """
        logits, tokens, unknown = self.reader().answer(texts)
        return Answers(probabilities=self._probable(logits), tokens=tokens, unknown=unknown)

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

    def _probable(self, logits: Floats) -> Probabilities:
        return to_probabilities(logits, kind=self.kind, temperature=self.bundle.temperature)

    def _spread(self, texts: list[str]) -> Floats:
        """Return the logits (n, n_outputs) of distinct texts, block by block, helped if it pays."""
        if self.engine == "fast" and self.threads > 1 and len(texts) > SHARED_MESSAGES:
            return self._in_threads(list(_blocks(texts, SHARED_MESSAGES)))
        workers = self._helpers(len(texts))
        blocks = list(_blocks(texts, SHARED_MESSAGES if workers else BLOCK_MESSAGES))
        if workers and len(blocks) > 1:
            shape = (-1, self.n_outputs)
            answers = workers.map(
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

    def _in_threads(self, blocks: list[list[str]]) -> Floats:
        """Return the logits of blocks; the kernel lets go of the interpreter's lock."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate(list(pool.map(self._block_logits, blocks)))

    def _helpers(self, n_texts: int) -> Workers | None:
        """Return the helper processes, started if so many texts are worth it."""
        if self.threads == 1 or self.engine == "fast":
            return None
        mine = self._of_this_process()
        if mine.workers is None and n_texts > HELPED_MESSAGES:
            with mine.lock:
                if mine.workers is None:
                    mine.workers = _start_workers(self)
        return mine.workers

    def _block_logits(self, texts: Sequence[str]) -> Floats:
        return self.reader().text_logits(texts)


def _blocks(texts: list[str], n_messages: int) -> Iterator[list[str]]:
    """Cut texts into blocks of so many messages, and of no more than BLOCK_CHARACTERS or one."""
    for start in range(0, len(texts), n_messages):
        waiting = [texts[start : start + n_messages]]
        while waiting:
            block = waiting.pop()
            if len(block) > 1 and sum(map(len, block)) > BLOCK_CHARACTERS:
                half = len(block) // 2
                waiting += [block[half:], block[:half]]
            else:
                yield block


def _start_workers(predictor: Predictor) -> Workers:
    """Start the processes that help a predictor.

    They are sent its bundle: there is no copy in a file that a killed process would leave, and a
    bundle that is replaced on disk meanwhile answers nothing. A pickle will do between a process
    and those it starts; what is read from a file never is one.
    """
    code = "from tidegate.engine.predictor import help_out; help_out()"
    first = pickle.dumps(replace(predictor.bundle, extra_files={}))
    workers = Workers(predictor.threads - 1, code, first)
    pid = os.getpid()

    def close() -> None:
        if os.getpid() == pid:  # a forked process has no say in its parent's helpers
            workers.close()

    weakref.finalize(predictor, close)
    return workers


def help_out() -> None:
    """Be a helper process: logits for blocks of texts, by the bundle that is sent first."""

    def begin(first: bytes) -> Callable[[bytes], bytes]:
        predictor = Predictor(pickle.loads(first), engine="numpy")  # nosec B301: from the process that started it
        return lambda block: predictor._block_logits(json.loads(block)).tobytes()

    serve(begin)


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
