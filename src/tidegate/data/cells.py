"""Several labels in one cell: one of them put in or taken out, the others left as they are written.

Takes a cell as `labels.label_texts` reads it, gives the cell that is read as the labels wanted.
Knows nothing of files or rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tidegate.data.labels import label_texts, listed_labels
from tidegate.errors import DataError, short

_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


def with_label(value: Any, label: str, separator: str) -> Any:
    """Return a cell with one more label, at its end.

    Raises
    ------
    DataError
        The cell holds no labels that can be read, or this one cannot stand beside them.

    Examples
    --------
    >>> with_label("fire | flood", "storm", "|"), with_label('["fire"]', "flood", "|")
    ('fire | flood | storm', '["fire", "flood"]')
    """
    labels = label_texts(value, separator)
    if label in labels:
        return value
    if isinstance(value, (list, tuple)):
        return [*value, _like(label, value)]
    cell = _Cell.of(str(value), separator)
    text = None if cell is None else cell.added(label)
    return _checked(text, (*labels, label), separator)


def without_label(value: Any, label: str, separator: str) -> Any:
    """Return a cell without one of its labels, however often it stands there.

    Raises
    ------
    DataError
        The cell holds no labels that can be read, or cannot be written without this one.

    Examples
    --------
    >>> without_label("fire | flood", "fire", "|"), without_label(["fire"], "fire", "|")
    ('flood', [])
    """
    labels = label_texts(value, separator)
    if label not in labels:
        return value
    if isinstance(value, (list, tuple)):
        return [part for part in value if str(part).strip() != label]
    cell = _Cell.of(str(value), separator)
    text = None if cell is None else cell.removed(label)
    return _checked(text, tuple(name for name in labels if name != label), separator)


def cell_text(value: Any, separator: str) -> Any:
    """Return a list as text that is read as the same labels, for formats that have no lists.

    What is no list of labels is returned as it is.

    Examples
    --------
    >>> cell_text(["fire", "flood"], "|"), cell_text(["fire|flood"], "|"), cell_text("fire", "|")
    ('fire|flood', '["fire|flood"]', 'fire')
    """
    if not isinstance(value, (list, tuple)):
        return value
    try:
        labels = label_texts(value, separator)
    except DataError:
        return value
    return _checked(separator.join(map(str, value)), labels, separator)


def _checked(text: str | None, labels: tuple[str, ...], separator: str) -> str:
    """Return a text that is read as these labels, as a list of JSON if the one given is not."""
    # A label may hold the separator, look like a list, or leave a tuple of one without its comma.
    for written in (text, json.dumps(labels, ensure_ascii=False)):
        try:
            if written is not None and label_texts(written, separator) == labels:
                return written
        except DataError:
            continue
    raise DataError(f"the labels {short(list(labels))} cannot be written in one cell")


def _like(label: str, others: Sequence[Any]) -> str | int:
    """Return a label as a number where all others are, so that a list of numbers stays one."""
    numbers = bool(others) and all(type(other) is int for other in others)
    return int(label) if numbers and _WHOLE.fullmatch(label) else label


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A cell's text, taken apart: the parts joined by the mark, between opening and closing.

    Attributes
    ----------
    labels : what each part is read as; a part of nothing is read as ""
    listed : the values of a list, or None where the parts are text between separators
    """

    opening: str
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    mark: str
    closing: str
    listed: Sequence[Any] | None

    @classmethod
    def of(cls, text: str, separator: str) -> _Cell | None:
        """Return a cell taken apart, or None if it is a list whose parts cannot be told."""
        body = text.strip()
        listed = listed_labels(body)
        if listed is None:
            parts = tuple(text.split(separator))
            return cls(
                opening="", parts=parts, labels=tuple(part.strip() for part in parts),
                mark=separator, closing="", listed=None,
            )  # fmt: skip
        start = text.index(body) + 1
        inside = text[start : start + len(body) - 2]
        # What stands in quotes is masked by as many characters: a comma there parts nothing.
        masked = _QUOTED.sub(lambda found: "_" * len(found[0]), inside)
        cuts = [-1, *(k for k, c in enumerate(masked) if c == ","), len(inside)]
        parts = tuple(inside[a + 1 : b] for a, b in pairwise(cuts))
        if sum(bool(part.strip()) for part in parts) != len(listed):
            return None
        values = iter(listed)
        labels = tuple(str(next(values)).strip() if part.strip() else "" for part in parts)
        return cls(
            opening=text[:start], parts=parts, labels=labels, mark=",",
            closing=text[start + len(inside) :], listed=listed,
        )  # fmt: skip

    def added(self, label: str) -> str:
        """Return the text with a label after the last one, spaced as that one is."""
        written = self._written(label)
        full = [k for k, part in enumerate(self.parts) if part.strip()]
        if not full:
            return self.opening + written + self.closing
        last = self.parts[full[-1]]
        before, after = "", "" if self.listed is None else " "
        if len(full) > 1:
            before, after = _spaces(self.parts[full[-2]])[1], _spaces(last)[0]
        parts = list(self.parts)
        # Parts of nothing stay behind it: where each label is ended by a mark, so is the new one.
        parts[full[-1] : full[-1] + 1] = [
            last.rstrip() + before, after + written + _spaces(last)[1]
        ]  # fmt: skip
        return self._joined(parts)

    def removed(self, label: str) -> str:
        """Return the text without a label; the cell's ends keep their spaces."""
        parts = [part for part, name in zip(self.parts, self.labels, strict=True) if name != label]
        if not any(name not in ("", label) for name in self.labels):
            return self.opening + self.closing
        parts[0] = _spaces(self.parts[0])[0] + parts[0].lstrip()
        parts[-1] = parts[-1].rstrip() + _spaces(self.parts[-1])[1]
        return self._joined(parts)

    def _joined(self, parts: Sequence[str]) -> str:
        return self.opening + self.mark.join(parts) + self.closing

    def _written(self, label: str) -> str:
        if self.listed is None:
            return label
        value = _like(label, self.listed)
        if any(part.lstrip().startswith("'") for part in self.parts):
            return repr(value)  # a list as Python writes it
        return json.dumps(value, ensure_ascii=False)


def _spaces(part: str) -> tuple[str, str]:
    """Return the white space before and after what a part holds."""
    core = part.strip()
    start = part.index(core)
    return part[:start], part[start + len(core) :]
