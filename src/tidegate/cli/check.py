"""The verb that looks at a data set before training on it: check."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tidegate.cli.printing import DataFile, config_of, put, with_settings
from tidegate.errors import DataError


@with_settings
def check(
    data: DataFile,
    **settings: Any,
) -> None:
    """Say what is wrong with a data set, before training on it."""
    from tidegate.data.dataset import read_dataset
    from tidegate.data.splits import normalise

    dataset = read_dataset(data, config_of("default", settings).data)
    put(f"{dataset.source}: {len(dataset)} messages, {dataset.kind}", *dataset.notes)
    if dataset.kind == "multilabel":
        for name, count in zip(dataset.labels, dataset.targets.sum(axis=0), strict=True):
            put(f"label {name!r}: {count} rows")
    else:
        counts = Counter(dataset.targets.tolist())
        for number, name in enumerate(dataset.labels):
            put(f"label {name!r}: {counts[number]} rows")
    seen: dict[str, set[bytes]] = {}
    for text, target in zip(dataset.texts, dataset.targets, strict=True):
        seen.setdefault(normalise(text), set()).add(target.tobytes())
    torn = sum(len(labels) > 1 for labels in seen.values())
    repeats = len(dataset) - len(seen)
    put(f"{repeats} rows repeat an earlier message; {torn} messages carry two labels")
    if len(dataset) < 50:
        raise DataError(f"{dataset.source}: {len(dataset)} rows are few to learn from; add some")
