"""The columns that answers stand in, and what happens to a row that has none."""

from __future__ import annotations

from typing import Literal

from tidegate.data.outputs import ColumnKind
from tidegate.engine.predictor import Predictor

OnError = Literal["fail", "skip", "null"]


def added_columns(predictor: Predictor, prefix: str) -> dict[str, ColumnKind]:
    """Return the names of the columns that hold a model's answer, and what they hold.

    Examples
    --------
    >>> added_columns(Predictor.load("model"), "")  # doctest: +SKIP
    {'predicted_label': 'text', 'probability_0': 'number', 'probability_1': 'number'}
    """
    names: dict[str, ColumnKind] = {
        f"{prefix}predicted_label": "names" if predictor.kind == "multilabel" else "text"
    }
    return names | {f"{prefix}probability_{label}": "number" for label in predictor.labels}
