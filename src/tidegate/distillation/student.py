"""A student: the network of a config, trained on a teacher's soft labels.

Takes a `Dataset` and a config that names a teacher, gives `Distilled`, or a `StudentLearner` that
scores and ships as others do. The teacher learns from the training rows alone, and nothing of it is
needed to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from tidegate.config import Config
from tidegate.data.dataset import Dataset, read_texts
from tidegate.data.splits import normalise
from tidegate.distillation.labelling import SoftLabeller
from tidegate.distillation.soft_labels import Teacher
from tidegate.engine.bundle import is_bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.presets import untaught
from tidegate.training.checkpoint import Workspace
from tidegate.training.held_out import Contestant, chosen_threshold, contestant_of
from tidegate.training.learner import Learner, undecided, with_config
from tidegate.training.loop import Epoch
from tidegate.training.pace import Pace, Passes
from tidegate.training.prepare import Indices, Prepared, prepare
from tidegate.training.soft_labels import SoftLabels
from tidegate.training.threads import torch_threads
from tidegate.training.train import Trained, Weights, fitted_to, read_rows, train, trained_on

UNTAUGHT = "default, no teacher"


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """A student, and the teacher whose labels it learned from.

    Attributes
    ----------
    labeller : who holds the teacher; it labels further texts
    soft_labels : what the student learned from
    """

    trained: Trained
    teacher: Teacher
    labeller: SoftLabeller
    soft_labels: SoftLabels

    def contestants(self, work: Workspace | None = None) -> dict[str, Contestant]:
        """Return what the student is compared with, by name: itself untaught, and its teacher."""
        prepared, teacher = self.trained.prepared, self.teacher
        rows = np.sort(np.concatenate([prepared.train_rows, self.trained.kept_rows]))
        config = untaught(prepared.config, several=prepared.dataset.kind == "multilabel")
        alone = train(
            prepared.dataset, config, rows=(rows, prepared.test_rows[:0]), work=work,
            name="untaught",
        )  # fmt: skip
        return {
            UNTAUGHT: contestant_of(alone.bundle),
            f"teacher: {teacher.name}": Contestant(
                answer=teacher.predict_proba,
                threshold=chosen_threshold(self.trained, teacher.predict_proba),
                parameters=teacher.facts["parameters"],
                size_bytes=teacher.facts["size_bytes"],
            ),
        }


class StudentLearner(Learner):
    """What trains the student of one config on one dataset.

    The teacher is trained once, on the training rows of a split. The student that is shipped learns
    from all rows: the teacher has not seen those held out, so that it labels them as it labels any
    other text. A student costs little beside its teacher, and so does this second one.

    Parameters
    ----------
    work : where the unfinished work of teacher and student is kept, and gone on with
    on_stage : called with a line for each stage of the work
    """

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        *,
        work: Workspace | None = None,
        on_prepared: Callable[[Prepared], None] = lambda prepared: None,
        on_stage: Callable[[str], None] = lambda line: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> None:
        super().__init__(dataset, config, work=work, on_prepared=on_prepared, on_epoch=on_epoch)
        self.on_stage = on_stage
        self.distilled: Distilled | None = None

    def _sent(self) -> dict[str, Any]:
        return {}

    @property
    def teacher(self) -> dict[str, Any] | None:
        """What a report says of the teacher."""
        return None if self.distilled is None else self.distilled.teacher.facts

    @property
    def way(self) -> Literal["split", "cv", "none"]:
        """How held-out figures are made; by default a split, as a teacher a fold costs much."""
        chosen = self.config.data.score
        return "split" if chosen == "auto" else chosen

    @property
    def few_rows(self) -> bool:
        """Never: a teacher for each fold costs too much."""
        return False

    def learn(self, rows: tuple[Indices, Indices]) -> Trained:
        """Train the teacher and the student on the first rows."""
        self.distilled = train_student(
            self.dataset, self.config, rows=rows, work=self.work,
            on_prepared=self.on_prepared, on_stage=self.on_stage, on_epoch=self.on_epoch,
        )  # fmt: skip
        return self.distilled.trained

    def learn_fold(
        self,
        dataset: Dataset,
        config: Config,
        *,
        rows: tuple[Indices, Indices],
        work: Workspace | None = None,
    ) -> Trained:
        """Train a teacher and a student on the first rows, for one fold of several."""
        return train_student(dataset, config, rows=rows, work=work, on_stage=self.on_stage).trained

    def learn_all(self) -> Trained:
        """Train the student on every row, none kept to choose thresholds on."""
        config, everything = undecided(self.config), np.arange(len(self.dataset))
        rows = (everything, everything[:0])
        if self.distilled is None:
            self.distilled = train_student(
                self.dataset, config, rows=rows, work=self.work, on_stage=self.on_stage
            )  # fmt: skip
            return with_config(self.distilled.trained, self.config)
        known = self.distilled
        rest = np.setdiff1d(everything, known.trained.prepared.train_rows)
        more = known.labeller.label_more(self.dataset.subset(rest), known.teacher)
        labels = SoftLabels(
            texts=(*known.soft_labels.texts, *more.texts),
            targets=np.concatenate([known.soft_labels.targets, more.targets]),
        )
        prepared, nothing = read_rows(self.dataset, config, rows)
        with torch_threads(config.training.threads):
            trained = trained_on(
                prepared, nothing, soft_labels=labels, work=self.work, name="shipped"
            )
        return with_config(trained, self.config)

    def contestants(self, work: Workspace | None = None) -> Mapping[str, Contestant]:
        """Return further rivals: the default without a teacher, and the teacher."""
        return {} if self.distilled is None else self.distilled.contestants(work)


def learner_of(
    dataset: Dataset, config: Config, *, sample_weight: Weights | None = None
) -> Learner:
    """Return what trains a config: with the teacher that it names, or without one.

    Raises
    ------
    ConfigError
        Sample weights beside a teacher.
    """
    if config.distillation.teacher == "none":
        return Learner(dataset, config, sample_weight=sample_weight)
    if sample_weight is not None:
        raise ConfigError("sample_weight: soft labels have none; train without a teacher")
    return StudentLearner(dataset, config)


def train_student(
    dataset: Dataset,
    config: Config,
    *,
    rows: tuple[Indices, Indices] | None = None,
    work: Workspace | None = None,
    on_prepared: Callable[[Prepared], None] = lambda prepared: None,
    on_stage: Callable[[str], None] = lambda line: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Distilled:
    """Train the teacher that a config names, label texts with it, and train the student on them.

    Parameters
    ----------
    rows : (train, test) row numbers; by default the config's split. Test rows may be empty.
    work : where the unfinished work of teacher and student is kept, and gone on with
    on_prepared, on_stage, on_epoch : called with the prepared rows, with a line for each stage of
        the work, and after each of the student's epochs

    Raises
    ------
    ConfigError, DataError
        A setting or the data do not allow it.
    ParityError
        The exported engine disagrees with torch.
    """
    if config.network.pooling == "padded_last":
        raise ConfigError(
            "teacher: found with pooling=padded_last, whose answer depends on the padding; choose "
            "another pooling, or no teacher"
        )
    prepared, validation = read_rows(dataset, config, rows)
    on_prepared(prepared)
    with torch_threads(config.training.threads):
        place = None if work is None else work.within("teacher")
        labeller = _labeller(prepared, work=place, say=on_stage)
        passes = _passes(prepared.config, say=on_stage)
        labelled = labeller.label(partial(learn_member, work=place, passes=passes))
        pace = Pace("student: epoch", prepared.config.training.epochs)

        def on_student(epoch: Epoch) -> None:
            on_epoch(epoch)
            on_stage(pace.line(epoch.number))

        trained = trained_on(
            prepared, validation, soft_labels=labelled.soft_labels, work=work,
            on_epoch=on_student,
        )  # fmt: skip
    return Distilled(
        trained=trained, teacher=labelled.teacher, labeller=labeller,
        soft_labels=labelled.soft_labels,
    )  # fmt: skip


def _labeller(
    prepared: Prepared, *, work: Workspace | None, say: Callable[[str], None]
) -> SoftLabeller:
    """Return the config's teachers, who may see the training rows."""
    config, dataset = prepared.config, prepared.dataset
    path = config.distillation.unlabelled
    found = read_texts(path, config.data) if path else ()
    labelled = {normalise(text) for text in dataset.texts}  # held out, or learned from already
    unlabelled = [text for text in found if normalise(text) not in labelled]
    if len(unlabelled) < len(found):
        say(f"unlabelled: {len(found) - len(unlabelled):,} of {len(found):,} left out: rows' own")
    held_out = np.setdiff1d(np.arange(len(dataset)), prepared.train_rows)
    return SoftLabeller(
        dataset.subset(prepared.train_rows), config,
        avoided=[dataset.texts[i] for i in held_out], unlabelled=unlabelled,
        work=work, say=say,
    )  # fmt: skip


def _passes(config: Config, *, say: Callable[[str], None]) -> Passes:
    """Return what tells how far the LSTMs of a blend are, and how long what follows them takes.

    What follows is the student, the default without a teacher, and the student of all rows.
    """
    distillation, epochs = config.distillation, config.training.epochs
    n = distillation.teacher_folds * distillation.teacher_models * epochs
    whole = 1 / (1 - 1 / distillation.teacher_folds)  # rows beside those that a member reads
    students = (1 + distillation.augment) * (1 + config.training.refit) + 1
    # After an encoder's answers the blend is the smaller part, and nothing is known of the rest.
    after = whole * students * epochs if distillation.teacher == "blend" else 0.0
    pace = Pace("teacher: blend, pass", n, after=after, then="for those it teaches")
    return Passes(pace, n, say=say)


def learn_member(
    dataset: Dataset,
    config: Config,
    rows: Indices,
    *,
    work: Workspace | None,
    passes: Passes | None = None,
) -> Predictor:
    """Train one LSTM of a teacher, or load it if an interrupted run had done so.

    Parameters
    ----------
    passes : is told each pass over the rows
    """
    name = f"lstm-{config.training.seed}"
    place = None if work is None else work.folder / name
    config = fitted_to(dataset, config, rows)
    if place is not None and is_bundle(place):
        if passes is not None:
            passes.skip(config.training.epochs)
        return Predictor.load(place)
    prepared = prepare(dataset, config, train=rows, test=rows[:0])
    bundle = trained_on(
        prepared, rows[:0], work=work, name=name,
        on_epoch=lambda epoch: None if passes is None else passes.done(),
    ).bundle  # fmt: skip
    if place is not None and work is not None:
        bundle.save(place)
        work.forget(name)
        work.forget(f"{name}.linear")
    return Predictor(bundle)
