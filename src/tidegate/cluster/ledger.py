"""What is done and what is left of a job, kept in the folder of its output.

    OUTPUT/_tidegate/plan.json     the job, and its blocks with the name of the part each becomes
    OUTPUT/…-000003-1f2e….parquet  a finished part: it appears whole, and answers for its block
    OUTPUT/_SUCCESS                all parts are there: their rows and faults

A part's name follows from its block (see `plan`), so that a block that is scored twice, as after a
machine was lost, writes the same bytes to the same place. Readers of Parquet folders skip names
that begin with an underscore or a dot. What this module has not written is never touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tidegate.cluster.places import is_uri, listed, read_whole, remove, writing
from tidegate.cluster.plan import Block, Job
from tidegate.data.locks import LockedError, locked
from tidegate.errors import DataError

FOLDER = "_tidegate"
PLAN = f"{FOLDER}/plan.json"
LOCK = f"{FOLDER}/lock"
SUCCESS = "_SUCCESS"
_OWN = (PLAN, LOCK, SUCCESS)
_UNFINISHED = re.compile(r"(.*/)?\.(?P<name>.{1,40})\.\w{8}")  # what a kill left of a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The folder of an output.

    Attributes
    ----------
    place : its path or URI
    """

    place: str

    def path(self, name: str) -> str:
        """Return the path of a file in it."""
        return f"{self.place}/{name}"

    def begun(self) -> dict[str, Any] | None:
        """Return the plan that is there, if one is.

        Raises
        ------
        DataError
            What is there is no plan as this module writes it.
        """
        data = read_whole(self.path(PLAN))
        if data is None:
            return None
        try:
            plan = json.loads(data)
            found = {"job": dict(plan["job"]), "parts": [str(part) for part in plan["parts"]]}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DataError(
                f"{self.path(PLAN)}: not a plan as tidegate writes it; name another output"
            ) from None
        return found

    def clean(self, *, keep: Collection[str]) -> None:
        """Remove the parts of the plan that is there but those to keep, and what kills left.

        Raises
        ------
        DataError
            Something is there that is not ours.
        """
        parts, unfinished = self._ours()
        gone = [SUCCESS, *unfinished]
        for name in listed(self.place):
            if name in parts:
                gone += [name] * (name not in keep)
            elif name not in (*_OWN, *unfinished):
                raise DataError(
                    f"{self.place}: found {name!r}, which is not of this job; name an empty folder"
                )
        for name in gone:
            remove(self.path(name))

    def tidy(self) -> None:
        """Remove what killed processes left of parts that others have written since."""
        for name in self._ours()[1]:
            remove(self.path(name))

    def _ours(self) -> tuple[set[str], list[str]]:
        """Return the parts of the plan that is there, and the files that kills left of any."""
        plan = self.begun() or {"parts": []}
        ours = {Path(name).name[:40] for name in (*plan["parts"], *_OWN)}
        found = ((name, _UNFINISHED.fullmatch(name)) for name in listed(self.place))
        return set(plan["parts"]), [name for name, left in found if left and left["name"] in ours]

    def begin(self, job: Job, blocks: Sequence[Block]) -> None:
        """Write the plan: from now on the parts it names are ours."""
        plan = {"job": job.told(), "parts": [block.part for block in blocks]}
        with writing(self.path(PLAN)) as stream:
            stream.write(json.dumps(plan, indent=0).encode())

    def done(self, **facts: Any) -> None:
        """Say that all parts are there."""
        with writing(self.path(SUCCESS)) as stream:
            stream.write(json.dumps(facts, indent=1).encode() + b"\n")


def check_same(ledger: Ledger, job: Job) -> None:
    """Raise a `DataError` if the plan that is there is of another job."""
    plan = ledger.begun()
    if plan is None:
        return
    now = job.told()
    changed = [key for key in now if plan["job"].get(key) != now[key]]
    if changed:
        raise DataError(
            f"{ledger.place}: its parts are of another job ({', '.join(changed)} changed); score "
            "again without resuming"
        )


@contextmanager
def alone(place: str) -> Iterator[Ledger]:
    """Give the ledger of an output to one run at a time, where locks can be had.

    Raises
    ------
    DataError
        Another run is writing it, or it cannot be written.
    """
    here = Path(place)
    if is_uri(place):
        held: Any = nullcontext()
    else:
        if here.exists() and not here.is_dir():
            raise DataError(f"{place}: a file is in the way; name a folder")
        if not here.parent.is_dir():
            raise DataError(f"{place}: there is no folder {here.parent}; make it first")
        (here / FOLDER).mkdir(parents=True, exist_ok=True)
        held = locked(here / LOCK)
    try:
        with held:
            yield Ledger(place=place)
    except LockedError:
        raise DataError(f"{place}: another run is writing it; wait for it to end") from None


def block_text(block: Block) -> str:
    """Return a block as it is sent to who scores it."""
    return json.dumps(asdict(block))


def block_of(text: str) -> Block:
    """Return the block that was sent."""
    return Block(**json.loads(text))
