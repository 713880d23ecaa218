"""A student: the network of a config, trained on a teacher's soft labels.

Takes a `Dataset` and a config that names a teacher, gives `Distilled`. The teacher learns from the
training rows alone, and nothing of it is needed to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from tidegate.training.loop import Epoch
from tidegate.training.pace import Pace
from tidegate.training.prepare import Indices, Prepared, prepare
from tidegate.training.score import Contestant, chosen_threshold, contestant_of
from tidegate.training.threads import torch_threads
from tidegate.training.train import Trained, Weights, read_rows, train, trained_on

UNTAUGHT = "the same network, no teacher"


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """A student, and the teacher whose labels it learned from."""

    trained: Trained
    teacher: Teacher

    def contestants(self) -> dict[str, Contestant]:
        """Return what the student is compared with, by name: itself untaught, and its teacher."""
        prepared, teacher = self.trained.prepared, self.teacher
        rows = np.sort(np.concatenate([prepared.train_rows, self.trained.kept_rows]))
        config = untaught(prepared.config, several=prepared.dataset.kind == "multilabel")
        alone = train(prepared.dataset, config, rows=(rows, prepared.test_rows[:0]))
        return {
            UNTAUGHT: contestant_of(alone.bundle),
            f"teacher: {teacher.name}": Contestant(
                answer=teacher.predict_proba,
                threshold=chosen_threshold(self.trained, teacher.predict_proba),
                parameters=teacher.facts["parameters"],
                size_bytes=teacher.facts["size_bytes"],
            ),
        }


def train_student(
    dataset: Dataset,
    config: Config,
    *,
    rows: tuple[Indices, Indices] | None = None,
    folder: Path | None = None,
    resume: bool = False,
    on_prepared: Callable[[Prepared], None] = lambda prepared: None,
    on_stage: Callable[[str], None] = lambda line: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Distilled:
    """Train the teacher that a config names, label texts with it, and train the student on them.

    Parameters
    ----------
    rows : (train, test) row numbers; by default the config's split. Test rows may be empty.
    folder, resume : where the unfinished work of teacher and student is kept, and whether to go on
        with it
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
        labeller = _labeller(prepared, folder=folder, resume=resume, say=on_stage)
        labelled = labeller.label(partial(learn_member, work=labeller.work))
        pace = Pace("student: epoch", config.training.epochs)

        def on_student(epoch: Epoch) -> None:
            on_epoch(epoch)
            on_stage(pace.line(epoch.number))

        trained = trained_on(
            prepared, validation, soft_labels=labelled.soft_labels, work=labeller.work,
            on_epoch=on_student,
        )  # fmt: skip
    return Distilled(trained=trained, teacher=labelled.teacher)


def train_as_configured(
    dataset: Dataset,
    config: Config,
    *,
    rows: tuple[Indices, Indices] | None = None,
    sample_weight: Weights | None = None,
) -> Trained:
    """Train with the teacher that a config names, or without one if it names none.

    Raises
    ------
    ConfigError, DataError, ParityError
        As `train` and `train_student` do; and for sample weights beside a teacher.
    """
    if config.distillation.teacher == "none":
        return train(dataset, config, rows=rows, sample_weight=sample_weight)
    if sample_weight is not None:
        raise ConfigError("sample_weight: soft labels have none; train without a teacher")
    return train_student(dataset, config, rows=rows).trained


def _labeller(
    prepared: Prepared, *, folder: Path | None, resume: bool, say: Callable[[str], None]
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
        folder=folder, resume=resume, say=say,
    )  # fmt: skip


def learn_member(
    dataset: Dataset, config: Config, rows: Indices, *, work: Workspace | None
) -> Predictor:
    """Train one LSTM of a teacher, or load it if an interrupted run had done so."""
    place = None if work is None else work.folder / f"lstm-{config.training.seed}"
    if place is not None and is_bundle(place):
        return Predictor.load(place)
    bundle = trained_on(prepare(dataset, config, train=rows, test=rows[:0]), rows[:0]).bundle
    if place is not None:
        bundle.save(place)
    return Predictor(bundle)
