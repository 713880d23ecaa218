"""The verb that answers: predict. It loads NumPy and a bundle, never torch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tidegate.cli.printing import (
    Columns,
    Encoding,
    FileFormat,
    ModelPath,
    NoClobber,
    Ray,
    check_clobber,
    names_of,
    put_data,
    say,
)
from tidegate.cli.signals import told_to_resume
from tidegate.errors import ConfigError, DataError, visible

if TYPE_CHECKING:
    from tidegate.data.records import RecordFile
    from tidegate.engine.predictor import Predictor
    from tidegate.scoring.files import Scored

SafeForSpreadsheets = Annotated[
    bool,
    typer.Option(
        "--safe-for-spreadsheets",
        help="In CSV and TSV: an apostrophe before a text that would be a formula.",
    ),
]
WhichEngine = Annotated[
    Literal["auto", "fast", "numpy"],
    typer.Option(help="What computes: tidegate-fast if it is installed, that only, or NumPy only."),
]
_SHOWN_FAULTS = 20


def predict(
    model: ModelPath,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Messages; none: one a line on standard input.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, not CSV.")] = False,
    source: Annotated[
        str | None, typer.Option("--input", "-i", help="A file of rows to score; - for stdin.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the scored rows go, with --input.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column that holds the message.")] = None,
    prefix: Annotated[str, typer.Option(help="Put before the names of the new columns.")] = "",
    on_error: Annotated[
        Literal["fail", "skip", "null"],
        typer.Option(help="At a row that cannot be scored: stop, leave it out, or no answer."),
    ] = "fail",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run stopped that was ended early.")
    ] = False,
    no_clobber: NoClobber = False,
    safe_for_spreadsheets: SafeForSpreadsheets = False,
    threads: Annotated[int, typer.Option(help="Cores used; 0: all, for big files.")] = 0,
    engine: WhichEngine = "auto",
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    ray: Ray = None,
) -> None:
    """Print the label and the probability of each class, or score a file into another."""
    reading = {"format": format, "encoding": encoding, "columns": names_of(columns)}
    _check_use(texts, source, output, reading)
    choices: dict[str, Any] = {
        "text": text, "prefix": prefix, "on_error": on_error, "resume": resume, "reading": reading,
        "no_clobber": no_clobber, "safe_for_spreadsheets": safe_for_spreadsheets,
    }  # fmt: skip
    if ray is not None:
        from tidegate.cli.many import score_many

        score_many(model, source, output, address=ray, **choices)
        return
    if source is None or output is None:
        from tidegate.engine.predictor import Predictor

        predictor = Predictor.load(model, threads=threads or 1, engine=engine)
        _print(predictor, texts, as_json=as_json, safe_for_spreadsheets=safe_for_spreadsheets)
        return
    with told_to_resume("predict"):
        _score(model, source, output, threads=threads, engine=engine, **choices)


def _check_use(
    texts: list[str] | None, source: str | None, output: Path | None, reading: dict[str, Any]
) -> None:
    """Raise a `ConfigError` if what was given does not go together."""
    if (source is None) != (output is None):
        raise ConfigError("predict: --input and --output belong together; give both")
    if texts and source is not None:
        raise ConfigError("predict: found messages and --input; give one of them")
    if any(reading.values()) and source is None:
        raise ConfigError("predict: format, encoding and columns are those of --input; give it")


def _print(
    predictor: Predictor, texts: list[str] | None, *, as_json: bool, safe_for_spreadsheets: bool
) -> None:
    """Print the answers to messages, those of standard input if there are none."""
    if as_json and safe_for_spreadsheets:
        raise ConfigError("safe_for_spreadsheets: --json prints no CSV; give one of them")
    if not texts:
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError("predict: no message; give texts, or one a line on standard input")
        texts = _messages(sys.stdin.buffer.read())
    put_data(
        *_lines(predictor, texts, as_json=as_json, safe_for_spreadsheets=safe_for_spreadsheets)
    )


def _messages(data: bytes) -> list[str]:
    """Return the lines of standard input, cut at no other mark that Unicode ends lines with."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"standard input: line {line}: not UTF-8; give it as UTF-8") from None
    if not text:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _score(
    model: Path,
    source: str,
    output: Path,
    *,
    text: str | None,
    threads: int,
    engine: str,
    no_clobber: bool,
    reading: dict[str, Any],
    **choices: Any,
) -> None:
    """Score a file by the choices that `score_file` has, and say what came of it."""
    from tidegate.data.outputs import check_place
    from tidegate.data.records import open_records
    from tidegate.engine.predictor import Predictor
    from tidegate.engine.workers import cores
    from tidegate.scoring.files import score_file

    predictor = Predictor.load(model, threads=threads or cores(), engine=engine)
    data = predictor.bundle.config.data
    choices["data"] = replace(data, text=text or data.text)
    file = open_records(source, **reading)
    say(*file.notes)
    check_place(output)
    there = output.is_file() and not file.is_at(output)
    check_clobber(output, there=there, no_clobber=no_clobber)
    start = time.perf_counter()
    with _progress(file) as on_progress:
        scored = score_file(predictor, file, output, on_progress=on_progress, **choices)
    _report(scored, output, seconds=time.perf_counter() - start, on_error=choices["on_error"])


def _report(scored: Scored, output: Path, *, seconds: float, on_error: str) -> None:
    rate = (scored.rows - scored.resumed) / max(seconds, 1e-9)
    resumed = f", {scored.resumed} of them by an earlier run" * bool(scored.resumed)
    say(f"{output}: {scored.rows} rows{resumed}, {seconds:.1f} s, {rate:,.0f} rows a second")
    if not scored.faults:
        return
    done = "left out" if on_error == "skip" else "kept without an answer"
    say(f"{len(scored.faults)} rows could not be scored and were {done}:")
    for fault in scored.faults[:_SHOWN_FAULTS]:
        say(f"  row {fault.row} (line {fault.line}): {fault.why}")
    more = [str(fault.row) for fault in scored.faults[_SHOWN_FAULTS:]]
    if more:
        say(f"  and rows {', '.join(more)}")


@contextmanager
def _progress(file: RecordFile) -> Iterator[Callable[[int], None]]:
    """Show rows done and their rate on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} rows"),
        TextColumn("{task.fields[rate]:,.0f}/s"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(escape(visible(file.name)), total=file.about_rows(), rate=0.0)
        start, first = time.perf_counter(), -1

        def show(rows: int) -> None:
            nonlocal first
            first = rows if first < 0 else first
            rate = (rows - first) / max(time.perf_counter() - start, 1e-9)
            bar.update(task, completed=rows, rate=rate)

        yield show


def _lines(
    predictor: Predictor, texts: list[str], *, as_json: bool, safe_for_spreadsheets: bool
) -> list[str]:
    from tidegate.data.outputs import delimited

    probabilities = predictor.predict_proba(texts)
    decided = predictor.decide(probabilities)
    if as_json:
        return [
            json.dumps(
                {
                    "text": text,
                    "label": label,
                    "probabilities": dict(zip(predictor.labels, row.tolist(), strict=True)),
                }
            )
            for text, label, row in zip(texts, decided, probabilities, strict=True)
        ]
    columns = ["text", "label", *(f"probability_{label}" for label in predictor.labels)]
    rows = [
        [text, label, *row.tolist()]
        for text, label, row in zip(texts, decided, probabilities, strict=True)
    ]
    return [
        delimited([row], safe_for_spreadsheets=safe_for_spreadsheets).removesuffix("\n")
        for row in [columns, *rows]
    ]
