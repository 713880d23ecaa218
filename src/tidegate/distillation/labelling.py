"""Who teaches, and what: the lessons of a blend, of a pretrained encoder, or of both together.

Takes the training rows and a config, gives `Lessons`. Held-back rows never come here; their texts
do, as those that must not be made by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.config import Config
from tidegate.data.dataset import Dataset, grouped_folds
from tidegate.distillation.blend import BlendTeacher, Indices, Learn
from tidegate.distillation.lessons import (
    Lessons,
    Probabilities,
    Teacher,
    augmented,
    mixed,
    own_shares,
)
from tidegate.distillation.neighbours import neighbours
from tidegate.distillation.platt import Platt
from tidegate.training.checkpoint import Workspace, key_of
from tidegate.training.pace import Pace
from tidegate.training.pretrained import load_pretrained
from tidegate.training.threads import torch_threads
from tidegate.version import VERSION

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is to be labelled: the rows' own texts, then made ones, then unlabelled ones.

    Attributes
    ----------
    own : the training rows
    texts : all of the texts, the rows' own first
    folds : (n,) the fold of the row each was made from; −1 for unlabelled ones
    """

    own: Dataset
    texts: tuple[str, ...]
    folds: Indices

    @classmethod
    def of(
        cls, own: Dataset, config: Config, *, avoided: Sequence[str], unlabelled: Sequence[str]
    ) -> Reading:
        """Make new texts from the rows' own."""
        training = config.training
        shares = [1 / training.teacher_folds] * training.teacher_folds
        folds = grouped_folds(own, shares, seed=training.seed)
        rng = np.random.default_rng(training.seed)
        swaps = training.augment and training.swap_share
        pretrained = load_pretrained(config.network.vectors) if swaps else None
        made, sources = augmented(
            own.texts, rounds=training.augment, rng=rng, avoided=avoided, groups=folds,
            neighbours=neighbours(own.texts, pretrained) if pretrained else None,
            swap_share=training.swap_share,
        )  # fmt: skip
        nobodys = np.full(len(unlabelled), -1)
        return cls(
            own=own, texts=(*own.texts, *made, *unlabelled),
            folds=np.concatenate([folds, folds[np.array(sources, np.int64)], nobodys]),
        )  # fmt: skip


class Ensemble:
    """Two teachers whose probabilities are averaged."""

    def __init__(self, first: Teacher, second: Teacher, *, share: float) -> None:
        self.first, self.second, self.share = first, second, share
        self.name = f"{first.name}, with {second.name}"

    @property
    def facts(self) -> dict[str, Any]:
        """The first one's, with the weight of both and the second one's name."""
        facts, more = self.first.facts, self.second.facts
        sums = {key: facts[key] + more[key] for key in ("parameters", "size_bytes")}
        return facts | sums | {"with": self.second.name}

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the mean of both, weighted, (n_texts, n_labels)."""
        found = (1 - self.share) * self.first.predict_proba(texts)
        return found + self.share * self.second.predict_proba(texts)


class Calibrated:
    """A teacher whose lean, seen on rows that it has not learned, is taken out."""

    def __init__(self, teacher: Teacher, scale: Platt) -> None:
        self.teacher, self.scale = teacher, scale
        self.name = teacher.name

    @property
    def facts(self) -> dict[str, Any]:
        """The teacher's."""
        return self.teacher.facts

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        return self.scale(self.teacher.predict_proba(texts))


class School:
    """One config's teachers, and where their unfinished work is kept.

    Parameters
    ----------
    own : the training rows
    avoided, unlabelled : held-back texts, never to be made; texts without labels, to learn from
    folder, resume : where unfinished work is kept, by default nowhere; whether to go on with it
    say : called with a line now and then

    Raises
    ------
    ConfigError
        The encoder cannot be had, or the folder holds other work.
    """

    def __init__(
        self,
        own: Dataset,
        config: Config,
        *,
        avoided: Sequence[str],
        unlabelled: Sequence[str],
        folder: Path | None,
        resume: bool,
        say: Say,
    ) -> None:
        self.config, self.say = config, say
        self.encoder = None
        if config.training.teacher != "blend":
            from tidegate.distillation.encoders.teacher import EncoderTeacher

            self.encoder = EncoderTeacher.of(own, config.training)
        self.reading = Reading.of(own, config, avoided=avoided, unlabelled=unlabelled)
        self.work = None
        if folder is not None:  # an encoder that is refused leaves none behind
            parts = [VERSION, config.to_dict(), self.reading.texts, own.targets.tolist()]
            if self.encoder is not None:  # a folder's model may be another one tomorrow
                parts.append(self.encoder.identity())
            self.work = Workspace(folder, key=key_of(parts), resume=resume)

    def lessons(self, learn: Learn) -> Lessons:
        """Train the teachers and return what they teach.

        Parameters
        ----------
        learn : trains one LSTM on rows of a dataset
        """
        training, reading = self.config.training, self.reading
        teacher, soft = self._labels(learn)
        if self.encoder is None or training.cross_fit:  # else no row's label is out of fold
            own = reading.own
            scale = Platt.fit(soft[: len(own)], own_shares(own), kind=own.kind)
            teacher, soft = Calibrated(teacher, scale), scale(soft)
        targets = mixed(
            soft, reading.own, share=training.soft_share, temperature=training.temperature
        )
        return Lessons(texts=reading.texts, targets=targets.astype(np.float32), teacher=teacher)

    def _labels(self, learn: Learn) -> tuple[Teacher, Probabilities]:
        training, reading, encoder = self.config.training, self.reading, self.encoder
        if encoder is None:
            blend = self._blend(learn)
            return blend, blend.label(reading.texts, reading.folds)
        with torch_threads(0):  # it is large enough to gain from every core
            own_folds = reading.folds[: len(reading.own)]
            encoder.learn(reading.own, own_folds, training, work=self.work, say=self.say)
            soft = encoder.label(reading.texts, reading.folds, work=self.work, say=self.say)
        share = training.blend_share
        if not share:
            return encoder, soft
        blend = self._blend(learn)
        soft = (1 - share) * soft + share * blend.label(reading.texts, reading.folds)
        return Ensemble(encoder, blend, share=share), soft

    def _blend(self, learn: Learn) -> BlendTeacher:
        pace = Pace("teacher: blend, fold", self.config.training.teacher_folds)
        own = self.reading.own
        return BlendTeacher(
            own, self.config, self.reading.folds[: len(own)], learn=learn,
            on_fold=lambda done: self.say(pace.line(done)),
        )  # fmt: skip
