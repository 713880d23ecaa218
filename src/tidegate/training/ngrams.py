"""The linear branch learns: features of words, pairs, characters and vectors, and their weights.

Takes messages as token ids, their words and targets; gives the arrays that `engine.ngrams` answers
with. Knows nothing of the LSTM beside it.

The features are those of `engine.ngrams`. Their settings follow from the data:

    C = 2 k (2 for two classes, at most 60)       k classes: the loss is shared by as many columns
    vectors are scaled to 6/√(rows a class), from 0.3 to 1, beside n-grams of 1: they are worth most
        where rows are few
    pairs and runs must occur in 2 rows; under 1,000 rows, in one

n rows, V words in vocabulary, W words met, k outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

from tidegate.config import Kind
from tidegate.engine.bundle import Bundle
from tidegate.engine.ngrams import PREFIX, NgramBranch, character_runs, dequantised, quantised
from tidegate.text.ids import flatten
from tidegate.training.logistic import Floats, solve
from tidegate.training.pretrained import Pretrained

WEIGHT = 3.0  # of words and pairs beside runs of characters, of which a word has many
FEW_ROWS = 1000
DENSE_ROWS = 1500  # up to which all inner products of rows are kept
RANK = 48  # of the vectors' weights, where there are more outputs than that
MAX_RUN_BYTES, MAX_PAIR_BYTES = 2_200_000, 1_500_000
_FLOOR_QUANTILE = 0.01  # of the training rows' squared norms

Ids = Sequence[Sequence[int]]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Messages:
    """What the branch learns from.

    Attributes
    ----------
    ids : token ids of each of n messages
    words : every word that has an id, in id order; the first `n_vocabulary` are in vocabulary
    n_special : ids that are no words (padding, unknown)
    pretrained : the vectors of words, if the branch is to read them
    """

    ids: Ids
    words: Sequence[str]
    n_vocabulary: int
    n_special: int
    pretrained: Pretrained | None


def fit_ngrams(
    messages: Messages,
    targets: Floats,
    *,
    kind: Kind,
    weights: Floats | None = None,
) -> Arrays:
    """Return the arrays of a linear branch, by their names in a bundle.

    Parameters
    ----------
    targets : (n, L) the share of each label; of a binary model both columns
    weights : (n, 1) how much each row counts, or (n, L) for multi-label; by default 1
    """
    wanted = _wanted(targets, kind)  # (n, k)
    k = wanted.shape[1]
    # Several threads would add up in another order, and so give other bytes on another machine.
    with threadpool_limits(limits=1):
        features = _Features(messages, classes=1 if kind == "multilabel" else max(k, 2))
        found = solve(
            features.gram, wanted, softmax=kind == "multiclass", weights=weights,
            penalty=_penalty(kind, k),
        )  # fmt: skip
        arrays = features.folded(found.rows)
    arrays["bias"] = found.bias
    arrays["floor"] = np.array([features.floor], np.float32)
    return {PREFIX + name: array for name, array in arrays.items()}


def corrected(
    bundle: Bundle, messages: Messages, targets: Floats, *, weights: Floats | None = None
) -> Arrays:
    """Return a bundle's linear branch, its words' weights and bias corrected by new messages.

    The branch answers as before, plus Σ_t d(w_t) / norm + e. What is learned is d, of words in
    vocabulary, and e, by the same loss and penalty: the farther from what it was, the dearer. Runs,
    pairs and vectors stay, so that messages of other words are answered as they were, but for e.

    Parameters
    ----------
    bundle : its words and labels are those of the messages
    targets, weights : as for `fit_ngrams`
    """
    kind, n_words = bundle.kind, messages.n_vocabulary
    own = {name: a for name, a in bundle.weights.items() if name.startswith(PREFIX)}
    branch = NgramBranch(own, n_words=n_words, pieces=bundle.pieces)
    words = list(messages.words)
    with threadpool_limits(limits=1):
        table = branch.word_rows(np.arange(len(words)), words[n_words:])
        sums = branch.sums(flatten(messages.ids), table)
        norms = branch.norms(sums)
        counts = _counts([_real(ids, messages) for ids in messages.ids], len(words))[:, :n_words]
        in_rows = np.asarray((counts > 0).sum(axis=0)).ravel()
        scales = sparse.diags(WEIGHT * _idf(in_rows, len(messages.ids)))
        features = (sparse.diags(1 / norms[:, 0]) @ counts @ scales).tocsr().astype(np.float32)
        turned = features.T.tocsr()
        found = solve(
            lambda a: features @ (turned @ a), _wanted(targets, kind),
            softmax=kind == "multiclass", weights=weights,
            penalty=_penalty(kind, branch.n_outputs),
            before=sums[:, :-1] / norms + branch.bias,
        )  # fmt: skip
        change = scales @ (turned @ found.rows)  # (V, k)
    rows = dequantised(own[f"{PREFIX}word_rows"], own[f"{PREFIX}word_scales"]) + change
    changed = np.abs(change).max(axis=1) > 0  # the others keep their very bytes
    new_rows, new_scales = quantised(rows)
    for name, values in (("word_rows", new_rows), ("word_scales", new_scales)):
        array = own[PREFIX + name].copy()
        array[changed] = values[changed]
        own[PREFIX + name] = array
    own[f"{PREFIX}bias"] = branch.bias + found.bias
    return own


def _wanted(targets: Floats, kind: Kind) -> Floats:
    """Return the shares of each output (n, k)."""
    return np.ascontiguousarray(targets[:, 1:] if kind == "binary" else targets, np.float32)


def _penalty(kind: Kind, k: int) -> float:
    return 2.0 if k == 1 else min(2.0 * k, 60.0) if kind == "multiclass" else 2.0


class _Features:
    """The features of n messages, in factors: messages → words and pairs, words → runs, vectors."""

    def __init__(self, messages: Messages, *, classes: int) -> None:
        self.messages = messages
        n = len(messages.ids)
        low = 1 if n < FEW_ROWS else 2
        n_words = len(messages.words)
        listed = np.zeros(n_words)
        listed[messages.n_special : messages.n_vocabulary] = 1.0
        words = _counts([_real(ids, messages) for ids in messages.ids], n_words)  # (n, W)
        self.counts = np.asarray(words.sum(axis=0)).ravel()  # (W,)
        read = self.counts > 0
        read[messages.n_special : messages.n_vocabulary] = True
        self.read = np.flatnonzero(read)  # words of no row, in no vocabulary, are left alone
        in_rows = np.asarray((words > 0).sum(axis=0)).ravel()
        self.word_idf = WEIGHT * _idf(in_rows, n) * listed  # (W,) 0: no weight of its own
        self.pairs, pair_counts, pair_rows = _pairs(messages, low)
        self.pair_idf = WEIGHT * _idf(pair_rows, n)
        self.hashes, runs, run_rows = _runs(messages.words, words, self.read, low)
        self.run_idf = _idf(run_rows, n)
        self.runs = (runs @ sparse.diags(self.run_idf)).tocsr().astype(np.float32)  # (W, R)
        squares = np.asarray(self.runs.multiply(self.runs).sum(axis=1)).ravel()
        self.word_norms = squares + self.word_idf**2  # (W,)
        self.pair_norms = self.pair_idf**2
        norms = words @ self.word_norms + pair_counts @ self.pair_norms
        self.floor = float(np.quantile(norms, _FLOOR_QUANTILE)) or 1.0
        inverse = sparse.diags(1 / np.sqrt(np.maximum(norms, self.floor)))
        self.by_word = (inverse @ words).tocsr().astype(np.float32)  # (n, W)
        self.by_pair = (inverse @ pair_counts @ sparse.diags(self.pair_idf)).tocsr().astype("f4")
        self.vectors, self.centre, self.scale = self._vectors(n / classes)
        self._turned = self.by_word.T.tocsr(), self.by_pair.T.tocsr(), self.runs.T.tocsr()
        self._kept = self._product(np.eye(n, dtype=np.float32)) if n <= DENSE_ROWS else None

    def _vectors(self, rows_a_class: float) -> tuple[Floats | None, Floats, float]:
        """Return words' pretrained vectors (W, D), centred and scaled, the centre and the scale."""
        pretrained = self.messages.pretrained
        if pretrained is None:
            return None, np.zeros(0, np.float32), 0.0
        raw = np.zeros((len(self.messages.words), pretrained.table.shape[1]), np.float32)
        raw[self.read] = pretrained.rows([self.messages.words[i] for i in self.read.tolist()])
        centre = (self.counts @ raw / max(self.counts.sum(), 1)).astype(np.float32)
        some = np.abs(raw).sum(axis=1, keepdims=True) > 0
        raw = np.where(some, raw - centre, np.float32(0))
        spread = float(np.sqrt(((self.by_word @ raw) ** 2).sum(axis=1).mean()))
        scale = float(np.clip(6 / np.sqrt(rows_a_class), 0.3, 1.0)) / max(spread, 1e-9)
        return np.asarray(raw * np.float32(scale), np.float32), centre, scale

    def gram(self, a: Floats) -> Floats:
        """Return the product (n, k) with the inner products of all rows."""
        return self._product(a) if self._kept is None else np.asarray(self._kept @ a, np.float32)

    def _product(self, a: Floats) -> Floats:
        of_words, of_pairs = self._turned[0] @ a, self._turned[1] @ a
        found = self.by_word @ self._word_values(of_words) + self.by_pair @ of_pairs
        return np.asarray(found, np.float32)

    def _word_values(self, of_words: Floats) -> Floats:
        """Return what words bring (W, k), from what comes to words of the rows (W, k)."""
        squares = (self.word_idf**2).astype(np.float32)[:, None]
        values = squares * of_words + self.runs @ (self._turned[2] @ of_words)
        if self.vectors is not None:
            values += self.vectors @ (self.vectors.T @ of_words)
        return np.asarray(values, np.float32)

    def folded(self, rows: Floats) -> Arrays:
        """Return the arrays of the weights Φᵀ a, folded to a row a word and a row a pair."""
        n_vocabulary = self.messages.n_vocabulary
        of_words = self._turned[0] @ rows
        runs = self.run_idf.astype(np.float32)[:, None] * (self._turned[2] @ of_words)
        pairs = self.pair_idf.astype(np.float32)[:, None] * (self._turned[1] @ rows)
        values = self._word_values(of_words)[:n_vocabulary]
        arrays = _rows("word", values, self.word_norms[:n_vocabulary])
        arrays |= _kept_runs(self.hashes, runs, self.run_idf**2)
        arrays |= _kept_pairs(self.pairs, pairs, self.pair_norms)
        if self.vectors is not None and self.messages.pretrained is not None:
            weights = np.float32(self.scale) * (self.vectors.T @ of_words)  # (D, k)
            arrays |= _pieces(self.messages.pretrained, self.centre, weights)
        return arrays


def _real(ids: Sequence[int], messages: Messages) -> list[int]:
    return [i for i in ids if i >= messages.n_special]


def _idf(rows: npt.NDArray[Any], n: int) -> npt.NDArray[np.float64]:
    """Return the smooth inverse document frequency of features that so many of n rows hold."""
    found: npt.NDArray[np.float64] = np.log((1 + n) / (1 + np.asarray(rows, np.float64))) + 1
    return found


def _counts(rows: Sequence[Sequence[int]], width: int) -> Any:
    """Return how often each number stands in each row, as a sparse (n, width)."""
    ends = np.cumsum([0, *map(len, rows)])
    flat = np.fromiter((i for row in rows for i in row), np.int64, count=int(ends[-1]))
    found = sparse.csr_matrix((np.ones(len(flat)), flat, ends), shape=(len(rows), width))
    found.sum_duplicates()
    return found


def _pairs(messages: Messages, low: int) -> tuple[npt.NDArray[np.int64], Any, npt.NDArray[Any]]:
    """Return the pairs kept (P, 2) in order, their counts (n, P), and how many rows hold each."""
    begin, end = messages.n_vocabulary, messages.n_vocabulary + 1  # ids of no word in vocabulary
    listed = range(messages.n_special, messages.n_vocabulary)
    found: list[list[tuple[int, int]]] = []
    for ids in messages.ids:
        around = [begin, *(i if i in listed else -1 for i in ids), end]
        found.append([(u, w) for u, w in pairwise(around) if u >= 0 and w >= 0])
    in_rows = Counter(pair for row in found for pair in set(row))
    kept = sorted(pair for pair, count in in_rows.items() if count >= low)
    index = {pair: i for i, pair in enumerate(kept)}
    counts = _counts([[index[p] for p in row if p in index] for row in found], len(kept))
    pairs = np.array(kept, np.int64).reshape(-1, 2)
    return pairs, counts, np.array([in_rows[pair] for pair in kept])


def _runs(
    words: Sequence[str], counts: Any, read: npt.NDArray[np.int64], low: int
) -> tuple[npt.NDArray[np.uint32], Any, npt.NDArray[Any]]:
    """Return the hashes of the runs kept, in order, their counts (W, R), and their rows' number."""
    of_word: list[list[int]] = [[] for _ in words]
    for i in read.tolist():
        of_word[i] = character_runs(words[i])
    hashes = np.unique(np.array([run for runs in of_word for run in runs], np.int64))
    places = [np.searchsorted(hashes, runs).tolist() if runs else [] for runs in of_word]
    in_words = _counts(places, len(hashes))
    in_rows = np.asarray(((counts @ in_words) > 0).sum(axis=0)).ravel()
    kept = np.flatnonzero(in_rows >= low)
    return hashes[kept].astype(np.uint32), in_words[:, kept], in_rows[kept]


def _rows(name: str, values: Floats, norms: npt.NDArray[Any]) -> Arrays:
    rows, scales = quantised(values)
    return {
        f"{name}_rows": rows, f"{name}_scales": scales,
        f"{name}_norms": np.asarray(norms, np.float32),
    }  # fmt: skip


def _kept_runs(hashes: npt.NDArray[Any], values: Floats, norms: npt.NDArray[Any]) -> Arrays:
    """Return the runs of largest weight that there is room for: only new words need them."""
    kept = _largest(values, MAX_RUN_BYTES // (values.shape[1] + 10))
    return {"run_hashes": hashes[kept], **_rows("run", values[kept], norms[kept])}


def _kept_pairs(pairs: npt.NDArray[Any], values: Floats, norms: npt.NDArray[Any]) -> Arrays:
    """Return the pairs of largest weight that there is room for."""
    kept = _largest(values, MAX_PAIR_BYTES // (values.shape[1] + 14))
    return {"pairs": pairs[kept].astype(np.int32), **_rows("pair", values[kept], norms[kept])}


def _largest(values: Floats, at_most: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows of largest norm, in ascending order."""
    if len(values) <= at_most:
        return np.arange(len(values))
    norms = np.square(values).sum(axis=1)
    return np.sort(np.argsort(-norms, kind="stable")[:at_most])


def _pieces(pretrained: Pretrained, centre: Floats, weights: Floats) -> Arrays:
    """Return what each piece of a word's vector brings (P, k), or a (P, 48) and a (48, k)."""
    arrays: Arrays = {}
    if weights.shape[1] > RANK:
        # The best approximation of that rank (Eckart & Young 1936).
        left, sizes, right = np.linalg.svd(weights, full_matrices=False)
        weights = left[:, :RANK] * sizes[:RANK]
        arrays["piece_output"] = right[:RANK].astype(np.float32)
    rows, scales = quantised((pretrained.table - centre) @ weights)
    return {"piece_rows": rows, "piece_scales": scales, **arrays}
