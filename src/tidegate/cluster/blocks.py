"""One block scored: its rows read, answered, and written as a part.

Takes a `Block`; gives an `Outcome`, in words that can be sent. The rows of a text file go the way
that `scoring.files` goes with a whole one; those of Parquet stay columns. A part holds its own
facts (rows, faults) in its metadata, so that they are there exactly if the part is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet

from tidegate.cluster.places import filesystem, listed, local_copy, read_bytes, writing
from tidegate.cluster.plan import Block, Job
from tidegate.data.outputs import said
from tidegate.data.record import unique_names
from tidegate.data.records import open_records
from tidegate.data.spans import Span, span_file
from tidegate.engine.predictor import Predictor
from tidegate.errors import DataError, TidegateError
from tidegate.scoring.batches import BadRowError, BatchScorer
from tidegate.scoring.files import scored_tables

_FACTS = b"tidegate"
_KEPT_FAULTS = 20
_BATCH_ROWS = 8192
_READERS = 16  # of parts' facts, at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a block.

    Attributes
    ----------
    part : the part's path below the output
    rows : rows read, faulty ones included
    n_faults, faults : how many rows could not be scored; what is wrong with the first
    resumed : the part was there
    fault : why there is no part, or nothing
    """

    part: str
    rows: int = 0
    n_faults: int = 0
    faults: tuple[str, ...] = ()
    resumed: bool = False
    fault: str = ""

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Outcome:
        """Return what `text` gave."""
        found = json.loads(text)
        return cls(**found | {"faults": tuple(found["faults"])})


class PartWriter:
    """Writes the parts of a job.

    Parameters
    ----------
    predictor : what answers
    place : the folder of the output
    """

    def __init__(self, predictor: Predictor, job: Job, place: str) -> None:
        self.predictor, self.job, self.place = predictor, job, place
        data = predictor.bundle.config.data
        self.data = replace(data, text=job.text)
        self.scorer = BatchScorer(
            predictor, text=job.text, prefix=job.prefix, on_error=job.on_error
        )

    def outcome(self, block: Block) -> Outcome:
        """Return what comes of a block: nothing new if its part is there already."""
        path = f"{self.place}/{block.part}"
        try:
            found = _facts(path, block.part)
            return self._write(block, path) if found is None else found
        except TidegateError as fault:
            return Outcome(part=block.part, fault=str(fault))
        except OSError as fault:
            return Outcome(
                part=block.part,
                fault=f"{fault.filename or path}: {said(fault)}; mend it, and --resume goes on",
            )

    def _write(self, block: Block, path: str) -> Outcome:
        rows, faults = 0, list[str]()
        tables = self._tables(block)
        first, _, _ = next(tables)
        with writing(path) as stream:
            writer = parquet.ParquetWriter(stream, first.schema)
            for table, read, found in tables:
                writer.write_table(table)
                rows += read
                faults += found
            facts = Outcome(
                part=block.part, rows=rows, n_faults=len(faults),
                faults=tuple(faults[:_KEPT_FAULTS]),
            )  # fmt: skip
            writer.add_key_value_metadata({_FACTS: facts.text()})
            writer.close()
        return facts

    def _tables(self, block: Block) -> Iterator[tuple[Any, int, list[str]]]:
        """Yield tables, the rows read for each, and the faults; first one without rows."""
        if block.kind == "row groups":
            yield from self._of_columns(block)
            return
        if block.kind == "bytes":
            span = Span(start=block.start, stop=block.stop, rows=block.rows, lines=block.lines)
            data = read_bytes(block.file, block.start, block.stop)
            yield from self._of_rows(block, span_file(block.layout, span, data))
            return
        with (
            tempfile.TemporaryDirectory() as folder,
            local_copy(block.file, Path(folder)) as path,
        ):
            job = self.job
            file = open_records(path, format=job.format, encoding=job.encoding, columns=job.columns)
            yield from self._of_rows(block, replace(file, name=block.file))

    def _of_rows(self, block: Block, file: Any) -> Iterator[tuple[Any, int, list[str]]]:
        job = self.job
        tables = scored_tables(
            self.predictor, file, data=self.data, on_error=job.on_error, prefix=job.prefix
        )
        for table, faults in tables:
            said = [f"{block.file}: row {f.row} (line {f.line}): {f.why}" for f in faults]
            left_out = len(faults) * (job.on_error == "skip")
            yield table, table.num_rows + left_out, said

    def _of_columns(self, block: Block) -> Iterator[tuple[Any, int, list[str]]]:
        system, inside = filesystem(block.file)
        try:
            with system.open_input_file(inside) as stream:
                file = parquet.ParquetFile(stream)
                names = unique_names(file.schema_arrow.names)
                empty = file.schema_arrow.empty_table().rename_columns(names)
                yield self.scorer(empty), 0, []
                batches = file.iter_batches(
                    batch_size=_BATCH_ROWS, row_groups=range(block.start, block.stop),
                    use_threads=False,
                )  # fmt: skip
                row = block.rows
                for batch in batches:
                    table = pyarrow.Table.from_batches([batch]).rename_columns(names)
                    yield self._columns(block, table, row)
                    row += table.num_rows
        except pyarrow.ArrowException as fault:
            first = str(fault).splitlines()[0]
            raise DataError(f"{block.file}: its data are broken ({first}); write it anew") from None

    def _columns(self, block: Block, table: Any, before: int) -> tuple[Any, int, list[str]]:
        def place(k: int) -> str:
            return f"{block.file}: row {before + k + 1} (line {before + k + 1})"

        try:
            found = self.scorer.scored(table)
        except BadRowError as fault:
            raise DataError(f"{place(fault.place)}, {fault.why}") from None
        said = [f"{place(k)}: {why}" for k, why in found.faults.items()]
        return found.batch, table.num_rows, said


def _facts(path: str, part: str) -> Outcome | None:
    """Return what a part that is there says of itself, or None."""
    system, inside = filesystem(path)
    try:
        with system.open_input_file(inside) as stream:
            metadata = parquet.read_metadata(stream).metadata or {}
        return replace(Outcome.of(metadata[_FACTS].decode()), resumed=True)
    except FileNotFoundError:
        return None
    except (pyarrow.ArrowException, KeyError, ValueError, TypeError):
        raise DataError(f"{path}: broken; score again without resuming") from None


def facts_of(place: str, blocks: Sequence[Block]) -> dict[str, Outcome]:
    """Return what the parts that are there say of themselves, by their path below the output."""
    there = set(listed(place))
    parts = [block.part for block in blocks if block.part in there]
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda part: _facts(f"{place}/{part}", part), parts)
        return {one.part: one for one in found if one is not None}
