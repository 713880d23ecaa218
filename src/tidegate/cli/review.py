"""The verb that finds doubtful labels and writes a file with those that were corrected: review."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.printing import (
    AsJson,
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    NoClobber,
    check_clobber,
    config_of,
    names_of,
    put,
    put_json,
    say,
    with_settings,
)

_SHOWN = 10


@partial(with_settings, section="data")
def review(
    data: DataFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page to write; with --apply the corrected file."),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows to look at, the doubtful first.")
    ] = 0.05,
    apply: Annotated[
        Path | None, typer.Option(help="Corrections that the page saved, to write into the file.")
    ] = None,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    no_clobber: NoClobber = False,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Find labels that may be wrong, look at them in a page, and write the corrected file."""
    from tidegate.data.outputs import check_place

    config = config_of("default", settings).data
    reading: dict[str, Any] = {
        "format": format, "encoding": encoding, "columns": names_of(columns)
    }  # fmt: skip
    place = output or Path("corrected.csv" if apply else "review.html")
    if not as_json:
        check_place(place)
        check_clobber(place, there=place.exists(), no_clobber=no_clobber)
    if apply is not None:
        _apply(data, config, reading, apply, place)
        return
    _review(data, config, reading, share, None if as_json else place)


def _apply(data: str, config: Any, reading: dict[str, Any], corrections: Path, place: Path) -> None:
    from tidegate.data.corrections import read_corrections, write_corrected
    from tidegate.data.records import open_records

    wanted = read_corrections(corrections)
    fresh = write_corrected(open_records(data, **reading), config, wanted, place)
    changed = sum(map(len, wanted.values()))
    say(f"{place}: written; {changed} label{'s' * (changed != 1)} changed")
    if fresh:
        shown = ", ".join(map(repr, sorted(fresh)))
        say(f"no row had these labels before: {shown}; if that is a slip, correct it")


def _review(
    data: str, config: Any, reading: dict[str, Any], share: float, place: Path | None
) -> None:
    from tidegate.data.dataset import read_dataset
    from tidegate.data.outputs import write_text
    from tidegate.pages.review import review_page
    from tidegate.training.doubt import doubtful_rows

    dataset = read_dataset(data, config, **reading)
    found = doubtful_rows(dataset, folds=config.folds, seed=config.split_seed, on_fold=say)
    # Where the models agree with the label there is nothing to doubt.
    found = [doubt for doubt in found if doubt.likeliest != doubt.given]
    found = found[: round(share * len(dataset))]
    rows = [asdict(doubt) for doubt in found]
    if place is None:
        put_json(rows, indent=1)
        return
    write_text(place, review_page(rows, labels=dataset.labels, source=dataset.source))
    put(*(f"row {d.row}{f', label {d.column!r}' * bool(d.column)}: {d.given!r} has "
          f"{d.probability:.3f}, {d.likeliest!r} is likeliest: {d.text[:70]!r}"
          for d in found[:_SHOWN]))  # fmt: skip
    say(f"{place}: {len(found)} of {len(dataset)} rows to look at; open it in a browser")
