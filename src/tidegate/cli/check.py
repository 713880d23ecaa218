"""The verb that looks at a data set before training on it: check."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tidegate.cli.printing import (
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    config_of,
    names_of,
    put,
    with_settings,
)

if TYPE_CHECKING:
    from tidegate.config import DataConfig
    from tidegate.data.dataset import Dataset

_FEW_ROWS = 50


@partial(with_settings, section="data")
def check(
    data: DataFile,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    **settings: Any,
) -> None:
    """Say what is wrong with a data set, before training on it; end as train would begin."""
    from tidegate.data.dataset import read_dataset
    from tidegate.data.splits import label_counts, normalise

    config = config_of("default", settings).data
    dataset = read_dataset(
        data, config, format=format, encoding=encoding, columns=names_of(columns)
    )
    put(f"{dataset.source}: {len(dataset)} messages, {dataset.kind}", *dataset.notes)
    for name, count in zip(dataset.labels, label_counts(dataset), strict=True):
        put(f"label {name!r}: {count} rows")
    seen: dict[str, set[bytes]] = {}
    for text, target in zip(dataset.texts, dataset.targets, strict=True):
        seen.setdefault(normalise(text), set()).add(target.tobytes())
    torn = sum(len(labels) > 1 for labels in seen.values())
    repeats = len(dataset) - len(seen)
    put(f"{repeats} rows repeat an earlier message; {torn} messages carry two labels")
    put(*_scoring(dataset, config))


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
