"""Where a long training's unfinished work is kept: checkpoints and answers, each written whole.

Takes arrays by name, gives them back after a restart. Holds no pickle: arrays are safetensors,
answers NumPy's own format. Torch is named for its types alone: it is not imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Arrays by name, and what else the next step needs, JSON-ready."""

    arrays: Arrays
    facts: dict[str, Any]


class Workspace:
    """A folder of one training's unfinished work.

    Parameters
    ----------
    folder : made if it is not there
    key : what the work depends on; work of another key is not gone on with
    resume : go on with what lies there, or begin anew

    Raises
    ------
    ConfigError : it is to be resumed, and what lies there is of other data or settings; what lies
        there is no such work, and stays; or nothing can be written there

    Examples
    --------
    >>> import tempfile
    >>> work = Workspace(Path(tempfile.mkdtemp()) / "work", key="a", resume=True)
    >>> work.keep("half-way", {"w": np.ones(2)}, {"step": 7})
    >>> work.kept("half-way").facts
    {'step': 7}
    """

    def __init__(self, folder: Path, *, key: str, resume: bool) -> None:
        self.folder = folder
        found = self._found()
        if found is not None and found != key and resume:
            raise ConfigError(
                f"resume: {folder} holds the work of other data or settings; give those again, or "
                "leave out --resume to begin anew"
            )
        try:
            if found is not None and not resume:
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise ConfigError(f"{folder}: {fault.strerror}; name another output") from fault
        self._write("key.json", lambda beside: beside.write_text(json.dumps(key), "utf-8"))

    def _found(self) -> str | None:
        """Return the key of the work that lies there, or None if there is none."""
        if not os.path.lexists(self.folder):
            return None
        try:
            found = json.loads((self.folder / "key.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if isinstance(found, str):
            return found
        if self.folder.is_dir() and all(p.name == "key.json.new" for p in self.folder.iterdir()):
            return None
        raise ConfigError(
            f"{self.folder}: found something else where unfinished work goes; move it, or name "
            "another output"
        )

    def keep(self, name: str, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        """Keep a checkpoint in the place of the last one of that name."""
        whole = {key: np.array(array, order="C") for key, array in arrays.items()}
        metadata = {"facts": json.dumps(dict(facts))}
        self._write(f"{name}.safetensors", lambda beside: save_file(whole, beside, metadata))

    def kept(self, name: str) -> Checkpoint | None:
        """Return the last checkpoint of a name, if there is one."""
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as stream:
                facts = json.loads(stream.metadata()["facts"])
                arrays = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as fault:
            raise _broken(path, fault) from fault
        return Checkpoint(arrays=arrays, facts=facts)

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
        place = self.folder / name
        beside = self.folder / f"{name}.new"
        try:
            save(beside)
            beside.replace(place)
        except (OSError, SafetensorError) as fault:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            said = getattr(fault, "strerror", None) or fault
            raise ConfigError(
                f"{place}: {said}; the work before it is kept: mend it, and --resume goes on"
            ) from fault


def _broken(path: Path, fault: Exception) -> ConfigError:
    return ConfigError(f"{path}: broken ({fault}); leave out --resume to begin anew")


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
