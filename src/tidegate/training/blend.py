"""A teacher that needs nothing but what training has: several LSTMs and TF-IDF, out of fold.

Takes a dataset and its training rows, gives lessons: the rows' texts with soft labels, and texts
made from them with the teacher's labels. Each text is labelled by models that learned neither from
it nor from a row that repeats it, nor from the row it was made from; otherwise they would only
repeat the labels they were given.

The student is one small LSTM: what it answers with costs no more than a model without a teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Config
from tidegate.dataset import Dataset, grouped_folds
from tidegate.lessons import Lessons, Probabilities, augmented, own_shares
from tidegate.runtime import Predictor
from tidegate.training.baseline import Baseline

Indices = npt.NDArray[np.int64]
Learn = Callable[[Dataset, Config, Indices], Predictor]


class Blend:
    """Several LSTMs and TF-IDF with logistic regression that learned from the same rows."""

    def __init__(self, lstms: Sequence[Predictor], baseline: Baseline, *, share: float) -> None:
        self.lstms = lstms
        self.baseline = baseline
        self.share = share

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the weighted mean of the members' probabilities, (n_texts, n_labels)."""
        lstms = np.mean([lstm.predict_proba(texts) for lstm in self.lstms], axis=0)
        found: Probabilities = (1 - self.share) * lstms
        return found + self.share * self.baseline.predict_proba(texts)


class BlendTeacher:
    """The blends of all folds, each a teacher of what it has not seen; together, one more model."""

    def __init__(self, blends: Sequence[Blend]) -> None:
        self.blends = blends
        n_lstms = sum(len(blend.lstms) for blend in blends)
        self.name = f"teacher: {n_lstms} LSTMs and {len(blends)} TF-IDF models"
        self.facts: dict[str, Any] = {"kind": "blend"}

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the mean of the blends' probabilities: for texts that none has learned from."""
        found = [blend.predict_proba(texts) for blend in self.blends]
        mean: Probabilities = np.mean(found, axis=0)
        return mean


def blend_lessons(
    dataset: Dataset,
    config: Config,
    rows: Indices,
    *,
    learn: Learn,
    avoided: Sequence[str],
    unlabelled: Sequence[str] = (),
    on_stage: Callable[[str], None] = lambda line: None,
) -> Lessons:
    """Train the blend fold by fold and return what it teaches about the training rows.

    Parameters
    ----------
    rows : the training rows; of the dataset nothing else is learned from or labelled
    learn : trains one LSTM on rows of a dataset
    avoided : texts that must not be made by chance: the held-back ones
    unlabelled : further texts to learn about
    on_stage : called with a line after each fold
    """
    training = config.training
    member = config.with_settings(teacher="none", calibrate=False, threshold="half")
    own = dataset.subset(rows)
    n_folds = training.teacher_folds
    folds = grouped_folds(own, [1 / n_folds] * n_folds, seed=training.seed)
    soft = np.zeros((len(own), len(own.labels)))
    texts, targets, blends = list(own.texts), [soft], []
    for fold in range(n_folds):
        learned, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        blends.append(_blend(own, member, learned, fold=fold, learn=learn))
        held_texts = [own.texts[i] for i in held]
        rng = np.random.default_rng([training.seed, fold])
        made, _ = augmented(held_texts, rounds=training.augment, rng=rng, avoided=avoided)
        soft[held] = blends[-1].predict_proba(held_texts)
        texts += made
        targets.append(blends[-1].predict_proba(made))
        on_stage(f"teacher {fold + 1} of {n_folds}: {len(made):,} texts made and labelled")
    soft *= training.soft_share
    soft += (1 - training.soft_share) * own_shares(own)
    teacher = BlendTeacher(blends)
    if unlabelled:
        texts += unlabelled
        targets.append(teacher.predict_proba(unlabelled))
    return Lessons(
        texts=tuple(texts), targets=np.concatenate(targets).astype(np.float32), teacher=teacher
    )


def _blend(own: Dataset, config: Config, rows: Indices, *, fold: int, learn: Learn) -> Blend:
    """Train the members of a fold's blend on its rows."""
    training = config.training
    baseline = Baseline(own.kind, len(own.labels), characters=True)
    baseline.fit([own.texts[i] for i in rows], own.targets[rows])
    seeds = [(training.seed + 1) * 1000 + fold * 100 + k for k in range(training.teacher_models)]
    lstms = [learn(own, config.with_settings(seed=seed), rows) for seed in seeds]
    return Blend(lstms, baseline, share=training.tfidf_share)
