"""The verb that looks at a data set before training on it: check."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.printing import (
    AsJson,
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    config_of,
    names_of,
    put,
    put_json,
    say,
    with_settings,
)
from tidegate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.config import Config, DataConfig
    from tidegate.data.checks import Finding
    from tidegate.data.dataset import Dataset

_FEW_ROWS = 50


@partial(with_settings, section="data")
def check(
    data: DataFile,
    against: Annotated[
        str | None,
        typer.Option(help="Another file, of the same columns, that should share no message."),
    ] = None,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    html: Annotated[Path | None, typer.Option(help="Write the findings as a page, too.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Show no messages.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 2 if there is a problem or a warning.")
    ] = False,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Say what is wrong with a data set before training on it: what, where, how grave, the cure."""
    from tidegate.data.dataset import read_dataset

    config = config_of("default", settings)
    reading: dict[str, Any] = {"format": format, "encoding": encoding, "columns": names_of(columns)}
    dataset, refused = _read(data, config.data, reading)
    other = None
    if against is not None:
        if "-" in (data, against):
            raise ConfigError("against: name two files; standard input can be read only once")
        other = read_dataset(against, config.data, **reading, labels=dataset.labels,
                             unknown_labels="skip")  # fmt: skip
    found = _found(dataset, config, other, None if data == "-" else data, reading)
    if private:
        found = _without_messages(found)
    facts = _facts(dataset)
    try:
        facts += _scoring(dataset, config.data)
    except DataError as fault:  # train would end so; what was found is told first
        refused = refused or fault
    if html is not None:
        _write_page(html, found, dataset, facts)
    _tell(found, dataset, facts, as_json=as_json)
    if refused is not None:
        raise refused
    grave = sum(finding.grade != "note" for finding in found)
    if strict and grave:
        raise DataError(f"{dataset.source}: {grave} findings are problems or warnings; see above")


def _read(
    data: str, columns: DataConfig, reading: dict[str, Any]
) -> tuple[Dataset, DataError | None]:
    """Return the rows that can be read, and what train would say of the others."""
    from tidegate.data.dataset import read_dataset

    try:
        return read_dataset(data, columns, **reading), None
    except DataError as fault:
        if data == "-":  # it can be read only once
            raise
        try:
            return read_dataset(data, columns, **reading, skip_faults=True), fault
        except DataError:
            raise fault from None


def _tell(
    found: Sequence[Finding], dataset: Dataset, facts: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        put_json({"source": dataset.source, "rows": len(dataset), "kind": dataset.kind,
                  "labels": _counts(dataset), "notes": facts[1:],
                  "findings": [finding.to_dict() for finding in found]}, indent=1)  # fmt: skip
        return
    put(*facts)
    put(*(line for finding in found for line in finding.lines()))
    if not found:
        put("nothing was found that is wrong with it")


def _found(
    dataset: Dataset,
    config: Config,
    other: Dataset | None,
    source: str | None,
    reading: dict[str, Any],
) -> list[Finding]:
    from tidegate.data.checks import check_dataset
    from tidegate.data.checks.columns import other_columns
    from tidegate.data.records import open_records
    from tidegate.text.tokenizers import make_tokenizer

    others = None
    if source is not None:
        others = other_columns(open_records(source, **reading), dataset, config.data)
    return check_dataset(
        dataset, tokenize=make_tokenizer(config.text), limit=config.text.max_tokens or None,
        against=other, others=others,
    )  # fmt: skip


def _without_messages(found: Sequence[Finding]) -> list[Finding]:
    from dataclasses import replace

    return [
        replace(
            f,
            examples=tuple(replace(e, text="") for e in f.examples),
            # Words are parts of messages, and so are left out, too.
            what=f"{f.count} words nearly give a label away."
            if f.name == "telling_words"
            else f.what,
        )
        for f in found
    ]


def _write_page(
    path: Path, found: Sequence[Finding], dataset: Dataset, facts: Sequence[str]
) -> None:
    from tidegate.data.outputs import check_place, write_text
    from tidegate.pages.findings import findings_page

    check_place(path)
    write_text(path, findings_page(found, source=dataset.source, facts=facts))
    say(f"{path}: the findings as a page")


def _counts(dataset: Dataset) -> dict[str, int]:
    from tidegate.data.splits import label_counts

    return dict(zip(dataset.labels, label_counts(dataset).tolist(), strict=True))


def _facts(dataset: Dataset) -> list[str]:
    """Return what the data set is: its size and kind, notes of its reading, the rows a label."""
    labels = [f"label {name!r}: {count} rows" for name, count in _counts(dataset).items()]
    return [f"{dataset.source}: {len(dataset)} messages, {dataset.kind}", *dataset.notes, *labels]


def _scoring(dataset: Dataset, data: DataConfig) -> list[str]:
    """Return how training would score itself on these rows."""
    import numpy as np

    from tidegate.data.splits import cross_folds, split, untested, way_to_score

    way = way_to_score(dataset, data)
    if way == "none":
        return []
    if way == "cv":
        numbers = cross_folds(dataset, data.folds, seed=data.split_seed)
        test = np.flatnonzero(numbers >= 0)
        line = f"train would hold out {len(test)} rows, in {data.folds} folds"
    else:
        _, test = split(dataset, data)
        line = f"train would hold out {len(test)} rows"
    note = untested(dataset, dataset.subset(test))
    few = f"{dataset.source}: {len(dataset)} rows are few to learn from; more would be better"
    return [line, *[note] * bool(note), *[few] * (len(dataset) < _FEW_ROWS)]
