"""Labels' cells to targets.

Takes what the rows of a label column hold, or of several; gives the labels' names and each row's
target. Knows nothing of files or messages: who has them says where a label stood.

Labels are compared by their text. Those of a file that a model is scored on are matched to the
model's: `0.0`, `false` and ` 0` are its `0`, if it has no other label so written.
"""

from __future__ import annotations

import ast
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind
from tidegate.errors import ConfigError, DataError

Indices = npt.NDArray[np.int64]

_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?")
_MISSING = ("nan", "<na>", "nat", "n/a", "#n/a", "null")
_INDICATORS = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1}
_SEVERAL = "write a 0/1 column for each label, or read them with --label-separator '|'"
_LONGEST_LIST = 10_000
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the labels of n rows are.

    Attributes
    ----------
    targets : (n,) index into `names`; several labels a row: (n, L) of 0 and 1. A row whose label
        the model does not know has -1 in it
    names : the labels
    kind : binary, multiclass or multilabel
    notes : what a person should know about them
    unknown : labels that the model does not know, and how many rows carry them
    """

    targets: Indices
    names: tuple[str, ...]
    kind: Kind
    notes: tuple[str, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)


def label_text(value: Any) -> str:
    """Return the label a cell holds.

    Raises
    ------
    DataError
        There is none, or there are several; the message does not say where.

    Examples
    --------
    >>> label_text(" spam "), label_text(1), label_text(True)
    ('spam', '1', 'True')
    """
    if isinstance(value, (list, tuple, dict)):
        found = "several labels" if isinstance(value, (list, tuple)) else "an object"
        raise DataError(f"found {found}, {_cut(value)}; {_SEVERAL}")
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        raise DataError("the label is empty; fill it or drop the row")
    if _is_list(text):
        raise DataError(f"found what looks like a list of labels, {_cut(text)}; {_SEVERAL}")
    return text


def _is_list(text: str) -> bool:
    """Return whether text is a list or an object, as JSON, Python or NumPy write them."""
    if text.startswith("[") and text.endswith("]"):
        return not text[1:-1].strip() or any(mark in text for mark in ",'\"")
    return text.startswith("{") and text.endswith("}") and ":" in text


def label_texts(value: Any, separator: str) -> tuple[str, ...]:
    """Return the labels a cell holds: a list, or text between separators; an empty cell has none.

    Raises
    ------
    DataError
        There is null or an object instead; the message does not say where.

    Examples
    --------
    >>> label_texts("fire| flood", "|"), label_texts(["fire"], "|"), label_texts("", "|")
    (('fire', 'flood'), ('fire',), ())
    """
    parts = value
    if isinstance(value, str):
        parts = listed_labels(value.strip())
        if parts is None:
            parts = value.split(separator)
    elif isinstance(value, (bool, int)) or (isinstance(value, float) and value == value):
        parts = [value]
    if not isinstance(parts, (list, tuple)):
        raise DataError(f"found {_cut(value)}; write the labels as text or as a list")
    if any(part is None or isinstance(part, (list, tuple, dict)) for part in parts):
        raise DataError(f"found {_cut(value)}; write each label as text")
    found = (str(part).strip() for part in parts)
    return tuple(dict.fromkeys(part for part in found if part))


def listed_labels(text: str) -> list[Any] | tuple[Any, ...] | None:
    """Return the list that a cell's text is, as JSON or as Python writes it, or None.

    Examples
    --------
    >>> listed_labels('["fire"]'), listed_labels("('fire',)"), listed_labels("fire|flood")
    (['fire'], ('fire',), None)
    """
    if text[:1] not in ("[", "(") or len(text) > _LONGEST_LIST:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, (list, tuple)):
            return found
    return None


def _cut(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 60 else shown[:59] + "…"


def plain_label(label: str) -> str:
    """Return what labels share that differ by case, spaces or the form of a number only.

    Examples
    --------
    >>> plain_label("0"), plain_label("0.0"), plain_label("False"), plain_label(" Spam ")
    ('0', '0', '0', 'spam')
    """
    text = " ".join(unicodedata.normalize("NFKC", label).split()).casefold()
    text = {"false": "0", "true": "1"}.get(text, text)
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        return text
    return str(int(number)) if abs(number) < 2**53 and number.is_integer() else repr(number)


def learned_labels(
    found: Sequence[str], *, column: str, source: str, place: Callable[[int], str]
) -> Labels:
    """Return the labels of rows to learn from, one a row.

    Parameters
    ----------
    column, source : what to call the labels' column, and the file, in messages
    place : what to call the row of a position in `found`

    Raises
    ------
    DataError
        There is one class only, almost a class a row, or several labels in a cell.
    """
    counts = Counter(found)
    names = tuple(sorted(counts, key=_order))
    if len(names) < 2:
        raise DataError(
            f"{source}: column {column!r}: found one class only ({names[0]!r}); give two"
        )
    _refuse_joined(counts, found, column=column, place=place)
    if len(names) > max(2, 3 * len(found) // 4):
        raise DataError(
            f"{source}: column {column!r}: found {len(names)} classes in {len(found)} rows; "
            "name the column that holds the label"
        )
    index = {name: i for i, name in enumerate(names)}
    return Labels(
        targets=np.array([index[value] for value in found], dtype=np.int64), names=names,
        kind="binary" if len(names) == 2 else "multiclass",
        notes=tuple(f"{source}: {note}" for note in label_notes(counts)),
    )  # fmt: skip


def _refuse_joined(
    counts: Counter[str], found: Sequence[str], *, column: str, place: Callable[[int], str]
) -> None:
    """Raise a `DataError` if cells hold several labels: parts of one that others are or have."""
    for mark in "|;":
        joined = {name: {p.strip() for p in name.split(mark)} for name in counts if mark in name}
        uses = Counter(part for parts in joined.values() for part in parts)
        for name, parts in joined.items():
            shared = next((p for p in parts if p and (p in counts or uses[p] > 1)), None)
            if shared is not None:
                raise DataError(
                    f"{place(found.index(name))}, column {column!r}: found {name!r}, and "
                    f"{shared!r} in other rows too: several labels of one message? Give "
                    f"--label-separator '{mark}', or a 0/1 column for each label"
                )


def label_notes(counts: Counter[str]) -> list[str]:
    """Return what is strange about labels: several that may be one, or that may be none.

    Examples
    --------
    >>> label_notes(Counter({"spam": 4, "Spam": 2}))[0][:43]
    "labels 'Spam' (2 rows), 'spam' (4 rows) dif"
    """
    same: dict[str, list[str]] = {}
    for name in sorted(counts, key=_order):
        same.setdefault(plain_label(name), []).append(name)
    several = [group for group in same.values() if len(group) > 1]
    notes = [
        f"labels {_counted(group, counts)} differ by case, spaces or the form of a number only; "
        "if they are one, write them alike"
        for group in several[:_SHOWN]
    ]
    if len(several) > _SHOWN:
        notes.append(f"{len(several) - _SHOWN} more groups of labels differ so little")
    missing = [name for name in counts if name.casefold() in _MISSING or name == "None"]
    if missing:
        notes.append(
            f"label {_counted(missing, counts)}: was it missing? Then leave these rows out"
        )
    return notes


def _counted(names: Sequence[str], counts: Counter[str]) -> str:
    return ", ".join(f"{n!r} ({counts[n]} {'row' if counts[n] == 1 else 'rows'})" for n in names)


def learned_sets(found: Sequence[tuple[str, ...]], *, column: str, source: str) -> Labels:
    """Return the labels of rows to learn from, any number of them a row.

    Raises
    ------
    DataError
        There are fewer than two in all.
    """
    counts = Counter(label for labels in found for label in labels)
    names = tuple(sorted(counts, key=_order))
    if len(names) < 2:
        what = repr(names[0]) if names else "no label"
        raise DataError(f"{source}: column {column!r}: found {what} only; give two labels")
    notes = tuple(f"{source}: {note}" for note in label_notes(counts))
    index = {name: i for i, name in enumerate(names)}
    return Labels(targets=_sets(found, index), names=names, kind="multilabel", notes=notes)


def _sets(found: Sequence[tuple[str, ...]], index: dict[str, int]) -> Indices:
    targets = np.zeros((len(found), max(index.values()) + 1), dtype=np.int64)
    for row, labels in enumerate(found):
        for label in labels:
            number = index.get(label, -1)
            if number < 0:
                targets[row] = -1
                break
            targets[row, number] = 1
    return targets


def matched_labels(
    found: Sequence[str] | Sequence[tuple[str, ...]], names: Sequence[str], *, source: str
) -> Labels:
    """Return the labels of rows that a model with labels `names` is scored on.

    A row with a label that is not among them, nor written as one of them is, has a target of -1.
    """
    several = any(isinstance(value, tuple) for value in found)
    counts = Counter(label for v in found for label in (v if isinstance(v, tuple) else (v,)))
    index = {name: i for i, name in enumerate(names)}
    alike: dict[str, list[int]] = {}
    for name, number in index.items():
        alike.setdefault(plain_label(name), []).append(number)
    read: list[str] = []
    for label in counts:
        numbers = alike.get(plain_label(label), [])
        if label not in index and len(numbers) == 1:
            index[label] = numbers[0]
            read.append(f"{label!r} as {names[numbers[0]]!r}")
    note = f"{source}: labels were read as the model's: {', '.join(read[:_SHOWN])}"
    targets = (
        _sets([tuple(value) for value in found], index)
        if several
        else np.array([index.get(str(value), -1) for value in found], dtype=np.int64)
    )
    return Labels(
        targets=targets, names=tuple(names),
        notes=(note + ", …" * (len(read) > _SHOWN),) * bool(read),
        kind="multilabel" if several else "binary" if len(names) == 2 else "multiclass",
        unknown={label: n for label, n in counts.most_common() if label not in index},
    )  # fmt: skip


def added_names(labels: Labels, *, source: str) -> tuple[str, ...]:
    """Return the labels that a model does not know, in the order of names, to be learned.

    Raises
    ------
    DataError
        They are so many that the column can hardly be the labels'.
    """
    n_rows = len(labels.targets)
    if len(labels.unknown) > max(2, 3 * n_rows // 4):
        raise DataError(
            f"{source}: found {len(labels.unknown)} new labels in {n_rows} rows; name the column "
            "that holds the label"
        )
    return tuple(sorted(labels.unknown, key=_order))


def indicator(value: str) -> int:
    """Return the 0 or 1 that a cell of a label's own column holds.

    Raises
    ------
    DataError
        It holds something else; the message does not say where.

    Examples
    --------
    >>> indicator("1"), indicator("False")
    (1, 0)
    """
    found = _INDICATORS.get(value.lower())
    if found is None:
        raise DataError(f"found {value!r}; a multi-label column holds 0 or 1")
    return found


def indicators(
    found: Sequence[Sequence[str]], columns: Sequence[str], *, place: Callable[[int], str]
) -> Indices:
    """Return (n, L) of 0 and 1 from as many columns.

    Raises
    ------
    DataError
        A cell holds something else.
    """
    targets: list[list[int]] = []
    for row, values in enumerate(found):
        targets.append([])
        for column, value in zip(columns, values, strict=True):
            try:
                targets[-1].append(indicator(value))
            except DataError as fault:
                raise DataError(f"{place(row)}, column {column!r}: {fault}") from None
    return np.array(targets, dtype=np.int64)


def in_order_of(names: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return, for each label of a model, which of the columns named holds it.

    Columns named as the labels are found by name, others are taken in the labels' order.

    Raises
    ------
    ConfigError
        There are more or fewer columns than labels.

    Examples
    --------
    >>> in_order_of(("fire", "flood"), ("flood", "fire")), in_order_of(("a", "b"), ("x", "y"))
    ([1, 0], [0, 1])
    """
    if len(columns) != len(names):
        raise ConfigError(
            f"label: found {len(columns)} columns for the model's {len(names)} labels "
            f"({', '.join(names)}); name one for each, in this order"
        )
    if set(columns) == set(names):
        return [list(columns).index(name) for name in names]
    return list(range(len(names)))


def _order(name: str) -> tuple[int, int, str]:
    digits = name.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        return (0, int(name), name)
    return (1, 0, name)
