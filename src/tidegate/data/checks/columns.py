"""The cells of a file's other columns, for the check of what gives a label away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset
from tidegate.data.records import RecordFile

MOST_COLUMNS = 50
MOST_ROWS = 50_000  # from the start: a second reading of a large file need not go to its end


def other_columns(
    file: RecordFile, dataset: Dataset, data: DataConfig
) -> tuple[Dataset, dict[str, Sequence[str]]]:
    """Return the first rows of a data set, and their cells in the columns not learned from.

    Parameters
    ----------
    file : what the data set was read from, opened once more
    """
    used = {data.text, *data.label}
    names = [name for name in file.columns if name not in used][:MOST_COLUMNS]
    wanted = dict(zip(dataset.rows[:MOST_ROWS], range(MOST_ROWS), strict=False))
    cells: dict[str, list[str]] = {name: [""] * len(wanted) for name in names}
    if names and wanted:
        last = max(wanted)
        for record in file.records(names):
            place = wanted.get(record.row)
            if place is not None:
                for name in names:
                    value = record.values.get(name)
                    cells[name][place] = "" if value is None else str(value)[:200]
            if record.row >= last:
                break
    return dataset.subset(np.arange(len(wanted))), dict(cells)
