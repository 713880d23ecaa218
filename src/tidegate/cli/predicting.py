"""The verb that answers: predict. It loads NumPy and a bundle, never torch."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.printing import put
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.runtime import Predictor


def predict(
    model: Annotated[Path, typer.Argument(help="A bundle: the directory that train wrote.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Messages; none: one a line on standard input.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, not CSV.")] = False,
) -> None:
    """Print the label and the probability of each class, as CSV or JSON lines."""
    from tidegate.runtime import Predictor

    predictor = Predictor.load(model)
    if not texts:
        if sys.stdin.isatty():
            raise ConfigError("predict: no message; give texts, or one a line on standard input")
        texts = sys.stdin.read().splitlines()
    for line in _lines(predictor, texts, as_json=as_json):
        put(line)


def _lines(predictor: Predictor, texts: list[str], *, as_json: bool) -> list[str]:
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
        [text, label if isinstance(label, str) else " ".join(label), *(f"{p:.6f}" for p in row)]
        for text, label, row in zip(texts, decided, probabilities, strict=True)
    ]
    return [_csv_line(row) for row in [columns, *rows]]


def _csv_line(values: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
