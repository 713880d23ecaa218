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
from tidegate.data.splits import split
from tidegate.errors import ConfigError
from tidegate.training.held_out import Contestant, HeldOut, by_cross_validation, by_split
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
        """
        chosen = self.config.data.score
        if chosen != "auto":
            return chosen
        return "cv" if len(self.dataset) < SMALL_ROWS else "split"

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
    """Return a model whose bundle names another config: that which was asked for."""
    return replace(trained, bundle=replace(trained.bundle, config=config))


def train_on_all(learner: Learner) -> Trained:
    """Train on every row, without figures: `score=none`.

    Where a threshold rule or a temperature is asked for, a first model chooses them on rows kept
    from it, and a second one learns from all rows.
    """
    training = learner.config.training
    if training.threshold == "half" and not training.calibrate:
        return learner.learn_all()
    rows = np.arange(len(learner.dataset))
    first = learner.learn((rows, rows[:0])).bundle
    trained = learner.learn_all()
    decided = replace(trained.bundle, thresholds=first.thresholds, temperature=first.temperature)
    return replace(trained, bundle=decided)


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
    if part is not None and not refit:
        scored = scores_of(held_out, part.bundle, part.history, teacher=learner.teacher)
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
