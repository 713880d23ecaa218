"""A file sent to be scored: kept on disk for as long as the request lasts, its rows sent back.

Memory is bounded: the file comes in part by part, and its rows are read, scored and sent back part
by part. Where the system allows, the copy has no name, so that nothing stays of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.requests import Request

from tidegate.config import DataConfig
from tidegate.data.record import Format
from tidegate.data.records import RecordFile, open_records
from tidegate.data.spool import unnamed
from tidegate.errors import DataError, MissingExtraError, TidegateError
from tidegate.scoring.files import OnError, score_file, scored_parts
from tidegate.serving.models import Served
from tidegate.serving.problems import Problem

NAME = "the upload"
MEDIA_TYPES: dict[str, Format] = {
    "text/csv": "csv", "text/tab-separated-values": "tsv", "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl", "application/ndjson": "jsonl",
    "application/vnd.apache.parquet": "parquet", "application/x-parquet": "parquet",
}  # fmt: skip
SENT_AS = {
    "csv": "text/csv; charset=utf-8", "tsv": "text/tab-separated-values; charset=utf-8",
    "jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet",
}  # fmt: skip
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How an upload is to be scored.

    Attributes
    ----------
    text : the column of the message; None: the one the model learned from
    form, output : the formats that come in and go out
    """

    model: Served
    form: Format
    output: str
    text: str | None
    on_error: OnError
    prefix: str
    safe_for_spreadsheets: bool

    @property
    def data(self) -> DataConfig:
        """Which columns hold the message."""
        data = self.model.predictor.bundle.config.data
        return data if self.text is None else replace(data, text=self.text)


def format_asked(name: str | None, content_type: str) -> Format:
    """Return the format that a request names, or raise a `Problem` (415)."""
    known = sorted(set(MEDIA_TYPES.values()))
    if name is not None:
        found = next((form for form in known if form == name), None)
    else:
        found = MEDIA_TYPES.get(content_type.partition(";")[0].strip().lower())
    if found is None:
        raise Problem(
            415,
            f"found {name or content_type or 'no Content-Type'}; send text/csv, or name the format "
            f"in the query: format={'|'.join(known)}",
        )
    return found


class Upload:
    """One upload and what comes of it."""

    def __init__(self, job: Job, executor: Executor) -> None:
        self._job, self._executor = job, executor
        try:
            self._copy = unnamed()
        except OSError as fault:
            raise _no_room(fault) from fault
        self._path = self._copy.path

    async def take_in(self, request: Request) -> None:
        """Keep the body."""
        try:
            async for chunk in request.stream():
                await self._in_thread(self._copy.file.write, chunk)
            await self._in_thread(self._copy.file.flush)
        except OSError as fault:
            raise _no_room(fault) from fault

    async def answer(self) -> AsyncIterator[bytes]:
        """Return the parts to send; what is wrong with the upload is raised before the first."""
        parts = await self._in_thread(self._parts)
        first = await self._in_thread(_following, parts)

        async def rest() -> AsyncIterator[bytes]:
            part = first
            while part is not None:
                yield part
                part = await self._in_thread(_following, parts)

        return rest()

    def close(self) -> None:
        """Drop the copy."""
        with contextlib.suppress(OSError):  # what could not be written is of no use any more
            self._copy.file.close()

    async def _in_thread(self, call: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *values)

    def _parts(self) -> Iterator[bytes]:
        job = self._job
        try:
            source = open_records(str(self._path), format=job.form)
        except TidegateError as fault:
            raise self._renamed(fault) from None
        source = replace(source, name=NAME)
        if job.output == "parquet":
            return self._whole(source)
        return scored_parts(
            job.model.predictor, source, f"{NAME}.{job.output}", data=job.data,
            on_error=job.on_error, prefix=job.prefix,
            safe_for_spreadsheets=job.safe_for_spreadsheets,
        )  # fmt: skip

    def _renamed(self, fault: TidegateError) -> TidegateError:
        if isinstance(fault, MissingExtraError):
            return fault
        return type(fault)(str(fault).replace(str(self._path), NAME))

    def _whole(self, source: RecordFile) -> Iterator[bytes]:
        """Yield a Parquet file, which begins to exist when all of its rows are there."""
        job = self._job
        with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
            target = Path(folder) / "scored.parquet"
            score_file(
                job.model.predictor, source, target, data=job.data, on_error=job.on_error,
                prefix=job.prefix,
            )  # fmt: skip
            with target.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk


def _no_room(fault: OSError) -> Problem:
    why = fault.strerror or str(fault)
    return Problem(503, f"{NAME} cannot be kept: {why}; send it again later", retry_after=60)


def _following(parts: Iterator[bytes]) -> bytes | None:
    """Return the next part, or None."""
    try:
        return next(parts, None)
    except OSError as fault:
        raise DataError(f"{NAME}: {fault.strerror or fault}; ask again later") from fault
