"""The verb that scores a bundle: evaluate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tidegate.cli.printing import (
    AsJson,
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    ModelPath,
    names_of,
    put,
    put_json,
    say,
)
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.config import DataConfig
    from tidegate.data.dataset import Dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.evaluation.scores import Report


def evaluate(
    model: ModelPath,
    data: DataFile,
    text: Annotated[
        str | None, typer.Option(help="Column that holds the message; by default as in training.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that holds the label; several in the order of the model's labels."
        ),
    ] = None,
    extra: Annotated[
        list[str] | None, typer.Option(help="Further text column, joined in before the message.")
    ] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="What stands between the labels of one cell.")
    ] = None,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    unknown_labels: Annotated[
        Literal["fail", "skip"],
        typer.Option(help="At labels that the model does not know: stop, or leave the rows out."),
    ] = "fail",
    as_json: AsJson = False,
) -> None:
    """Score a bundle on labelled messages: scores with intervals, confusion, calibration."""
    from tidegate.data.dataset import read_dataset
    from tidegate.engine.bundle import Bundle

    bundle = Bundle.load(model)
    given = {"text": text, "label": label, "extra": extra, "label_separator": label_separator}
    dataset = read_dataset(
        data, _columns(bundle, {name: value for name, value in given.items() if value}),
        labels=bundle.labels, unknown_labels=unknown_labels,
        format=format, encoding=encoding, columns=names_of(columns),
    )  # fmt: skip
    say(*dataset.notes)
    report = _report(bundle, dataset)
    if as_json:
        put_json(report.to_dict(), indent=1)
    else:
        put(*report.lines())


def _report(bundle: Bundle, dataset: Dataset) -> Report:
    from tidegate.data.splits import known_rows
    from tidegate.engine.bundle import LAYOUT
    from tidegate.engine.predictor import Predictor
    from tidegate.evaluation.scores import evaluate as score

    predictor = Predictor(bundle)
    report = score(
        dataset.targets,
        predictor.predict_proba(dataset.texts),
        labels=bundle.labels,
        kind=bundle.kind,
        threshold=predictor.threshold,
    )
    learned = bundle.extra_files.get(LAYOUT.learned)
    if learned is None:
        return report
    return replace(report, learned_rows=int(known_rows(dataset.texts, learned).sum()))


def _columns(bundle: Bundle, given: dict[str, object]) -> DataConfig:
    """Return which columns hold the messages and the labels.

    Raises
    ------
    ConfigError
        They give a message one label, and the model several, or the other way round.
    """
    data = bundle.config.data
    if len(given.get("label", ())) > 1:  # type: ignore[arg-type]
        data = replace(data, label_separator="")
    data = replace(data, **given)  # type: ignore[arg-type]
    if bundle.kind == "multilabel" and len(data.label) == 1 and not data.label_separator:
        raise ConfigError(
            f"label: the model gives a message several labels; name a 0/1 column for each "
            f"({', '.join(bundle.labels)}), or give --label-separator"
        )
    if bundle.kind != "multilabel" and (len(data.label) > 1 or data.label_separator):
        raise ConfigError(
            "label: the model gives a message one label; name one column, and no --label-separator"
        )
    return data
