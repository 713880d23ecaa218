"""Trackers keep a run's curves, and never end a training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import rows
from kills import TINY, files_of, write
from tidegate.cli import main
from tidegate.cli.train import How, Keeping, train_and_report
from tidegate.config import Config
from tidegate.config_file import ConfigFile
from tidegate.training.callbacks import Callbacks
from tidegate.training.trackers import tracker

FEW = [*TINY, "--folds=2"]


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(write(tmp_path / "rows.csv", rows(80)))


def config() -> Config:
    values = {"vectors": "none", "embedding_size": 4, "hidden_size": 4, "epochs": 2, "folds": 2}
    return ConfigFile().config(preset_name="default", settings=values)


class Heard:
    """A callback that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda facts: self.told.append((name, dict(facts)))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars of an event file, by name, as (step, value)."""
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    (path,) = folder.glob("*/events.*")
    raw, at = path.read_bytes(), 0
    while at < len(raw):  # a length, its checksum, the event, its checksum
        size = int.from_bytes(raw[at : at + 8], "little")
        event = Event.FromString(raw[at + 12 : at + 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        at += size + 16
    return found


def test_a_callback_hears_all_that_happens(data: str, tmp_path: Path) -> None:
    heard = Heard()
    how = How(callbacks=Callbacks([heard]))
    train_and_report(data, tmp_path / "model", config(), how, run=Keeping())
    names = [name for name, _ in heard.told]
    assert (names[0], names[-1], names.count("on_fold")) == ("on_start", "on_end", 2)
    assert heard.told[0][1]["rows"] == 80
    parts = [facts["part"] for name, facts in heard.told if name == "on_epoch"]
    assert parts == ["fold-1/model"] * 2 + ["fold-2/model"] * 2 + ["shipped"] * 2
    assert 0 <= heard.told[-1][1]["scores"]["accuracy"]["value"] <= 1


def test_an_ended_run_is_told_with_its_fault(tmp_path: Path) -> None:
    heard = Heard()
    with pytest.raises(KeyboardInterrupt), Callbacks([heard]).watching({"rows": 1}):
        raise KeyboardInterrupt
    assert heard.told[-1] == ("on_end", {"fault": "KeyboardInterrupt: "})


def test_tensorboard_keeps_curves_and_the_model_has_the_same_bytes(
    data: str, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboardX")
    plain, watched = tmp_path / "a" / "model", tmp_path / "b" / "model"
    assert main(["train", data, "-o", str(plain), *FEW]) == 0
    assert main(["train", data, "-o", str(watched), *FEW, "--track=tensorboard"]) == 0
    assert files_of(plain) == files_of(watched)
    found = events(tmp_path / "b" / "runs")
    assert [step for step, _ in found["shipped/loss"]] == [1, 2, 3]
    assert [step for step, _ in found["folds/right"]] == [1, 2]
    assert len(found["held_out/accuracy"]) == 1


def test_a_sweep_keeps_its_trials(data: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("tensorboardX")
    words = ["--trials=2", "--epochs=1", "--folds=2", "--track=tensorboard"]
    to = tmp_path / "curves"
    assert main(["sweep", data, "-o", str(tmp_path / "s"), *words, f"--track-to={to}"]) == 0
    assert [step for step, _ in events(to)["trials/score"]] == [1, 2]


@pytest.mark.filterwarnings("ignore")  # its own, over libraries that are newer
def test_mlflow_keeps_a_run_in_a_local_file(data: str, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    words = ["train", data, "-o", str(tmp_path / "model"), *FEW, "--track=mlflow"]
    # In a process of its own: what it loads warns, and logs as it likes.
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "INFO" not in done.stderr
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/runs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("tidegate").experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "model")
    assert run.data.params["hidden_size"] == "4"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "shipped/loss")] == [1, 2, 3]
    assert 0 <= run.data.metrics["held_out/accuracy"] <= 1


def test_a_tracker_that_fails_is_told_once_and_the_training_goes_on(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboardX")
    (tmp_path / "full").write_text("a file where the folder should be")
    words = ["--track=tensorboard", f"--track-to={tmp_path / 'full'}"]
    assert main(["train", data, "-o", str(tmp_path / "model"), *FEW, *words]) == 0
    said = capsys.readouterr().err
    assert said.count("it is told nothing more, and the training goes on") == 1
    assert (tmp_path / "model" / "manifest.json").exists()


def test_what_is_not_installed_is_one_line(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", data, "-o", str(tmp_path / "model"), *FEW]
    assert main([*words, "--track-to=x"]) == 2
    assert "track_to: nothing is kept there; give --track" in capsys.readouterr().err
    find = "importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None)
    for kind in ("tensorboard", "mlflow"):
        with pytest.raises(ImportError, match=rf"pip install 'tidegate\[track-{kind}\]'"):
            tracker(kind, tmp_path, name="x")  # type: ignore[arg-type]
