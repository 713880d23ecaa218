"""Where a teacher's work is kept while it goes on: checkpoints and answers, each written whole.

Takes networks and arrays, gives them back after a restart. Holds no pickle: weights and the
optimiser's moments are safetensors, answers are NumPy's own format.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tidegate.errors import ConfigError

_MOMENTS = ("exp_avg", "exp_avg_sq")


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
        self._write(named, json.dumps(key).encode())

    def keep(self, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Keep all that the next step needs."""
        tensors = {f"weight.{name}": p.detach() for name, p in model.named_parameters()}
        for name, p in model.named_parameters():
            if optimizer.state[p]:  # a layer that nothing reads has none
                tensors |= {f"{m}.{name}": optimizer.state[p][m] for m in _MOMENTS}
        beside = self.folder / "checkpoint.new"
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in tensors.items()},
            beside, metadata={"step": str(step)},
        )  # fmt: skip
        beside.replace(self.folder / "checkpoint.safetensors")

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Bring back the last checkpoint; return how many steps it stands after, 0 if none."""
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return 0
        from safetensors import safe_open

        with safe_open(path, framework="pt") as stream:
            step = int(stream.metadata()["step"])
        kept = load_file(path)
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(kept[f"weight.{name}"])
                if f"{_MOMENTS[0]}.{name}" not in kept:
                    continue
                optimizer.state[p] = {
                    "step": torch.tensor(float(step)),
                    **{m: kept[f"{m}.{name}"].to(p.device) for m in _MOMENTS},
                }
        return step

    def teacher_name(self, model: nn.Module) -> str:
        """Return the SHA-256 of a network's weights."""
        digest = hashlib.sha256()
        for name, p in model.named_parameters():
            digest.update(name.encode() + p.detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    def answers(self, key: str) -> npt.NDArray[np.float64] | None:
        """Return the answers kept under a key, if there are any."""
        path = self.folder / f"{key}.npy"
        if not path.exists():
            return None
        found: npt.NDArray[np.float64] = np.load(path, allow_pickle=False)
        return found

    def keep_answers(self, key: str, answers: npt.NDArray[np.float64]) -> None:
        """Keep answers under a key."""
        beside = self.folder / f"{key}.new"
        with beside.open("wb") as stream:
            np.save(stream, answers, allow_pickle=False)
        beside.replace(self.folder / f"{key}.npy")

    def clear(self) -> None:
        """Remove all of it: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, path: Path, data: bytes) -> None:
        beside = path.with_suffix(".new")
        beside.write_bytes(data)
        beside.replace(path)


def key_of(parts: Any) -> str:
    """Return the SHA-256 of JSON-ready parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
