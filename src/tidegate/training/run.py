"""The run directory: what a training is, how far it is, and all that it needs to be gone on with.

Takes the bundle's place, the data and the config; gives a `Workspace` for as long as the run lasts.

    MODEL.run/
      run.json          what the work depends on: settings, hashes of data and files, versions
      config.toml       the settings, as `train --config` takes them
      environment.json  versions, machine
      metrics.jsonl     an object an epoch
      lock              held while a run goes on
      work/             checkpoints of the parts, those that are done and the one that is not

It goes when the bundle is written. What is not of a run is never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tidegate.config import Config
from tidegate.config_file import to_toml
from tidegate.data.dataset import Dataset
from tidegate.data.locks import LockedError, locked
from tidegate.errors import ConfigError, short
from tidegate.training.checkpoint import Workspace, unwritable, write_whole
from tidegate.training.environment import machine, versions
from tidegate.training.metrics import Metrics

_FILES = (
    "config.toml",
    "environment.json",
    "metrics.jsonl",
    "run.json",
)  # the last says it is ours
_WORK, _LOCK = "work", "lock"


def run_folder(output: Path) -> Path:
    """Return the run directory of a bundle's place."""
    return output.with_name(f"{output.name}.run")


@contextmanager
def open_run(
    output: Path,
    dataset: Dataset,
    config: Config,
    *,
    resume: bool,
    keep: bool = False,
    start: str = "",
    on_epoch: Callable[[dict[str, Any]], None] = lambda epoch: None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Workspace]:
    """Give a run's workspace: with `resume`, what an earlier run of the same left is in it.

    Parameters
    ----------
    output : the bundle's place; the run directory is beside it
    keep : whether the run directory stays when all went well
    start : the fingerprint of the model that is gone on from
    on_epoch : called after each epoch of any part of the work, see `Metrics`
    say : called with what a person should know

    Raises
    ------
    ConfigError
        Another run goes on there; what lies there is of other data or settings and is to be
        resumed, or is no run; or nothing can be written there.
    """
    folder = run_folder(output)
    _check_ours(folder)
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / _LOCK))
        except LockedError:
            raise ConfigError(f"{output}: another run trains it; wait for it to end") from None
        except OSError as fault:
            raise ConfigError(f"{folder}: {fault.strerror}; name another output") from fault
        _check_ours(folder)  # with the lock held, nobody else changes anything any more
        if not resume:
            _clear(folder)
        try:
            identity = _identity(dataset, config, start)
            _say_begin(folder, _begin(folder, identity, config, say), resume, say)
            metrics = Metrics(folder / "metrics.jsonl", on_epoch=on_epoch)
            yield Workspace(folder / _WORK, metrics=metrics)
        except BaseException:
            if not has_work(folder):  # nothing to go on from
                _remove(folder)
            raise
        if not keep:
            _remove(folder)


def _say_begin(folder: Path, going_on: bool, resume: bool, say: Callable[[str], None]) -> None:
    if going_on:
        say(f"{folder}: going on with the work that is kept there")
    elif resume:
        say(f"{folder}: no work is kept there, so this run begins anew")


def _identity(dataset: Dataset, config: Config, start: str) -> dict[str, Any]:
    """Return what a run's work depends on, JSON-ready."""
    files = {"vectors": config.network.vectors, "unlabelled": config.distillation.unlabelled}
    hashes = {name: _hash_of(Path(path)) for name, path in files.items() if Path(path).is_file()}
    if start:
        hashes["the model before"] = start
    return {
        "run_version": 1,
        "config": config.to_dict(),
        "automatic": sorted(config.automatic),
        "data": {"source": dataset.source, "sha256": fingerprint(dataset)},
        "files": hashes,
        "versions": versions(),
        "machine": machine(),
    }


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of rows: their texts, targets and places, and the names of the labels."""
    digest = hashlib.sha256(json.dumps([dataset.kind, dataset.labels]).encode())
    digest.update(json.dumps(dataset.rows).encode() + dataset.targets.tobytes())
    for text in dataset.texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _hash_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _begin(
    folder: Path, identity: dict[str, Any], config: Config, say: Callable[[str], None]
) -> bool:
    """Write down what the run is, or check that it is the one that lies there; return which."""
    before = _run_of(folder)
    if before is not None:
        changed = _changes(before, identity)
        if changed:
            raise ConfigError(
                f"resume: {folder} holds the work of other data or settings ({changed}); give "
                "those again, or leave out --resume to begin anew"
            )
        if before.get("machine") != identity["machine"]:
            say(
                f"{folder}: begun on {short(before.get('machine'))}, this is {machine()}: the "
                "model may differ in its last bits"
            )
        return has_work(folder)
    about = {
        "versions": identity["versions"], "machine": identity["machine"],
        "platform": platform.platform(), "cores": os.cpu_count(),
    }  # fmt: skip
    texts = {
        "run.json": json.dumps(identity, indent=1) + "\n",  # the first, so that the rest is ours
        "config.toml": to_toml(config),
        "environment.json": json.dumps(about, indent=1) + "\n",
    }
    for name, text in texts.items():
        data = text.encode("utf-8", "replace")
        write_whole(folder / name, partial(Path.write_bytes, data=data))
    return False


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in words in what two runs differ: at most three things, and how many more."""
    found = []
    old, new = ({k: v for k, v in _flat(d).items() if k != "machine"} for d in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name.endswith("sha256") or name.startswith("files."):
            what = name.removeprefix("files.")
            what = what if what.startswith("the ") else f"the file of {what}"
            found.append("the data changed" if "data" in name else f"{what} changed")
        else:
            was, is_ = short(old.get(name)), short(new.get(name))
            found.append(f"{name.rpartition('.')[2]} was {was} and is {is_}")
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _run_of(folder: Path) -> dict[str, Any] | None:
    """Return what a run directory is of; None if nothing says."""
    try:
        found = json.loads((folder / "run.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and found.get("run_version") == 1:
        return found
    raise _not_ours(folder)


def _not_ours(folder: Path) -> ConfigError:
    return ConfigError(
        f"{folder}: found something else where unfinished work goes; move it, or name another "
        "output"
    )


def _check_ours(folder: Path) -> None:
    """Raise a `ConfigError` if something is in the place of the run directory that is no run."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise _not_ours(folder)
    if _run_of(folder) is None and {path.name for path in folder.iterdir()} - {
        _LOCK, "run.json.new"
    }:  # fmt: skip
        raise _not_ours(folder)


def has_work(folder: Path) -> bool:
    """Return whether a run directory holds work that can be gone on with."""
    work = folder / _WORK
    return any(path.suffix in (".safetensors", ".npy") for path in work.rglob("*"))


def _clear(folder: Path) -> None:
    """Remove what is of a run but the lock; what says that it is ours goes last."""
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    if (folder / _WORK).exists():
        raise unwritable(folder / _WORK, OSError("the work before cannot be removed"))
    for name in _FILES:
        for path in (folder / f"{name}.new", folder / name):
            path.unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Remove the run directory. What is not ours stays in it."""
    with suppress(OSError, ConfigError):
        _clear(folder)
        (folder / _LOCK).unlink(missing_ok=True)  # from now on another run may begin here
        folder.rmdir()
