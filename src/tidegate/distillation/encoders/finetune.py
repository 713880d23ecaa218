"""Fine-tuning a teacher, and what it says of texts; both go on where a killed run stopped.

Takes an encoder, texts and soft targets; changes its weights. Each step's random numbers come from
the seed and the step alone and each checkpoint holds all that the next step needs, so that a
resumed run takes the very steps an uninterrupted one does.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tidegate.config import Kind
from tidegate.distillation.encoders.encoder import Encoder
from tidegate.distillation.soft_labels import log_odds
from tidegate.engine.batches import length_pools
from tidegate.training.checkpoint import Workspace, restore_state, state_of
from tidegate.training.holding import held_signals
from tidegate.training.losses import check_finite
from tidegate.training.optimizers import uncompiled

BATCH, RATE, DECAY, WARMUP, CLIP = 32, 8e-5, 0.01, 0.1, 1.0
MOST_EPOCHS, LEAST_STEPS = 10, 75
HEAD_RATE = 2e-3  # the head begins untrained: at the encoder's rate it would hardly move
SAVE_EVERY_S = 30.0
BLOCK, LABEL_BATCH = 2048, 128  # texts kept together, and answered together
_CURE = "check the encoder's weights, or name another"
Floats = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float64]
Say = Callable[[str], None]


def finetune(
    encoder: Encoder,
    texts: Sequence[str],
    targets: Floats,
    *,
    kind: Kind,
    seed: int,
    precision: str,
    workspace: Workspace | None = None,
    save_every_s: float = SAVE_EVERY_S,
    name: str = "encoder",
    after: float = 0.0,
    say: Say = lambda line: None,
) -> None:
    """Train all of an encoder's weights on texts and their targets (n, L).

    AdamW, one cycle of the learning rate, as many epochs as `n_epochs` says. The head learns faster
    than the rest, and its biases begin at the labels' shares, so that rare labels need not be
    unlearned first.

    Parameters
    ----------
    precision : "bfloat16" where the machine computes in it, else "float32"
    workspace : where checkpoints go, and where one may lie already; by default nowhere
    save_every_s : seconds of work that a killed run may lose
    name : of its checkpoint, and of it in the lines said
    after : how many steps' time the work behind this fine-tuning takes
    say : called with a line now and then: steps done, and time left
    """
    pieces = encoder.pieces(texts)
    batches = _batches(pieces, n_epochs(len(texts), targets.shape[1]), seed)
    begin_at_shares(encoder.head, targets, kind)
    optimizer = _optimizer(encoder)
    kept = _Kept(
        encoder, optimizer, workspace, name=name, total=len(batches), every_s=save_every_s,
        after=after, say=say,
    )  # fmt: skip
    y = torch.from_numpy(targets).to(encoder.head.weight.device)
    encoder.train()
    try:
        while kept.step < len(batches):
            step, rows = kept.step, batches[kept.step]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _cycle(step / len(batches))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed * 1_000_003 + step)  # dropout
                with _autocast(encoder, precision):
                    logits = encoder([pieces[i] for i in rows])
            loss = _loss(logits.float(), y[torch.from_numpy(rows)], kind)
            check_finite(loss, what=f"teacher: {name}, step {step + 1}", rate=RATE, cure=_CURE)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(encoder.parameters(), CLIP)
            with held_signals():
                optimizer.step()
                kept.step += 1
            kept.keep()
    except Exception:
        raise
    except BaseException:  # a signal: what is done is kept
        kept.interrupted()
        raise
    optimizer.zero_grad()
    encoder.eval()


class _Kept:
    """How many steps of a fine-tuning are done, and where that is kept now and then."""

    def __init__(
        self,
        encoder: Encoder,
        optimizer: torch.optim.Optimizer,
        workspace: Workspace | None,
        *,
        name: str,
        total: int,
        every_s: float,
        after: float,
        say: Say,
    ) -> None:
        self.encoder, self.optimizer, self.workspace = encoder, optimizer, workspace
        self.name, self.total, self.every_s, self.say = name, total, every_s, say
        self.after = after
        self.place = name.replace(" ", "-")
        self.step = 0
        found = None if workspace is None else workspace.kept(self.place)
        if found is not None:
            restore_state(encoder, optimizer, found.arrays)
            self.step = found.facts["step"]
        self._first = self.step
        self._saved = self._started = time.monotonic()

    def keep(self) -> None:
        """Keep the steps done, if the last time is long ago, and say how many they are."""
        now = time.monotonic()
        if now - self._saved >= self.every_s or self.step == self.total:
            self._save()
            each = (now - self._started) / (self.step - self._first)
            left = f"{each * (self.total - self.step):.0f} s left"
            if self.after:
                left += f", then about {each * self.after:.0f} s until all texts are labelled"
            self.say(f"teacher: {self.name}, step {self.step} of {self.total}, {left}")
            self._saved = time.monotonic()

    def interrupted(self) -> None:
        """Keep the steps done, at a signal: none comes in the middle of a change."""
        self._save()

    def _save(self) -> None:
        if self.workspace is not None:
            moments = self.optimizer if self.step < self.total else None  # then of no more use
            state = state_of(self.encoder, moments)
            self.workspace.keep(self.place, state, {"step": self.step})


@torch.no_grad()
def begin_at_shares(head: nn.Linear, targets: Floats, kind: Kind) -> None:
    """Set a head's biases to what answers each label's share among targets (n, L), one added.

    Examples
    --------
    >>> head = nn.Linear(4, 1)
    >>> begin_at_shares(head, np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32), "binary")
    >>> round(torch.sigmoid(head.bias).item(), 3)  # (1 + 1) / (4 + 2)
    0.333
    """
    shares = (targets.sum(axis=0, dtype=np.float64) + 1) / (len(targets) + 2)
    bias = np.log(shares) if kind == "multiclass" else log_odds(shares)
    head.bias.copy_(torch.from_numpy(bias[1:] if kind == "binary" else bias))


def answer(
    encoder: Encoder,
    texts: Sequence[str],
    *,
    kind: Kind,
    precision: str,
    workspace: Workspace | None = None,
    say: Say = lambda line: None,
) -> Probabilities:
    """Return the probability of each label, (n_texts, L), texts of like length together.

    Parameters
    ----------
    workspace : where the answers to each block of texts are kept, and looked up by what the
        encoder is and what the texts are
    """
    encoder.eval()
    pieces = encoder.pieces(texts)
    order = np.argsort([len(row) for row in pieces], kind="stable")
    name = fingerprint(encoder) if workspace is not None else ""
    started, done = time.monotonic(), 0
    found: list[Probabilities] = []
    for start in range(0, len(order), BLOCK):
        block = [pieces[i] for i in order[start : start + BLOCK]]
        key = hashlib.sha256(f"{name} {precision} {block}".encode()).hexdigest()
        kept = workspace.answers(key) if workspace is not None else None
        if kept is None:
            kept = _answered(encoder, block, kind, precision)
            done += len(block)
            if workspace is not None:
                workspace.keep_answers(key, kept)
                left = (time.monotonic() - started) / done * (len(order) - start - len(block))
                say(f"teacher: {start + len(block):,} of {len(order):,} texts, {left:.0f} s left")
        found.append(kept)
    in_order = np.empty((len(order), found[0].shape[1] if found else 0))
    in_order[order] = np.concatenate(found) if found else in_order
    return in_order


def steps(n_texts: int, n_labels: int) -> int:
    """Return how many steps the fine-tuning on so many texts takes.

    Examples
    --------
    >>> steps(3200, 2)
    200
    """
    return n_epochs(n_texts, n_labels) * math.ceil(n_texts / BATCH)


def n_epochs(n_texts: int, n_labels: int) -> int:
    """Return how often the fine-tuning reads so many texts: few more often, so as to take 75 steps.

    Examples
    --------
    >>> n_epochs(6000, 2), n_epochs(6000, 3), n_epochs(400, 2)
    (2, 3, 6)
    """
    a_pass = math.ceil(n_texts / BATCH)
    fewest = 2 if n_labels == 2 else 3
    return min(MOST_EPOCHS, max(fewest, math.ceil(LEAST_STEPS / a_pass)))


def steps_of_answers(n: float) -> float:
    """Return how many steps' time so many answers take: a step reads forward and backward.

    Examples
    --------
    >>> steps_of_answers(96)
    1.0
    """
    return n / (3 * BATCH)


def fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for name, p in model.named_parameters():
        digest.update(name.encode() + p.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def best_precision(device: str) -> str:
    """Return "bfloat16" where the device multiplies matrices in it, else "float32"."""
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    capable = any(getattr(torch.cpu, check, bool)() for check in checks)
    return "bfloat16" if capable else "float32"


@torch.no_grad()
def _answered(
    encoder: Encoder, block: Sequence[Sequence[int]], kind: Kind, precision: str
) -> Probabilities:
    parts = []
    for start in range(0, len(block), LABEL_BATCH):
        with _autocast(encoder, precision):
            logits = encoder(block[start : start + LABEL_BATCH])
        parts.append(logits.float().double().cpu())
    logits = torch.cat(parts)
    if kind == "multiclass":
        shares = torch.softmax(logits, dim=1)
    else:
        shares = torch.sigmoid(logits)
        shares = torch.cat([1 - shares, shares], dim=1) if kind == "binary" else shares
    found: Probabilities = shares.numpy()
    return found


def _optimizer(encoder: Encoder) -> torch.optim.AdamW:
    """Return AdamW with a group for the body and one for the head, each with its highest rate."""
    groups = [
        {"params": list(encoder.body.parameters()), "peak": RATE},
        {"params": list(encoder.head.parameters()), "peak": HEAD_RATE},
    ]
    return uncompiled(torch.optim.AdamW)(groups, betas=(0.9, 0.98), weight_decay=DECAY, fused=True)


def _batches(
    pieces: Sequence[Sequence[int]], epochs: int, seed: int
) -> list[npt.NDArray[np.int64]]:
    """Return the rows of every step, texts of like length together."""
    lengths = np.array([len(row) for row in pieces], np.int64)
    found: list[npt.NDArray[np.int64]] = []
    for epoch in range(epochs):
        rng = np.random.default_rng([seed, epoch])
        found += length_pools(lengths, batch_size=BATCH, rng=rng)
    return found


def _cycle(share: float) -> float:
    """Return the learning rate at a share of all steps: up for a tenth, then down a cosine."""
    if share < WARMUP:
        return share / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (share - WARMUP) / (1 - WARMUP)))


def _loss(logits: Tensor, y: Tensor, kind: Kind) -> Tensor:
    if kind == "multiclass":
        return nn.functional.cross_entropy(logits, y)
    return nn.functional.binary_cross_entropy_with_logits(
        logits, y[:, 1:] if kind == "binary" else y
    )


def _autocast(encoder: Encoder, precision: str) -> torch.autocast:
    device = encoder.head.weight.device.type
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16")
