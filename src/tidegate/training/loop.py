"""The training loop: plain PyTorch, one line an epoch.

Takes a network, encoded messages and the training config; changes the network's weights and gives
what happened in each epoch. Knows nothing of text, files or reports. With a workspace, a run that
was killed goes on where it was kept and takes the very steps that it would have taken.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.config import Kind, TrainingConfig
from tidegate.engine.batches import length_pools
from tidegate.training.checkpoint import Workspace, restore_state, state_of
from tidegate.training.holding import held_signals
from tidegate.training.losses import (
    Loss,
    check_converges,
    check_finite,
    class_weights,
    make_loss,
    n_right,
)
from tidegate.training.model import MessageNet
from tidegate.training.optimizers import uncompiled
from tidegate.training.team import Team, part_of

SAVE_EVERY_S = 5.0  # of work in an epoch that a killed run may lose
_SAVING_SHARE = 0.02  # of the time, at most, goes into keeping work
_CURE = "lower --learning-rate, or set --clip-norm"


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
    team: Team | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the network in place.

    Parameters
    ----------
    train, watched : rows to learn from, and rows to score after each epoch without learning
    work, name : where unfinished work is kept, by default nowhere, and the checkpoint's name
    team : those who train it together, all with the same arguments; by default this process alone.
        A step's gradient is that of the whole batch, the mean over its rows, whoever reads them
    on_epoch : called after each epoch

    Raises
    ------
    ConfigError
        The loss is not finite, or training diverges; or the work cannot be kept.
    """
    outputs = model.output.out_features
    # Of the training rows for both: a class may be missing among the watched ones.
    weights = class_weights(train.targets, config, kind=kind, n_outputs=outputs)
    loss_of = make_loss(weights, kind=kind, smoothing=config.label_smoothing)
    watch = partial(_watch, loss=make_loss(weights, kind=kind, smoothing=0.0))
    batches = _batches(train, config)
    course = Course(model, config, steps_an_epoch=len(batches(0)), work=work, name=name, team=team)
    weight = 1.0 if train.weights is None else float(train.weights.mean())
    try:
        for number in range(len(course.history), config.epochs):
            model.train()
            for batch in batches(number)[len(course.losses) :]:
                _learn(course, train, batch, number=number, loss_of=loss_of, kind=kind)
            mean, last = course.loss()
            check_converges(
                mean, kind=kind, n_outputs=outputs, weight=weight, what=f"epoch {number + 1}",
                cure=_CURE,
            )  # fmt: skip
            test_loss, test_accuracy = watch(model, watched, config, kind=kind)
            epoch = Epoch(
                number=number + 1, loss=mean, last_loss=last,
                train_accuracy=course.right / len(train), test_loss=test_loss,
                test_accuracy=test_accuracy,
            )  # fmt: skip
            course.end(epoch, last=number + 1 == config.epochs)
            on_epoch(epoch)
    except Exception:
        raise
    except BaseException:  # a signal: what is done is kept
        course.interrupted()
        raise
    return course.history


def _learn(
    course: Course, train: Encoded, batch: Tensor, *, number: int, loss_of: Loss, kind: Kind
) -> None:
    """Take one step: the loss of the batch's rows, or of this one's part of them."""
    rows, share = part_of(batch, course.team)
    ids, lengths, targets = _take(train, rows)
    course.draw(number)
    with _precision(course.config):
        logits = course.model(ids, lengths).float()
    loss = loss_of(logits, targets, None if train.weights is None else train.weights[rows])
    right = n_right(logits.detach(), targets, kind=kind)
    where = f"epoch {number + 1}, step {len(course.losses) + 1}"
    course.step(loss, right=right, share=share, what=where)


class Course:
    """How far a training is, and all that its next step needs.

    Parameters
    ----------
    steps_an_epoch : what the learning rate's course is made for
    work, name : where it is kept, and perhaps was before; its name there
    team : those who train together; None: this process alone

    Attributes
    ----------
    history : the epochs that are done
    losses, right : of the steps of the epoch that is not: the losses, and messages decided rightly
    """

    def __init__(
        self,
        model: MessageNet,
        config: TrainingConfig,
        *,
        steps_an_epoch: int,
        work: Workspace | None,
        name: str,
        team: Team | None,
    ) -> None:
        self.model, self.config, self.work, self.name = model, config, work, name
        self.team = team
        self.optimizer = _optimizer(model, config)
        self.schedule = _schedule(self.optimizer, config, steps=config.epochs * steps_an_epoch)
        self.history: list[Epoch] = []
        self._told = 0  # epochs
        self.seconds: list[float] = []  # of each epoch
        self.losses: list[Tensor] = []
        self.right = 0.0
        kept = None if work is None else work.kept(name)
        if kept is not None:
            self._restore(dict(kept.arrays), kept.facts)
        with warnings.catch_warnings():  # that the optimizer has made no step: another run made it
            warnings.simplefilter("ignore", UserWarning)
            for _ in range(len(self.history) * steps_an_epoch + len(self.losses)):
                self.schedule.step()
        self._random = _generators(config)
        self._began = self._saved = time.monotonic()
        self._cost_s = 0.0

    def draw(self, number: int) -> None:
        """Let each of a team draw its own random numbers, by epoch and step.

        So a team goes on as it would have gone on, though one checkpoint is all that it keeps.
        """
        if self.team is not None:
            place = [self.config.seed, number, len(self.losses), self.team.rank]
            torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def step(self, loss: Tensor, *, right: float, share: float, what: str) -> None:
        """Change the weights by a step's loss; keep the work if the last time is long ago.

        Parameters
        ----------
        loss, right : of this one's rows of the batch: the mean, and how many are decided rightly
        share : of the batch, these rows
        what : what is checked: the epoch and the step

        Raises
        ------
        ConfigError
            The loss is not finite.
        """
        self.optimizer.zero_grad()
        if self.team is not None:
            (loss * share).backward()
            counted = torch.tensor([float(loss.detach()) * share, right * (share > 0)])
            grads = [p.grad for p in self.model.parameters() if p.grad is not None]
            self.team.add_up([*grads, counted])
            loss, right = counted[0], float(counted[1])
        check_finite(loss, what=what, rate=self.config.learning_rate, cure=_CURE)
        if self.team is None:
            loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        with held_signals():
            self.optimizer.step()
            self.schedule.step()
            self.losses.append(loss.detach())
            self.right += right
            if self.work is not None:
                self._random = _generators(self.config)
        if time.monotonic() - self._saved >= SAVE_EVERY_S:
            self._save()

    def loss(self) -> tuple[float, float]:
        """Return the mean loss of the epoch's steps, and the last one's."""
        seen = torch.stack(self.losses)
        return float(seen.mean()), float(seen[-1])

    def end(self, epoch: Epoch, *, last: bool) -> None:
        """End an epoch, and keep the work: after the last always, else where that costs little."""
        now = time.monotonic()
        with held_signals():
            self.history.append(epoch)
            self.seconds.append(round(now - self._began, 3))
            self.losses, self.right, self._began = [], 0.0, now
            if self.work is not None:
                self._random = _generators(self.config)
        if last or now - self._saved >= self._cost_s / _SAVING_SHARE:
            self._save(finished=last)
        self._tell()

    def _tell(self) -> None:
        """Write the epochs down for people."""
        if self.work is not None and self.work.metrics is not None:
            part = f"{self.work.name}/{self.name}".lstrip("/")
            pairs = zip(self.history, self.seconds, strict=True)
            self.work.metrics.tell(part, [{**asdict(e), "seconds": s} for e, s in pairs])
        self._told = len(self.history)

    def interrupted(self) -> None:
        """Keep the work at a signal: none comes in the middle of a change."""
        self._save()
        if self._told < len(self.history):  # it came between an epoch's end and its line
            self._tell()

    def _save(self, *, finished: bool = False) -> None:
        if self.work is None:
            return
        started = time.monotonic()
        moments = None if finished else self.optimizer  # at the end of no more use
        arrays = {**state_of(self.model, moments), **self._random}
        if self.losses:
            arrays["losses"] = torch.stack(self.losses).cpu().numpy()
        self.work.keep(self.name, arrays, {
            "history": [asdict(epoch) for epoch in self.history], "seconds": self.seconds,
            "right": self.right,
        })  # fmt: skip
        self._saved = time.monotonic()
        self._cost_s = self._saved - started

    def _restore(self, arrays: dict[str, npt.NDArray[Any]], facts: dict[str, Any]) -> None:
        torch.set_rng_state(torch.from_numpy(arrays.pop("random")))
        if self.config.device == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(arrays.pop("random-cuda")))
        losses = torch.from_numpy(arrays.pop("losses", np.zeros(0, np.float32)))
        self.losses = list(losses.to(self.config.device))
        restore_state(self.model, self.optimizer, arrays)
        self.history = [Epoch(**epoch) for epoch in facts["history"]]
        self.seconds, self.right = facts["seconds"], facts["right"]
        self._tell()  # the run may have ended between keeping the last epoch and telling it


def _generators(config: TrainingConfig) -> dict[str, npt.NDArray[np.uint8]]:
    """Return where the random numbers of dropout stand."""
    found = {"random": torch.get_rng_state().numpy()}
    if config.device == "cuda":
        found["random-cuda"] = torch.cuda.get_rng_state().numpy()
    return found


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
    return float(found), n_right(logits, watched.targets, kind=kind) / len(watched)


def _optimizer(model: MessageNet, config: TrainingConfig) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "rmsprop":
        return uncompiled(torch.optim.RMSprop)(model.parameters(), lr=rate, weight_decay=decay)
    betas = (0.9, config.beta2)
    return uncompiled(torch.optim.AdamW)(
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
