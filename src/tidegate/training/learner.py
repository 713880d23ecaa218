"""Every row teaches: models of a part of the rows are scored, and one of all rows is shipped.

Takes a `Learner` (what trains one config on one dataset), gives `Scored`. Rows are held out as the
config's `score` says; the model that is shipped then learns from all rows, those held out included,
with the thresholds and the temperature that were chosen before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import grouped_folds, split
from tidegate.errors import ConfigError
from tidegate.training.held_out import (
    Contestant,
    HeldOut,
    by_cross_validation,
    by_split,
    calibrated,
)
from tidegate.training.loop import Epoch
from tidegate.training.prepare import Indices, Prepared
from tidegate.training.score import Scored, scores_of, with_metrics
from tidegate.training.train import Trained, Weights, train

SMALL_ROWS = 2000  # below, a fifth of the rows is too few to judge by

Say = Callable[[str], None]


class Learner:
    """What trains one config on one dataset.

    Parameters
    ----------
    sample_weight : (N,) how much each row counts in the loss
    on_prepared, on_epoch : called with the prepared rows of a split, and after each of its epochs
    """

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        *,
        sample_weight: Weights | None = None,
        on_prepared: Callable[[Prepared], None] = lambda prepared: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> None:
        self.dataset, self.config = dataset, config
        self.sample_weight = sample_weight
        self.on_prepared, self.on_epoch = on_prepared, on_epoch

    @property
    def teacher(self) -> dict[str, Any] | None:
        """What a report says of the teacher; None without one."""
        return None

    @property
    def way(self) -> Literal["split", "cv", "none"]:
        """How held-out figures are made.

        By default small data are cross-validated: a fifth of them is too few rows to judge by.
        Who asks for a random split has one.
        """
        chosen = self.config.data.score
        if chosen != "auto":
            return chosen
        if self.config.data.split == "random":
            return "split"
        return "cv" if self.few_rows else "split"

    @property
    def few_rows(self) -> bool:
        """Whether a part of the rows is too few to judge by, so that they are cross-validated."""
        return len(self.dataset) < SMALL_ROWS

    def learn(self, rows: tuple[Indices, Indices]) -> Trained:
        """Train on the first rows, with thresholds and temperature chosen on some of them."""
        return train(
            self.dataset, self.config, rows=rows, sample_weight=self.sample_weight,
            on_prepared=self.on_prepared, on_epoch=self.on_epoch,
        )  # fmt: skip

    def learn_fold(
        self, dataset: Dataset, config: Config, *, rows: tuple[Indices, Indices]
    ) -> Trained:
        """Train on the first rows, as one of the models of a cross-validation."""
        return train(dataset, config, rows=rows, sample_weight=self.sample_weight)

    def learn_all(self) -> Trained:
        """Train on every row, none kept to choose thresholds on."""
        rows = np.arange(len(self.dataset))
        trained = train(
            self.dataset, undecided(self.config), rows=(rows, rows[:0]),
            sample_weight=self.sample_weight,
        )  # fmt: skip
        return with_config(trained, self.config)

    def contestants(self) -> Mapping[str, Contestant]:
        """Return further rivals of the model that `learn` trained, by name."""
        return {}


def undecided(config: Config) -> Config:
    """Return a config that keeps no rows from training to choose thresholds on."""
    return config.with_settings(threshold="half", calibrate=False)


def with_config(trained: Trained, config: Config) -> Trained:
    """Return a model whose bundle names the decisions that were asked for."""
    training = config.training
    own = trained.bundle.config.with_settings(
        threshold=training.threshold, calibrate=training.calibrate
    )
    return replace(trained, bundle=replace(trained.bundle, config=own))


def train_on_all(learner: Learner) -> Trained:
    """Train on every row, without figures: `score=none`.

    Where a threshold rule or a temperature is asked for, first models that have not seen some of
    the rows choose them there: one that leaves out a tenth, or, where rows are few, those of a
    cross-validation. The model that is returned then learns from all rows.
    """
    config, dataset = learner.config, learner.dataset
    if config.training.threshold == "half" and not config.training.calibrate:
        return learner.learn_all()
    if learner.few_rows:
        held_out = by_cross_validation(
            dataset, config, folds=config.data.folds, learn=learner.learn_fold, baseline=False
        )
    else:
        share = config.training.validation_share
        folds = grouped_folds(dataset, (share, 1 - share), seed=config.data.split_seed)
        first = learner.learn((np.flatnonzero(folds == 1), np.flatnonzero(folds == 0)))
        held_out = by_split(first, baseline=False)
    if config.training.calibrate:
        held_out = calibrated(held_out)
    return _decided(learner.learn_all(), held_out)


def train_and_score(
    learner: Learner, *, on_fold: Say = lambda line: None, on_stage: Say = lambda line: None
) -> Scored:
    """Score models that learned from a part of the rows, then train the one that is shipped.

    Parameters
    ----------
    on_fold, on_stage : called with a line after each fold, and before each stage

    Raises
    ------
    ConfigError
        The config asks for no score, or for a cross-validation whose models would be shipped.
    DataError
        The rows are too few to hold any out.
    """
    way, refit = learner.way, learner.config.training.refit
    if way == "none":
        raise ConfigError("score: found 'none'; call train_on_all")
    if way == "cv" and not refit:
        raise ConfigError(
            "refit: found false with score=cv, which trains a model a fold; use split"
        )
    dataset, config = learner.dataset, learner.config
    part: Trained | None = None
    if way == "split":
        part = learner.learn(split(dataset, config.data))
        held_out = by_split(part, learner.contestants())
    else:
        held_out = by_cross_validation(
            dataset, config, folds=config.data.folds, learn=learner.learn_fold, on_fold=on_fold
        )
    if config.training.calibrate:
        held_out = calibrated(held_out)
    if part is not None and not refit:
        shipped = _decided(part, held_out).bundle
        scored = scores_of(held_out, shipped, part.history, teacher=learner.teacher)
        return with_metrics(replace(scored, state_changes=part.state_changes))
    on_stage(f"training the model that is shipped, on all {len(dataset):,} rows")
    final = _decided(learner.learn_all(), held_out)
    history = final.history if part is None else part.history
    scored = scores_of(held_out, final.bundle, history, teacher=learner.teacher)
    changes = None if part is None else part.state_changes
    return with_metrics(replace(scored, state_changes=changes))


def _decided(trained: Trained, held_out: HeldOut) -> Trained:
    """Return a model with the thresholds and the temperature of those that were scored."""
    decided = replace(
        trained.bundle, thresholds=held_out.thresholds, temperature=held_out.temperature
    )
    return replace(trained, bundle=decided)
