"""Labels that were corrected, and a file written anew with them.

Takes the CSV that the review page writes (row, column, before, after, text), gives the same rows
with the new labels. Each is held against the file first, so that corrections of another file, or of
one that was changed since, are refused. Where a row may have several labels, a correction is of one
of them: `column` is that label, and 0 or 1 says whether the row has it. The label is a column of
its own, or stands with others in the one label column (`label_separator`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.config import DataConfig
from tidegate.data.cells import cell_text, with_label, without_label
from tidegate.data.dataset import check_columns
from tidegate.data.labels import indicator, label_text, label_texts
from tidegate.data.naming import new_names
from tidegate.data.outputs import RowFormat, placed
from tidegate.data.records import RecordFile, open_records
from tidegate.data.rows import message_of
from tidegate.errors import ConfigError, DataError, short

COLUMNS = ("row", "column", "before", "after", "text")
# The other value of a 0/1 column, written as the one that is there.
_OTHER = {"false": "true", "False": "True", "FALSE": "TRUE", "0.0": "1.0"}
_OTHER |= {other: value for value, other in _OTHER.items()}
_LONGEST_NUMBER = 19  # digits
_ROWS_A_PART = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A label of a row before and after.

    Attributes
    ----------
    column : of several labels a row the one that is corrected; else empty
    before, after : the label; of several labels a row 1 or 0
    text : the row's message
    """

    column: str
    before: str
    after: str
    text: str


def read_corrections(path: Path) -> dict[int, list[Correction]]:
    """Return the corrections by row.

    Raises
    ------
    DataError
        The file is none that the review page wrote.
    """
    file = open_records(path, format="csv")
    for column in COLUMNS:
        file.require(column)
    found: dict[int, list[Correction]] = {}
    for record in file.records(COLUMNS):
        place = f"{file.name}: row {record.row}"
        if record.fault:
            raise DataError(f"{place}: {record.fault}")
        number = str(record.values["row"])
        if not (number.isascii() and number.isdigit() and len(number) < _LONGEST_NUMBER):
            raise DataError(
                f"{place}, column 'row': found {short(number)}; a row's number is needed"
            )
        before, after = (str(record.values[name]).strip() for name in ("before", "after"))
        if not after:
            raise DataError(f"{place}, column 'after': it is empty; give the right label")
        column, text = (str(record.values[name] or "") for name in ("column", "text"))
        one = Correction(column=column, before=before, after=after, text=text)
        found.setdefault(int(number), []).append(one)
    if not found:
        raise DataError(f"{file.name}: it holds no correction; review some rows first")
    return found


def write_corrected(
    source: RecordFile, data: DataConfig, corrections: dict[int, list[Correction]], output: Path
) -> set[str]:
    """Write a file anew with corrected labels; return those that no row had before.

    Raises
    ------
    ConfigError
        The output is the file itself, or several columns are named with a label separator.
    DataError
        A row is not there or has another message or label, or the file cannot be written.
    """
    if source.is_at(output):
        raise ConfigError(f"{output}: it is the file that is corrected; name another output")
    check_columns(data)
    for flag, names in (("--extra", data.extra), ("--text", (data.text,)), ("--label", data.label)):
        for column in names:
            source.require(column, flag)
    wanted = RowFormat(path=output, source=source, added={})
    if wanted.kind == "parquet":
        raise DataError(f"{output}: corrected rows are written as CSV, TSV or JSON lines; name one")
    flat = bool(data.label_separator) and wanted.kind != "jsonl"
    had: set[str] = set()
    rows = _corrected(source, data, corrections, had)
    with placed(output) as stream:
        stream.write(wanted.header())
        part: list[dict[str, Any]] = []
        for row in rows:
            if flat:
                row[data.label[0]] = cell_text(row.get(data.label[0]), data.label_separator)
            part.append(row)
            if len(part) == _ROWS_A_PART:
                stream.write(wanted.part(part))
                part = []
        stream.write(wanted.part(part))
    every = [one for many in corrections.values() for one in many]
    if len(data.label) > 1:
        return set()
    if not data.label_separator:
        return {one.after for one in every} - had
    new = new_names(data.name)
    return {new.get(one.column, one.column) for one in every if one.after == "1"} - had


def _corrected(
    source: RecordFile,
    data: DataConfig,
    corrections: dict[int, list[Correction]],
    had: set[str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows with their new labels; `had` gathers the labels there were, by their names."""
    left, new = dict(corrections), new_names(data.name)
    for record in source.records():
        if record.fault and not (record.blank or record.short):  # it cannot be written as it was
            raise DataError(f"{source.name}: row {record.row}: {record.fault}")
        values = dict(record.values)
        if len(data.label) == 1:
            found = _labels_of(values.get(data.label[0]), data.label_separator)
            had.update(new.get(label, label) for label in found)
        for one in left.pop(record.row, ()):
            place = f"{source.name}: row {record.row}"
            text = message_of(record, data, place=place)
            _correct(values, one, data, text=text, place=place)
        yield values
    if left:
        raise DataError(
            f"{source.name}: it has no row {min(left)}, which the corrections name; they are of "
            "another file"
        )


def _labels_of(value: Any, separator: str) -> tuple[str, ...]:
    """Return a cell's labels, none where it is at fault: that is told where a row is corrected."""
    if not separator:
        return (str(value or "").strip(),)
    try:
        return label_texts(value, separator)
    except DataError:
        return ()


def _correct(
    values: dict[str, Any], one: Correction, data: DataConfig, *, text: str, place: str
) -> None:
    """Put a corrected label into a row.

    Raises
    ------
    DataError
        The row has another message or label, or the correction is none of such a file.
    """
    label = _old_name(one.column, data)
    column = data.label[0] if data.label_separator or not label else label
    place = f"{place}, column {column!r}"
    if column not in data.label:
        raise DataError(
            f"{place}: it is no label column; name it by --label, or give --label-separator if it "
            "is one of several labels in a cell"
        )
    if data.label_separator:
        if not label:
            raise DataError(f"{place}: the correction names no label; review the file anew")
        place += f", label {one.column!r}"
    if _several(data) and one.after not in ("0", "1"):
        raise DataError(f"{place}: found {short(one.after)} as what is right; give 0 or 1")
    cell = values.get(column)
    try:
        for is_now, was in ((_found(cell, label, data), one.before), (text, one.text)):
            if is_now.split() != was.split():
                raise DataError(
                    f"found {is_now[:60]!r} where the corrections say {was[:60]!r}; they are of "
                    "another file, or it was changed since: review it anew"
                )
        values[column] = _changed(cell, one.after, label, data)
    except DataError as fault:
        raise DataError(f"{place}: {fault}") from None


def _several(data: DataConfig) -> bool:
    return bool(data.label_separator) or len(data.label) > 1


def _old_name(name: str, data: DataConfig) -> str:
    """Return a label, or its column, as the file calls it."""
    return next((old for old, new in new_names(data.name).items() if new == name), name)


def _found(cell: Any, label: str, data: DataConfig) -> str:
    """Return what a correction calls a cell: its label, or of several labels 1 or 0."""
    if data.label_separator:
        return str(int(label in label_texts(cell, data.label_separator)))
    found = label_text(cell)
    return str(indicator(found)) if _several(data) else new_names(data.name).get(found, found)


def _changed(cell: Any, after: str, label: str, data: DataConfig) -> Any:
    """Return a cell with the right label, or value."""
    if data.label_separator:
        return (with_label if after == "1" else without_label)(cell, label, data.label_separator)
    if not _several(data):
        return _old_name(after, data)
    if after == _found(cell, label, data):
        return cell
    if isinstance(cell, (bool, int, float)):
        return type(cell)(not cell)
    return _OTHER.get(str(cell).strip(), after)
