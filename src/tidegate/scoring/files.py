"""Files scored in bulk: every row of one file, with the model's answers beside, into another.

Takes a `Predictor`, a `RecordFile` and a place; gives `Scored`. Memory is bounded: rows are read,
scored and written in parts. Knows nothing of terminals: who wants to show progress passes
`on_progress`.

Finished parts are kept (see `parts`) until all are there and become the output at once. A run that
is killed, or that the machine fails, leaves them, and a later one with `resume` goes on after them:
only if the input's bytes, the model and the choices are still the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tidegate.config import DataConfig
from tidegate.data.outputs import Row, RowFormat, check_place, said
from tidegate.data.records import Record, RecordFile
from tidegate.data.rows import message_of
from tidegate.engine.predictor import Predictor, Probabilities
from tidegate.errors import DataError
from tidegate.scoring.answers import OnError, added_columns
from tidegate.scoring.parts import Fault, Parts, open_parts
from tidegate.version import VERSION

__all__ = [
    "Fault",
    "OnError",
    "Scored",
    "score_file",
    "scored_parts",
    "scored_tables",
]

PART_ROWS = 8192
STREAMED_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of a file.

    Attributes
    ----------
    rows : rows read, faulty ones included
    resumed : rows of these that an earlier run had scored
    faults : the rows that could not be scored
    """

    rows: int
    resumed: int
    faults: tuple[Fault, ...]


def score_file(
    predictor: Predictor,
    source: RecordFile,
    output: str | Path,
    *,
    data: DataConfig | None = None,
    on_error: OnError = "fail",
    resume: bool = False,
    prefix: str = "",
    safe_for_spreadsheets: bool = False,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Scored:
    """Score every row of a file into another, all of its columns kept.

    Added are `predicted_label` and `probability_…` of each label, their names after `prefix`.

    Parameters
    ----------
    output : the file to write; its name tells the format
    data : which columns hold the message; by default those the model was trained on
    on_error : stop at a row that cannot be scored, leave it out, or keep it without an answer
    resume : go on after the parts that a run left which did not come to its end
    safe_for_spreadsheets : in CSV and TSV, put an apostrophe before a text that a spreadsheet would
        take for a formula
    on_progress : called with the number of rows done

    Raises
    ------
    ConfigError
        `safe_for_spreadsheets` of a format that is no spreadsheet's.
    DataError
        The output is the input; a column that is missing or in the way, a row that cannot be
        scored, or parts of another job: nothing of the output is left then. A full disk, or
        anything else that the machine refuses: the finished parts stay, for `resume`.
    """
    data = data or predictor.bundle.config.data
    target = Path(output)
    check_place(target)
    if source.is_at(target):
        raise DataError(f"{output}: it is the input, which stays as it is; name another output")
    form = _format(
        predictor, source, target, data=data, prefix=prefix,
        safe_for_spreadsheets=safe_for_spreadsheets,
    )  # fmt: skip
    ask = partial(_ask, form=form, data=data, on_error=on_error)
    run = _Run(predictor=predictor, form=form, ask=ask, on_progress=on_progress)
    try:
        job = _job(predictor, form, data=data, on_error=on_error)
        with open_parts(target, job, resume=resume) as parts:
            run.score(parts)
            faults = tuple(parts.faults())
            form.join(parts.paths, folder=parts.folder)
    except OSError as fault:
        raise DataError(run.refused(fault)) from fault
    return Scored(rows=run.rows, resumed=run.resumed, faults=faults)


def scored_parts(
    predictor: Predictor,
    source: RecordFile,
    name: str,
    *,
    data: DataConfig | None = None,
    on_error: OnError = "fail",
    prefix: str = "",
    safe_for_spreadsheets: bool = False,
) -> Iterator[bytes]:
    """Yield a file's rows with their answers in parts that make one file together.

    It is for who passes them on at once. With `on_error="fail"` all rows are looked at before the
    first part is given, so that no part is given of a file that has a fault.

    Parameters
    ----------
    name : what a file of it would be called, by which its format is told: CSV, TSV or JSON lines

    Raises
    ------
    DataError
        A column is missing or in the way, a row cannot be scored, or the format has no parts.
    """
    data = data or predictor.bundle.config.data
    form = _format(
        predictor, source, Path(name), data=data, prefix=prefix,
        safe_for_spreadsheets=safe_for_spreadsheets,
    )  # fmt: skip
    if form.kind == "parquet":
        raise DataError(f"{name}: Parquet is not written in parts; take CSV or JSON lines")
    if on_error == "fail":
        for block in _blocks(source, STREAMED_ROWS):
            _ask(block, form=form, data=data, on_error=on_error)
    header = form.header()
    if header:
        yield header
    for block in _blocks(source, STREAMED_ROWS):
        asked = _ask(block, form=form, data=data, on_error=on_error)
        probabilities = predictor.predict_proba([text for text in asked.texts if text is not None])
        yield form.part(_rows(asked, form, predictor, probabilities))


def scored_tables(
    predictor: Predictor,
    source: RecordFile,
    *,
    data: DataConfig | None = None,
    on_error: OnError = "fail",
    prefix: str = "",
) -> Iterator[tuple[Any, tuple[Fault, ...]]]:
    """Yield a file's rows with their answers as pyarrow tables, and the faults of each table's.

    The first has no rows; it tells the columns and their types.
    """
    data = data or predictor.bundle.config.data
    form = _format(
        predictor, source, Path("rows.parquet"), data=data, prefix=prefix,
        safe_for_spreadsheets=False,
    )  # fmt: skip
    yield form.table([]), ()
    for block in _blocks(source, PART_ROWS):
        asked = _ask(block, form=form, data=data, on_error=on_error)
        probabilities = predictor.predict_proba([text for text in asked.texts if text is not None])
        yield form.table(_rows(asked, form, predictor, probabilities)), tuple(asked.faults)


def _blocks(records: Iterable[Record], n_rows: int) -> Iterator[list[Record]]:
    rows = iter(records)
    return iter(lambda: list(islice(rows, n_rows)), [])


def _format(
    predictor: Predictor,
    source: RecordFile,
    target: Path,
    *,
    data: DataConfig,
    prefix: str,
    safe_for_spreadsheets: bool,
) -> RowFormat:
    """Return how the rows are written, all columns checked."""
    for column in (*data.extra, data.text):
        source.require(column)
    form = RowFormat(
        path=target, source=source, added=added_columns(predictor, prefix),
        safe_for_spreadsheets=safe_for_spreadsheets,
    )  # fmt: skip
    for column in form.added:
        if column in source.columns:
            raise DataError(
                f"{source.name}: it has a column {column!r} already; choose a prefix for the new"
            )
    return form


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run over the rows, and how far it has come."""

    predictor: Predictor
    form: RowFormat
    ask: Callable[[list[Record]], _Asked]
    on_progress: Callable[[int], None]
    resumed: int = 0
    rows: int = 0  # those of finished parts

    def score(self, parts: Parts) -> None:
        """Score the rows after the parts there are, and add theirs."""
        records = _named(self.form.source)
        self.resumed = self.rows = sum(1 for _ in islice(records, len(parts) * PART_ROWS))
        self.on_progress(self.rows)
        blocks = _blocks(records, PART_ROWS)
        with closing(_answered(self.predictor, map(self.ask, blocks))) as answered:
            for asked, probabilities in answered:
                rows = _rows(asked, self.form, self.predictor, probabilities)
                parts.add(self.form.part(rows), asked.faults)
                self.rows += len(asked.block)
                self.on_progress(self.rows)

    def refused(self, fault: OSError) -> str:
        """Return what to say when the machine refuses to read, write or make room."""
        place: object = self.form.path
        if fault.filename == self.form.source.name:
            place = fault.filename
        if not self.rows:
            return f"{place}: {said(fault)}; nothing was written"
        return (
            f"{place}: {said(fault)}; the first {self.rows:,} rows are scored and kept: mend it, "
            "and --resume goes on after them"
        )


def _job(
    predictor: Predictor, form: RowFormat, *, data: DataConfig, on_error: OnError
) -> dict[str, Any]:
    """Return all that the output's bytes follow from."""
    return {
        "input_sha256": form.source.sha256(),
        "read_as": list(form.source.read_as),
        "model_sha256": predictor.bundle.fingerprint(),
        "tidegate_version": VERSION,
        "columns": [*data.extra, data.text],
        "added": list(form.added),
        "on_error": on_error,
        "safe_for_spreadsheets": form.safe_for_spreadsheets,
        "part_rows": PART_ROWS,
    }


def _named(source: RecordFile) -> Iterator[Record]:
    """Yield a file's records; if the system fails to read it, the fault names the file.

    That is the machine's fault and not the file's, so that the finished parts stay.
    """
    try:
        yield from source
    except DataError as fault:
        cause = fault.__cause__
        if isinstance(cause, OSError) and cause.errno:
            raise OSError(cause.errno, said(cause), source.name) from fault
        raise


@dataclass(frozen=True, slots=True)
class _Asked:
    """Rows of a part: each with its message, or None where there is a fault."""

    block: list[Record]
    texts: list[str | None]
    faults: list[Fault]
    keep_faulty: bool


def _ask(block: list[Record], *, form: RowFormat, data: DataConfig, on_error: OnError) -> _Asked:
    """Return the messages of some rows, and the faults among them."""
    asked = _Asked(block, [], [], on_error == "null")
    for record in block:
        place = f"{form.source.name}: row {record.row} (line {record.line})"
        try:
            asked.texts.append(_message(record, form, data, place=place))
        except DataError as fault:
            if on_error == "fail":
                raise
            asked.texts.append(None)
            why = str(fault).removeprefix(place).lstrip(":, ")
            asked.faults.append(Fault(row=record.row, line=record.line, why=why))
    return asked


def _answered(
    predictor: Predictor, parts: Iterator[_Asked]
) -> Generator[tuple[_Asked, Probabilities]]:
    """Yield each part with its probabilities.

    With helpers a part is scored while the one after it is read and the one before it written.
    """

    def score(asked: _Asked) -> Probabilities:
        return predictor.predict_proba([text for text in asked.texts if text is not None])

    if predictor.threads == 1:
        for asked in parts:
            yield asked, score(asked)
        return
    pool = ThreadPoolExecutor(1)
    try:
        waiting: deque[tuple[_Asked, Future[Probabilities]]] = deque()
        for asked in parts:
            waiting.append((asked, pool.submit(score, asked)))
            if len(waiting) > 2:
                before, found = waiting.popleft()
                yield before, found.result()
        for before, found in waiting:
            yield before, found.result()
    finally:  # whoever ends the run early waits for no part that is not begun
        pool.shutdown(cancel_futures=True)


def _rows(
    asked: _Asked, form: RowFormat, predictor: Predictor, probabilities: Probabilities
) -> list[Row]:
    """Return the rows to write: their own columns, then the answers."""
    labels: Iterable[Any] = predictor.decide(probabilities)
    answers = zip(labels, probabilities.tolist(), strict=True)
    rows: list[Row] = []
    for record, text in zip(asked.block, asked.texts, strict=True):
        if text is not None:
            label, values = next(answers)
            rows.append(record.values | dict(zip(form.added, (label, *values), strict=True)))
        elif asked.keep_faulty:
            rows.append(_harmless(record, form) | dict.fromkeys(form.added))
    return rows


def _message(record: Record, form: RowFormat, data: DataConfig, *, place: str) -> str:
    """Return a record's message, or raise a `DataError` if it or its row cannot be kept."""
    if record.fault:
        raise DataError(f"{place}: {record.fault}")
    if form.source.format in ("jsonl", "json") and form.kind != "jsonl":
        for column, value in record.values.items():
            if column not in form.source.columns:
                raise DataError(
                    f"{place}: column {column!r} is not in the first line, so {form.kind} has no "
                    "place for it; write .jsonl, or name it in the first line too"
                )
            if isinstance(value, str) and value != _whole(value):
                raise DataError(
                    f"{place}, column {column!r}: half a character (a lone surrogate), which "
                    f"{form.kind} cannot hold; write .jsonl, or mend the row"
                )
    return message_of(record, data, place=place)


def _whole(text: str) -> str:
    """Return text with lone surrogates replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _harmless(record: Record, form: RowFormat) -> dict[str, Any]:
    """Return what can be kept of a faulty row."""
    if form.kind == "jsonl":
        return dict(record.values)
    return {
        name: _whole(value) if isinstance(value, str) else value
        for name, value in record.values.items()
        if name in form.source.columns
    }
