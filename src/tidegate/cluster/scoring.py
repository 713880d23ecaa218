"""Files scored on a cluster, and any Ray Dataset.

Takes a bundle, a folder (or pattern, or URI) of files and a place; gives Parquet parts, one for
each block of the input, with every column kept and the answers after. Blocks are Ray Data's rows:
a pool of actors, one for each core, takes one block at a time, reads it, scores it with the one
`Predictor` and writes its part. So no row passes through Ray's object store, and memory does not
grow with the input. Which blocks are done, the `ledger` knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from tidegate.cluster import session
from tidegate.cluster.blocks import Outcome, PartWriter, facts_of
from tidegate.cluster.ledger import Ledger, alone, block_of, block_text, check_same
from tidegate.cluster.places import Input, inputs_of, plain
from tidegate.cluster.plan import Block, Job, blocks_of
from tidegate.data.outputs import said
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import DataError, TidegateError, short
from tidegate.scoring.answers import OnError
from tidegate.scoring.batches import BatchScorer

SHOWN_FAULTS = 20
BATCH_ROWS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of a folder.

    Attributes
    ----------
    rows : rows read, faulty ones included
    resumed : rows of these that an earlier run had scored
    parts : files written, earlier ones included
    n_faults : rows that could not be scored
    faults : what is wrong with the first of them
    """

    rows: int = 0
    resumed: int = 0
    parts: int = 0
    n_faults: int = 0
    faults: tuple[str, ...] = ()

    def plus(self, one: Outcome) -> Scored:
        """Return it with one part more."""
        return replace(
            self, rows=self.rows + one.rows, resumed=self.resumed + one.rows * one.resumed,
            parts=self.parts + 1, n_faults=self.n_faults + one.n_faults,
            faults=(*self.faults, *one.faults)[:SHOWN_FAULTS],
        )  # fmt: skip


def score_files(
    model: str | Path,
    source: str,
    output: str | Path,
    *,
    address: str = session.AUTO,
    text: str | None = None,
    prefix: str = "",
    on_error: OnError = "fail",
    resume: bool = False,
    reading: Mapping[str, Any] | None = None,
    on_progress: Callable[[Scored], None] = lambda scored: None,
) -> Scored:
    """Score every row of many files on a cluster.

    Parameters
    ----------
    model : the directory of a bundle, which only this process reads
    source : a folder, a pattern, a file, or a URI of one of these
    output : the folder of the parts, made if it is not there
    address : of the cluster, see `session`
    resume : keep the parts that are there and still answer for the input; score the rest
    reading : `format`, `encoding` and `columns`, as `open_records` has them
    on_progress : called after each part

    Raises
    ------
    DataError
        A file cannot be read, a row cannot be scored, or the output is of another job. Finished
        parts stay, for `resume`.
    ConfigError
        There is no cluster at the address.

    Examples
    --------
    >>> score_files("model", "in/", "out/").rows  # doctest: +SKIP
    2000000
    """
    bundle = Bundle.load(model)
    job = _job(bundle, text=text, prefix=prefix, on_error=on_error, reading=reading or {})
    place = plain(str(output))
    found = inputs_of(source)
    _check_apart(found, place)
    with alone(place) as ledger, session.connected(address):
        if resume:
            check_same(ledger, job)
        blocks = _planned(found, job)
        ledger.clean(keep={block.part for block in blocks} if resume else ())
        ledger.begin(job, blocks)
        scored = Scored()
        with closing(_outcomes(bundle, job, blocks, ledger)) as outcomes:
            for outcome in outcomes:
                scored = scored.plus(outcome)
                on_progress(scored)
        ledger.tidy()
        ledger.done(rows=scored.rows, parts=scored.parts, faults=scored.n_faults)
    return scored


def is_scored(output: str | Path) -> bool:
    """Return whether an earlier run has begun or finished an output there."""
    return Ledger(place=plain(str(output))).begun() is not None


def score(
    dataset: ray.data.Dataset,
    model: Bundle | str | Path,
    *,
    text: str | None = None,
    prefix: str = "",
    on_error: OnError = "fail",
    concurrency: int | tuple[int, int] | None = None,
) -> ray.data.Dataset:
    """Return a Ray Dataset with the answers' columns added; it is computed when it is used.

    Parameters
    ----------
    dataset : its rows have the message in a column
    model : a bundle, or the directory of one; it is put in the object store once
    text : the column of the message; by default the one the model was trained on
    concurrency : actors, or the least and most; by default one for each core

    Examples
    --------
    >>> rows = ray.data.read_parquet("in/")  # doctest: +SKIP
    >>> score(rows, "model").write_parquet("out/")  # doctest: +SKIP
    """
    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    pool = concurrency if concurrency is not None else (1, session.cores())
    return dataset.map_batches(
        _Batches, batch_size=BATCH_ROWS, batch_format="pyarrow", concurrency=pool,
        fn_constructor_args=(ray.put(_lean(bundle)),),
        fn_constructor_kwargs={"text": text, "prefix": prefix, "on_error": on_error},
    )  # fmt: skip


class _Batches:
    """An actor that scores batches."""

    def __init__(self, bundle: Any, **choices: Any) -> None:
        self.scorer = BatchScorer(_fetched(bundle), **choices)

    def __call__(self, batch: Any) -> Any:
        return self.scorer(batch)


class _Blocks:
    """An actor that scores blocks."""

    def __init__(self, bundle: Any, job: Job, place: str) -> None:
        self.writer = PartWriter(Predictor(_fetched(bundle)), job, place)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        return {"outcome": [self.writer.outcome(block_of(text)).text() for text in batch["block"]]}


def _fetched(bundle: Any) -> Bundle:
    found: Bundle = ray.get(bundle) if isinstance(bundle, ray.ObjectRef) else bundle
    return found


def _lean(bundle: Bundle) -> Bundle:
    """Return a bundle without its report, which nobody reads on the way."""
    return replace(bundle, extra_files={})


def _quiet() -> None:
    """Have Ray Data say nothing of its own: what there is to say, the caller says."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _job(
    bundle: Bundle, *, text: str | None, prefix: str, on_error: OnError, reading: Mapping[str, Any]
) -> Job:
    data = bundle.config.data
    return Job(
        model=bundle.fingerprint(), text=text or data.text, extra=tuple(data.extra), prefix=prefix,
        on_error=on_error, format=reading.get("format"), encoding=reading.get("encoding"),
        columns=tuple(reading.get("columns") or ()),
    )  # fmt: skip


def _check_apart(found: Sequence[Input], place: str) -> None:
    """Raise a `DataError` if the output is among the input, to be read as such the next time."""
    for one in found:
        if one.path == place or one.path.startswith(f"{place}/"):
            raise DataError(f"{place}: the input {one.path} lies there; name another output")


def _planned(found: Sequence[Input], job: Job) -> list[Block]:
    """Return the blocks of all files, each file looked at by a machine of the cluster."""
    look = ray.remote(num_cpus=1)(_looked_at)
    blocks: list[Block] = []
    # In turns, so that very many files do not make very many tasks at once.
    for start in range(0, len(found), 1000):
        tasks = [look.remote(one, job) for one in found[start : start + 1000]]
        for looked in ray.get(tasks):
            if isinstance(looked, str):
                raise DataError(looked)
            blocks += looked
    return blocks


def _looked_at(one: Input, job: Job) -> list[Block] | str:
    """Return a file's blocks, or what is wrong with it: a fault that is raised loses its words."""
    try:
        return blocks_of(one, job)
    except TidegateError as fault:
        return str(fault)
    except OSError as fault:
        return f"{one.path}: {short(said(fault))}; check the place"


def _outcomes(
    bundle: Bundle, job: Job, blocks: Sequence[Block], ledger: Ledger
) -> Generator[Outcome]:
    """Score the blocks that have no part yet; yield what came of each, the earlier ones first."""
    there = facts_of(ledger.place, blocks)
    for outcome in there.values():
        yield outcome
    left = [block for block in blocks if block.part not in there]
    if not left:
        return
    actors = min(session.cores(), len(left))
    _quiet()
    rows = ray.data.from_items(
        [{"block": block_text(block)} for block in left], override_num_blocks=len(left)
    )
    outcomes = rows.map_batches(
        _Blocks, batch_size=1, num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        fn_constructor_args=(ray.put(_lean(bundle)), job, ledger.place),
    )  # fmt: skip
    for row in outcomes.iter_rows():
        outcome = Outcome.of(row["outcome"])
        if outcome.fault:
            raise DataError(outcome.fault)
        yield outcome
