"""The linear branch: word and character n-grams, folded to one row a word, in NumPy.

Takes the branch's arrays and messages' token ids, gives logits. Knows nothing of text files or of
how the weights were learned.

Features of a message's tokens w_1 … w_T: each word, each pair of neighbours (with a mark for the
beginning and the end), the runs of 2 to 5 characters inside each word (with marks for its ends),
and each word's pretrained vector. A feature's value is how often it occurs times its inverse
document frequency. The branch is a linear model of these, divided by their norm:

    z = (Σ_t r(w_t) + Σ_t p(w_t, w_{t+1})) / √max(q₀, Σ_t q(w_t) + Σ_t q(w_t, w_{t+1})) + b

    r(w)      what a word brings: the weights of itself, its runs and its vector, added up
    p(u, w)   the weight of a pair
    q         the squared values of the same features, vectors left out
    q₀        a floor for messages of which hardly anything is known

Everything that depends on one word alone is added up once, when the word is first met, so that a
message costs a table look-up a token, as in the LSTM's first layer. A word out of vocabulary has
the runs and the vector, but no weight of its own and no pairs.

The norm makes the features those of TF-IDF (Salton & Buckley 1988), but for the square of a feature
that occurs twice. Runs of characters within words are those of Bojanowski et al. 2017.

V words, k outputs, B messages, N tokens in all.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.engine.pairs import PairIndex, found_in
from tidegate.engine.products import Product
from tidegate.engine.vectors import cut_words, piece_means
from tidegate.text.ids import Flat, Ints

Floats = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]

PREFIX = "ngrams."
SHORTEST_RUN, LONGEST_RUN = 2, 5
MAX_RUN_CHARACTERS = 64  # of a word whose runs are read, which bounds the time of a long one
SMALLEST_FLOOR = 1e-6  # of a norm, which divides
_AT_ONCE = 1_000_000
_FIRST = np.zeros(1, np.int64)


def character_runs(word: str) -> list[int]:
    """Return the CRC-32 of each run of 2 to 5 characters of a word, marks at its ends included.

    Words that stand for many others, such as `<url>`, have none.

    Examples
    --------
    >>> len(character_runs("fire")), character_runs("<url>")
    (14, [])
    """
    if len(word) > 1 and word[0] == "<":
        return []
    marked = "\x02" + word[:MAX_RUN_CHARACTERS] + "\x03"
    # Cut as bytes where a character is one: a slice of a text would have to be encoded each time.
    text: str | bytes = marked.encode() if marked.isascii() else marked
    runs = [
        text[start : start + size]
        for size in range(SHORTEST_RUN, LONGEST_RUN + 1)
        for start in range(len(marked) - size + 1)
    ]
    if isinstance(text, str):
        return [zlib.crc32(run.encode("utf-8", "surrogatepass")) for run in runs]  # type: ignore[union-attr]
    return list(map(zlib.crc32, runs))  # type: ignore[arg-type]


class NgramBranch:
    """The branch's arrays, ready to answer; they never change, so any thread may use them.

    Parameters
    ----------
    arrays : a bundle's, by name; see `array_shapes`
    n_words : words in vocabulary (V)
    pieces : what cuts words into the pieces that have vectors; empty without pretrained vectors
    """

    def __init__(self, arrays: Arrays, *, n_words: int, pieces: str) -> None:
        own = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
        self.n_words = n_words
        self.pieces = pieces if "piece_rows" in own else ""
        self._words = np.concatenate(
            [dequantised(own["word_rows"], own["word_scales"]), own["word_norms"][:, None]], axis=1
        ).astype(np.float32)  # (V, k + 1)
        self.bias: Floats = np.asarray(own["bias"], np.float32)
        self.floor = float(own["floor"][0])
        output = own.get("piece_output")
        self._piece_output = None if output is None else Product(output.astype(np.float32))
        self._own = own
        left, right = own["pairs"].astype(np.int64).T
        self._pair_keys = np.ascontiguousarray(left * (n_words + 2) + right)  # ascending
        self._pair_rows = np.concatenate(
            [dequantised(own["pair_rows"], own["pair_scales"]), own["pair_norms"][:, None]], axis=1
        ).astype(np.float32)  # (P, k + 1)
        self.pair_index = PairIndex(self._pair_keys)

    @property
    def n_outputs(self) -> int:
        """Logits of a message (k)."""
        return len(self.bias)

    def word_rows(self, ids: Ints, new_words: Sequence[str] = ()) -> Floats:
        """Return what words bring, (n, k + 1): r(w), and in the last column q(w).

        `new_words` are the words of the ids from V on, in id order.
        """
        rows = np.zeros((len(ids), self.n_outputs + 1), np.float32)
        known = ids < self.n_words
        rows[known] = self._words[ids[known]]
        if not known.all():
            words = [new_words[i - self.n_words] for i in ids[~known].tolist()]
            rows[~known] = self._unlisted(words)
        return rows

    def _unlisted(self, words: Sequence[str]) -> Floats:
        """Return the rows of words out of vocabulary: their runs' and their vectors' alone."""
        own = self._own
        rows = np.zeros((len(words), self.n_outputs + 1), np.float32)
        runs = [character_runs(word) for word in words]
        lengths = np.fromiter(map(len, runs), np.int64, count=len(runs))
        hashes = np.fromiter(chain.from_iterable(runs), np.uint32, count=int(lengths.sum()))
        found, place = found_in(own["run_hashes"], hashes)
        if len(place):
            # A run that a word holds c times has the value c · idf: its weight counts c times and
            # its square c² times.
            word_of = np.repeat(np.arange(len(words)), lengths)[found]
            n_runs = len(own["run_hashes"])
            pairs, counts = np.unique(word_of * n_runs + place, return_counts=True)
            word_of, place = pairs // n_runs, pairs % n_runs
            often = counts[:, None].astype(np.float32)
            values = dequantised(own["run_rows"][place], own["run_scales"][place]) * often
            squares = own["run_norms"][place].astype(np.float32)[:, None] * often**2
            first = np.flatnonzero(np.diff(word_of, prepend=-1))
            both = np.concatenate([values, squares], axis=1)
            rows[word_of[first]] = np.add.reduceat(both, first, axis=0)
        if self.pieces:
            rows[:, :-1] += self.of_vectors(words)
        return rows

    def of_vectors(self, words: Sequence[str]) -> Floats:
        """Return what words' pretrained vectors bring, (n, k)."""
        own = self._own

        def rows_of(ids: Ints) -> Floats:
            return dequantised(own["piece_rows"][ids], own["piece_scales"][ids])

        width = own["piece_rows"].shape[1]
        rows = piece_means(cut_words(words, self.pieces), rows_of, width=width)
        return rows if self._piece_output is None else self._piece_output(rows)

    def logits(self, flat: Flat, table: Floats) -> Floats:
        """Return logits (B, k) of messages.

        Parameters
        ----------
        flat : their token ids
        table : (n, k + 1) rows of every id that occurs, as `word_rows` gives them
        """
        sums = self.sums(flat, table)
        return sums[:, :-1] / self.norms(sums) + self.bias

    def norms(self, sums: Floats) -> Floats:
        """Return what the sums (B, k + 1) of messages are divided by, (B, 1)."""
        norms: Floats = np.sqrt(np.maximum(sums[:, -1:], np.float32(self.floor)))
        return norms

    def sums(self, flat: Flat, table: Floats) -> Floats:
        """Return Σ r + Σ p (B, k), and in the last column Σ q, of messages."""
        if not len(flat.lengths):
            return np.zeros((0, self.n_outputs + 1), np.float32)
        if len(flat.lengths) == 1:
            return self._sums_of_one(flat, table)
        values = table.take(flat.ids, axis=0, mode="clip")
        found = _segment_sums(values, flat.starts, flat.lengths)
        messages, rows = self.pair_rows(flat)
        if len(messages):
            first = np.flatnonzero(np.diff(messages, prepend=-1))
            of_pairs = self._pair_rows.take(rows, axis=0)
            found[messages[first]] += np.add.reduceat(of_pairs, first, axis=0)
        return found

    def _sums_of_one(self, flat: Flat, table: Floats) -> Floats:
        """Return `sums` of one message: the same additions in the same order, in fewer calls."""
        start, n = int(flat.starts[0]), int(flat.lengths[0])
        values = table.take(flat.ids[start : start + n], axis=0, mode="clip")
        found: Floats = np.add.reduceat(values, _FIRST, axis=0)
        rows = self.pair_index.find(self.pair_keys(flat)[0])[1]
        if len(rows):
            found += np.add.reduceat(self._pair_rows.take(rows, axis=0), _FIRST, axis=0)
        return found

    def pair_rows(self, flat: Flat) -> tuple[Ints, Ints]:
        """Return the known pairs of messages: the message of each, ascending, and its row."""
        keys, ends = self.pair_keys(flat)
        places, rows = self.pair_index.find(keys)
        return np.searchsorted(ends, places), rows

    def pair_keys(self, flat: Flat) -> tuple[Ints, Ints]:
        """Return the keys of all pairs of neighbours, T + 1 a message, and each message's last.

        A word out of vocabulary is taken for <unk>, which is in no pair that is known.
        """
        n = self.n_words
        if flat.ends is not None:  # there is room for a mark after each message already
            right, ends = flat.ids.copy(), flat.ends
        else:
            ends = np.cumsum(flat.lengths + 1) - 1
            inside = np.arange(int(flat.lengths.sum())) + np.repeat(
                np.arange(len(flat.lengths)), flat.lengths
            )
            first = flat.starts - (np.cumsum(flat.lengths) - flat.lengths)
            places = np.arange(len(inside)) + np.repeat(first, flat.lengths)
            right = np.empty(int(ends[-1]) + 1, np.int64)
            right[inside] = flat.ids[places]
        np.putmask(right, right >= n, min(1, n - 1))
        right[ends] = n + 1
        left = np.empty_like(right)
        left[0], left[1:] = n, right[:-1]
        left[ends[:-1] + 1] = n
        left[ends[left[ends] == 0]] = n  # padding is no word: an empty message has its marks alone
        left *= n + 2
        left += right
        return left, ends

    def token_shares(self, ids: Ints, table: Floats) -> Floats:
        """Return what each of a message's tokens brings to its logits: (T, k).

        A pair of two words is shared by them; one with a mark is the word's. The shares add up to
        the logits without the bias.

        Parameters
        ----------
        ids : (T,) the message's token ids
        table : as for `logits`
        """
        n = len(ids)
        flat = Flat(ids=ids, starts=np.zeros(1, np.int64), lengths=np.array([n]))
        shares = table[ids][:, :-1].copy()
        places, rows = self.pair_index.find(self.pair_keys(flat)[0])  # place j: tokens j − 1, j
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            of_pair = self._pair_rows[row, :-1]
            owners = [t for t in (place - 1, place) if 0 <= t < n]
            for t in owners:
                shares[t] += of_pair / np.float32(len(owners))
        whole: Floats = shares / self.norms(self.sums(flat, table))
        return whole

    @property
    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """Its tables for other runtimes: of words (V, k + 1), of pairs (P, k + 1), pairs' keys."""
        return {"words": self._words, "pairs": self._pair_rows, "pair_keys": self._pair_keys}


def _segment_sums(values: Floats, starts: Ints, lengths: Ints) -> Floats:
    """Return the sums (B, F) of the rows of each message, in the order of its tokens."""
    # An end may be one past the last row, which reduceat does not take: hence a row of zeros.
    padded = np.concatenate([values, np.zeros((1, values.shape[1]), values.dtype)])
    bounds = np.stack([starts, starts + lengths], axis=1).ravel()
    sums: Floats = np.add.reduceat(padded, bounds, axis=0)[::2]
    return sums


def quantised(rows: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return rows (n, k) in 8 bits, and the scale of each (n,) in half precision.

    Examples
    --------
    >>> rows, scales = quantised(np.array([[1.0, -0.5]]))
    >>> dequantised(rows, scales).round(2).tolist()
    [[1.0, -0.5]]
    """
    largest = np.abs(rows).max(axis=1, initial=0.0)
    scales = (largest / 127).astype(np.float16)
    scales = np.where(scales == 0, np.float16(6e-8), scales).astype(np.float16)
    levels = np.rint(rows / scales[:, None].astype(np.float64))
    return np.clip(levels, -127, 127).astype(np.int8), scales


def dequantised(rows: npt.NDArray[Any], scales: npt.NDArray[Any]) -> Floats:
    """Return rows (n, k) in single precision."""
    wide: Floats = rows.astype(np.float32) * scales.astype(np.float32)[:, None]
    return wide


def array_names(arrays: Collection[str]) -> list[str]:
    """Return the names of the branch's arrays among those of a bundle."""
    return sorted(name for name in arrays if name.startswith(PREFIX))


def check_arrays(arrays: Arrays, *, n_words: int, n_outputs: int, n_pieces: int) -> str:
    """Return what is wrong with the branch's arrays of a bundle, or "".

    Parameters
    ----------
    n_words, n_outputs, n_pieces : words in vocabulary, logits, and pieces that have vectors
    """
    own = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
    missing = [name for name in _KINDS if name not in own and not name.startswith("piece_")]
    if missing:
        return f"array {PREFIX}{missing[0]}: found nothing"
    width = own["piece_rows"].shape[-1] if "piece_rows" in own else 0
    runs, pairs = len(own["run_hashes"]), len(own["pairs"])
    shapes = {
        "word_rows": (n_words, n_outputs), "word_scales": (n_words,), "word_norms": (n_words,),
        "pairs": (pairs, 2), "pair_rows": (pairs, n_outputs), "pair_scales": (pairs,),
        "pair_norms": (pairs,), "run_hashes": (runs,), "run_rows": (runs, n_outputs),
        "run_scales": (runs,), "run_norms": (runs,), "bias": (n_outputs,), "floor": (1,),
        "piece_rows": (n_pieces, width), "piece_scales": (n_pieces,),
        "piece_output": (width, n_outputs),
    }  # fmt: skip
    for name, array in own.items():
        if name not in shapes:
            return f"array {PREFIX}{name}: it is none of the branch's"
        if array.shape != shapes[name] or array.dtype != _KINDS[name]:
            needed = f"{shapes[name]} {np.dtype(_KINDS[name])}"
            return f"array {PREFIX}{name}: found {array.shape} {array.dtype}, {needed} is needed"
    if ("piece_rows" in own) != ("piece_scales" in own) or ("piece_output" in own) > (width > 0):
        return f"array {PREFIX}piece_rows: it does not belong to the others"
    if width and "piece_output" not in own and width != n_outputs:
        return f"array {PREFIX}piece_rows: found {width} columns, {n_outputs} are needed"
    return _wrong_values(own, n_words=n_words)


def _wrong_values(own: Arrays, *, n_words: int) -> str:
    """Return which of the branch's values no branch has, or ""; a part at a time, to save room."""
    if not own["floor"][0] >= SMALLEST_FLOOR:
        return f"array {PREFIX}floor: found {own['floor'][0]}, {SMALLEST_FLOOR} or more is needed"
    for name in ("word_norms", "pair_norms", "run_norms"):
        if not own[name].min(initial=0.0) >= 0.0:
            return f"array {PREFIX}{name}: found a negative number; they are sums of squares"
    low, high = own["pairs"].min(initial=0), own["pairs"].max(initial=0)
    if low < 0 or high > n_words + 1:
        return (
            f"array {PREFIX}pairs: found word ids from {low} to {high}; {n_words + 1} is the last"
        )
    for start in range(0, max(len(own["pairs"]), len(own["run_hashes"])), _AT_ONCE):
        part = slice(start, start + _AT_ONCE + 1)
        keys = own["pairs"][part].astype(np.int64) @ np.array([n_words + 2, 1])
        if (np.diff(keys) <= 0).any():
            return f"array {PREFIX}pairs: they do not ascend"
        if (np.diff(own["run_hashes"][part].astype(np.int64)) <= 0).any():
            return f"array {PREFIX}run_hashes: they do not ascend"
    return ""


_KINDS: dict[str, type[np.generic]] = {
    "word_rows": np.int8, "word_scales": np.float16, "word_norms": np.float32,
    "pairs": np.int32, "pair_rows": np.int8, "pair_scales": np.float16, "pair_norms": np.float32,
    "run_hashes": np.uint32, "run_rows": np.int8, "run_scales": np.float16,
    "run_norms": np.float32, "bias": np.float32, "floor": np.float32,
    "piece_rows": np.int8, "piece_scales": np.float16, "piece_output": np.float32,
}  # fmt: skip
