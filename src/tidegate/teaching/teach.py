"""What an encoder teaches: fine-tuned on the training rows, it labels made and unlabelled texts.

Takes a dataset, a config and the training rows, gives lessons for the student. Held-back rows are
never read; their texts come in only as those that must not be made by chance.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.calibration import Kind
from tidegate.config import Config
from tidegate.dataset import Dataset
from tidegate.lessons import Lessons, Probabilities, augmented, own_shares
from tidegate.teaching.encoder import Encoder
from tidegate.teaching.finetune import answer, best_precision, finetune
from tidegate.teaching.workspace import Workspace, key_of

Indices = npt.NDArray[np.int64]


class EncoderTeacher:
    """A fine-tuned encoder that answers."""

    def __init__(self, encoder: Encoder, *, kind: Kind, precision: str) -> None:
        self.encoder = encoder
        self.kind = kind
        self.precision = precision
        shown = "/".join(Path(encoder.name).parts[-2:])
        self.name = f"teacher: {shown}, fine-tuned"
        self.facts: dict[str, Any] = {
            "kind": "encoder",
            "name": shown,
            "parameters": encoder.n_parameters,
            "licence": _licence(encoder.name),
            "precision": precision,
        }

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        return answer(self.encoder, texts, kind=self.kind, precision=self.precision)


def encoder_lessons(
    dataset: Dataset,
    config: Config,
    rows: Indices,
    *,
    avoided: Sequence[str],
    unlabelled: Sequence[str] = (),
    folder: Path | None = None,
    resume: bool = False,
    on_stage: Callable[[str], None] = lambda line: None,
) -> Lessons:
    """Fine-tune the encoder on the training rows and return what it teaches.

    Parameters
    ----------
    rows : the training rows
    avoided : texts that must not be made by chance: the held-back ones
    unlabelled : further texts for it to label
    folder : where unfinished work is kept, to be gone on with; by default nowhere
    resume : go on with what the folder holds
    on_stage : called with a line now and then

    Raises
    ------
    ConfigError
        The encoder cannot be had, or the folder holds other work.
    """
    training = config.training
    own = dataset.subset(rows)
    encoder = Encoder(
        training.teacher, n_outputs=1 if own.kind == "binary" else len(own.labels),
        seed=training.seed,
    ).to(training.device)  # fmt: skip
    precision = best_precision()
    with tempfile.TemporaryDirectory() as nowhere:
        key = key_of([config.to_dict(), own.texts, own.targets.tolist(), list(unlabelled)])
        workspace = Workspace(folder or Path(nowhere), key=key, resume=resume)
        shares = own_shares(own)
        finetune(
            encoder, own.texts, shares.astype(np.float32), kind=own.kind, seed=training.seed,
            precision=precision, workspace=workspace, say=on_stage,
        )  # fmt: skip
        rng = np.random.default_rng(training.seed)
        made, _ = augmented(own.texts, rounds=training.augment, rng=rng, avoided=avoided)
        soft = answer(
            encoder, [*own.texts, *made, *unlabelled], kind=own.kind, precision=precision,
            workspace=workspace, say=on_stage,
        )  # fmt: skip
    soft[: len(own)] *= training.soft_share
    soft[: len(own)] += (1 - training.soft_share) * shares
    return Lessons(
        texts=(*own.texts, *made, *unlabelled),
        targets=soft.astype(np.float32),
        teacher=EncoderTeacher(encoder, kind=own.kind, precision=precision),
    )


def _licence(name: str) -> str:
    """Return the licence that a model folder's card states, or "unknown"."""
    card = Path(name) / "README.md"
    if card.is_file():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
            if line.startswith("license:"):
                return line.removeprefix("license:").strip() or "unknown"
    return "unknown"
