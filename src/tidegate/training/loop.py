"""The training loop: plain PyTorch, one line an epoch.

Takes a network, encoded messages and the training config; changes the network's weights and gives
what happened in each epoch. Knows nothing of text, files or reports.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.config import Kind, TrainingConfig
from tidegate.engine.batches import length_pools
from tidegate.training.checkpoint import Workspace, restore_state, state_of
from tidegate.training.model import MessageNet

# Of logits (B, C), targets, and what each message counts.
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Messages ready for torch: token_ids (N, T) padded with 0, lengths (N,), targets, weights.

    Targets are (N,) class indices, (N, L) of 0 and 1, or (N, C) soft labels; `weights` (N,) count
    each message in the loss.
    """

    token_ids: Tensor
    lengths: Tensor
    targets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the training rows did.

    `last_loss` is that of the last batch (what the lesson prints), `loss` the mean over batches;
    accuracies are shares in [0, 1], in training mode for the training rows, as the lesson counts.
    `test_loss` and `test_accuracy` are NaN when no rows were watched.
    """

    number: int
    loss: float
    last_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


def fit(
    model: MessageNet,
    train: Encoded,
    config: TrainingConfig,
    *,
    kind: Kind,
    watched: Encoded | None = None,
    work: Workspace | None = None,
    name: str = "student",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the network in place.

    Parameters
    ----------
    train, watched : rows to learn from, and rows to score after each epoch without learning
    work, name : where each epoch's end is kept, by default nowhere, and the checkpoint's name
    on_epoch : called after each epoch
    """
    # Of the training rows for both: a class may be missing among the watched ones.
    class_weights = _class_weights(train, config, kind=kind, n_outputs=model.output.out_features)
    loss_of = _loss(class_weights, kind=kind, smoothing=config.label_smoothing)
    watch = partial(_watch, loss=_loss(class_weights, kind=kind, smoothing=0.0))
    optimizer = _optimizer(model, config)
    batches = _batches(train, config)
    schedule = _schedule(optimizer, config, steps=config.epochs * len(batches(0)))
    history = [] if work is None else _resume(work, name, model, optimizer, config)
    with warnings.catch_warnings():  # that the optimizer has made no step: an earlier run made them
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(len(history) * len(batches(0))):
            schedule.step()
    for number in range(len(history), config.epochs):
        model.train()
        losses, right = [], 0.0
        for rows in batches(number):
            ids, lengths, targets = _take(train, rows)
            with _precision(config):
                logits = model(ids, lengths).float()
            loss = loss_of(logits, targets, None if train.weights is None else train.weights[rows])
            optimizer.zero_grad()
            loss.backward()
            if config.clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
            right += _n_right(logits.detach(), targets, kind=kind)
        seen = torch.stack(losses)
        test_loss, test_accuracy = watch(model, watched, config, kind=kind)
        epoch = Epoch(
            number=number + 1, loss=float(seen.mean()), last_loss=float(seen[-1]),
            train_accuracy=right / len(train), test_loss=test_loss, test_accuracy=test_accuracy,
        )  # fmt: skip
        history.append(epoch)
        if work is not None:
            arrays = {**state_of(model, optimizer), **_generators(config)}
            work.keep(name, arrays, {"history": [asdict(e) for e in history]})
        on_epoch(epoch)
    return history


def _generators(config: TrainingConfig) -> dict[str, npt.NDArray[np.uint8]]:
    """Return where the random numbers of dropout stand."""
    found = {"random": torch.get_rng_state().numpy()}
    if config.device == "cuda":
        found["random-cuda"] = torch.cuda.get_rng_state().numpy()
    return found


def _resume(
    work: Workspace,
    name: str,
    model: MessageNet,
    optimizer: torch.optim.Optimizer,
    config: TrainingConfig,
) -> list[Epoch]:
    """Bring back the end of the last epoch kept; return the epochs done."""
    kept = work.kept(name)
    if kept is None:
        return []
    arrays = dict(kept.arrays)
    torch.set_rng_state(torch.from_numpy(arrays.pop("random")))
    if config.device == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(arrays.pop("random-cuda")))
    restore_state(model, optimizer, arrays)
    return [Epoch(**facts) for facts in kept.facts["history"]]


def _batches(train: Encoded, config: TrainingConfig) -> Callable[[int], list[Tensor]]:
    """Return what gives the batches (lists of row numbers) of an epoch."""
    if config.batches == "in_order":
        in_order = list(torch.arange(len(train)).split(config.batch_size))
        return lambda number: in_order
    lengths: npt.NDArray[np.int64] = train.lengths.numpy()

    def pools(number: int) -> list[Tensor]:
        rng = np.random.default_rng([config.seed, number])
        found = length_pools(lengths, batch_size=config.batch_size, rng=rng)
        return [torch.from_numpy(rows) for rows in found]

    return pools


def _take(data: Encoded, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return token_ids (B, T) no wider than the longest row, lengths (B,) and targets of rows."""
    lengths = data.lengths[rows]
    return data.token_ids[rows, : int(lengths.max())], lengths, data.targets[rows]


def predict_logits(model: MessageNet, data: Encoded, *, batch_size: int = 128) -> Tensor:
    """Return logits (N, C) in evaluation mode, in row order.

    Rows of like length share a batch, unless initial states are drawn batch by batch.
    """
    model.eval()
    order = torch.arange(len(data))
    if not model.random_states:
        order, batch_size = torch.argsort(data.lengths.cpu(), stable=True), 256
    with torch.no_grad():
        parts = [model(*_take(data, rows)[:2]) for rows in order.split(batch_size)]
    logits = torch.cat(parts).float()
    in_row_order = torch.empty_like(logits)
    in_row_order[order] = logits
    return in_row_order


def _watch(
    model: MessageNet, watched: Encoded | None, config: TrainingConfig, *, kind: Kind, loss: Loss
) -> tuple[float, float]:
    """Return loss and accuracy on the watched rows, or NaNs."""
    if watched is None or not len(watched):
        return float("nan"), float("nan")
    logits = predict_logits(model, watched, batch_size=config.batch_size)
    found = loss(logits, watched.targets, None)
    return float(found), _n_right(logits, watched.targets, kind=kind) / len(watched)


def _n_right(logits: Tensor, targets: Tensor, *, kind: Kind) -> float:
    """Return how many messages the logits decide rightly; multi-label: the sum of their shares."""
    if kind == "multilabel":
        return float(((logits >= 0) == (targets >= 0.5)).float().mean(dim=1).sum())
    if targets.ndim == 2:
        targets = targets.argmax(dim=1)
    chosen = (logits[:, 0] >= 0).long() if kind == "binary" else logits.argmax(dim=1)
    return float((chosen == targets).sum())


def _loss(class_weights: Tensor | None, *, kind: Kind, smoothing: float) -> Loss:
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


def _positive(targets: Tensor) -> Tensor:
    """Return the binary target's (soft) share of the second label."""
    return targets[:, 1] if targets.ndim == 2 else targets.float()


def _class_weights(
    data: Encoded, config: TrainingConfig, *, kind: Kind, n_outputs: int
) -> Tensor | None:
    """Return n / (classes · count) of each class; multi-label: (2, L), for 0 and for 1.

    A class without a row in the data has the weight of one with one row.
    """
    if config.class_weights == "none":
        return None
    if kind == "multilabel":
        positive = data.targets.float().mean(dim=0).clamp(1e-3, 1 - 1e-3)
        return torch.stack([0.5 / (1 - positive), 0.5 / positive])
    targets = data.targets.argmax(dim=1) if data.targets.ndim == 2 else data.targets
    counts = torch.bincount(targets, minlength=max(2, n_outputs)).clamp(min=1).float()
    return len(data) / (len(counts) * counts)


def _optimizer(model: MessageNet, config: TrainingConfig) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr=rate, weight_decay=decay)
    betas = (0.9, config.beta2)
    return torch.optim.AdamW(
        model.parameters(), lr=rate, betas=betas, weight_decay=decay, fused=True
    )


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate's course: constant, or Smith & Topin's one cycle (2018)."""
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        total_steps=max(steps, 2) + 1,
        pct_start=config.warmup_share,
        cycle_momentum=False,
    )


def _precision(config: TrainingConfig) -> torch.autocast:
    enabled = config.precision == "bfloat16"
    return torch.autocast(config.device, dtype=torch.bfloat16, enabled=enabled)
