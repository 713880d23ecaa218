"""The verb that says which messages to label next: suggest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.printing import (
    Columns,
    Encoding,
    FileFormat,
    ModelPath,
    NoClobber,
    check_clobber,
    names_of,
    put_data,
    say,
)
from tidegate.errors import ConfigError, DataError


def suggest(
    model: ModelPath,
    texts: Annotated[str, typer.Argument(help="Unlabelled messages, in any format train reads.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many to suggest.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A CSV; by default standard output.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Column that holds the message; by default as in training.")
    ] = None,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    no_clobber: NoClobber = False,
) -> None:
    """Say which messages to label next: a CSV with an empty label column, ready to fill in."""
    from dataclasses import replace

    from tidegate.data.dataset import read_texts
    from tidegate.data.outputs import check_place, delimited, write_text
    from tidegate.data.splits import known_rows
    from tidegate.engine.bundle import LAYOUT, Bundle
    from tidegate.engine.predictor import Predictor
    from tidegate.scoring import suggest as room

    bundle = Bundle.load(model)
    data = replace(bundle.config.data, text=text) if text else bundle.config.data
    if output is not None:
        _check_output(output, texts)
        check_place(output)
        check_clobber(output, there=output.exists(), no_clobber=no_clobber)
    found = read_texts(texts, data, format=format, encoding=encoding, columns=names_of(columns))
    learned = bundle.extra_files.get(LAYOUT.learned)
    if learned is not None:
        known = known_rows(found, learned)
        if known.any():
            say(f"{int(known.sum())} messages were learned from, and are left out")
        if known.all():
            raise DataError(f"{texts}: the model learned from all of its messages; give others")
        found = tuple(t for t, k in zip(found, known, strict=True) if not k)
    chosen = room.suggest(Predictor(bundle), found, n)
    names = [data.text, *data.label, "model_says", "uncertainty"]
    blank = [""] * len(data.label)
    rows = [[s.text, *blank, s.label, s.uncertainty] for s in chosen]
    table = delimited([names, *rows])
    if output is None:
        put_data(table.rstrip("\n"))
        return
    write_text(output, table)
    say(f"{output}: {len(chosen)} of {len(found)} messages; fill in {', '.join(data.label)}")


def _check_output(output: Path, texts: str) -> None:
    if output.suffix.lower() not in (".csv", ".txt", ""):
        raise ConfigError(f"{output}: a CSV is written; name it .csv")
    if texts != "-" and output.exists() and Path(texts).exists() and output.samefile(texts):
        raise ConfigError(f"{output}: it is the file of messages; name another output")
