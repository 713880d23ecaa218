"""Where a training's unfinished work is kept: checkpoints and answers, each written whole.

Takes arrays by name, gives them back after a restart. Holds no pickle: arrays are safetensors,
answers NumPy's own format. Torch is named for its types alone: it is not imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from tidegate.training.metrics import Metrics

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Arrays by name, and what else the next step needs, JSON-ready."""

    arrays: Arrays
    facts: dict[str, Any]


class Workspace:
    """A folder of one part of a training's unfinished work.

    Parameters
    ----------
    folder : made if it is not there; the folder it is in must be
    metrics : where the epochs of all parts are written down, by default nowhere
    name : of the part, among the metrics

    Raises
    ------
    ConfigError : nothing can be written there

    Examples
    --------
    >>> import tempfile
    >>> work = Workspace(Path(tempfile.mkdtemp()) / "work")
    >>> work.keep("half-way", {"w": np.ones(2)}, {"step": 7})
    >>> work.kept("half-way").facts
    {'step': 7}
    """

    def __init__(self, folder: Path, *, metrics: Metrics | None = None, name: str = "") -> None:
        self.folder, self.metrics, self.name = folder, metrics, name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as fault:
            raise unwritable(folder, fault) from fault

    def within(self, name: str) -> Workspace:
        """Return the workspace of a part of this one's work."""
        within = f"{self.name}/{name}".lstrip("/")
        return Workspace(self.folder / name, metrics=self.metrics, name=within)

    def clear(self) -> None:
        """Remove the folder: what is in it is no more needed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def bind(self, key: str) -> None:
        """Say what the work here depends on, beside the run's data and settings.

        Raises
        ------
        ConfigError
            What lies here depends on something else.
        """
        place = self.folder / "key.json"
        found: Any = None
        if place.exists():
            with suppress(OSError, ValueError, RecursionError):
                found = json.loads(place.read_bytes())
            if found != key:
                raise ConfigError(
                    f"resume: {self.folder} holds the work of another teacher or other texts; give "
                    "those again, or leave out --resume to begin anew"
                )
        self._write("key.json", lambda beside: beside.write_text(json.dumps(key), "utf-8"))

    def keep(self, name: str, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        """Keep a checkpoint in the place of the last one of that name."""
        whole = {key: np.array(array, order="C") for key, array in arrays.items()}
        said = json.dumps(dict(facts))
        metadata = {"facts": said, "crc32": _checksum(whole, said)}
        self._write(f"{name}.safetensors", lambda beside: save_file(whole, beside, metadata))

    def kept(self, name: str) -> Checkpoint | None:
        """Return the last checkpoint of a name, if there is one.

        Raises
        ------
        ConfigError
            It is broken.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as stream:
                metadata = stream.metadata()
                said = metadata["facts"]
                arrays = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
            if metadata["crc32"] != _checksum(arrays, said):
                raise ValueError("its checksum is another")
            facts = json.loads(said)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as fault:
            raise _broken(path, fault) from fault
        return Checkpoint(arrays=arrays, facts=facts)

    def forget(self, name: str) -> None:
        """Remove the checkpoint of a name, if there is one."""
        with suppress(OSError):
            (self.folder / f"{name}.safetensors").unlink(missing_ok=True)

    def keep_answers(self, key: str, answers: npt.NDArray[np.float64]) -> None:
        """Keep answers under a key."""

        def save(beside: Path) -> None:
            with beside.open("wb") as stream:
                np.save(stream, answers, allow_pickle=False)

        self._write(f"{key}.npy", save)

    def answers(self, key: str) -> npt.NDArray[np.float64] | None:
        """Return the answers kept under a key, if there are any."""
        path = self.folder / f"{key}.npy"
        if not path.exists():
            return None
        try:
            found: npt.NDArray[np.float64] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as fault:
            raise _broken(path, fault) from fault
        return found

    def _write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file beside its place and rename it."""
        write_whole(self.folder / name, save)


def once(work: Workspace | None, name: str, make: Callable[[], Arrays]) -> Arrays:
    """Return arrays that are kept under a name; if there are none, make and keep them.

    Parameters
    ----------
    work : where; None: they are made
    """
    if work is None:
        return make()
    kept = work.kept(name)
    if kept is None:
        work.keep(name, make(), {})
        kept = work.kept(name)  # read back, so that arrays lie in memory as after a restart
    return {} if kept is None else kept.arrays


def write_whole(place: Path, save: Callable[[Path], object], *, lasting: bool = True) -> None:
    """Write a file beside its place and rename it, so that a kill leaves the old one or the new.

    Parameters
    ----------
    save : writes to the path that it is given
    lasting : whether it should be there after a power cut, too

    Raises
    ------
    ConfigError
        The system does not let it; the message says that the work before it is kept.
    """
    beside = place.with_name(f"{place.name}.new")
    try:
        save(beside)
        if lasting:  # else a power cut may leave the new name without its bytes
            with beside.open("rb+") as stream:
                os.fsync(stream.fileno())
        beside.replace(place)
    except (OSError, SafetensorError) as fault:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise unwritable(place, fault) from fault


def unwritable(place: Path, fault: Exception) -> ConfigError:
    """Return what to say if something cannot be kept."""
    number = _OS_ERROR.search(str(fault))  # safetensors wraps what the system says
    said = os.strerror(int(number[1])) if number else getattr(fault, "strerror", None) or fault
    gone = place.parent
    if not gone.is_dir():
        while not gone.parent.is_dir():
            gone = gone.parent
        return ConfigError(f"{gone}: was removed while the run kept its work there; train again")
    return ConfigError(
        f"{place}: {said}; the work before it is kept: mend it, and --resume goes on"
    )


def _broken(path: Path, fault: Exception) -> ConfigError:
    return ConfigError(
        f"{path}: broken ({fault}); remove it, and --resume does this part again; or leave out "
        "--resume to begin anew"
    )


def _checksum(arrays: Arrays, facts: str) -> str:
    """Return a checksum of arrays and facts: safetensors has none."""
    found = zlib.crc32(facts.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(array.reshape(-1).view(np.uint8).data, found)
    return f"{found:08x}"


def key_of(parts: Any) -> str:
    """Return the SHA-256 of JSON-ready parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def state_of(model: nn.Module, optimizer: Optimizer | None) -> Arrays:
    """Return a network's parameters, and an optimiser's moments of each that has any."""
    found = {}
    for name, p in model.named_parameters():
        found[f"weight.{name}"] = p.detach().cpu().numpy()
        moments = {} if optimizer is None else optimizer.state[p]  # what nothing reads has none
        for moment, value in moments.items():
            found[f"{moment}.{name}"] = value.detach().cpu().numpy()
    return found


def restore_state(model: nn.Module, optimizer: Optimizer, arrays: Arrays) -> None:
    """Bring back what `state_of` returned."""
    for name, p in model.named_parameters():
        p.data.copy_(p.data.new_tensor(arrays[f"weight.{name}"]))
        kept = [key for key in arrays if key.partition(".")[2] == name]
        for key in kept:
            moment = key.partition(".")[0]
            if moment != "weight":
                optimizer.state[p][moment] = p.data.new_tensor(arrays[key])
