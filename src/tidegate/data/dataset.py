"""Rows to labelled messages.

Takes a file of records, or two lists; gives a `Dataset`. Knows nothing of tokens or models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import DataConfig, Kind
from tidegate.data.records import Format, Record, open_records
from tidegate.errors import DataError

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
    labels: Sequence[str] | None = None,
) -> Dataset:
    """Read labelled messages from CSV, TSV, JSON lines or Parquet, gzipped or not.

    Parameters
    ----------
    source : path, or `-` for standard input
    data : the names of the columns; the defaults are `text` and `target`
    format : the format when the file's name does not tell
    labels : the labels a model knows: then no other may occur, and one class alone is no fault

    Raises
    ------
    DataError
        One line that names file, row, column, what was found and what to do.

    Examples
    --------
    >>> from importlib.resources import files
    >>> sample = read_dataset(files("tidegate") / "sample" / "messages.csv")
    >>> sample.kind, sample.labels
    ('binary', ('0', '1'))
    """
    data = data or DataConfig()
    file = open_records(source, format=format)
    for column in (*data.extra, data.text, *data.label):
        file.require(column)
    texts: list[str] = []
    found: list[Any] = []
    rows: list[int] = []
    for record in file:
        place = f"{file.name}: row {record.row} (line {record.line})"
        if record.fault:
            raise DataError(f"{place}: {record.fault}")
        texts.append(message_of(record, data, place=place))
        found.append([_label_of(record, column, place=place) for column in data.label])
        rows.append(record.row)
    if not texts:
        raise DataError(f"{file.name}: a header but no rows; add labelled messages")
    targets, names, kind = _targets(found, data.label, rows=rows, source=file.name, labels=labels)
    empty = [row for row, text in zip(rows, texts, strict=True) if not text.strip()]
    notes = file.notes
    if empty:
        first = f"{file.name}: {len(empty)} empty messages, the first in row {empty[0]}"
        notes += (f"{first}; they were kept, and say nothing",)
    return Dataset(
        texts=tuple(texts), targets=targets, labels=names, kind=kind,
        rows=tuple(rows), source=file.name, notes=notes,
    )  # fmt: skip


def read_texts(source: str | Path, data: DataConfig) -> tuple[str, ...]:
    """Return the distinct messages of a file, in order, without labels and empty ones.

    Raises
    ------
    DataError
        The file, or a row of it, cannot be read as messages.
    """
    file = open_records(source)
    for column in (*data.extra, data.text):
        file.require(column)
    found: dict[str, None] = {}
    for record in file:
        place = f"{file.name}: row {record.row} (line {record.line})"
        if record.fault:
            raise DataError(f"{place}: {record.fault}")
        found[message_of(record, data, place=place)] = None
    return tuple(text for text in found if text.strip())


def message_of(record: Record, data: DataConfig, *, place: str) -> str:
    """Return a record's message, its extra columns joined in before it.

    Raises
    ------
    DataError
        The message is missing, or not text. An empty one is a message that says nothing.
    """
    parts: list[str] = []
    for column in (*data.extra, data.text):
        value = record.values.get(column)
        if column != data.text and (value is None or value == ""):
            continue
        if not isinstance(value, str):
            what = "nothing" if value is None else f"{type(value).__name__} {value!r}"
            raise DataError(f"{place}, column {column!r}: found {what}; a message is text")
        parts.append(value)
    return " ".join(parts)


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
    found, names, kind = _targets(
        table, columns if many else ("target",), rows=rows, source="labels"
    )
    return Dataset(
        texts=tuple(messages), targets=found, labels=names, kind=kind,
        rows=tuple(rows), source="memory",
    )  # fmt: skip


def _label_of(record: Record, column: str, *, place: str) -> str:
    value = record.values.get(column)
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        raise DataError(f"{place}, column {column!r}: the label is empty; fill it or drop the row")
    return text


def _targets(
    found: list[Any],
    columns: tuple[str, ...],
    *,
    rows: list[int],
    source: str,
    labels: Sequence[str] | None = None,
) -> tuple[Indices, tuple[str, ...], Kind]:
    """Return targets, label names and kind from the labels' texts."""
    if len(columns) > 1 or len(found[0]) > 1:
        return _indicators(found, columns, rows=rows, source=source), columns, "multilabel"
    values = [value for (value,) in found]
    counts = Counter(values)
    names = tuple(labels) if labels is not None else tuple(sorted(counts, key=_label_order))
    unknown = next((v for v in counts if v not in names), None)
    if unknown is not None:
        place = f"{source}: row {rows[values.index(unknown)]}, column {columns[0]!r}"
        raise DataError(f"{place}: found {unknown!r}; the model knows {', '.join(names)}")
    if len(names) < 2:
        raise DataError(
            f"{source}: column {columns[0]!r}: found one class only ({names[0]!r}); give two"
        )
    if labels is None and len(names) > max(2, len(values) // 2):
        raise DataError(
            f"{source}: column {columns[0]!r}: found {len(names)} classes in {len(values)} rows; "
            "name the column that holds the label"
        )
    index = {name: i for i, name in enumerate(names)}
    targets = np.array([index[v] for v in values], dtype=np.int64)
    return targets, names, "binary" if len(names) == 2 else "multiclass"


def _indicators(
    found: list[Any], columns: tuple[str, ...], *, rows: list[int], source: str
) -> Indices:
    known = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1}
    for row, values in zip(rows, found, strict=True):
        for column, value in zip(columns, values, strict=True):
            if value.lower() not in known:
                place = f"{source}: row {row}, column {column!r}"
                raise DataError(f"{place}: found {value!r}; a multi-label column holds 0 or 1")
    return np.array([[known[v.lower()] for v in values] for values in found], dtype=np.int64)


def _label_order(name: str) -> tuple[int, int, str]:
    digits = name.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        return (0, int(name), name)
    return (1, 0, name)
