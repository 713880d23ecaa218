"""Where a sweep searches: each setting, its range, and why.

Takes nothing, gives `SPACE`. Knows nothing of Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Where a setting is searched, and why there.

    Attributes
    ----------
    values : the choices, or the two ends of a range
    how : choice, whole (numbers), real, or log (real, by its logarithm)
    reason : why it is searched, and why there
    """

    values: tuple[float, ...]
    how: str
    reason: str


SPACE: Mapping[str, Range] = {
    "epochs": Range(values=(4, 25), how="whole", reason="few rows and many classes need more"),
    "learning_rate": Range(
        values=(5e-4, 8e-3), how="log", reason="AdamW with one cycle is stable in this decade"
    ),
    "batch_size": Range(values=(16, 32, 64), how="choice", reason="smaller means more steps"),
    "hidden_size": Range(
        values=(16, 32, 48, 64), how="choice", reason="more units cost answers their speed"
    ),
    "embedding_size": Range(
        values=(32, 64, 96), how="choice", reason="learned beside the pretrained vector"
    ),
    "min_count": Range(values=(1, 2, 3), how="choice", reason="rare words are read by pieces"),
    "word_dropout": Range(values=(0.0, 0.4), how="real", reason="short messages spare no word"),
    "channel_dropout": Range(values=(0.0, 0.6), how="real", reason="less for many classes"),
    "dropout": Range(values=(0.1, 0.6), how="real", reason="less for many classes"),
    "label_smoothing": Range(values=(0.0, 0.2), how="real", reason="labels are not all right"),
    "weight_decay": Range(values=(1e-4, 0.1), how="log", reason="of AdamW, apart from the rate"),
    "ngram_share": Range(
        values=(0.3, 0.95), how="real", reason="the linear branch knows more of few rows"
    ),
}


def space_of(most_epochs: int | None) -> dict[str, Range]:
    """Return the space, with no more epochs than so many."""
    if most_epochs is None:
        return dict(SPACE)
    ends = (min(SPACE["epochs"].values[0], most_epochs), most_epochs)
    return {**SPACE, "epochs": replace(SPACE["epochs"], values=ends)}
