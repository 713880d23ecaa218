"""Batches of rows scored, whatever library of data frames they come from.

Takes a model and a batch: a pyarrow table, a pandas data frame, or a dict of NumPy arrays. Gives
the same batch with the answers' columns after its own. It is what Ray Data, Spark and Dask call
once a batch, see `docs/how_to/cluster.md`. Knows none of these libraries: batches are told by what
they offer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.outputs import ColumnKind
from tidegate.data.record import ROW_LIMIT, ROW_TOO_LONG
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError, DataError, short
from tidegate.scoring.answers import OnError, added_columns


class BatchScorer:
    """Adds the answers of a model to batches of rows.

    Parameters
    ----------
    model : a predictor, a bundle, or the directory of one. A scorer that is sent to another process
        takes the bundle along
    text : the column that holds the message; by default the one the model was trained on
    prefix : put before the names of the new columns
    on_error : at a row whose message is no text: stop, leave it out, or keep it without an answer

    Examples
    --------
    >>> score = BatchScorer("model")  # doctest: +SKIP
    >>> score({"text": np.array(["house on fire"])})["predicted_label"]  # doctest: +SKIP
    array(['1'], dtype=object)
    """

    def __init__(
        self,
        model: Predictor | Bundle | str | Path,
        *,
        text: str | None = None,
        prefix: str = "",
        on_error: OnError = "fail",
    ) -> None:
        if isinstance(model, Bundle):
            model = Predictor(model)
        self.predictor = model if isinstance(model, Predictor) else Predictor.load(model)
        data = self.predictor.bundle.config.data
        self.data = replace(data, text=text or data.text)
        self.added = added_columns(self.predictor, prefix)
        self.on_error = on_error

    def __call__(self, batch: Any) -> Any:
        """Return a batch with its answers.

        Raises
        ------
        DataError
            A column is missing or in the way; a message is no text, with `on_error="fail"`; the row
            is named by its number in the batch, from 1.
        ConfigError
            The batch is of no kind that is known.
        """
        return self.scored(batch).batch

    def scored(self, batch: Any) -> ScoredBatch:
        """Return a batch with its answers, and the rows that could not be scored."""
        columns = _columns_of(batch)
        for name in (*self.data.extra, self.data.text):
            if name not in columns:
                raise DataError(
                    f"batch: no column {name!r}; it has {', '.join(map(repr, columns[:20]))}"
                )
        for name in self.added:
            if name in columns:
                raise DataError(f"batch: it has a column {name!r} already; choose a prefix")
        texts, faults = self._messages(batch)
        if faults and self.on_error == "fail":
            number, why = next(iter(faults.items()))
            raise BadRowError(number, why)
        asked, faulty = [text for text in texts if text is not None], bool(faults)
        probabilities = self.predictor.predict_proba(asked)
        if faults and self.on_error == "skip":
            kept = np.array([text is not None for text in texts], bool)
            batch, faulty = _rows_of(batch, kept), False
        answers = self._answers(probabilities)
        if faulty:
            place = iter(range(len(asked)))
            where = [None if text is None else next(place) for text in texts]
            answers = {
                name: [None if k is None else values[k] for k in where]
                for name, values in answers.items()
            }
        return ScoredBatch(_with(batch, answers, self.added), faults)

    def _answers(self, probabilities: Any) -> dict[str, Any]:
        labels: list[Any] = list(self.predictor.decide(probabilities))
        return dict(zip(self.added, [labels, *probabilities.T], strict=True))

    def _messages(self, batch: Any) -> tuple[list[str | None], dict[int, str]]:
        """Return each row's message, or None and why there is none, by its place."""
        texts, faults = _values(batch, self.data.text), dict[int, str]()
        found: list[str | None] = list(texts)
        extras = [_values(batch, name) for name in self.data.extra]
        for k, text in enumerate(texts):
            if not isinstance(text, str):
                what = "nothing" if _is_nothing(text) else f"{type(text).__name__} {short(text)}"
                faults[k] = f"column {self.data.text!r}: found {what}; a message is text"
            elif len(text) > ROW_LIMIT:
                faults[k] = f"column {self.data.text!r}: {ROW_TOO_LONG}"
            if k in faults:
                found[k] = None
        for name, values in zip(reversed(self.data.extra), reversed(extras), strict=True):
            for k, value in enumerate(values):
                if found[k] is None or value == "":
                    continue
                if not isinstance(value, str):
                    if _is_nothing(value):
                        continue
                    what = f"{type(value).__name__} {short(value)}"
                    faults[k] = f"column {name!r}: found {what}; a message is text"
                    found[k] = None
                else:
                    found[k] = f"{value} {found[k]}"
        return found, dict(sorted(faults.items()))


class BadRowError(DataError):
    """A row of a batch has no message.

    Attributes
    ----------
    place : the row's number in the batch, from 0
    why : what is wrong
    """

    def __init__(self, place: int, why: str) -> None:
        super().__init__(f"batch: row {place + 1}, {why}")
        self.place, self.why = place, why

    def __reduce__(self) -> tuple[Any, ...]:
        return BadRowError, (self.place, self.why)


class ScoredBatch:
    """A batch with its answers, and why rows have none, by their place in it, from 0."""

    __slots__ = ("batch", "faults")

    def __init__(self, batch: Any, faults: Mapping[int, str]) -> None:
        self.batch, self.faults = batch, faults


def _columns_of(batch: Any) -> list[str]:
    if isinstance(batch, Mapping):
        return list(batch)
    names = getattr(batch, "column_names", None)  # pyarrow
    if names is None:
        names = getattr(batch, "columns", None)  # pandas
    if names is None:
        raise ConfigError(
            f"batch: found a {type(batch).__name__}; give a pyarrow table, a pandas data frame, or "
            "a dict of arrays"
        )
    return list(names)


def _is_arrow(batch: Any) -> bool:
    return hasattr(batch, "column_names")


def _values(batch: Any, name: str) -> Sequence[Any]:
    """Return a column's values as Python has them."""
    column = batch[name]
    if hasattr(column, "to_pylist"):
        found: Sequence[Any] = column.to_pylist()
        return found
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _is_nothing(value: Any) -> bool:
    """Return whether a value says that there is none: None, NaN, pandas' NA."""
    return value is None or (isinstance(value, float) and value != value) or str(value) == "<NA>"


def _rows_of(batch: Any, kept: Any) -> Any:
    """Return some rows of a batch."""
    if isinstance(batch, Mapping):
        return {name: np.asarray(values)[kept] for name, values in batch.items()}
    return batch.filter(kept) if _is_arrow(batch) else batch[kept]


def _with(batch: Any, answers: Mapping[str, Any], kinds: Mapping[str, ColumnKind]) -> Any:
    """Return a batch with columns added, of the kinds that are given by their names."""
    if not _is_arrow(batch):
        arrays = {name: _array(values, kinds[name]) for name, values in answers.items()}
        if isinstance(batch, Mapping):
            return {**batch, **arrays}
        texts = {name: "string" for name, kind in kinds.items() if kind == "text"}
        return batch.assign(**arrays).astype(texts)  # objects have no type of their own for Dask
    import pyarrow as arrow

    types = {
        "text": arrow.string(), "number": arrow.float64(), "names": arrow.list_(arrow.string()),
    }  # fmt: skip
    for name, values in answers.items():
        batch = batch.append_column(name, arrow.array(values, type=types[kinds[name]]))
    return batch


def _array(values: Any, kind: ColumnKind) -> Any:
    """Return a column as NumPy holds it: numbers as such, names and lists of names as objects."""
    if kind == "number":
        return np.array([np.nan if v is None else v for v in values], np.float64)
    found = np.empty(len(values), object)
    for k, value in enumerate(values):
        found[k] = list(value) if isinstance(value, tuple) else value
    return found
