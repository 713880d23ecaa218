"""Soft labels: a teacher's probabilities, and how a student's targets are made from them.

Takes a teacher's probabilities and the rows' own labels, gives targets. Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset

Probabilities = npt.NDArray[np.float64]


class Teacher(Protocol):
    """What labels texts with probabilities for a student to learn from.

    Attributes
    ----------
    name : for people
    facts : what the report and the model card say of it: kind, parameters, bytes, licence
    """

    name: str

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        ...


def out_of_fold(
    texts: Sequence[str],
    folds: npt.NDArray[np.int64],
    ask: Callable[[int, list[str]], Probabilities],
) -> Probabilities:
    """Return the labels (n, L) of texts, each fold's by who has not seen it.

    Parameters
    ----------
    folds : (n,) the fold of each; −1 for texts made from no row
    ask : labels texts of one fold

    Examples
    --------
    >>> folds = np.array([0, 1, 0])
    >>> out_of_fold(["a", "b", "c"], folds, lambda f, t: np.full((len(t), 1), f))[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    numbers = np.unique(folds).tolist()
    inside = [np.flatnonzero(folds == fold) for fold in numbers]
    answers = np.concatenate(
        [ask(k, [texts[i] for i in rows.tolist()]) for k, rows in zip(numbers, inside, strict=True)]
    )
    found = np.empty_like(answers, np.float64)
    found[np.concatenate(inside)] = answers
    return found


def own_shares(dataset: Dataset) -> Probabilities:
    """Return the rows' own labels as shares (n, L)."""
    if dataset.kind == "multilabel":
        return dataset.targets.astype(np.float64)
    return np.eye(len(dataset.labels))[dataset.targets]


def log_odds(p: Probabilities) -> Probabilities:
    """Return log(p / (1 − p)), of probabilities kept a millionth away from 0 and 1.

    Examples
    --------
    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    clear = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clear) - np.log1p(-clear), np.float64)


def sigmoid(z: Probabilities) -> Probabilities:
    """Return 1 / (1 + exp(−z)), for any z without overflow.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -1e4])).tolist()
    [0.5, 0.0]
    """
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)), np.float64)


def mixed(soft: Probabilities, own: Dataset, *, share: float, temperature: float) -> Probabilities:
    """Return a teacher's labels (n, L) as the student learns them.

    The first rows are those of `own`: they keep a share of their true labels.

    Parameters
    ----------
    share : of the teacher's word on labelled rows
    temperature : what its logits are divided by; above 1 it is less sure (Hinton et al. 2015)
    """
    p = np.clip(soft, 1e-7, 1 - 1e-7)
    if own.kind == "multilabel":
        found = sigmoid(log_odds(p) / temperature)
    else:
        logits = np.log(p) / temperature
        found = np.exp(logits - logits.max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
    found[: len(own)] = share * found[: len(own)] + (1 - share) * own_shares(own)
    return found
