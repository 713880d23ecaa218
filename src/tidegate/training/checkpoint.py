"""Where a long training's unfinished work is kept: checkpoints and answers, each written whole.

Takes arrays by name, gives them back after a restart. Holds no pickle: arrays are safetensors,
answers NumPy's own format. Torch is named for its types alone: it is not imported here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
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
    ConfigError : it is to be resumed, and what lies there is of other data or settings

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
        named = folder / "key.json"
        if folder.exists() and not resume:
            shutil.rmtree(folder)
        if named.exists() and json.loads(named.read_text(encoding="utf-8")) != key:
            raise ConfigError(
                f"resume: {folder} holds the work of other data or settings; give those again, or "
                "leave out --resume to begin anew"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._write(named.name, lambda beside: beside.write_text(json.dumps(key), "utf-8"))

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
        with safe_open(path, framework="numpy") as stream:
            facts = json.loads(stream.metadata()["facts"])
            arrays = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
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
        found: npt.NDArray[np.float64] = np.load(path, allow_pickle=False)
        return found

    def _write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file beside its place and rename it."""
        beside = self.folder / f"{name}.new"
        save(beside)
        beside.replace(self.folder / name)


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
