"""What training minimises: the loss of logits, and what each class counts in it.

Takes logits, targets and the training config; gives losses. Knows nothing of networks or steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tidegate.config import Kind, TrainingConfig
from tidegate.errors import ConfigError

# Of logits (B, C), targets, and what each message counts.
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
DIVERGED = 10.0  # times the loss of a model that knows nothing


def make_loss(class_weights: Tensor | None, *, kind: Kind, smoothing: float) -> Loss:
    """Return the mean loss of logits (B, C): cross-entropy, or binary cross-entropy on logits."""

    def loss(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        if kind == "multiclass":
            each = nn.functional.cross_entropy(
                logits, targets, weight=class_weights, label_smoothing=smoothing, reduction="none"
            )
        else:
            y = targets.float() if kind == "multilabel" else _positive(targets)[:, None]
            soft = y * (1.0 - smoothing) + 0.5 * smoothing
            each = nn.functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
            if class_weights is not None:
                each = each * torch.where(y >= 0.5, class_weights[1], class_weights[0])
            each = each.mean(dim=1)
        return each.mean() if weights is None else (each * weights).mean()

    return loss


def class_weights(
    targets: Tensor, config: TrainingConfig, *, kind: Kind, n_outputs: int
) -> Tensor | None:
    """Return n / (classes · count) of each class; multi-label: (2, L), for 0 and for 1.

    A class without a row in the data has the weight of one with one row.
    """
    if config.class_weights == "none":
        return None
    if kind == "multilabel":
        positive = targets.float().mean(dim=0).clamp(1e-3, 1 - 1e-3)
        return torch.stack([0.5 / (1 - positive), 0.5 / positive])
    chosen = targets.argmax(dim=1) if targets.ndim == 2 else targets
    counts = torch.bincount(chosen, minlength=max(2, n_outputs)).clamp(min=1).float()
    return len(targets) / (len(counts) * counts)


def n_right(logits: Tensor, targets: Tensor, *, kind: Kind) -> float:
    """Return how many messages the logits decide rightly; multi-label: the sum of their shares."""
    if kind == "multilabel":
        return float(((logits >= 0) == (targets >= 0.5)).float().mean(dim=1).sum())
    if targets.ndim == 2:
        targets = targets.argmax(dim=1)
    chosen = (logits[:, 0] >= 0).long() if kind == "binary" else logits.argmax(dim=1)
    return float((chosen == targets).sum())


def _positive(targets: Tensor) -> Tensor:
    """Return the binary target's (soft) share of the second label."""
    return targets[:, 1] if targets.ndim == 2 else targets.float()


def check_finite(loss: Tensor, *, what: str, rate: float, cure: str) -> None:
    """Raise a `ConfigError` unless a step's loss is a finite number.

    Parameters
    ----------
    what : where training is, as in "epoch 2, step 7"
    rate : the highest learning rate
    cure : what to do
    """
    if not torch.isfinite(loss):
        raise ConfigError(
            f"{what}: the loss is {float(loss)} and training cannot go on; its learning rate is "
            f"{rate:g}: {cure}"
        )


def check_converges(
    mean: float, *, kind: Kind, n_outputs: int, weight: float, what: str, cure: str
) -> None:
    """Raise a `ConfigError` if an epoch's mean loss is ten times that of knowing nothing.

    To know nothing is to give each class the same probability: its loss is ln(classes).

    Parameters
    ----------
    weight : what a message counts in the mean

    Examples
    --------
    >>> check_converges(0.7, kind="binary", n_outputs=1, weight=1.0, what="epoch 1", cure="")
    """
    chance = math.log(max(n_outputs, 2) if kind == "multiclass" else 2)
    if mean > DIVERGED * chance * max(weight, 1e-12):
        raise ConfigError(
            f"{what}: the loss is {mean:.3g}, over {DIVERGED:g} times that of knowing nothing "
            f"({chance * weight:.3g}): training diverges; {cure}"
        )
