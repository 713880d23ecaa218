"""The verb that shows why gates: memory."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.printing import put, put_json, say


def memory(
    html: Annotated[Path, typer.Option("--html", help="The page to write.")] = Path("memory.html"),
    length: Annotated[
        list[int] | None, typer.Option(help="Steps to remember over. [10, 30 and 100]")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How often each cell is trained.")] = 5,
    units: Annotated[int, typer.Option(help="Of the LSTM; the others get equal parameters.")] = 32,
    steps: Annotated[int, typer.Option(help="Training steps, at most.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show by experiment why gates remember: RNN, GRU and LSTM on two tasks, with gradients."""
    from tidegate.data.outputs import check_place, write_text
    from tidegate.experiments.memory import Run, remember
    from tidegate.experiments.page import NAMES, lines, memory_page

    check_place(html)

    def told(run: Run, done: int, of: int) -> None:
        end = "solved" if run.solved else "not solved"
        say(
            f"{done:>3} of {of}  {run.task}, length {run.length}, {NAMES[run.cell]}, seed "
            f"{run.seed}: {end}, {run.score:.3f} after {run.curve[-1][0]} steps"
        )

    found = remember(
        lengths=length or (10, 30, 100), seeds=seeds, units=units, steps=steps, on_run=told
    )
    write_text(html, memory_page(found))
    if as_json:
        put_json(asdict(found))
    else:
        put(*lines(found))
    say(f"page written to {html}")
