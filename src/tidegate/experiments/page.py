"""The page of `tidegate memory`: which cells remember how far, and why.

Takes a `Memory`, gives self-contained HTML: no script, no network. Each plot has its table as a
twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from tidegate.experiments.memory import CELLS, GUESSING, SOLVED, TASKS, Cell, Memory, Run, Task
from tidegate.report.parts import document, figure, key, table
from tidegate.report.plots import Axes, Series, plot

NAMES: dict[Cell, str] = {
    "rnn": "RNN", "rnn_orthogonal": "RNN (orthogonal start)", "gru": "GRU", "lstm": "LSTM",
}  # fmt: skip
_HUES: dict[Cell, int] = {"lstm": 1, "rnn": 2, "gru": 3, "rnn_orthogonal": 4}
_CELL_STATE_HUE = 5
_SCORES = {"recall": "share recalled", "adding": "mean squared error"}
_TOP = {"recall": 1.0, "adding": 0.2}
_FLOOR = -12.0  # of the gradient plots, as a power of ten
_TITLES = {
    "recall": "Delayed recall: which of 8 symbols came first?",
    "adding": "The adding problem: what do the two marked numbers sum to?",
}


def memory_page(memory: Memory) -> str:
    """Return the experiment as one HTML document."""
    title = "Why gates: how far back cells remember"
    body = [
        f"<h1>{title}</h1>",
        '<p class="soft">'
        f"{memory.seeds} seeds, lengths {', '.join(map(str, memory.lengths))}, at most "
        f"{memory.steps:,} training steps of 32 sequences, equal parameters</p>",
        *(f'<p class="verdict">{line}</p>' for line in findings(memory)),
        "<p>A traditional recurrent network has one hidden state, and rewrites all of it at every "
        "step. An LSTM also carries a cell state, which its forget gate multiplies and its input "
        "gate adds to: what nothing overwrites stays, and so does the gradient that flows back "
        "along it.</p>",
    ]
    legend = key([(NAMES[c], _HUES[c]) for c in CELLS] + [("LSTM, cell state", _CELL_STATE_HUE)])
    for task in TASKS:
        body += [f"<h2>{_TITLES[task]}</h2>", legend, '<div class="grid">']
        body += [_by_length(memory, task), _by_step(memory, task)]
        body += [_reach(memory, task, "before"), _reach(memory, task, "after"), "</div>"]
    body += ["<h2>All the numbers</h2>", *_numbers(memory), *_notes(memory)]
    return document(title, body)


def findings(memory: Memory) -> list[str]:
    """Say for each task, in words, who solved it at the longest length."""
    longest = memory.lengths[-1]
    lines = []
    for task in TASKS:
        counts = ", ".join(
            f"{NAMES[cell]} {sum(run.solved for run in memory.of(task, cell, longest))}"
            for cell in reversed(CELLS)
        )
        rule = "at least 95 % recalled" if task == "recall" else "mean squared error under 0.01"
        lines.append(
            f"{task.capitalize()} over {longest} steps ({rule}), solved in how many of "
            f"{memory.seeds} seeds: {counts}."
        )
    return lines


def lines(memory: Memory) -> list[str]:
    """Return the numbers as lines of text."""
    rows = [_HEAD, *_rows(memory)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    return [
        *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows),
        "",
        *findings(memory),
    ]


_HEAD = ("task", "cell", "length", "units", "parameters", "solved", "mean score", "median steps")


def _rows(memory: Memory) -> list[list[str]]:
    rows = []
    for task in TASKS:
        for length in memory.lengths:
            for cell in CELLS:
                runs = memory.of(task, cell, length)
                rows.append([
                    task, NAMES[cell], str(length), str(runs[0].units), f"{runs[0].parameters:,}",
                    f"{sum(r.solved for r in runs)} of {len(runs)}",
                    f"{fmean(r.score for r in runs):.4f}",
                    f"{median(r.curve[-1][0] for r in runs):.0f}",
                ])  # fmt: skip
    return rows


def _numbers(memory: Memory) -> list[str]:
    """Return a table for each task: the score's name in its heading, the cell in front."""
    parts = []
    for task in TASKS:
        rows = [row[1:] for row in _rows(memory) if row[0] == task]
        score = f"{_SCORES[task]}, mean of seeds"
        head = [score if name == "mean score" else name for name in _HEAD[1:]]
        parts += [f"<h3>{_TITLES[task]}</h3>", table(head, rows)]
    return parts


def _by_length(memory: Memory, task: Task) -> str:
    series, rows = [], []
    for cell in CELLS:
        runs = [memory.of(task, cell, length) for length in memory.lengths]
        middle = [fmean(r.score for r in group) for group in runs]
        low = [min(r.score for r in group) for group in runs]
        high = [max(r.score for r in group) for group in runs]
        series.append(
            Series(
                name=NAMES[cell],
                x=memory.lengths,
                y=middle,
                hue=_HUES[cell],
                low=low,
                high=high,
                dots=len(memory.lengths) == 1,  # a line of one point is not seen
            )
        )
        rows += [
            [NAMES[cell], str(length), f"{m:.4f}", f"{a:.4f}", f"{b:.4f}"]
            for length, m, a, b in zip(memory.lengths, middle, low, high, strict=True)
        ]
    axes = Axes(
        title=f"{task}: {_SCORES[task]} against length", x_name="length", y_name=_SCORES[task],
        x=(0, 1.1 * memory.lengths[-1]), y=(0, _TOP[task]), legend=False,
        x_marks=[(length, str(length)) for length in memory.lengths],
    )  # fmt: skip
    twin = table(["cell", "length", "mean", "lowest", "highest"], rows)
    aim = f"{'at least' if task == 'recall' else 'at most'} {SOLVED[task]:g}"
    caption = (
        f"{_SCORES[task].capitalize()} by length: mean, lowest, highest "
        f"(guessing {GUESSING[task]:.3g}; solved: {aim})"
    )
    return figure(caption, plot(axes, series), twin)


def _by_step(memory: Memory, task: Task) -> str:
    longest = memory.lengths[-1]
    series, rows = [], []
    for cell in CELLS:
        steps, middle = _mean_curve(memory.of(task, cell, longest))
        series.append(Series(name=NAMES[cell], x=steps, y=middle, hue=_HUES[cell]))
        rows += [
            [NAMES[cell], str(step), f"{score:.4f}"]
            for step, score in list(zip(steps, middle, strict=True))[::4]
        ]
    axes = Axes(
        title=f"{task}: {_SCORES[task]} while learning", x_name="training steps",
        y_name=_SCORES[task], x=(0, memory.steps), y=(0, _TOP[task]), legend=False,
    )  # fmt: skip
    caption = f"While learning, at length {longest}; a line ends when every seed has solved it"
    return figure(caption, plot(axes, series), table(["cell", "step", "mean"], rows))


def _mean_curve(runs: Sequence[Run]) -> tuple[list[int], list[float]]:
    """Return steps and the mean score; a run that has stopped keeps its last score."""
    steps = sorted({step for run in runs for step, _ in run.curve})
    scores = [
        fmean([s for step, s in run.curve if step <= now][-1] for run in runs) for now in steps
    ]
    return steps, scores


def _reach(memory: Memory, task: Task, when: str) -> str:
    longest = memory.lengths[-1]
    steps = list(range(1, longest + 1))
    series, rows = [], []
    for cell in CELLS:
        norms = memory.of(task, cell, longest)[0].norms
        for state in ("h", "c") if cell == "lstm" else ("h",):
            name = NAMES[cell] + (", cell state" if state == "c" else "")
            found = norms[f"{state}, {when}"]
            powers = np.log10(np.maximum(found, 10**_FLOOR)).tolist()
            hue = _CELL_STATE_HUE if state == "c" else _HUES[cell]
            last = longest - (state == "c")  # h_T does not look at c_T again: that norm is 0
            series.append(Series(name=name, x=steps[:last], y=powers[:last], hue=hue))
            shown = sorted({0, longest // 4, longest // 2, 3 * longest // 4, last - 1})
            rows += [[name, str(steps[k]), f"{found[k]:.2e}"] for k in shown]
    axes = Axes(
        title=f"{task}: size of the gradient of h_T by step, {when} training", x_name="step t",
        y_name="log₁₀ of its size", x=(0, longest), y=(_FLOOR, 2), legend=False,
    )  # fmt: skip
    caption = (
        f"What the last step owes to step t, {when} training: the gradient "
        "‖∂h<sub>T</sub>/∂h<sub>t</sub>‖ (and ‖∂h<sub>T</sub>/∂c<sub>t</sub>‖). "
        "The plot ends at 10<sup>−12</sup>: a line along the bottom is there or lower"
    )
    return figure(caption, plot(axes, series), table(["state", "t", "norm"], rows))


def _notes(memory: Memory) -> list[str]:
    return [
        "<h2>How to read this, and what it does not say</h2>",
        "<p>A norm is the largest singular value of the exact Jacobian, the median of 16 "
        f"sequences, seed 0, length {memory.lengths[-1]}; the plot ends at 10<sup>−12</sup>. Where "
        "a line lies on that floor, training cannot find out what happened there, whatever the "
        "loss says.</p>",
        "<p>Gates start at memories of 1 to T steps (Tallec &amp; Ollivier 2018), the RNN as "
        "PyTorch starts it. So that the comparison is fair to the traditional cell, it also runs "
        "with an orthogonal start, which keeps gradients alive at first: that is enough to hold "
        "one symbol, and not to add two numbers. Each cell learns at the rate that served it best "
        "of four. Gates are no magic either: from PyTorch's own start, with gates that stand half "
        "open and so forget in a few steps, neither LSTM nor GRU learned to recall over 100 steps "
        "in 1,000 training steps when we tried.</p>",
    ]
