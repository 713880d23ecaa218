"""A pretrained encoder as a teacher: fine-tuned on the training rows, it labels any text.

Takes the training rows and a config; gives probabilities. Held-back rows never come here.

A row's text, and texts made from it, are labelled by an encoder that learned from the other folds:
one that has learned a row partly repeats the label it was given (cross-fitting: Dao et al. 2021,
arXiv 2104.09732).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Config, Kind
from tidegate.data.dataset import Dataset
from tidegate.distillation.encoders.encoder import Encoder
from tidegate.distillation.encoders.finetune import (
    answer,
    best_precision,
    finetune,
    fingerprint,
    steps,
    steps_of_answers,
)
from tidegate.distillation.soft_labels import Probabilities, out_of_fold, own_shares
from tidegate.training.checkpoint import Workspace

Say = Callable[[str], None]


class EncoderTeacher:
    """Encoders for our labels, one for each fold of the training rows; fine-tuned, they answer.

    Parameters
    ----------
    encoders : one for each fold; or one alone, which learns from every row
    kind : of the labels
    """

    def __init__(self, encoders: Sequence[Encoder], *, kind: Kind) -> None:
        first = encoders[0]
        self.encoders = encoders
        self.kind = kind
        self.precision = best_precision(first.head.weight.device.type)
        shown = "/".join(Path(first.name).parts[-2:])
        times = f" {len(encoders)} times" if len(encoders) > 1 else ""
        self.name = f"{shown}, fine-tuned{times}"
        self.facts: dict[str, Any] = {
            "kind": "encoder",
            "name": shown,
            "encoders": len(encoders),
            "parameters": sum(encoder.n_parameters for encoder in encoders),
            "size_bytes": sum(encoder.size_bytes for encoder in encoders),
            "licence": first.licence(),
            "precision": self.precision,
        }

    @classmethod
    def of(cls, dataset: Dataset, config: Config) -> EncoderTeacher:
        """Load the encoder a config names, with an untrained head for a dataset's labels.

        Raises
        ------
        ConfigError
            It cannot be had.
        """
        outputs = 1 if dataset.kind == "binary" else len(dataset.labels)
        training, distillation = config.training, config.distillation
        first = training.seed * 100
        seeds = range(first, first + (distillation.teacher_folds if distillation.cross_fit else 1))
        encoders = [Encoder(distillation.teacher, n_outputs=outputs, seed=seed) for seed in seeds]
        return cls([encoder.to(training.device) for encoder in encoders], kind=dataset.kind)

    def identity(self) -> str:
        """Return what it is before it learns: the weights' hash, and the arithmetic."""
        return f"{fingerprint(self.encoders[0])} {self.precision}"

    def learn(
        self,
        own: Dataset,
        folds: npt.NDArray[np.int64],
        seed: int,
        *,
        n_answers: int = 0,
        work: Workspace | None = None,
        say: Say = lambda line: None,
    ) -> None:
        """Fine-tune each encoder on the training rows of the other folds.

        Parameters
        ----------
        folds : (N,) the fold of each row
        seed : of the training config
        n_answers : how many answers `label` will ask for, so that the time left can be told
        work : where unfinished work is kept, to be gone on with; by default nowhere
        say : called with a line now and then
        """
        total = len(self.encoders)
        parts = [
            own if total == 1 else own.subset(np.flatnonzero(folds != k)) for k in range(total)
        ]
        after = sum(steps(len(rows), len(own.labels)) for rows in parts) + steps_of_answers(
            n_answers
        )
        for number, (encoder, rows) in enumerate(zip(self.encoders, parts, strict=True)):
            after -= steps(len(rows), len(own.labels))
            finetune(
                encoder, rows.texts, own_shares(rows).astype(np.float32), kind=own.kind,
                seed=seed * 100 + number, precision=self.precision, workspace=work,
                name=f"encoder {number + 1} of {total}", after=after, say=say,
            )  # fmt: skip

    def n_answers(self, folds: npt.NDArray[np.int64]) -> int:
        """Return how many answers `label` asks for, of texts made from those folds' rows."""
        unseen = int((folds < 0).sum())
        return len(folds) + (len(self.encoders) - 1) * unseen

    def predict_proba(
        self, texts: Sequence[str], *, work: Workspace | None = None, say: Say = lambda line: None
    ) -> Probabilities:
        """Return the mean of the encoders' probabilities, (n_texts, n_labels)."""
        found = [self._answer(encoder, texts, work, say) for encoder in self.encoders]
        mean: Probabilities = np.mean(found, axis=0)
        return mean

    def label(
        self,
        texts: Sequence[str],
        folds: npt.NDArray[np.int64],
        *,
        work: Workspace | None = None,
        say: Say = lambda line: None,
    ) -> Probabilities:
        """Return the probabilities (n, L) of texts by the encoder that has not seen their fold.

        Texts of fold −1 were made from no row: all encoders label them.
        """
        if len(self.encoders) == 1:
            return self.predict_proba(texts, work=work, say=say)

        def ask(fold: int, asked: list[str]) -> Probabilities:
            if fold < 0:
                return self.predict_proba(asked, work=work, say=say)
            return self._answer(self.encoders[fold], asked, work, say)

        return out_of_fold(texts, folds, ask)

    def _answer(
        self, encoder: Encoder, texts: Sequence[str], work: Workspace | None, say: Say
    ) -> Probabilities:
        return answer(
            encoder, texts, kind=self.kind, precision=self.precision, workspace=work, say=say
        )
