"""Predict for many files on many machines: what `predict --ray` does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.printing import check_clobber, say
from tidegate.cli.signals import told_to_resume
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.cluster.scoring import Scored

_SHOWN_SECONDS = 0.5


def score_many(
    model: Path,
    source: str | None,
    output: Path | str | None,
    *,
    address: str,
    no_clobber: bool,
    safe_for_spreadsheets: bool,
    **choices: Any,
) -> None:
    """Score files on a cluster, and say what came of it."""
    if source is None or output is None:
        raise ConfigError("ray: it scores files; give --input and --output")
    if source == "-":
        raise ConfigError("ray: standard input is on one machine; name a folder or files")
    if safe_for_spreadsheets:
        raise ConfigError("safe_for_spreadsheets: a cluster writes Parquet; it is for CSV and TSV")
    from tidegate.cluster.places import plain
    from tidegate.cluster.scoring import is_scored, score_files

    output = plain(str(output))  # the words of a URI, which a path has lost
    there = is_scored(output)
    if not choices["resume"]:
        check_clobber(Path(output), there=there, no_clobber=no_clobber)
    start = time.perf_counter()
    with told_to_resume("predict"), _progress() as on_progress:
        scored = score_files(
            model, source, output, address=address, on_progress=on_progress, **choices
        )
    _report(scored, output, time.perf_counter() - start, on_error=choices["on_error"])


def _report(scored: Scored, output: object, seconds: float, *, on_error: str) -> None:
    rate = (scored.rows - scored.resumed) / max(seconds, 1e-9)
    resumed = f", {scored.resumed} of them by an earlier run" * bool(scored.resumed)
    say(
        f"{output}: {scored.rows} rows in {scored.parts} parts{resumed}, {seconds:.1f} s, "
        f"{rate:,.0f} rows a second"
    )
    if scored.n_faults:
        done = "left out" if on_error == "skip" else "kept without an answer"
        say(f"{scored.n_faults} rows could not be scored and were {done}:")
        say(*(f"  {fault}" for fault in scored.faults))
        more = scored.n_faults - len(scored.faults)
        say(*[f"  and {more} more"] * bool(more))


@contextmanager
def _progress() -> Iterator[Callable[[Scored], None]]:
    """Show rows and parts done on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda scored: None
        return
    from rich.console import Console

    with Console(stderr=True).status("looking at the input") as status:
        last = 0.0

        def show(scored: Scored) -> None:
            nonlocal last
            if time.perf_counter() - last > _SHOWN_SECONDS:
                last = time.perf_counter()
                status.update(f"{scored.rows:,} rows, {scored.parts:,} parts")

        yield show
