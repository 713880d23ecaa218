"""Files scored in bulk: every row of one file, with the model's answers beside, into another.

Takes a `Predictor`, a `RecordFile` and a place; gives `Scored`. Memory is bounded: rows are read,
scored and written in parts. Knows nothing of terminals: who wants to show progress passes
`on_progress`.

Parts are kept in a folder beside the output until all are there and become the output at once. A
run that is killed leaves the parts it finished, and a later one with `resume` goes on after them:
only if the input's bytes, the model and the choices are still the same.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tidegate.config import DataConfig
from tidegate.data.dataset import message_of
from tidegate.data.outputs import ColumnKind, Row, RowFormat, beside, check_place
from tidegate.data.records import Record, RecordFile
from tidegate.engine.predictor import Predictor, Probabilities
from tidegate.errors import DataError
from tidegate.version import VERSION

OnError = Literal["fail", "skip", "null"]

PART_ROWS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row that could not be scored: its number, its line, and why."""

    row: int
    line: int
    why: str


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
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Scored:
    """Score every row of a file into another, all of its columns kept.

    Added are `predicted_label` and `probability_…` of each label, their names after `prefix`.

    Parameters
    ----------
    output : the file to write; its name tells the format
    data : which columns hold the message; by default those the model was trained on
    on_error : stop at a row that cannot be scored, leave it out, or keep it without an answer
    resume : go on after the parts that a killed run left
    on_progress : called with the number of rows done

    Raises
    ------
    DataError
        A column that is missing or in the way, a row that cannot be scored, or parts of another
        job; nothing of the output is left then.
    """
    data = data or predictor.bundle.config.data
    for column in (*data.extra, data.text):
        source.require(column)
    target = Path(output)
    check_place(target)
    form = RowFormat(path=target, source=source, added=_added(predictor, prefix))
    for column in form.added:
        if column in source.columns:
            raise DataError(
                f"{source.name}: it has a column {column!r} already; choose a prefix for the new"
            )
    folder = target.with_name(f".{target.name}.parts")
    job = {
        "input_sha256": source.sha256(),
        "model_sha256": predictor.bundle.fingerprint(),
        "tidegate_version": VERSION,
        "columns": [*data.extra, data.text],
        "added": list(form.added),
        "on_error": on_error,
        "part_rows": PART_ROWS,
    }
    with _journal(folder, job, resume=resume, name=target.name) as done:
        records = iter(source)
        n_done = sum(1 for _ in islice(records, len(done) * PART_ROWS))
        on_progress(n_done)
        rows, number = n_done, len(done)
        blocks = iter(lambda: list(islice(records, PART_ROWS)), [])
        ask = partial(_ask, form=form, data=data, on_error=on_error)
        for asked, probabilities in _answered(predictor, map(ask, blocks)):
            labels = predictor.decide(probabilities)
            answered = _rows(asked, form, zip(labels, probabilities.tolist(), strict=True))
            _write_part(folder, number, form.part(answered), asked.faults)
            number += 1
            rows += len(asked.block)
            on_progress(rows)
        parts = [_part(folder, k) for k in range(number)]
        found = [fault for k in range(number) for fault in _faults(folder, k)]
        form.join(parts, folder=folder)
    return Scored(rows=rows, resumed=n_done, faults=tuple(found))


def _added(predictor: Predictor, prefix: str) -> dict[str, ColumnKind]:
    """Return the names of the answer's columns, and what they hold."""
    names: dict[str, ColumnKind] = {
        f"{prefix}predicted_label": "names" if predictor.kind == "multilabel" else "text"
    }
    return names | {f"{prefix}probability_{label}": "number" for label in predictor.labels}


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
) -> Iterator[tuple[_Asked, Probabilities]]:
    """Yield each part with its probabilities.

    With helpers a part is scored while the one after it is read and the one before it written.
    """

    def score(asked: _Asked) -> Probabilities:
        return predictor.predict_proba([text for text in asked.texts if text is not None])

    if predictor.threads == 1:
        for asked in parts:
            yield asked, score(asked)
        return
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[tuple[_Asked, Future[Probabilities]]] = deque()
        for asked in parts:
            waiting.append((asked, pool.submit(score, asked)))
            if len(waiting) > 2:
                before, found = waiting.popleft()
                yield before, found.result()
        for before, found in waiting:
            yield before, found.result()


def _rows(asked: _Asked, form: RowFormat, answers: Iterator[tuple[Any, list[float]]]) -> list[Row]:
    """Return the rows to write: their own columns, then the answers."""
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
    if form.source.format == "jsonl" and form.kind != "jsonl":
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


@contextmanager
def _journal(folder: Path, job: dict[str, Any], *, resume: bool, name: str) -> Iterator[list[Path]]:
    """Give the parts that are done already, in a folder that goes when the work is done.

    An interrupt leaves the folder, so that the work can go on; a fault of the input does not.
    """
    place = folder / "job.json"
    folder.mkdir(exist_ok=True)
    with _locked(folder / "lock", name):
        if not resume:
            _clear(folder)
        if place.exists():
            _check_same(json.loads(place.read_bytes()), job, folder)
        else:
            with beside(place) as stream:
                stream.write(json.dumps(job, indent=1).encode())
        done: list[Path] = []
        while _part(folder, len(done)).exists():
            done.append(_part(folder, len(done)))
        try:
            yield done
        except Exception:
            _remove(folder)
            raise
        _remove(folder)


def _clear(folder: Path) -> None:
    """Remove all but the lock, the job last: a kill leaves no part whose job is not known."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "job.json"):
        if path.name != "lock":
            path.unlink()


def _remove(folder: Path) -> None:
    _clear(folder)
    # Once the lock goes another run may begin here: what it has is left to it.
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold a file that two runs into one output cannot hold together, where the system has such."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.path.samestat(os.fstat(stream.fileno()), path.stat())
        except OSError:
            held = False
        if not held:  # or held, but removed by the run that held it before
            raise DataError(f"{name}: another run is writing it; wait for it to end")
        yield


def _check_same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    changed = [key for key in now if before.get(key) != now[key]]
    if changed:
        raise DataError(
            f"{folder}: its parts are of another job ({', '.join(changed)} changed); "
            "score again without resuming"
        )


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}"


def _write_part(folder: Path, number: int, data: bytes, faults: list[Fault]) -> None:
    """Write a part and its faults. The part comes last: where it is, the faults are whole."""
    found = [[fault.row, fault.line, fault.why] for fault in faults]
    for path, content in (
        (folder / f"faults-{number:06d}.json", json.dumps(found).encode()),
        (_part(folder, number), data),
    ):
        with beside(path) as stream:
            stream.write(content)


def _faults(folder: Path, number: int) -> list[Fault]:
    found = json.loads((folder / f"faults-{number:06d}.json").read_bytes())
    return [Fault(row=row, line=line, why=why) for row, line, why in found]
