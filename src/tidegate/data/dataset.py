"""Rows to labelled messages.

Takes a file of records, or two lists; gives a `Dataset`. Knows nothing of tokens or models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.config import DataConfig, Kind
from tidegate.data.labels import (
    Labels,
    added_names,
    in_order_of,
    indicators,
    learned_labels,
    learned_sets,
    matched_labels,
)
from tidegate.data.naming import new_names, renamed
from tidegate.data.records import Format, open_records
from tidegate.data.rows import MOST_FAULTS, Rows, message_of
from tidegate.errors import ConfigError, DataError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled messages (N of them).

    Attributes
    ----------
    texts : the messages, as found
    targets : (N,) index into `labels`; multi-label: (N, L) of 0 and 1
    labels : names of the classes; whole numbers in numeric order, anything else alphabetical
    kind : binary, multiclass or multilabel
    rows : number of each message's row in its source, from 1
    source : what the messages came from, for messages to people
    notes : what a person should know about the reading
    """

    texts: tuple[str, ...]
    targets: Indices
    labels: tuple[str, ...]
    kind: Kind
    rows: tuple[int, ...]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, indices: Indices) -> Dataset:
        """Return the rows at `indices`, in that order, with the same labels."""
        return Dataset(
            texts=tuple(self.texts[i] for i in indices),
            targets=self.targets[indices],
            labels=self.labels,
            kind=self.kind,
            rows=tuple(self.rows[i] for i in indices),
            source=self.source,
        )


def read_dataset(
    source: str | Path,
    data: DataConfig | None = None,
    *,
    format: Format | None = None,
    encoding: str | None = None,
    columns: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    unknown_labels: Literal["fail", "skip", "add"] = "fail",
    skip_faults: bool = False,
) -> Dataset:
    """Read labelled messages from CSV, TSV, JSON, Parquet or Excel, compressed or not.

    Rows of nothing but blank cells are left out, and rows whose last cells are missing are read if
    they have the message and the label; both are said in the notes.

    Parameters
    ----------
    source : path, or `-` for standard input
    data : the names of the columns; the defaults are `text` and `target`
    format, encoding, columns : as in `records.open_records`
    labels : the labels a model knows: then no other may occur, and one class alone is no fault
    unknown_labels : where another does occur, fail, or leave these rows out and say so, or add it
        behind the others
    skip_faults : leave out rows that cannot be read, as long as there are others

    Raises
    ------
    DataError
        One line that names file, row, column, what was found and what to do; or the file changed
        while it was read.
    ConfigError
        Columns or an encoding that cannot be.

    Examples
    --------
    >>> from importlib.resources import files
    >>> sample = read_dataset(files("tidegate") / "sample" / "messages.csv")
    >>> sample.kind, sample.labels
    ('binary', ('0', '1'))
    """
    data = data or DataConfig()
    check_columns(data)
    file = open_records(source, format=format, encoding=encoding, columns=columns)
    wanted = (*data.extra, data.text, *data.label)
    for flag, names in (("--extra", data.extra), ("--text", (data.text,)), ("--label", data.label)):
        for column in names:
            file.require(column, flag)
    read = Rows(file=file, data=data)
    for record in file.records(wanted):
        read.add(record)
        if read.n_faults > MOST_FAULTS:
            break
    file.check_unchanged()
    if not (skip_faults and read.texts):
        read.check()
    found = _labels(read, labels)
    if unknown_labels == "add" and found.unknown:
        found = _labels(read, (*found.names, *added_names(found, source=file.name)))
    dataset = Dataset(
        texts=tuple(read.texts), targets=found.targets, labels=found.names, kind=found.kind,
        rows=tuple(read.rows), source=file.name,
        notes=(*file.notes, *read.notes(), *read.swallowed((*found.names, *new_names(data.name))),
            *found.notes,
        ),
    )  # fmt: skip
    if not found.unknown:
        return dataset
    return _known(dataset, read, found, skip=unknown_labels == "skip")


def check_columns(data: DataConfig) -> None:
    """Raise a `ConfigError` if a column is named twice, or several with a label separator."""
    twice = next(
        (c for c, n in Counter((*data.extra, data.text, *data.label)).items() if n > 1), ""
    )
    if twice:
        raise ConfigError(f"column {twice!r} is named twice, as text or label; name another")
    if data.label_separator and len(data.label) > 1:
        raise ConfigError(
            f"label_separator: found with {len(data.label)} label columns; it takes the labels of "
            "one column apart: name one, or leave it out"
        )


def _labels(read: Rows, labels: Sequence[str] | None) -> Labels:
    """Return the rows' labels: those of a model, or those that are found, by their new names."""
    data, source, column = read.data, read.file.name, read.data.label[0]
    new = new_names(data.name)
    if len(data.label) > 1:
        targets = indicators(read.labels, data.label, place=read.place)
        columns = tuple(new.get(name, name) for name in data.label)
        order = list(range(len(columns))) if labels is None else in_order_of(labels, columns)
        names = tuple(columns if labels is None else labels)
        found = Labels(targets=targets[:, order], names=names, kind="multilabel")
        return found if labels is not None else renamed(found, new, data.label, source=source)
    if labels is not None:
        return matched_labels([_by_new_name(v, new) for v in read.labels], labels, source=source)
    if data.label_separator:
        found = learned_sets(read.labels, column=column, source=source)
    else:
        found = learned_labels(read.labels, column=column, source=source, place=read.place)
    return renamed(found, new, found.names, source=source)


def _by_new_name(value: Any, new: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        return tuple(new.get(part, part) for part in value)
    return new.get(value, value)


def _known(dataset: Dataset, read: Rows, found: Labels, *, skip: bool) -> Dataset:
    """Return the rows whose labels a model knows, or raise a `DataError` that tells the others."""
    unknown = np.flatnonzero((dataset.targets < 0).reshape(len(dataset), -1).any(axis=1))
    first = next(label for label in _set_of(read.labels[unknown[0]]) if label in found.unknown)
    shown = ", ".join(f"{n} of {label!r}" for label, n in list(found.unknown.items())[:5])
    shown += f" and {len(found.unknown) - 5} more" * (len(found.unknown) > 5)
    if not skip or len(unknown) == len(dataset):
        knows = ", ".join(dataset.labels[:20]) + ", …" * (len(dataset.labels) > 20)
        raise DataError(
            f"{read.place(unknown[0])}, column {read.data.label[0]!r}: found {first!r}; the model "
            f"knows {knows}. Of {len(dataset)} rows {len(unknown)} carry labels it does not know "
            f"({shown}); mend them, or leave these rows out with --unknown-labels skip"
        )
    note = (
        f"{dataset.source}: {len(unknown)} of {len(dataset)} rows were left out, whose labels the "
        f"model does not know: {shown}"
    )
    kept = dataset.subset(np.setdiff1d(np.arange(len(dataset)), unknown))
    return replace(kept, notes=(*dataset.notes, note))


def _set_of(labels: Any) -> tuple[str, ...]:
    return labels if isinstance(labels, tuple) else (labels,)


def read_texts(
    source: str | Path,
    data: DataConfig,
    *,
    format: Format | None = None,
    encoding: str | None = None,
    columns: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the distinct messages of a file, in order, without labels and empty ones.

    Raises
    ------
    DataError
        The file, or a row of it, cannot be read as messages.
    """
    file = open_records(source, format=format, encoding=encoding, columns=columns)
    wanted = (*data.extra, data.text)
    for column in wanted:
        file.require(column)
    found: dict[str, None] = {}
    for record in file.records(wanted):
        if record.blank:
            continue
        place = f"{file.name}: row {record.row} (line {record.line})"
        whole = all(column in record.values for column in wanted)
        if record.fault and not (record.short and whole):
            raise DataError(f"{place}: {record.fault}")
        found[message_of(record, data, place=place)] = None
    return tuple(text for text in found if text.strip())


def from_lists(texts: Iterable[Any], targets: Any, *, labels: Sequence[str] = ()) -> Dataset:
    """Return a `Dataset` from messages and labels held in memory.

    Parameters
    ----------
    texts : messages: a list, array or data-frame column
    targets : as many labels (any type, compared by their text), or an (N, L) array of 0 and 1
    labels : names of the L columns; by default their numbers

    Raises
    ------
    DataError
        The lengths differ, a message is not text, or there is one class only.
    """
    messages = list(texts)
    for number, text in enumerate(messages, 1):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise DataError(f"texts: row {number}: found {kind} {text!r}; a message is text")
    values = list(targets)
    if len(values) != len(messages):
        raise DataError(f"labels: found {len(values)} for {len(messages)} texts; give one a text")
    if not messages:
        raise DataError("texts: found none; give labelled messages")
    many = np.ndim(values[0]) == 1
    rows = list(range(1, len(messages) + 1))
    width = len(values[0]) if many else 1
    columns = tuple(labels) or tuple(str(i) for i in range(width))
    table = [[str(part) for part in (v if many else [v])] for v in values]

    def place(position: int) -> str:
        return f"labels: row {rows[position]}"

    if many:
        targets = indicators(table, columns, place=place)
        found = Labels(targets=targets, names=columns, kind="multilabel")
    else:
        given = [part for (part,) in table]
        found = learned_labels(given, column="target", source="labels", place=place)
    return Dataset(
        texts=tuple(messages), targets=found.targets, labels=found.names, kind=found.kind,
        rows=tuple(rows), source="memory",
    )  # fmt: skip
