"""Messages given in Python: lists, arrays, data-frame columns.

Takes whatever somebody hands over as texts; gives a list of str, or says what it is instead. Knows
no library of data frames: their objects are told by what they offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from tidegate.errors import DataError, short


def as_messages(texts: Any, *, name: str = "texts") -> list[str]:
    """Return texts as a list of str.

    Taken are lists, tuples, generators, arrays (n,) and (n, 1), series, and data frames or tables
    of one column, which is that of the messages.

    Parameters
    ----------
    name : what messages call the argument

    Raises
    ------
    DataError
        It is something else, such as a dict or a data frame of several columns, or an element is
        not text; the message names it.

    Examples
    --------
    >>> as_messages(np.array([["forest fire"], ["help"]]))
    ['forest fire', 'help']
    """
    if type(texts) is list and set(map(type, texts)) <= {str}:  # most often, and a message's cost
        return texts.copy()
    messages = list(_column(texts, name))
    for number, text in enumerate(messages, 1):
        if not isinstance(text, str):
            tokens = isinstance(text, (list, tuple)) and all(isinstance(t, str) for t in text)
            cure = "join its words with spaces" if tokens else "a message is text"
            found = f"{type(text).__name__} {short(text)}"
            raise DataError(f"{name}: row {number}: found {found}; {cure}")
    return [str(text) for text in messages]  # NumPy has a str of its own


def _column(texts: Any, name: str) -> Iterable[Any]:
    """Return the one column of what was given, or say why there is none."""
    for names in ("column_names", "columns"):  # pyarrow, whose columns are no names; others
        columns = getattr(texts, names, None)
        if columns is not None and not callable(columns):
            return _of_frame(texts, list(columns), name)
    if hasattr(texts, "to_pylist"):  # pyarrow's elements are no str
        found: list[Any] = texts.to_pylist()
        return found
    kind = type(texts).__name__
    if isinstance(texts, np.ndarray):
        if texts.ndim == 2 and texts.shape[1] == 1:
            return texts[:, 0]
        if texts.ndim != 1:
            raise DataError(f"{name}: found an array of shape {texts.shape}; give one text a row")
    elif isinstance(texts, Mapping):
        keys = ", ".join(map(short, list(texts)[:5]))
        raise DataError(f"{name}: found a {kind} with the keys {keys}; give a list of texts")
    elif isinstance(texts, (str, bytes, bytearray, Set)) or not _is_iterable(texts):
        raise DataError(f"{name}: found {kind} {short(texts)}; give a list of texts")
    elif getattr(texts, "ndim", 1) != 1:
        raise DataError(f"{name}: found a {kind} of {texts.ndim} dimensions; give one text a row")
    return texts  # type: ignore[no-any-return]


def _is_iterable(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True


def _of_frame(frame: Any, columns: list[Any], name: str) -> Iterable[Any]:
    if len(columns) != 1:
        shown = ", ".join(map(str, columns[:10])) + ", …" * (len(columns) > 10)
        raise DataError(
            f"{name}: found a table of {len(columns)} columns ({shown}); give the one of the "
            "messages, such as table['text']"
        )
    column: Any = frame[columns[0]]
    return column.to_pylist() if hasattr(column, "to_pylist") else column  # type: ignore[no-any-return]
