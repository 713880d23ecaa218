"""Fair ways to split a dataset: texts that repeat one another stay on one side.

Takes a `Dataset`, gives row indices. Knows nothing of tokens or models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt

from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, Indices
from tidegate.errors import ConfigError, DataError

SMALL_ROWS = 2000  # below, a fifth of the rows is too few to judge by

_ALL_KNOWN = (
    "every row that could be held out is one that the model before has learned from; give rows "
    "that it has not seen, or --score none"
)
_IGNORED = re.compile(r"(?:https?://|www\.)\S+|@\w+|&\w+;|[\W_]+")


def normalise(text: str) -> str:
    """Return the text two rows share when one repeats the other.

    Case, URLs, mentions, punctuation and spacing are ignored.

    Examples
    --------
    >>> normalise("@eve FIRE!!  on 5th st. https://t.co/a") == normalise("fire on 5th st")
    True
    """
    return _IGNORED.sub(" ", text.lower()).strip()


def random_split(n: int, *, test_share: float, seed: int) -> tuple[Indices, Indices]:
    """Return (train, test) row indices: the rows and order of scikit-learn's train_test_split.

    A permutation of all rows by the seeded Mersenne Twister; its first ⌈test_share · n⌉ are the
    test rows, the rest are the training rows.

    Raises
    ------
    ConfigError
        The twister has no such seed.
    """
    if seed >= 2**32:
        raise ConfigError(f"split_seed: found {seed}; of a random split it must be below {2**32}")
    order = np.random.RandomState(seed).permutation(n)
    n_test = int(np.ceil(test_share * n))
    return order[n_test:].astype(np.int64), order[:n_test].astype(np.int64)


def grouped_folds(dataset: Dataset, shares: Sequence[float], *, seed: int) -> Indices:
    """Return each row's fold (N,), stratified by label, rows of equal normalised text together.

    Groups of one text are dealt out, largest first and otherwise in seeded random order, each to
    the fold that is furthest below its share of the group's label. So no text stands on two sides.

    Parameters
    ----------
    shares : share of the rows each fold should get, summing to 1
    seed : seed of the order
    """
    groups = groups_of(dataset.texts)
    order = np.random.default_rng(seed).permutation(len(groups))
    order = np.array(sorted(order, key=lambda g: -len(groups[g])), dtype=np.int64)
    strata = _strata(dataset)
    counts = np.zeros((int(strata.max()) + 1, len(shares)))
    weights = np.asarray(shares, dtype=np.float64)
    totals = np.zeros(len(shares))
    folds = np.empty(len(dataset), dtype=np.int64)
    for g in order:
        rows = groups[g]
        stratum = strata[rows[0]]
        # The fold whose stratum is fullest relative to its share waits; ties go to the emptiest.
        filled = (counts[stratum] + len(rows)) / weights
        fold = int(np.lexsort((totals / weights, filled))[0])
        counts[stratum, fold] += len(rows)
        totals[fold] += len(rows)
        folds[rows] = fold
    return folds


def _strata(dataset: Dataset) -> Indices:
    """Return what each row is stratified by: its class, or its rarest positive label."""
    if dataset.kind != "multilabel":
        return dataset.targets
    rarity = dataset.targets.sum(axis=0)
    scored = np.where(dataset.targets == 1, rarity, np.iinfo(np.int64).max)
    return np.where(dataset.targets.any(axis=1), scored.argmin(axis=1) + 1, 0)


def two_sides(
    dataset: Dataset, share: float, *, seed: int, needed: Sequence[int] = ()
) -> tuple[Indices, Indices]:
    """Return (kept, held): rows to learn from, and about a share of them to hold back.

    Rows are dealt out as `grouped_folds` does. Then groups of one text change sides until every
    label that occurs has a row on the kept side, and the held side at least half its share: with
    few rows a class, `grouped_folds` rounds each class' share down to nothing. A class of one text
    is learned from and not held back.

    Parameters
    ----------
    share : share of the rows to hold back
    seed : seed of the order
    needed : labels of which a row must be held back, if they have two texts
    """
    folds = grouped_folds(dataset, (share, 1 - share), seed=seed)
    held = folds == 0
    sides = _Sides(dataset, held, seed=seed)
    if sides.is_fair(share, needed):
        return np.flatnonzero(~held), np.flatnonzero(held)
    for label in sides.missing():
        sides.move(label, hold=False)
    for label in needed:
        if not sides.held_rows(label):
            sides.move(label, hold=True)
    sides.fill(round(share * len(dataset)))
    return np.flatnonzero(~sides.held), np.flatnonzero(sides.held)


class _Sides:
    """Which rows are held back, and how many of each label that leaves to learn from."""

    def __init__(self, dataset: Dataset, held: npt.NDArray[np.bool_], *, seed: int) -> None:
        self.held, self._seed = held, seed
        self._n_held = int(held.sum())
        self._texts, self._targets = dataset.texts, dataset.targets
        self._total = label_counts(dataset)
        self._kept = label_counts(dataset.subset(np.flatnonzero(~held)))
        self._groups: list[list[int]] = []

    def missing(self) -> list[int]:
        """Return the labels that occur, and of which no row is kept."""
        return [int(k) for k in np.flatnonzero((self._kept == 0) & (self._total > 0))]

    def held_rows(self, label: int) -> int:
        """Return how many rows of a label are held back."""
        return int(self._total[label] - self._kept[label])

    def is_fair(self, share: float, needed: Sequence[int]) -> bool:
        """Return whether nothing needs to change sides."""
        enough = self._n_held >= share * len(self.held) / 2
        return enough and not self.missing() and all(map(self.held_rows, needed))

    def move(self, label: int, *, hold: bool) -> None:
        """Move a group with a label to a side, if one can be moved."""
        for rows in self._in_order():
            labels = self.labels(rows)
            if label in labels and self.held[rows[0]] != hold and self._can(labels, hold):
                self._put(rows, labels, hold=hold)
                return

    def fill(self, wanted: int) -> None:
        """Hold back more groups, those of labels without any first, up to the rows wanted."""
        if self._n_held >= wanted / 2:
            return
        for only_unheld in (True, False):
            for rows in self._in_order():
                if self.held[rows[0]] or self._n_held + len(rows) > max(wanted, 1):
                    continue
                labels = self.labels(rows)
                if self._can(labels, True) and not (
                    only_unheld and any(map(self.held_rows, labels))
                ):
                    self._put(rows, labels, hold=True)

    def labels(self, rows: list[int]) -> Counter[int]:
        """Return how many of some rows carry each label they have."""
        targets = self._targets[rows]
        found = np.nonzero(targets)[1] if targets.ndim == 2 else targets
        return Counter(found.tolist())

    def _in_order(self) -> list[list[int]]:
        """Return the groups of one text, in seeded random order."""
        if not self._groups:
            groups = groups_of(self._texts)
            order = np.random.default_rng([self._seed, 1]).permutation(len(groups))
            self._groups = [groups[k] for k in order]
        return self._groups

    def _can(self, labels: Counter[int], hold: bool) -> bool:
        """Return whether every label would still have a row that is kept."""
        return not hold or all(self._kept[label] > n for label, n in labels.items())

    def _put(self, rows: list[int], labels: Counter[int], *, hold: bool) -> None:
        self.held[rows] = hold
        sign = -1 if hold else 1
        self._n_held -= sign * len(rows)
        for label, n in labels.items():
            self._kept[label] += sign * n


def label_counts(dataset: Dataset) -> Indices:
    """Return how many rows carry each label, (L,)."""
    if dataset.kind == "multilabel":
        return np.asarray(dataset.targets.sum(axis=0), dtype=np.int64)
    return np.bincount(dataset.targets, minlength=len(dataset.labels)).astype(np.int64)


def groups_of(texts: Sequence[str]) -> list[list[int]]:
    """Return the rows of each text, rows of equal normalised text together.

    Examples
    --------
    >>> groups_of(["Fire!", "flood", "fire", "!!", "??"])
    [[0, 2], [1], [3], [4]]
    """
    members: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        # A text of nothing but what is ignored would tie unrelated rows together.
        members.setdefault(normalise(text) or f"\0{row}", []).append(row)
    return list(members.values())


def way_to_score(dataset: Dataset, data: DataConfig) -> Literal["split", "cv", "none"]:
    """Return how held-out figures are made.

    By default small data are cross-validated: a fifth of them is too few rows to judge by. Who asks
    for a random split has one.
    """
    if data.score != "auto":
        return data.score
    if data.split == "random":
        return "split"
    return "cv" if len(dataset) < SMALL_ROWS else "split"


def split(dataset: Dataset, data: DataConfig) -> tuple[Indices, Indices]:
    """Return (train, test) row indices as the config asks.

    Every class has a row to train on; which of them have none to test on, `untested` tells.

    Raises
    ------
    ConfigError
        A random split has no such seed.
    DataError
        No row can be held back to test on.
    """
    if data.split == "random":
        train, test = random_split(len(dataset), test_share=data.test_share, seed=data.split_seed)
        sides = _Sides(dataset, np.isin(np.arange(len(dataset)), test), seed=data.split_seed)
        for label in sides.missing():
            first = next(row for row in test if label in sides.labels([int(row)]))
            train, test = np.append(train, first), test[test != first]
    else:
        train, test = two_sides(dataset, data.test_share, seed=data.split_seed)
    if not len(test):
        raise _nothing_to_test(dataset)
    return train, test


def apart(
    sides: tuple[Indices, Indices], never_held: npt.NDArray[np.bool_] | None
) -> tuple[Indices, Indices]:
    """Return (train, test) rows, those that are never held out (N,) moved to the first.

    Raises
    ------
    DataError
        No row is left to hold out.
    """
    train, test = sides
    if never_held is None:
        return sides
    moved = never_held[test]
    if moved.all():
        raise DataError(_ALL_KNOWN)
    return np.sort(np.append(train, test[moved])), test[~moved]


def cross_folds(
    dataset: Dataset,
    folds: int,
    *,
    seed: int,
    never_held: npt.NDArray[np.bool_] | None = None,
) -> Indices:
    """Return the fold (N,) in which each row is held out, -1 for rows that never are.

    Folds are those of `grouped_folds`. A class of one text is learned from in all of them: a model
    that had not seen it could not tell it.

    Parameters
    ----------
    never_held : rows (N,) that are learned from in all of them

    Raises
    ------
    ConfigError
        Fewer than two folds.
    DataError
        No class has two texts, so none can be held out; or none may be.
    """
    if folds < 2:
        raise ConfigError(f"folds: found {folds}; give 2 or more")
    numbers = grouped_folds(dataset, [1 / folds] * folds, seed=seed)
    if dataset.kind != "multilabel":
        inside = np.zeros((folds, len(dataset.labels)), dtype=np.bool_)
        inside[numbers, dataset.targets] = True
        alone = (inside.sum(axis=0) == 1)[dataset.targets]
        for rows in groups_of(dataset.texts):
            if alone[rows].any():
                numbers[rows] = -1
    if (numbers < 0).all():
        raise _nothing_to_test(dataset)
    if never_held is not None:
        numbers[never_held] = -1
        if (numbers < 0).all():
            raise DataError(_ALL_KNOWN)
    return numbers


def _nothing_to_test(dataset: Dataset) -> DataError:
    texts = len(groups_of(dataset.texts))
    what = f"{len(dataset)} rows are"
    if texts < len(dataset):
        what = f"{len(dataset)} rows repeat {texts} {'message' if texts == 1 else 'messages'},"
    return DataError(
        f"{dataset.source}: {what} too few to hold one back for a test and keep one of each class "
        "to learn from; rows a class: "
        f"{_rows_a_class(dataset, np.arange(len(dataset.labels)))}; add other messages, or give "
        "--score none"
    )


def untested(dataset: Dataset, test: Dataset) -> str:
    """Return a note of the labels that no test row carries, or nothing."""
    missing = np.flatnonzero(label_counts(test) == 0)
    if not len(missing):
        return ""
    return (
        f"{dataset.source}: {len(missing)} of {len(dataset.labels)} labels have no test row, so "
        f"nothing is known of how well they are told; their rows: {_rows_a_class(dataset, missing)}"
    )


def _rows_a_class(dataset: Dataset, labels: Indices) -> str:
    total = label_counts(dataset)
    shown = ", ".join(f"{dataset.labels[k]!r} {total[k]}" for k in labels[:10])
    return shown + f" and {len(labels) - 10} more" * (len(labels) > 10)


def row_hashes(texts: Sequence[str]) -> bytes:
    """Return the distinct hashes of messages, sorted: four bytes of each that says something.

    Messages that repeat one another (see `normalise`) have one hash. Of a million other messages
    about 230 have the hash of one of a million that were hashed. The bytes are what a bundle keeps
    of the rows it learned from; each number's lowest byte comes first.

    Examples
    --------
    >>> len(row_hashes(["Fire!", "fire", "flood", "?"]))
    8
    """
    return np.unique(_hashes([plain for text in texts if (plain := normalise(text))])).tobytes()


def joined_hashes(before: bytes, now: bytes) -> bytes:
    """Return the hashes that stand in either of what two calls of `row_hashes` gave."""
    parts = (np.frombuffer(hashes, "<u4", count=len(hashes) // 4) for hashes in (before, now))
    return np.unique(np.concatenate(list(parts))).tobytes()


def known_rows(texts: Sequence[str], hashes: bytes) -> npt.NDArray[np.bool_]:
    """Return which messages (N,) repeat one of those that `row_hashes` hashed.

    Examples
    --------
    >>> known_rows(["FIRE", "coffee"], row_hashes(["fire!", "flood"])).tolist()
    [True, False]
    """
    plain = [normalise(text) for text in texts]
    known = np.frombuffer(hashes, "<u4", count=len(hashes) // 4)
    said = np.array([bool(text) for text in plain], dtype=np.bool_)
    return np.logical_and(np.isin(_hashes(plain), known), said)


def _hashes(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    found = (blake2b(t.encode("utf-8", "surrogatepass"), digest_size=4).digest() for t in texts)
    return np.frombuffer(b"".join(found), dtype="<u4")
