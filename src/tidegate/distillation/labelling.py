"""Soft labels for a student: by a blend, by a pretrained encoder, or by both together.

Takes the training rows and a config, gives `SoftLabels` and the teacher that made them. Held-out
rows never come here. Their texts do, so that augmentation does not make one of them by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import grouped_folds
from tidegate.distillation.augmentation import augmented
from tidegate.distillation.blend import BlendTeacher, Indices, Learn
from tidegate.distillation.neighbours import neighbours
from tidegate.distillation.platt import Platt
from tidegate.distillation.soft_labels import Probabilities, Teacher, mixed, own_shares
from tidegate.training.checkpoint import Workspace, key_of, once
from tidegate.training.pretrained import load_pretrained
from tidegate.training.soft_labels import SoftLabels
from tidegate.training.threads import torch_threads

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class TextsToLabel:
    """What a teacher labels: the rows' own texts, then made ones, then unlabelled ones.

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
    ) -> TextsToLabel:
        """Make new texts from the rows' own."""
        training, distillation = config.training, config.distillation
        shares = [1 / distillation.teacher_folds] * distillation.teacher_folds
        folds = grouped_folds(own, shares, seed=training.seed)
        rng = np.random.default_rng(training.seed)
        swaps = distillation.augment and distillation.swap_share
        pretrained = load_pretrained(config.network.vectors) if swaps else None
        made, sources = augmented(
            own.texts, rounds=distillation.augment, rng=rng, avoided=avoided, groups=folds,
            neighbours=neighbours(own.texts, pretrained) if pretrained else None,
            swap_share=distillation.swap_share,
        )  # fmt: skip
        no_fold = np.full(len(unlabelled), -1)
        return cls(
            own=own, texts=(*own.texts, *made, *unlabelled),
            folds=np.concatenate([folds, folds[np.array(sources, np.int64)], no_fold]),
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
    """A teacher whose probabilities are calibrated on rows that it has not learned from."""

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


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Soft labels, and the teacher that made them."""

    soft_labels: SoftLabels
    teacher: Teacher


class SoftLabeller:
    """The teachers that one config names, and where their unfinished work is kept.

    Parameters
    ----------
    own : the training rows
    avoided, unlabelled : held-out texts, which augmentation must not make; texts without labels
    work : where unfinished work is kept, and gone on with; by default nowhere
    say : called with a line now and then

    Raises
    ------
    ConfigError
        The encoder cannot be had, or what is kept is of another.
    """

    def __init__(
        self,
        own: Dataset,
        config: Config,
        *,
        avoided: Sequence[str],
        unlabelled: Sequence[str],
        work: Workspace | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self.config, self.say = config, say
        self.encoder = None
        if config.distillation.teacher != "blend":
            from tidegate.distillation.encoders.teacher import EncoderTeacher

            self.encoder = EncoderTeacher.of(own, config)
        self.texts = TextsToLabel.of(own, config, avoided=avoided, unlabelled=unlabelled)
        self.work = work
        if work is not None:
            parts = [self.texts.texts, own.targets.tolist()]
            if self.encoder is not None:  # a folder may hold another model tomorrow
                parts.append(self.encoder.identity())
            work.bind(key_of(parts))

    def label(self, learn: Learn) -> Labelled:
        """Train the teachers, and label every text.

        Parameters
        ----------
        learn : trains one LSTM on rows of a dataset
        """
        distillation, own = self.config.distillation, self.texts.own
        teacher, soft = self._labels(learn)
        # A teacher that has learned a row repeats its label, so only out-of-fold labels calibrate.
        if self.encoder is None or distillation.cross_fit:
            scale = Platt.fit(soft[: len(own)], own_shares(own), kind=own.kind)
            teacher, soft = Calibrated(teacher, scale), scale(soft)
        targets = mixed(
            soft, own, share=distillation.soft_share, temperature=distillation.temperature
        ).astype(np.float32)
        labels = SoftLabels(texts=self.texts.texts, targets=targets)
        return Labelled(soft_labels=labels, teacher=teacher)

    def label_more(self, own: Dataset, teacher: Teacher) -> SoftLabels:
        """Label rows that the teacher has not learned from, and texts made from them."""
        config, distillation = self.config, self.config.distillation
        texts = TextsToLabel.of(own, config, avoided=self.texts.texts, unlabelled=())
        soft = once(self.work, "more", lambda: {"labels": teacher.predict_proba(texts.texts)})[
            "labels"
        ]
        targets = mixed(
            soft, own, share=distillation.soft_share, temperature=distillation.temperature
        )
        return SoftLabels(texts=texts.texts, targets=targets.astype(np.float32))

    def _labels(self, learn: Learn) -> tuple[Teacher, Probabilities]:
        reading, encoder = self.texts, self.encoder
        if encoder is None:
            blend = self._blend(learn)
            return blend, blend.label(reading.texts, reading.folds, work=self.work)
        with torch_threads(0):  # it is large enough to gain from every core
            own_folds = reading.folds[: len(reading.own)]
            encoder.learn(
                reading.own, own_folds, seed=self.config.training.seed,
                n_answers=encoder.n_answers(reading.folds), work=self.work, say=self.say,
            )  # fmt: skip
            soft = encoder.label(reading.texts, reading.folds, work=self.work, say=self.say)
        share = self.config.distillation.blend_share
        if not share:
            return encoder, soft
        blend = self._blend(learn)
        said = blend.label(reading.texts, reading.folds, work=self.work)
        soft = (1 - share) * soft + share * said
        return Ensemble(encoder, blend, share=share), soft

    def _blend(self, learn: Learn) -> BlendTeacher:
        own = self.texts.own
        return BlendTeacher(own, self.config, self.texts.folds[: len(own)], learn=learn)
