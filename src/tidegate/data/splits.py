"""Fair ways to split a dataset: texts that repeat one another stay on one side.

Takes a `Dataset`, gives row indices. Knows nothing of tokens or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, Indices
from tidegate.errors import ConfigError, DataError

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
    members: dict[str, list[int]] = {}
    for row, text in enumerate(dataset.texts):
        # A text of nothing but what is ignored would tie unrelated rows together.
        members.setdefault(normalise(text) or f"\0{row}", []).append(row)
    groups = list(members.values())
    order = np.random.default_rng(seed).permutation(len(groups))
    order = np.array(sorted(order, key=lambda g: -len(groups[g])), dtype=np.int64)
    strata = _strata(dataset)
    counts = np.zeros((int(strata.max()) + 1, len(shares)))
    weights = np.asarray(shares, dtype=np.float64)
    folds = np.empty(len(dataset), dtype=np.int64)
    for g in order:
        rows = groups[g]
        stratum = strata[rows[0]]
        # The fold whose stratum is fullest relative to its share waits; ties go to the emptiest.
        filled = (counts[stratum] + len(rows)) / weights
        fold = int(np.lexsort((counts.sum(axis=0) / weights, filled))[0])
        counts[stratum, fold] += len(rows)
        folds[rows] = fold
    return folds


def _strata(dataset: Dataset) -> Indices:
    """Return what each row is stratified by: its class, or its rarest positive label."""
    if dataset.kind != "multilabel":
        return dataset.targets
    rarity = dataset.targets.sum(axis=0)
    scored = np.where(dataset.targets == 1, rarity, np.iinfo(np.int64).max)
    return np.where(dataset.targets.any(axis=1), scored.argmin(axis=1) + 1, 0)


def split(dataset: Dataset, data: DataConfig) -> tuple[Indices, Indices]:
    """Return (train, test) row indices as the config asks.

    Raises
    ------
    ConfigError
        A random split has no such seed.
    DataError
        One side would be empty or lack a class.
    """
    if data.split == "random":
        train, test = random_split(len(dataset), test_share=data.test_share, seed=data.split_seed)
    else:
        shares = (data.test_share, 1 - data.test_share)
        folds = grouped_folds(dataset, shares, seed=data.split_seed)
        train, test = np.flatnonzero(folds == 1), np.flatnonzero(folds == 0)
    if dataset.kind != "multilabel":
        missing = set(range(len(dataset.labels))) - set(dataset.targets[train].tolist())
        if missing:
            name = dataset.labels[min(missing)]
            raise DataError(f"{dataset.source}: label {name!r}: too few rows to train on; add some")
    if not len(test):
        raise DataError(f"{dataset.source}: {len(dataset)} rows are too few to split; add some")
    return train, test
