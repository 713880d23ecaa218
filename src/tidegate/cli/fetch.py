"""The verb that gets the reference data: fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tidegate.cli.printing import NoClobber, check_clobber, say


def fetch(
    name: Annotated[
        Literal["disaster-tweets"], typer.Argument(help="What to get: disaster-tweets.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "tweets.csv"
    ),
    source: Annotated[
        Literal["competition", "cc0"],
        typer.Option(help="The competition's training file (7,613 rows), or the CC0 set (11,370)."),
    ] = "competition",
    file: Annotated[
        Path | None, typer.Option(help="The file, or zip, that was downloaded by hand.")
    ] = None,
    no_clobber: NoClobber = False,
) -> None:
    """Get the tweets of the lesson from Kaggle, or check and keep a file downloaded by hand."""
    from tidegate.data import fetch as room
    from tidegate.data.outputs import check_place

    check_place(output)
    check_clobber(output, there=output.exists(), no_clobber=no_clobber)
    if source == "cc0":
        say(f"note: {room.WARNING}")
    path = file if file is not None else room.download(source)
    room.check(path, source)
    room.copy(path, output)
    say(f"{output}: {room.SOURCES[source].rows} rows; tidegate train {output} -o model")
