"""What gives a label away: words that stand in one class alone, and columns that name it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.data.dataset import Dataset
from tidegate.data.splits import normalise

FEWEST_ROWS = 20  # that a word must stand in
PURE = 0.98  # share of a word's rows, or of a column's, with one label
COVERS = 0.3  # share of a class's rows that a word must stand in
_MOST_READ = 100_000  # rows that words are counted in
_MOST_VALUES = 0.5  # of a column: different values a row, or each row has its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Giveaway:
    """A word of one class, with how many of the word's rows and of the class's rows it covers."""

    word: str
    label: int
    rows: int
    pure: float
    covers: float


def words_of_one_class(dataset: Dataset) -> list[Giveaway]:
    """Return words that nearly always come with one label and stand in much of its class.

    Examples
    --------
    >>> from tidegate.data.dataset import from_lists
    >>> ticket = [f"TICKET open case {k}" for k in range(30)] + [f"hello {k}" for k in range(30)]
    >>> [g.word for g in words_of_one_class(from_lists(ticket, ["a"] * 30 + ["b"] * 30))][:2]
    ['case', 'hello']
    """
    if dataset.kind == "multilabel":
        return []
    read = range(0, len(dataset), max(-(-len(dataset) // _MOST_READ), 1))
    targets = dataset.targets[read].tolist()
    sizes = Counter(targets)
    by_label: dict[int, Counter[str]] = {label: Counter() for label in sizes}
    for row, target in zip(read, targets, strict=True):
        by_label[target].update(set(normalise(dataset.texts[row]).split()))
    everywhere: Counter[str] = Counter()
    for counts in by_label.values():
        everywhere.update(counts)
    found = []
    for word, rows in everywhere.items():
        if rows < FEWEST_ROWS:
            continue
        label = max(by_label, key=lambda label: by_label[label][word])
        mine = by_label[label][word]
        pure, covers = mine / rows, mine / sizes[label]
        if pure >= PURE and covers >= COVERS and pure - sizes[label] / len(read) > 0.05:
            found.append(Giveaway(word=word, label=label, rows=rows, pure=pure, covers=covers))
    return sorted(found, key=lambda g: (-g.covers, g.word))


def columns_that_tell(
    columns: Mapping[str, Sequence[str]], labels: Sequence[str]
) -> list[tuple[str, float]]:
    """Return the columns whose values tell the label, with the share of rows they tell it for.

    A value tells the label of its other rows: the share is of rows whose label is the most frequent
    one among the rows of their value. A column of one value, or of a value a row, tells nothing.

    Examples
    --------
    >>> team = ["red", "blue"] * 20
    >>> columns_that_tell({"team": team, "id": list(map(str, range(40)))}, ["f", "o"] * 20)
    [('team', 1.0)]
    """
    base = Counter(labels).most_common(1)[0][1] / max(len(labels), 1)
    found = []
    for name, values in columns.items():
        by_value: dict[str, Counter[str]] = {}
        for value, label in zip(values, labels, strict=True):
            by_value.setdefault(value, Counter())[label] += 1
        if not 1 < len(by_value) <= _MOST_VALUES * len(labels):
            continue
        told = sum(n.most_common(1)[0][1] for n in by_value.values() if n.total() > 1)
        share = told / len(labels)
        if share >= PURE and share - base > 0.05:
            found.append((name, share))
    return found
