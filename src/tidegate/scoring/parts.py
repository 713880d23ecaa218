"""The finished parts of a bulk run, in a folder beside its output.

Takes the output's place and what the job is; gives `Parts`: those that an earlier run of the same
job left, and a place for more. Knows nothing of rows or models.

The folder is `.NAME.parts`. It goes when the output is there, and when the input is at fault. When
anything else ends the run (a signal, a full disk, a fault of ours) it stays, for a later run to go
on from. A file or folder of that name which this module has not written is never touched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.data.locks import LockedError, locked
from tidegate.data.outputs import JOINED, beside
from tidegate.errors import DataError, TidegateError

# What a job file always says; a folder without it may be anybody's.
_JOB = {"input_sha256", "model_sha256", "tidegate_version", "columns", "added", "part_rows"}
_BEGUN = re.compile(r"lock|\.job\.json\.\w{8}")  # all there is before the job file is
_OURS = re.compile(
    rf"lock|(\.?)(job\.json|part-\d{{6,}}|faults-\d{{6,}}\.json)(\.\w{{8}})?|"
    rf"{re.escape(JOINED)}\w{{8}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row that could not be scored: its number, its line, and why."""

    row: int
    line: int
    why: str


@dataclass(slots=True, kw_only=True)
class Parts:
    """The parts that are finished, in the order of their rows."""

    folder: Path
    paths: list[Path] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, data: bytes, faults: list[Fault]) -> None:
        """Write a part and its faults. The part comes last: where it is, the faults are whole."""
        number = len(self)
        found = [[fault.row, fault.line, fault.why] for fault in faults]
        with beside(_faults(self.folder, number)) as stream:
            stream.write(json.dumps(found).encode())
        with beside(_part(self.folder, number)) as stream:
            stream.write(data)
        self.paths.append(_part(self.folder, number))

    def faults(self) -> list[Fault]:
        """Return the faults of all parts.

        Raises
        ------
        DataError
            Something else has written there.
        """
        found: list[Fault] = []
        for number in range(len(self)):
            path = _faults(self.folder, number)
            try:
                rows = json.loads(path.read_bytes())
                found += [Fault(row=row, line=line, why=why) for row, line, why in rows]
            except (ValueError, TypeError):
                raise DataError(f"{path}: broken; score again without resuming") from None
        return found


@contextmanager
def open_parts(target: Path, job: dict[str, Any], *, resume: bool) -> Iterator[Parts]:
    """Give the parts of an output: with `resume`, those of an earlier run of the same job first.

    Raises
    ------
    DataError
        Another run is writing the output, the parts are of another job, or what lies in their
        place is not ours.
    OSError
        The folder cannot be made or written.
    """
    folder = target.with_name(f".{target.name}.parts")
    _check_ours(folder)
    folder.mkdir(exist_ok=True)
    with _alone(folder / "lock", target.name):
        _check_ours(folder)  # with the lock held, nothing changes any more
        if not resume:
            _clear(folder)
        parts = Parts(folder=folder)
        try:
            _begin(folder, job)
            # A kill while parts are removed may leave some of them, the first or their faults not.
            while _part(folder, len(parts)).exists() and _faults(folder, len(parts)).exists():
                parts.paths.append(_part(folder, len(parts)))
            yield parts
        except _AnotherJobError:
            raise
        except TidegateError:
            _remove(folder)
            raise
        except BaseException:
            if not parts.paths:  # nothing to go on from
                _remove(folder)
            raise
        _remove(folder)


class _AnotherJobError(DataError):
    """The parts are of another job: they stay."""


def _begin(folder: Path, job: dict[str, Any]) -> None:
    """Write the job file, or check that the one there is of the same job."""
    place = folder / "job.json"
    before = _job_of(place)
    if before is None:
        with beside(place) as stream:
            stream.write(json.dumps(job, indent=1).encode())
        return
    changed = [key for key in job if before.get(key) != job[key]]
    if changed:
        raise _AnotherJobError(
            f"{folder}: its parts are of another job ({', '.join(changed)} changed); "
            "score again without resuming"
        )


def _job_of(place: Path) -> dict[str, Any] | None:
    """Return what a job file says, or None if there is none."""
    try:
        found = json.loads(place.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and found.keys() >= _JOB:
        return found
    raise _AnotherJobError(
        f"{place}: not a job file as tidegate writes it; move the folder away, or name another "
        "output"
    )


def _check_ours(folder: Path) -> None:
    """Raise a `DataError` if something is in the place of the parts that is not ours."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise DataError(
            f"{folder}: found something else where the finished parts go; move it, or name "
            "another output"
        )
    if _job_of(folder / "job.json") is not None:
        return
    for path in folder.iterdir():
        # A lock of ours is empty; a job file that a kill cut short has another name.
        is_file = path.is_file() and not path.is_symlink()
        size = path.stat().st_size if is_file and path.name == "lock" else 0
        if not _BEGUN.fullmatch(path.name) or not is_file or size:
            raise DataError(
                f"{folder}: found {path.name!r} where the finished parts go; move the folder, or "
                "name another output"
            )


def _clear(folder: Path) -> None:
    """Remove what is ours but the lock, the job last: no part is left whose job is not known.

    The first parts go first, so that after a kill the others are not taken for the beginning.
    """
    last_of_all = ("job.json", "faults")
    for path in sorted(folder.iterdir(), key=lambda p: (p.name.startswith(last_of_all), p.name)):
        if path.name != "lock" and _OURS.fullmatch(path.name) and not path.is_dir():
            path.unlink()


def _remove(folder: Path) -> None:
    """Remove the folder. What is not ours stays in it, as does what the system does not let go."""
    with suppress(OSError):
        _clear(folder)
        (folder / "lock").unlink(missing_ok=True)  # from now on another run may begin here
        folder.rmdir()


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Hold the lock of an output, or say that another run writes it."""
    try:
        with locked(path):
            yield
    except LockedError:
        raise DataError(f"{name}: another run is writing it; wait for it to end") from None


def _faults(folder: Path, number: int) -> Path:
    return folder / f"faults-{number:06d}.json"


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}"
