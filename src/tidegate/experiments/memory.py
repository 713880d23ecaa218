"""Why gates: how far back cells remember, and how far back their gradients reach.

Takes lengths and seeds, gives what cells of equal size learned from two tasks that nothing but
memory solves, and the norms of ∂h_T/∂h_t. Knows nothing of messages, bundles or pages.

Two tasks (Hochreiter & Schmidhuber 1997, in today's shorter forms)
    recall   the first step shows one of 8 symbols, noise follows; at the end say which it was
    adding   each step shows a number in [0, 1); two are marked, one in each half; give their sum

Four contestants with as many parameters as one another, each at the learning rate that served it
best of 0.001, 0.003, 0.005 and 0.01 at length 100
    rnn              the traditional cell, h_t = tanh(W x_t + U h_{t−1} + b), from PyTorch's start
    rnn_orthogonal   the same cell whose U starts as a rotation (Saxe et al. 2014), so that at
                     first it forgets little: the best start that is known for it
    gru, lstm        whose gates start at memories of 1 to T steps (Tallec & Ollivier 2018)
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.engine.workers import cores
from tidegate.errors import ConfigError
from tidegate.experiments.gradients import gradient_norms
from tidegate.training.optimizers import uncompiled

Task = Literal["recall", "adding"]
Cell = Literal["rnn", "rnn_orthogonal", "gru", "lstm"]

TASKS: tuple[Task, ...] = ("recall", "adding")
CELLS: tuple[Cell, ...] = ("rnn", "rnn_orthogonal", "gru", "lstm")
SOLVED = {"recall": 0.95, "adding": 0.01}  # share right at least; mean squared error at most
GUESSING = {"recall": 1 / 8, "adding": 1 / 6}  # what answering without memory scores
_ENOUGH = {"recall": 0.99, "adding": 0.005}  # training stops here
_SYMBOLS, _NOISES = 8, 2
_INPUTS = {"recall": _SYMBOLS + _NOISES, "adding": 2}
_OUTPUTS = {"recall": _SYMBOLS, "adding": 1}
_BLOCKS = {"rnn": 1, "rnn_orthogonal": 1, "gru": 3, "lstm": 4}  # matrices of each kind in a cell
_RATES = {"rnn": 3e-3, "rnn_orthogonal": 1e-3, "gru": 1e-2, "lstm": 1e-2}
_BATCH, _TRIED, _EVERY, _CLIP = 32, 500, 50, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One cell that learned one task at one length.

    `curve` holds (training steps, score on 500 new sequences): the share right for recall, the mean
    squared error for adding. `norms` holds, where asked for, the median over sequences of the
    largest singular value of ∂h_T/∂(state)_t for t = 1 … T, by what the state is and when.
    """

    task: Task
    cell: Cell
    length: int
    seed: int
    units: int
    parameters: int
    score: float
    solved: bool
    curve: tuple[tuple[int, float], ...]
    norms: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All runs of an experiment, in the order task, cell, length, seed."""

    lengths: tuple[int, ...]
    seeds: int
    steps: int
    runs: tuple[Run, ...]

    def of(self, task: Task, cell: Cell, length: int) -> list[Run]:
        """Return the runs of a cell on a task at a length, one for each seed."""
        return [r for r in self.runs if (r.task, r.cell, r.length) == (task, cell, length)]


def remember(
    *,
    lengths: Sequence[int] = (10, 30, 100),
    seeds: int = 5,
    units: int = 32,
    steps: int = 1000,
    on_run: Callable[[Run, int, int], None] = lambda run, done, of: None,
) -> Memory:
    """Train every contestant on both tasks, one process to a core.

    Parameters
    ----------
    lengths : steps between the first thing to remember and the question
    seeds : how often each is repeated; sequences and weights are drawn from the seed alone
    units : of the LSTM; the others get as many as make their parameters equal
    steps : training steps of 32 sequences each, at most
    on_run : called after each run with it, how many are done, and of how many

    Raises
    ------
    ConfigError : a length under 4, or fewer than one seed, unit or step

    Examples
    --------
    >>> memory = remember(lengths=[100], seeds=1)  # doctest: +SKIP
    """
    if not lengths or min(lengths) < 4 or min(seeds, units, steps) < 1:
        raise ConfigError("lengths must be 4 or more; seeds, units and steps 1 or more")
    lengths = sorted(set(lengths))
    jobs = [
        (task, cell, length, seed, units, steps, length == lengths[-1] and seed == 0)
        for length in reversed(lengths)  # the long ones first, or one core waits for the other
        for task in reversed(TASKS)
        for cell in CELLS
        for seed in range(seeds)
    ]
    runs: list[Run] = []
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
    count = min(cores(), len(jobs))
    with ProcessPoolExecutor(count, mp_context=fresh, initializer=_one_core) as pool:
        waiting = [pool.submit(learn, *job) for job in jobs]
        try:
            for done in as_completed(waiting):
                runs.append(done.result())
                on_run(runs[-1], len(runs), len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    runs.sort(key=lambda r: (TASKS.index(r.task), CELLS.index(r.cell), r.length, r.seed))
    return Memory(lengths=tuple(lengths), seeds=seeds, steps=steps, runs=tuple(runs))


def _one_core() -> None:
    """Let a helper use one core, and lose no time on the subnormals of vanished gradients."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def learn(
    task: Task, cell: Cell, length: int, seed: int, units: int, steps: int, norms: bool
) -> Run:
    """Train one cell on one task; the arguments are those of `Run`."""
    rng = np.random.default_rng([seed, length, TASKS.index(task)])
    net = Reader(task, cell, length=length, seed=seed, lstm_units=units)
    found: dict[str, list[float]] = {}
    looked_at = sequences(task, length, 16, np.random.default_rng([seed, length, 9]))[0]
    if norms:
        found |= {f"{k}, before": v for k, v in gradient_norms(net.cell, looked_at).items()}
    optimizer = uncompiled(torch.optim.Adam)(net.parameters(), lr=_RATES[cell])
    curve = [(0, _score(net, task, length, rng))]
    for step in range(1, steps + 1):
        x, y = sequences(task, length, _BATCH, rng)
        optimizer.zero_grad()
        _loss(task, net(x), y).backward()
        nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
        optimizer.step()
        if step % _EVERY == 0 or step == steps:
            curve.append((step, _score(net, task, length, rng)))
            if _reached(task, curve[-1][1], _ENOUGH):
                break
    if norms:
        found |= {f"{k}, after": v for k, v in gradient_norms(net.cell, looked_at).items()}
    return Run(
        task=task, cell=cell, length=length, seed=seed, units=net.units,
        parameters=sum(p.numel() for p in net.parameters()), score=curve[-1][1],
        solved=_reached(task, curve[-1][1], SOLVED), curve=tuple(curve), norms=found,
    )  # fmt: skip


def sequences(task: Task, length: int, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return n new sequences (n, length, inputs) and their answers: symbols, or sums.

    Examples
    --------
    >>> x, y = sequences("adding", 10, 3, np.random.default_rng(0))
    >>> bool(torch.allclose((x[:, :, 0] * x[:, :, 1]).sum(dim=1), y))
    True
    """
    if task == "recall":
        symbols = rng.integers(_SYMBOLS, size=n)
        shown = _SYMBOLS + rng.integers(_NOISES, size=(n, length))
        shown[:, 0] = symbols
        one_hot = np.eye(_SYMBOLS + _NOISES, dtype=np.float32)[shown]
        return torch.from_numpy(one_hot), torch.from_numpy(symbols)
    numbers = rng.random((n, length), dtype=np.float32)
    marks = np.zeros((n, length), np.float32)
    marks[np.arange(n), rng.integers(length // 2, size=n)] = 1
    marks[np.arange(n), rng.integers(length // 2, length, size=n)] = 1
    x = torch.from_numpy(np.stack([numbers, marks], axis=2))
    return x, torch.from_numpy((numbers * marks).sum(axis=1))


class Reader(nn.Module):
    """A cell that reads a sequence, and one linear layer on its last hidden state.

    Parameters
    ----------
    length : T, the sequence length that gates start out for
    lstm_units : units of an LSTM; another cell gets as many as make the parameters equal
    """

    def __init__(self, task: Task, cell: Cell, *, length: int, seed: int, lstm_units: int) -> None:
        super().__init__()
        self.units = equal_units(task, cell, lstm_units)
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(cell, nn.RNN)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.cell: nn.RNNBase = kind(_INPUTS[task], self.units, batch_first=True)
            self.head = nn.Linear(self.units, _OUTPUTS[task])
            if cell == "rnn_orthogonal":
                nn.init.orthogonal_(self.cell.get_parameter("weight_hh_l0"))
                nn.init.zeros_(self.cell.get_parameter("bias_ih_l0"))
                nn.init.zeros_(self.cell.get_parameter("bias_hh_l0"))
            elif cell != "rnn":
                _start_gates(self.cell, length)

    def forward(self, x: Tensor) -> Tensor:
        """Return answers (B, outputs) to sequences (B, T, inputs)."""
        states, _ = self.cell(x)
        answers: Tensor = self.head(states[:, -1])
        return answers


def equal_units(task: Task, cell: Cell, lstm_units: int) -> int:
    """Return the units that give a cell, head included, as many parameters as the LSTM.

    Examples
    --------
    >>> equal_units("recall", "lstm", 32), equal_units("recall", "rnn", 32)
    (32, 67)
    """

    def parameters(kind: str, units: int) -> int:
        inner = _BLOCKS[kind] * units * (_INPUTS[task] + units + 2)
        return inner + (units + 1) * _OUTPUTS[task]

    wanted = parameters("lstm", lstm_units)
    return min(range(1, 4 * lstm_units + 1), key=lambda n: abs(parameters(cell, n) - wanted))


def _start_gates(cell: nn.RNNBase, length: int) -> None:
    """Let the gates start at memories of 1 to T steps: a bias log(u) has a half-life near u."""
    units = cell.hidden_size
    with torch.no_grad():
        memories = torch.log(torch.empty(units).uniform_(1, max(length - 1, 2)))
        _, _, bias, second = cell.parameters()
        bias.zero_()
        second.zero_()
        bias[units : 2 * units] = (
            memories  # LSTM: the forget gate; GRU: the update gate, which keeps
        )
        if isinstance(cell, nn.LSTM):
            bias[:units] = -memories  # the input gate: written as seldom as it is forgotten


def _loss(task: Task, answers: Tensor, y: Tensor) -> Tensor:
    if task == "recall":
        return nn.functional.cross_entropy(answers, y)
    return ((answers[:, 0] - y) ** 2).mean()


def _score(net: Reader, task: Task, length: int, rng: np.random.Generator) -> float:
    x, y = sequences(task, length, _TRIED, rng)
    with torch.no_grad():
        answers = net(x)
    if task == "recall":
        return float((answers.argmax(dim=1) == y).float().mean())
    error = float(((answers[:, 0] - y) ** 2).mean())
    return error if math.isfinite(error) else 1e9


def _reached(task: Task, score: float, bound: dict[str, float]) -> bool:
    return score >= bound[task] if task == "recall" else score <= bound[task]
