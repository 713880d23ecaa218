"""Labels that were corrected, and a file written anew with them.

Takes the CSV that the review page writes (row, column, before, after, text), gives the same rows
with the new labels. Each is held against the file first, so that corrections of another file, or of
one that was changed since, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.config import DataConfig
from tidegate.data.labels import label_text
from tidegate.data.naming import new_names
from tidegate.data.outputs import RowFormat, placed
from tidegate.data.records import RecordFile, open_records
from tidegate.data.rows import message_of
from tidegate.errors import ConfigError, DataError, short

COLUMNS = ("row", "column", "before", "after", "text")
_LONGEST_NUMBER = 19  # digits
_ROWS_A_PART = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A label of a row before and after; `column` is empty where there is one label column."""

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
    DataError
        A row is not there or has another message or label, or the file cannot be written.
    """
    if source.is_at(output):
        raise ConfigError(f"{output}: it is the file that is corrected; name another output")
    wanted = RowFormat(path=output, source=source, added={})
    if wanted.kind == "parquet":
        raise DataError(f"{output}: corrected rows are written as CSV, TSV or JSON lines; name one")
    had: set[str] = set()
    rows = _corrected(source, data, corrections, had)
    with placed(output) as stream:
        stream.write(wanted.header())
        part: list[dict[str, Any]] = []
        for row in rows:
            part.append(row)
            if len(part) == _ROWS_A_PART:
                stream.write(wanted.part(part))
                part = []
        stream.write(wanted.part(part))
    return {one.after for many in corrections.values() for one in many} - had


def _corrected(
    source: RecordFile,
    data: DataConfig,
    corrections: dict[int, list[Correction]],
    had: set[str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows with their new labels; `had` gathers the labels there were, by their names."""
    left, new = dict(corrections), new_names(data.name)
    old = {name: label for label, name in new.items()}
    for record in source.records():
        if record.fault and not (record.blank or record.short):  # it cannot be written as it was
            raise DataError(f"{source.name}: row {record.row}: {record.fault}")
        values = dict(record.values)
        for column in data.label:
            found = str(values.get(column) or "").strip()
            had.add(new.get(found, found))
        for one in left.pop(record.row, ()):
            column = one.column or data.label[0]
            place = f"{source.name}: row {record.row}, column {column!r}"
            if column not in data.label:
                raise DataError(f"{place}: it is no label column; name it by --label")
            found = label_text(values.get(column))
            text = message_of(record, data, place=place)
            for is_now, was in ((new.get(found, found), one.before), (text, one.text)):
                if is_now.split() != was.split():
                    raise DataError(
                        f"{place}: found {is_now[:60]!r} where the corrections say {was[:60]!r}; "
                        "they are of another file, or it was changed since: review it anew"
                    )
            values[column] = old.get(one.after, one.after)
        yield values
    if left:
        raise DataError(
            f"{source.name}: it has no row {min(left)}, which the corrections name; they are of "
            "another file"
        )
