"""Why gates: the tasks, the sizes, exact gradients, and the verb from shell to page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tidegate.cli import main
from tidegate.errors import ConfigError
from tidegate.experiments.gradients import gradient_norms
from tidegate.experiments.memory import (
    CELLS,
    TASKS,
    Cell,
    Reader,
    Task,
    equal_units,
    learn,
    remember,
    sequences,
)
from tidegate.experiments.page import memory_page


def test_recall_asks_for_the_first_symbol_alone() -> None:
    x, y = sequences("recall", 12, 300, np.random.default_rng(1))
    assert x.shape == (300, 12, 10)
    assert torch.equal(x[:, 0].argmax(dim=1), y)
    assert set(y.tolist()) == set(range(8))
    assert bool((x[:, 1:, :8] == 0).all()), "what follows is noise of other symbols"


def test_adding_marks_one_number_in_each_half() -> None:
    x, y = sequences("adding", 9, 300, np.random.default_rng(1))
    marks = x[:, :, 1]
    assert torch.equal(marks[:, :4].sum(dim=1), torch.ones(300))
    assert torch.equal(marks[:, 4:].sum(dim=1), torch.ones(300))
    assert torch.allclose((x[:, :, 0] * marks).sum(dim=1), y)


@pytest.mark.parametrize("task", TASKS)
def test_contestants_have_equal_parameters(task: Task) -> None:
    sizes = {
        cell: sum(
            p.numel() for p in Reader(task, cell, length=20, seed=0, lstm_units=32).parameters()
        )
        for cell in CELLS
    }
    assert max(sizes.values()) / min(sizes.values()) < 1.04, sizes
    assert equal_units(task, "lstm", 32) == 32


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_gradient_norms_are_autograds(kind: type[nn.RNNBase]) -> None:
    """∂h_T/∂(state)_t by running torch's own cell on from step t, differentiated by autograd."""
    torch.manual_seed(3)
    cell, x = kind(3, 4, batch_first=True), torch.randn(1, 7, 3)
    found = gradient_norms(cell, x)
    for t in range(1, 7):
        _, state = cell(x[:, :t])
        parts = state if isinstance(state, tuple) else (state,)

        def onward(*parts: torch.Tensor, t: int = t) -> torch.Tensor:
            start = parts if len(parts) == 2 else parts[0]
            return cell(x[:, t:], start)[0][0, -1]  # type: ignore[no-any-return]

        jacobians = torch.autograd.functional.jacobian(onward, parts)
        for name, jacobian in zip("hc", jacobians, strict=False):
            norm = torch.linalg.matrix_norm(jacobian[:, 0, 0], ord=2)
            assert found[name][t - 1] == pytest.approx(float(norm), rel=1e-4)
    assert found["h"][-1] == pytest.approx(1.0)


def test_a_run_is_the_same_twice_and_leaves_torchs_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first = learn("adding", "gru", 8, 1, 8, 20, True)
    assert first == learn("adding", "gru", 8, 1, 8, 20, True)
    assert first != learn("adding", "gru", 8, 2, 8, 20, True)
    assert torch.equal(before, torch.random.get_rng_state())
    assert len(first.norms["h, before"]) == 8


@pytest.mark.parametrize("cell", CELLS)
def test_over_a_few_steps_every_cell_remembers(cell: Cell) -> None:
    assert learn("recall", cell, 5, 0, 16, 600, False).solved


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"lengths": []}, {"lengths": [3]}, {"seeds": 0}, {"steps": 0}, {"units": 0}):
        with pytest.raises(ConfigError, match="lengths must be 4 or more"):
            remember(**wrong)  # type: ignore[arg-type]


def test_the_verb_writes_a_page_and_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "memory.html"
    words = ["memory", "--html", str(page), "--length", "6", "--length", "4", "--seeds", "2"]
    assert main([*words, "--units", "8", "--steps", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lengths"] == [4, 6]
    assert len(found["runs"]) == 2 * 4 * 2 * 2
    runs = [(r["task"], r["cell"], r["length"], r["seed"]) for r in found["runs"]]
    assert runs == sorted(runs, key=lambda r: (TASKS.index(r[0]), CELLS.index(r[1]), *r[2:]))
    again = learn("recall", "lstm", 6, 0, 8, 10, True)
    match = [r for r in found["runs"] if r["cell"] == "lstm" and r["task"] == "recall"]
    assert json.loads(json.dumps(asdict(again))) == match[2]
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg") >= 8
    assert "<script" not in html and "http" not in html
    assert "Recall over 6 steps" in html
    assert html.count('class="key"') == 2, "each task has its legend"
    assert "∂h<sub>T</sub>/∂h<sub>t</sub>" in html and "h_T/" not in html
    scores = [r["score"] for r in match if r["length"] == 6]
    assert f"<td>{sum(scores) / 2:.4f}</td>" in html, "a mean hides no seed that failed"


@pytest.mark.slow
def test_one_length_alone_is_drawn_as_dots() -> None:
    page = memory_page(remember(lengths=[5], seeds=1, units=8, steps=20))
    assert page.count("<circle") == len(TASKS) * len(CELLS)
    assert "the plot ends at 10" in page.lower()


def test_the_verb_refuses_a_place_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["memory", "--html", str(tmp_path / "none" / "memory.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_over_100_steps_gates_remember_where_one_state_does_not() -> None:
    memory = remember(lengths=[100], seeds=5)
    for task in TASKS:
        solved = {c: sum(r.solved for r in memory.of(task, c, 100)) for c in CELLS}
        assert solved["lstm"] >= 4, solved
        if task == "adding":  # one symbol, a lucky start can hold; two numbers, none
            assert solved["rnn"] <= 1, solved
            assert solved["rnn_orthogonal"] <= 1, solved
        norms = {c: memory.of(task, c, 100)[0].norms for c in CELLS}
        assert norms["rnn"]["h, before"][0] < 1e-10
        assert norms["lstm"]["c, before"][0] > 1e-3
