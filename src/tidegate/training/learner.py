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
import numpy.typing as npt

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import (
    SMALL_ROWS,
    apart,
    cross_folds,
    groups_of,
    split,
    two_sides,
    way_to_score,
)
from tidegate.errors import ConfigError, DataError
from tidegate.evaluation.thresholds import parse_rule
from tidegate.training.callbacks import Facts
from tidegate.training.checkpoint import Workspace
from tidegate.training.folds import Spread, by_cross_validation, kept_fold
from tidegate.training.held_out import (
    Contestant,
    HeldOut,
    by_split,
    calibrated,
    with_thresholds,
)
from tidegate.training.loop import Epoch
from tidegate.training.prepare import Indices, Prepared
from tidegate.training.score import Scored, scores_of, with_metrics
from tidegate.training.train import Together, Trained, Weights, train

Say = Callable[[str], None]


class Learner:
    """What trains one config on one dataset.

    Parameters
    ----------
    sample_weight : (N,) how much each row counts in the loss
    work : where unfinished work is kept, and gone on with; by default nowhere
    on_prepared, on_epoch : called with the prepared rows of a split, and after each of its epochs
    """

    spread: Spread | None = None  # set by who trains the folds of a cross-validation elsewhere
    together: Together | None = None  # set by who trains the model of all rows elsewhere

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        *,
        sample_weight: Weights | None = None,
        work: Workspace | None = None,
        on_prepared: Callable[[Prepared], None] = lambda prepared: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> None:
        self.dataset, self.config = dataset, config
        self.sample_weight, self.work = sample_weight, work
        self.on_prepared, self.on_epoch = on_prepared, on_epoch

    @property
    def teacher(self) -> dict[str, Any] | None:
        """What a report says of the teacher; None without one."""
        return None

    @property
    def way(self) -> Literal["split", "cv", "none"]:
        """How held-out figures are made."""
        return way_to_score(self.dataset, self.config.data)

    @property
    def few_rows(self) -> bool:
        """Whether a part of the rows is too few to judge by, so that they are cross-validated."""
        return len(self.dataset) < SMALL_ROWS

    def learn(self, rows: tuple[Indices, Indices]) -> Trained:
        """Train on the first rows, with thresholds and temperature chosen on some of them."""
        return train(
            self.dataset, self.config, rows=rows, sample_weight=self.sample_weight,
            work=self.work, name="scored",
            on_prepared=self.on_prepared, on_epoch=self.on_epoch,
        )  # fmt: skip

    def learn_fold(
        self,
        dataset: Dataset,
        config: Config,
        *,
        rows: tuple[Indices, Indices],
        work: Workspace | None = None,
    ) -> Trained:
        """Train on the first rows, as one of the models of a cross-validation."""
        return train(dataset, config, rows=rows, sample_weight=self.sample_weight, work=work)

    def fold_learner(self) -> Callable[..., Trained]:
        """Return what trains a fold; where folds are spread, without what only we can call."""
        if self.spread is None:
            return self.learn_fold
        return type(self)(self.dataset, self.config, **self._sent()).learn_fold

    def _sent(self) -> dict[str, Any]:
        """Return what a fold needs beside the rows and the config."""
        return {"sample_weight": self.sample_weight}

    def learn_all(self) -> Trained:
        """Train on every row, none kept to choose thresholds on."""
        rows = np.arange(len(self.dataset))
        trained = train(
            self.dataset, undecided(self.config), rows=(rows, rows[:0]),
            sample_weight=self.sample_weight, work=self.work, name="shipped",
            together=self.together,
        )  # fmt: skip
        return with_config(trained, self.config)

    def sides(self) -> tuple[Indices, Indices]:
        """Return the rows to learn from and those held out, where one split scores."""
        return split(self.dataset, self.config.data)

    @property
    def never_held(self) -> npt.NDArray[np.bool_] | None:
        """Which rows (N,) are never held out, by default none."""
        return None

    def beside(self, held_out: HeldOut) -> HeldOut:
        """Return held-out answers with those of further rivals that learn nothing."""
        return held_out

    def contestants(self, work: Workspace | None = None) -> Mapping[str, Contestant]:
        """Return further rivals of the model that `learn` trained, by name.

        Parameters
        ----------
        work : where the unfinished work on them is kept
        """
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
    check_rule(dataset, config, way="cv" if learner.few_rows else "none")
    try:
        held_out = _first_answers(learner)
    except DataError:
        if config.training.threshold != "half":
            raise
        return learner.learn_all()  # no row can be held out to fit a temperature on
    if config.training.calibrate:
        held_out = calibrated(held_out)
    return _decided(learner.learn_all(), held_out)


def _first_answers(learner: Learner) -> HeldOut:
    """Return answers to held-out rows, from which a model without figures has its decisions."""
    config, dataset = learner.config, learner.dataset
    if learner.few_rows:
        held_out = by_cross_validation(
            dataset, undecided(config), folds=config.data.folds, learn=learner.fold_learner(),
            baseline=False, work=learner.work, spread=learner.spread, never_held=learner.never_held,
        )  # fmt: skip
        # No figure is made of these answers, so that thresholds may be chosen on all of them.
        return with_thresholds(held_out, config.training.threshold)
    share = config.training.validation_share
    first = learner.learn(
        apart(two_sides(dataset, share, seed=config.data.split_seed), learner.never_held)
    )
    return by_split(first, baseline=False)


def train_and_score(
    learner: Learner,
    *,
    on_fold: Callable[[Facts], None] = lambda facts: None,
    on_stage: Say = lambda line: None,
) -> Scored:
    """Score models that learned from a part of the rows, then train the one that is shipped.

    Parameters
    ----------
    on_fold : called after each fold, see `callbacks`
    on_stage : called with a line before each stage

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
    check_rule(dataset, config, way=way)
    part: Trained | None = None
    if way == "split":
        part = learned = learner.learn(learner.sides())
        held_out = kept_fold(
            learner.work, "held-out", part.test,
            lambda place: by_split(learned, learner.contestants(place)),
        )  # fmt: skip
    else:
        held_out = by_cross_validation(
            dataset, config, folds=config.data.folds, learn=learner.fold_learner(),
            work=learner.work, spread=learner.spread, never_held=learner.never_held,
            on_fold=on_fold,
        )  # fmt: skip
    if config.training.calibrate:
        held_out = calibrated(held_out)
    held_out = learner.beside(held_out)
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


def check_rule(dataset: Dataset, config: Config, *, way: Literal["split", "cv", "none"]) -> None:
    """Raise a `ConfigError` if the rows do not hold what a threshold rule needs.

    Of the rows that a model may learn from, some are kept to choose its threshold on: most rules
    need a row of the positive class there, and learning needs another one.
    """
    rule, data = config.training.threshold, config.data
    if parse_rule(rule).name not in ("f", "precision") or dataset.kind != "binary":
        return
    everything = np.arange(len(dataset))
    sides = [everything]
    if way == "split":
        sides = [split(dataset, data)[0]]
    elif way == "cv":
        folds = cross_folds(dataset, data.folds, seed=data.split_seed)
        sides = [np.flatnonzero(folds != fold) for fold in np.unique(folds[folds >= 0])]
    positive = set(everything[dataset.targets == 1].tolist())
    fewest = min(
        len(groups_of([dataset.texts[i] for i in side if i in positive]))
        for side in (side.tolist() for side in sides)
    )
    if fewest < 2:
        raise ConfigError(
            f"threshold: {rule!r} is chosen on rows kept from training, and needs one with label "
            f"{dataset.labels[1]!r} there and another to learn from; of the {len(dataset)} rows "
            f"{len(positive)} carry it: add some, or use --threshold half"
        )


def _decided(trained: Trained, held_out: HeldOut) -> Trained:
    """Return a model with the thresholds and the temperature of those that were scored."""
    decided = replace(
        trained.bundle, thresholds=held_out.thresholds, temperature=held_out.temperature
    )
    return replace(trained, bundle=decided)
