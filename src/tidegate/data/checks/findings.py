"""A finding: what was found, how often, where, how grave it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset

Grade = Literal["problem", "warning", "note"]
GRADES: tuple[Grade, ...] = ("problem", "warning", "note")
MOST_EXAMPLES = 5
_SHOWN = 90  # characters of a message in a line for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row that shows a finding.

    Attributes
    ----------
    row : its number in the file, from 1
    text : the message; empty in a private report
    label : its label, or its labels joined
    """

    row: int
    text: str
    label: str

    def line(self) -> str:
        """Return the row on one line."""
        if not self.text:
            return f"row {self.row} ({self.label})"
        text = self.text if len(self.text) <= _SHOWN else self.text[: _SHOWN - 1] + "…"
        return f"row {self.row} ({self.label}): {text!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a person should know about a data set.

    Attributes
    ----------
    name : the check, in snake case; it stays the same from version to version
    grade : a problem makes figures or models wrong, a warning may, a note is to be known
    count : how many rows, messages or labels it concerns
    what : what was found, as a sentence
    cure : what to do, as a sentence; empty where there is nothing to do
    examples : rows that show it, each group of equal messages together
    """

    name: str
    grade: Grade
    count: int
    what: str
    cure: str = ""
    examples: tuple[Example, ...] = field(default=())

    def lines(self) -> list[str]:
        """Return the finding for people: what, some rows, what to do."""
        cure = f" {self.cure}" if self.cure else ""
        return [f"{self.grade}: {self.what}{cure}", *(f"    {e.line()}" for e in self.examples)]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "name": self.name,
            "grade": self.grade,
            "count": self.count,
            "what": self.what,
            "cure": self.cure,
            "examples": [{"row": e.row, "text": e.text, "label": e.label} for e in self.examples],
        }


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the gravest first, otherwise in the order given."""
    return sorted(findings, key=lambda finding: GRADES.index(finding.grade))


def examples_of(
    dataset: Dataset, indices: Sequence[int] | npt.NDArray[np.integer[Any]]
) -> tuple[Example, ...]:
    """Return the first few of these rows."""
    return tuple(
        Example(row=dataset.rows[i], text=dataset.texts[i], label=label_of(dataset, int(i)))
        for i in indices[:MOST_EXAMPLES]
    )


def label_of(dataset: Dataset, i: int) -> str:
    """Return a row's label, or its labels joined by a comma."""
    target = dataset.targets[i]
    if dataset.kind != "multilabel":
        return dataset.labels[int(target)]
    return ", ".join(dataset.labels[k] for k in np.flatnonzero(target)) or "no label"


def counted(n: int, what: str) -> str:
    """Return "1 row" or "1,200 rows".

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {what}" + "s" * (n != 1)
