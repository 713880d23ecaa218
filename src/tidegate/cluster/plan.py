"""What there is to do: input files in blocks, each with the name of the part it becomes.

Takes `Input`s and the choices of a job; gives `Block`s. A block is some row groups of a Parquet
file, some bytes of a text file that begin where a row does, or a whole file where neither can be
told apart. A part's name holds a hash of all that its bytes follow from, so that a part that is
there answers for its block, and one of an older input for none.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow
import pyarrow.parquet as parquet

from tidegate.cluster.places import Input, filesystem, local_copy
from tidegate.data.records import Format, format_of, open_records
from tidegate.data.spans import Span, can_be_cut, layout_of, spans_of
from tidegate.errors import DataError
from tidegate.scoring.answers import OnError
from tidegate.version import VERSION

BLOCK_ROWS = 65_536  # of a Parquet file, if its row groups are no larger
BLOCK_BYTES = 8 << 20  # of a text file


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done to every row.

    Attributes
    ----------
    model : the fingerprint of the bundle
    text : the column of the message; empty: the one the model was trained on
    extra : the columns joined in before it
    format, encoding, columns : how files are read, where they do not tell
    """

    model: str
    text: str
    extra: tuple[str, ...] = ()
    prefix: str = ""
    on_error: OnError = "fail"
    format: Format | None = None
    encoding: str | None = None
    columns: tuple[str, ...] = ()
    version: str = VERSION

    def told(self) -> dict[str, Any]:
        """Return it in values that JSON can hold."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows that are scored together, by one process.

    Attributes
    ----------
    file : the path of their file
    part : the path below the output of the part they become
    kind : row groups, bytes, or the whole file
    start, stop : the first row group or byte, and the one after the last
    rows, lines : of the file before the block
    layout : of bytes, how they are read
    """

    file: str
    part: str
    kind: str
    start: int = 0
    stop: int = 0
    rows: int = 0
    lines: int = 0
    layout: dict[str, Any] = field(default_factory=dict)


def blocks_of(one: Input, job: Job) -> list[Block]:
    """Return the blocks of a file.

    Raises
    ------
    DataError
        The file cannot be read, or has no column of the message.
    """
    form = job.format or format_of(one.path, Path(one.path))
    layout: dict[str, Any] = {}
    if form == "parquet":
        cut = _row_groups(one, job)
        kind = "row groups"
    else:
        with tempfile.TemporaryDirectory() as folder, local_copy(one.path, Path(folder)) as path:
            kind, cut, layout = _text(one, job, path)
    return [
        Block(
            file=one.path,
            part=_part(one, job, number, kind, span),
            kind=kind,
            start=span.start,
            stop=span.stop,
            rows=span.rows,
            lines=span.lines,
            layout=layout,
        )
        for number, span in enumerate(cut)
    ]


def _text(one: Input, job: Job, path: Path) -> tuple[str, list[Span], dict[str, Any]]:
    file = open_records(path, format=job.format, encoding=job.encoding, columns=job.columns)
    for column in (*job.extra, job.text):
        file.require(column)
    if not can_be_cut(file):
        return "whole", [Span(start=0, stop=one.size_bytes)], {}
    layout = layout_of(file) | {"name": one.path}  # not the copy's
    return "bytes", spans_of(file, span_bytes=BLOCK_BYTES), layout


def _row_groups(one: Input, job: Job) -> list[Span]:
    """Return row groups in runs of no more than BLOCK_ROWS rows, or one."""
    system, inside = filesystem(one.path)
    try:
        with system.open_input_file(inside) as stream:
            about = parquet.ParquetFile(stream).metadata
            names = about.schema.to_arrow_schema().names
            rows = [about.row_group(k).num_rows for k in range(about.num_row_groups)]
    except (pyarrow.ArrowException, OSError) as fault:
        first = str(fault).splitlines()[0]
        raise DataError(f"{one.path}: not a Parquet file ({first}); write it anew") from None
    for column in (*job.extra, job.text):
        if names.count(column) != 1:
            shown = ", ".join(map(repr, names[:20]))
            raise DataError(
                f"{one.path}: {names.count(column)} columns {column!r}, and one is needed; it has "
                f"{shown}: name the right one"
            )
    found: list[Span] = []
    before = held = 0
    for k, count in enumerate(rows):
        if found and held + count <= BLOCK_ROWS:
            found[-1] = replace(found[-1], stop=k + 1)
            held += count
        else:
            found.append(Span(start=k, stop=k + 1, rows=before))
            held = count
        before += count
    return found or [Span(start=0, stop=0)]


def _part(one: Input, job: Job, number: int, kind: str, span: Span) -> str:
    """Return the path below the output that a block's rows go to, in the input's order."""
    about = {
        "job": job.told(), "file": asdict(one) | {"path": ""}, "kind": kind, "span": asdict(span)
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    inner = PurePosixPath(one.inner)
    return str(inner.with_name(f"{inner.name}-{number:06d}-{key}.parquet"))
