"""A teacher that needs nothing but what training has: several LSTMs and TF-IDF, out of fold.

Takes a dataset and its training rows, gives lessons: the rows' texts with soft labels, and texts
made from them with the teacher's labels. Each text is labelled by models that learned neither from
it nor from a row that repeats it, nor from the row it was made from; otherwise they would only
repeat the labels they were given.

The student is one small LSTM: what it answers with costs no more than a model without a teacher.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tidegate.config import Config
from tidegate.dataset import Dataset, grouped_folds
from tidegate.runtime import Predictor
from tidegate.training.augment import augmented
from tidegate.training.baseline import Baseline
from tidegate.training.prepare import Indices, Lessons

Learn = Callable[[Dataset, Config, Indices], Predictor]
Probabilities = npt.NDArray[np.float64]


def blend_lessons(
    dataset: Dataset,
    config: Config,
    rows: Indices,
    *,
    learn: Learn,
    avoided: Indices,
    on_stage: Callable[[str], None] = lambda line: None,
) -> Lessons:
    """Train the blend fold by fold and return what it teaches about the training rows.

    Parameters
    ----------
    rows : the training rows; nothing else is learned from or labelled
    learn : trains one LSTM on rows of a dataset
    avoided : rows whose texts must not be made by chance: the held-back ones
    on_stage : called with a line after each fold
    """
    training = config.training
    member = config.with_settings(teacher="none", calibrate=False, threshold="half")
    own = dataset.subset(rows)
    kept_out = [dataset.texts[i] for i in avoided]
    n_folds = training.teacher_folds
    folds = grouped_folds(own, [1 / n_folds] * n_folds, seed=training.seed)
    soft = np.zeros((len(own), len(own.labels)))
    texts, targets = list(own.texts), [soft]
    for fold in range(n_folds):
        learned, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        held_texts = [own.texts[i] for i in held]
        rng = np.random.default_rng([training.seed, fold])
        made, _ = augmented(held_texts, rounds=training.augment, rng=rng, avoided=kept_out)
        answers = _answers(own, member, learned, [*held_texts, *made], fold=fold, learn=learn)
        soft[held] = answers[: len(held)]
        texts += made
        targets.append(answers[len(held) :])
        on_stage(f"teacher {fold + 1} of {n_folds}: {len(made):,} texts made and labelled")
    soft *= training.soft_share
    soft += (1 - training.soft_share) * _own_shares(own)
    return Lessons(texts=tuple(texts), targets=np.concatenate(targets).astype(np.float32))


def _answers(
    own: Dataset, config: Config, rows: Indices, texts: list[str], *, fold: int, learn: Learn
) -> Probabilities:
    """Return the blend's probabilities of texts (n, C), learned from rows."""
    training = config.training
    baseline = Baseline(own.kind, len(own.labels), characters=True)
    baseline.fit([own.texts[i] for i in rows], own.targets[rows])
    lstms = np.zeros((len(texts), len(own.labels)))
    for number in range(training.teacher_models):
        seed = (training.seed + 1) * 1000 + fold * 100 + number
        lstms += learn(own, config.with_settings(seed=seed), rows).predict_proba(texts)
    share = training.tfidf_share
    return (1 - share) * lstms / training.teacher_models + share * baseline.predict_proba(texts)


def _own_shares(own: Dataset) -> Probabilities:
    """Return the rows' own labels as shares (n, C)."""
    if own.kind == "multilabel":
        return own.targets.astype(np.float64)
    return np.eye(len(own.labels))[own.targets]
