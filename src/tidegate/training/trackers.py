"""Callbacks that keep curves: TensorBoard's event files, and MLflow's local store.

Takes a folder and a run's name, gives a `Callback`. Nothing leaves the machine. What is drawn: of
each part of the work loss and accuracy by epoch, the share right of each fold, the scores at the
end; of a search the score of each trial.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from tidegate.errors import MissingExtraError
from tidegate.training.callbacks import Callback, Facts

Tracker = Literal["tensorboard", "mlflow"]
_NEEDED = {
    "tensorboard": ("tensorboardX", "TensorBoard", "track-tensorboard"),
    "mlflow": ("mlflow", "MLflow", "track-mlflow"),
}
_LONGEST = 500  # characters of a setting, as MLflow takes it
_DATABASE = "mlflow.db"


def tracker(kind: Tracker, folder: Path, *, name: str) -> Callback:
    """Return what writes a run's curves into a folder.

    Parameters
    ----------
    name : of the run; TensorBoard's files lie in a folder of that name and the time

    Raises
    ------
    MissingExtraError
        The package is not installed.
    """
    module, called, extra = _NEEDED[kind]
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(needed_for=f"--track {kind}", missing=called, extra=extra)
    return TensorBoard(folder, name) if kind == "tensorboard" else MlFlow(folder, name)


def curves(facts: Facts, part: str) -> Iterator[tuple[str, float]]:
    """Give the finite numbers of facts, each under its part and name.

    Examples
    --------
    >>> list(curves({"number": 2, "loss": 0.5, "test_loss": float("nan")}, "scored"))
    [('scored/loss', 0.5)]
    """
    for name, value in facts.items():
        if name in ("number", "of") or isinstance(value, bool):
            continue
        if isinstance(value, (int, float)) and math.isfinite(value):
            yield f"{part}/{name}", float(value)


def _scores(facts: Facts) -> Iterator[tuple[str, float]]:
    """Give the scores that a training ended with."""
    scores = facts.get("scores")
    for name, score in scores.items() if isinstance(scores, Mapping) else ():
        yield from curves({name: score.get("value")}, "held_out")


def _flat(facts: Facts) -> dict[str, str]:
    """Return what a run begins with, as text by name."""
    found = {name: str(facts[name]) for name in ("source", "rows") if name in facts}
    for name, value in facts.get("settings", {}).items():
        found[name] = value if isinstance(value, str) else json.dumps(value)
    return found


class TensorBoard:
    """Event files for `tensorboard --logdir FOLDER`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._place, self._writer = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}", None

    def on_start(self, facts: Facts) -> None:
        """Begin a folder of the run, with the settings as text."""
        module: Any = importlib.import_module("tensorboardX")
        place, number = self._place, 1
        while place.exists():  # another run of the same second
            number += 1
            place = self._place.with_name(f"{self._place.name}-{number}")
        place.mkdir(parents=True)
        self._writer = module.SummaryWriter(logdir=str(place), flush_secs=5)
        lines = [f"    {name} = {value}" for name, value in _flat(facts).items()]
        self._written.add_text("settings", "\n".join(lines))

    @property
    def _written(self) -> Any:
        return self._writer

    def on_epoch(self, facts: Facts) -> None:
        """Draw an epoch of a part."""
        for name, value in curves(facts, str(facts["part"])):
            self._written.add_scalar(name, value, facts["number"])

    def on_fold(self, facts: Facts) -> None:
        """Draw a fold, or a trial."""
        for name, value in curves(facts, "trials" if "settings" in facts else "folds"):
            self._written.add_scalar(name, value, facts["number"])

    def on_end(self, facts: Facts) -> None:
        """Draw the scores, and close the file."""
        for name, value in _scores(facts):
            self._written.add_scalar(name, value, 0)
        self._written.close()


class MlFlow:
    """A run in FOLDER/mlflow.db, for `mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._client: Any = None
        self._run = ""

    def on_start(self, facts: Facts) -> None:
        """Begin a run, with the settings as its parameters."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # it would warn where git is missing
        module: Any = importlib.import_module("mlflow.tracking")
        # Which tell at length how they make the file; importing sets the level, so it is set after.
        for name in ("mlflow", "mlflow.store", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder.absolute()
        self._client = module.MlflowClient(tracking_uri=f"sqlite:///{place / _DATABASE}")
        found = self._client.get_experiment_by_name("tidegate")
        number = found.experiment_id if found else self._client.create_experiment(
            "tidegate", artifact_location=(place / "artifacts").as_uri()
        )  # fmt: skip
        self._run = self._client.create_run(number, run_name=self._name).info.run_id
        for name, value in _flat(facts).items():
            self._client.log_param(self._run, name, value[:_LONGEST])

    def on_epoch(self, facts: Facts) -> None:
        """Draw an epoch of a part."""
        self._draw(curves(facts, str(facts["part"])), int(facts["number"]))

    def on_fold(self, facts: Facts) -> None:
        """Draw a fold, or a trial."""
        part = "trials" if "settings" in facts else "folds"
        self._draw(curves(facts, part), int(facts["number"]))

    def on_end(self, facts: Facts) -> None:
        """Draw the scores, and end the run."""
        self._draw(_scores(facts), 0)
        status = "FAILED" if "fault" in facts else "FINISHED"
        self._client.set_terminated(self._run, status=status)

    def _draw(self, values: Iterator[tuple[str, float]], step: int) -> None:
        for name, value in values:
            self._client.log_metric(self._run, name, value, step=step)
