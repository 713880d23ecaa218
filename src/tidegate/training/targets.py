"""Labels and weights given in Python, checked as scikit-learn checks them.

Takes y, sample_weight and class_weight as users of scikit-learn give them; gives `Targets` and
weights, or a `DataError` that names the row. Knows nothing of texts or networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from tidegate.config import Kind
from tidegate.errors import DataError, short

_INDICATOR = "an array (n, labels) of 0 and 1, such as MultiLabelBinarizer makes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What y says.

    Attributes
    ----------
    classes : (C,) the labels in scikit-learn's order; multi-label: column names or numbers
    values : (n,) class numbers, or (n, C) of 0 and 1
    """

    kind: Kind
    classes: npt.NDArray[Any]
    values: npt.NDArray[np.int64]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes as text."""
        return tuple(str(label) for label in self.classes)


def read_targets(y: Any, *, n_rows: int) -> Targets:
    """Read y: labels (n,), or an indicator (n, L) of 0 and 1, dense or sparse.

    The columns of a data frame name the labels. A column vector (n, 1) is read as (n,), with
    scikit-learn's warning.

    Raises
    ------
    DataError
        y is something else; a label is missing; the targets are continuous; there is one class.

    Examples
    --------
    >>> read_targets(["no", "yes", "no"], n_rows=3).values.tolist()
    [0, 1, 0]
    """
    if y is None:
        raise DataError("y: found None; this estimator requires y to be passed, a label a text")
    names = [short(c) if not isinstance(c, str) else c for c in getattr(y, "columns", [])]
    array = _as_array(y)
    if array.ndim == 0:
        raise DataError(f"y: found {short(y)}; give a list of labels")
    if len(array) != n_rows:
        raise DataError(f"y: {len(array)} labels for {n_rows} texts; give one a text")
    _check_present(array)
    if array.ndim == 2 and array.shape[1] == 1:
        array = column_or_1d(array, warn=True)
    if array.ndim > 1:
        return _several(array, names)
    _check_discrete(array)
    classes, values = np.unique(array, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"y: found one class only ({short(classes.tolist())}); give two")
    kind: Kind = "binary" if len(classes) == 2 else "multiclass"
    return Targets(kind=kind, classes=classes, values=values.astype(np.int64))


def _as_array(y: Any) -> npt.NDArray[Any]:
    """Return y as an array whose elements have the type they had."""
    if hasattr(y, "toarray"):  # scipy's sparse matrices
        return np.asarray(y.toarray())
    if hasattr(y, "to_numpy"):
        found = np.asarray(y.to_numpy())
    elif isinstance(y, np.ndarray):
        found = y
    elif isinstance(y, (str, bytes, Mapping)) or not hasattr(y, "__iter__"):
        raise DataError(f"y: found {type(y).__name__} {short(y)}; give a list of labels")
    else:
        rows = list(y)
        if any(isinstance(row, (list, tuple, set, frozenset)) for row in rows):
            return _of_rows(rows)
        if all(isinstance(row, str) for row in rows):
            return np.array(rows)
        found = np.empty(len(rows), object)
        found[:] = rows
    return _typed(found) if found.dtype == object else found


def _of_rows(rows: Sequence[Any]) -> npt.NDArray[Any]:
    """Return rows of numbers as an array (n, L); lists of labels are not such rows."""
    flat = [value for row in rows if isinstance(row, (list, tuple)) for value in row]
    widths = {len(row) if isinstance(row, (list, tuple)) else -1 for row in rows}
    if len(widths) != 1 or -1 in widths or any(isinstance(v, (str, list, tuple)) for v in flat):
        row = next((k for k, r in enumerate(rows, 1) if isinstance(r, (list, tuple, set))), 1)
        shown = short(rows[row - 1])
        raise DataError(f"y: row {row}: found {shown}; several labels a text are {_INDICATOR}")
    found = np.empty((len(rows), widths.pop()), object)
    for number, row in enumerate(rows):
        found[number, :] = row
    return _typed(found)


def _typed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of objects as one of their common type, where they have one."""
    values = array.ravel().tolist()
    kinds = {_kind(value) for value in values if not _is_missing(value)}
    if len(kinds) > 1:
        shown = " and ".join(sorted(kinds))
        raise DataError(f"y: found labels of several types ({shown}); give them one type")
    missing = any(map(_is_missing, values))
    if missing or not kinds or kinds == {"text"}:
        return array
    return np.array(values).reshape(array.shape)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        return "number"
    return type(value).__name__


def _is_missing(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _check_present(array: npt.NDArray[Any]) -> None:
    """Raise for the first row whose label is missing or infinite."""
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
    elif array.dtype == object:
        flat = [_is_missing(value) for value in array.ravel().tolist()]
        bad = np.array(flat, dtype=bool).reshape(array.shape)
    else:
        return
    rows = np.flatnonzero(bad.reshape(len(array), -1).any(axis=1))
    if len(rows):
        row = int(rows[0])
        found = array[row].item() if array.ndim == 1 and array.dtype != object else array[row]
        raise DataError(
            f"y: row {row + 1}: found {short(found)}; give every text a label, or leave the row out"
        )


def _several(array: npt.NDArray[Any], names: Sequence[str]) -> Targets:
    """Return the targets of several labels a text."""
    if array.ndim != 2:
        raise DataError(f"y: found {array.ndim} dimensions; several labels a text are {_INDICATOR}")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise DataError(f"y: a multi-label array holds 0 and 1 only; give {_INDICATOR}")
    classes = np.array(names) if names else np.arange(array.shape[1])
    if len(set(map(str, classes))) < len(classes):
        raise DataError(f"y: a column name stands twice among {short(names)}; rename one")
    return Targets(kind="multilabel", classes=classes, values=array.astype(np.int64))


def _check_discrete(array: npt.NDArray[Any]) -> None:
    try:
        check_classification_targets(array)
    except (ValueError, TypeError) as error:
        raise DataError(f"y: {' '.join(str(error).split())}") from None


def row_weights(
    sample_weight: Any, class_weight: Mapping[Any, float] | None, *, targets: Targets
) -> npt.NDArray[np.float32] | None:
    """Return how much each row counts (n,), or None where all count the same.

    Parameters
    ----------
    sample_weight : (n,) numbers of 0 or more, or None
    class_weight : class → number, or None; a class that is not named counts 1

    Raises
    ------
    DataError
        A weight is negative, NaN or infinite, or all are zero; a class does not exist.
    """
    n = len(targets.values)
    weights = None
    if sample_weight is not None:
        weights = _checked_weights(sample_weight, n)
    if class_weight is not None:
        by_class = _class_weights(class_weight, targets)
        mine = by_class[targets.values]
        weights = mine if weights is None else weights * mine
        if not weights.any():
            raise DataError("class_weight: no row counts more than 0; give one a weight")
    return None if weights is None else weights.astype(np.float32)


def _checked_weights(sample_weight: Any, n: int) -> npt.NDArray[np.float64]:
    shape = np.shape(sample_weight)
    if shape not in ((), (n,)):
        raise DataError(f"sample_weight: shape {shape} for {n} texts; give one a text")
    try:
        given = np.broadcast_to(np.asarray(sample_weight, np.float64), (n,))
        wrong = np.flatnonzero(~((given >= 0) & (given <= np.finfo(np.float32).max)))
        if len(wrong):
            row = int(wrong[0])
            found = f"row {row + 1}: found {given[row]:g}"
            raise DataError(f"sample_weight: {found}; give finite numbers of 0 or more")
        weights: npt.NDArray[np.float64] = _check_sample_weight(given, np.zeros((n, 1)))
    except DataError:
        raise
    except (ValueError, TypeError) as error:
        raise DataError(f"sample_weight: {' '.join(str(error).split())}") from None
    if not weights.any():
        raise DataError("sample_weight: all are 0; give some row a weight")
    return weights


def _class_weights(class_weight: Mapping[Any, float], targets: Targets) -> npt.NDArray[np.float64]:
    """Return the weight of each class (C,)."""
    if targets.kind == "multilabel":
        raise DataError("class_weight: of several labels a text, weigh rows by sample_weight")
    classes = targets.classes.tolist()
    unknown = [key for key in class_weight if key not in classes]
    if unknown:
        raise DataError(
            f"class_weight: {short(unknown[0])} is no class of y; they are {short(classes)}"
        )
    for key, weight in class_weight.items():
        fine = _kind(weight) == "number" and math.isfinite(weight) and weight >= 0
        if not fine:
            raise DataError(
                f"class_weight: {short(key)}: found {short(weight)}; give a number of 0 or more"
            )
    return np.array([float(class_weight.get(label, 1.0)) for label in classes])
