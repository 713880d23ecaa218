"""Labels that may be wrong: rows whose label models that have not seen them think least likely.

Takes a `Dataset`, gives `Doubt`s, the most doubtful first. This is the self-confidence of confident
learning (Northcutt et al. 2021): p(given label | message), out of fold. The models are TF-IDF of
words and characters with logistic regression, which need seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset
from tidegate.data.splits import cross_folds
from tidegate.engine.blas import one_thread
from tidegate.training.baseline import Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A row and the label that is doubted.

    Attributes
    ----------
    row : its number in the file, from 1
    text : the message
    column : of several labels a row the one that is doubted; else empty
    given : the label; of several labels a row "1" if the row has the one doubted, else "0"
    probability : of what is given, by models that did not learn from the row
    likeliest : the label, or "1" or "0", that those models find likeliest
    """

    row: int
    text: str
    column: str
    given: str
    probability: float
    likeliest: str


def doubtful_rows(
    dataset: Dataset, *, folds: int = 5, seed: int = 0, on_fold: Callable[[str], None] = print
) -> list[Doubt]:
    """Return every row that could be held out, the one whose label is least likely first.

    Parameters
    ----------
    folds : of the cross-validation; rows of one message lie in one fold
    seed : of the folds
    on_fold : called with a line after each fold

    Raises
    ------
    ConfigError
        Fewer than two folds.
    DataError
        No row can be held out.
    """
    numbers = cross_folds(dataset, folds, seed=seed)
    p = np.full((len(dataset), len(dataset.labels)), np.nan)
    with one_thread():
        for fold in range(folds):
            held, others = np.flatnonzero(numbers == fold), np.flatnonzero(numbers != fold)
            if not len(held):
                continue
            model = Baseline(dataset.kind, len(dataset.labels), characters=True)
            model.fit([dataset.texts[i] for i in others], dataset.targets[others])
            p[held] = model.predict_proba([dataset.texts[i] for i in held])
            on_fold(f"fold {fold + 1} of {folds}: {len(held)} rows answered")
    return _ranked(dataset, np.flatnonzero(numbers >= 0), p)


def _ranked(
    dataset: Dataset, rows: npt.NDArray[np.int64], p: npt.NDArray[np.float64]
) -> list[Doubt]:
    several = dataset.kind == "multilabel"
    if several:
        given = np.where(dataset.targets == 1, p, 1 - p)
        label, sure = given.argmin(axis=1), given.min(axis=1)
    else:
        label = dataset.targets
        sure = p[np.arange(len(p)), label]
    found = []
    for i in rows[np.argsort(sure[rows], kind="stable")].tolist():
        name = dataset.labels[label[i]]
        bit = int(dataset.targets[i, label[i]]) if several else 0
        best = str(int(p[i, label[i]] >= 0.5)) if several else dataset.labels[int(p[i].argmax())]
        found.append(
            Doubt(
                row=dataset.rows[i], text=dataset.texts[i], column=name if several else "",
                given=str(bit) if several else name, probability=float(sure[i]), likeliest=best,
            )
        )  # fmt: skip
    return found
