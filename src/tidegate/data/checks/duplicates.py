"""Messages that repeat one another, word for word or nearly so.

Equal are messages that `normalise` makes the same: case, links, mentions, punctuation and spacing
are ignored. Nearly equal are those of at least five different words that have the same words in
another order or number, or all but one of them in common: one added, left out or replaced.

Each message has a sum of its words' hashes, and as many sums again, each without one word. Two
messages are nearly equal if they share a sum; sorting the sums finds them in n log n.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset
from tidegate.data.splits import normalise

Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

FEWEST_WORDS = 5  # different ones: shorter messages are alike by chance
_PARTS = 8  # the sums are sorted in so many parts, for the sake of memory


@dataclass(frozen=True, slots=True)
class Texts:
    """What is compared of N messages.

    Attributes
    ----------
    whole : (N,) a hash of each normalised message; messages of nothing have one each
    empty : (N,) whether nothing is left of the message
    words : the hashes of each message's different words, all messages in a row
    starts : (N + 1,) where each message's words begin
    """

    whole: Hashes
    empty: npt.NDArray[np.bool_]
    words: Hashes
    starts: Indices


def read_texts(texts: Iterable[str]) -> Texts:
    """Return what is compared of messages.

    Hashes are Python's own, which differ from process to process; nothing that is found depends on
    their values but by a collision, one in 10¹⁹ for each pair.
    """
    whole, words, counts = array("q"), array("q"), array("q")
    for text in texts:
        plain = normalise(text)
        whole.append(hash(plain))
        before = len(words)
        words.extend(map(hash, set(plain.split())))
        counts.append(len(words) - before)
    lengths = np.array(counts, np.int64)
    found = np.array(whole, np.int64).astype(np.uint64)
    empty = lengths == 0
    found[empty] = np.arange(int(empty.sum()), dtype=np.uint64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Texts(found, empty, np.frombuffer(words, np.uint64), starts)


def first_of(found: Texts) -> Indices:
    """Return for each message (N,) the first that it equals, itself if there is none before."""
    _, first, inverse = np.unique(found.whole, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], dtype=np.int64)


def nearly_first_of(found: Texts, first: Indices) -> Indices:
    """Return for each message (N,) the first of those that it equals or nearly equals.

    Messages of one chain have one first: if b is like a and c like b, a is the first of all.
    """
    alone = np.flatnonzero(
        (first == np.arange(len(first))) & (np.diff(found.starts) >= FEWEST_WORDS)
    )
    left, right = _pairs(found, alone)
    return _joined(first, left, right)


def _pairs(found: Texts, rows: Indices) -> tuple[Indices, Indices]:
    """Return pairs of rows that share a sum; of many that do, neighbours are paired."""
    counts = np.diff(found.starts)[rows]
    if not len(rows):
        return rows, rows
    owner = np.repeat(rows, counts)
    place = np.repeat(found.starts[rows] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    words = found.words[np.arange(len(owner)) + place]
    with np.errstate(over="ignore"):
        ends = np.cumsum(counts)
        totals = np.add.reduceat(words, ends - counts)
        sums = np.concatenate([totals, np.repeat(totals, counts) - words])
    owners = np.concatenate([rows, owner])
    left, right = [], []
    for part in range(_PARTS):
        mine = np.flatnonzero(sums % np.uint64(_PARTS) == np.uint64(part))
        order = mine[np.argsort(sums[mine], kind="stable")]
        same = sums[order][1:] == sums[order][:-1]
        a, b = owners[order][:-1][same], owners[order][1:][same]
        left.append(a[a != b])
        right.append(b[a != b])
    return np.concatenate(left), np.concatenate(right)


def _joined(first: Indices, left: Indices, right: Indices) -> Indices:
    """Return the smallest row of each row's component: it spreads along pairs until all rest."""
    root = first.copy()
    while True:
        low = np.minimum(root[left], root[right])
        before = root.copy()
        np.minimum.at(root, root[left], low)
        np.minimum.at(root, root[right], low)
        np.minimum.at(root, left, low)
        np.minimum.at(root, right, low)
        root = root[root]
        if np.array_equal(root, before):
            return np.asarray(root[first], dtype=np.int64)


def torn(dataset: Dataset, first: Indices) -> Indices:
    """Return the first rows (M,) of groups whose rows carry different labels."""
    targets = dataset.targets.reshape(len(dataset), -1)
    differs = (targets != targets[first]).any(axis=1)
    return np.unique(first[differs])
