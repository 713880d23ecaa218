"""A pretrained encoder as a teacher: fine-tuned on the training rows, it labels any text.

Takes the training rows and a config; gives probabilities. Held-back rows never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.calibration import Kind
from tidegate.config import TrainingConfig
from tidegate.dataset import Dataset
from tidegate.lessons import Probabilities, own_shares
from tidegate.teaching.encoder import Encoder
from tidegate.teaching.finetune import answer, best_precision, finetune
from tidegate.workspace import Workspace


class EncoderTeacher:
    """A pretrained encoder for our labels: fine-tuned, it answers."""

    def __init__(self, encoder: Encoder, *, kind: Kind) -> None:
        self.encoder = encoder
        self.kind = kind
        self.precision = best_precision(encoder.head.weight.device.type)
        shown = "/".join(Path(encoder.name).parts[-2:])
        self.name = f"{shown}, fine-tuned"
        self.facts: dict[str, Any] = {
            "kind": "encoder",
            "name": shown,
            "parameters": encoder.n_parameters,
            "size_bytes": encoder.size_bytes,
            "licence": encoder.licence(),
            "precision": self.precision,
        }

    @classmethod
    def of(cls, dataset: Dataset, training: TrainingConfig) -> EncoderTeacher:
        """Load the encoder a config names, with an untrained head for a dataset's labels.

        Raises
        ------
        ConfigError
            It cannot be had.
        """
        outputs = 1 if dataset.kind == "binary" else len(dataset.labels)
        encoder = Encoder(training.teacher, n_outputs=outputs, seed=training.seed)
        return cls(encoder.to(training.device), kind=dataset.kind)

    def predict_proba(
        self, texts: Sequence[str], *, work: Workspace | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> Probabilities:  # fmt: skip
        """Return the probability of each label, (n_texts, n_labels)."""
        return answer(
            self.encoder, texts, kind=self.kind, precision=self.precision, workspace=work, say=say
        )

    def learn(
        self,
        own: Dataset,
        training: TrainingConfig,
        *,
        work: Workspace | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Fine-tune on the training rows.

        Parameters
        ----------
        work : where unfinished work is kept, to be gone on with; by default nowhere
        say : called with a line now and then
        """
        finetune(
            self.encoder, own.texts, own_shares(own).astype(np.float32), kind=own.kind,
            seed=training.seed, precision=self.precision, workspace=work, say=say,
        )  # fmt: skip
