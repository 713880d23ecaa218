"""The search for settings: real trials, killed and gone on with, in one process and in several."""

import csv
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import made_up
from tidegate.cli import main
from tidegate.data.splits import cross_folds
from tidegate.engine.predictor import Predictor
from tidegate.training.search_space import SPACE
from tidegate.training.sweep import fold_score

pytest.importorskip("optuna")
QUICK = ["--trials", "4", "--folds", "2", "--epochs", "1"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    dataset = made_up(n=120)
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["text", "target"])
        table.writerows(zip(dataset.texts, dataset.targets.tolist(), strict=True))
    return path


def sweep(rows: Path, folder: Path, *more: str) -> int:
    return main(["sweep", str(rows), "-o", str(folder), *QUICK, *more])


def numbers_of(folder: Path) -> list[tuple[str, float | None]]:
    import optuna

    study = optuna.load_study(study_name="tidegate", storage=f"sqlite:///{folder / 'study.db'}")
    return [(trial.state.name, trial.value) for trial in study.trials]


def test_the_best_settings_are_a_file_that_trains(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    assert sweep(rows, folder) == 0
    told = capsys.readouterr()
    assert told.err.count("trial ") >= 4
    assert "The default's settings have" in told.out
    page = (folder / "sweep.html").read_text()
    assert all(name in page for name in SPACE)
    model = tmp_path / "model"
    config = str(folder / "best.toml")
    assert main(["train", str(rows), "-o", str(model), "--config", config, "--score", "none"]) == 0
    bundle = Predictor.load(model).bundle
    ended = enumerate(numbers_of(folder))
    best = max((v, -k) for k, (state, v) in ended if state == "COMPLETE" and v is not None)
    import optuna

    study = optuna.load_study(study_name="tidegate", storage=f"sqlite:///{folder / 'study.db'}")
    wanted = study.trials[-best[1]].params
    assert bundle.config.training.learning_rate == wanted["learning_rate"]
    assert bundle.config.network.hidden_size == wanted["hidden_size"]


def test_the_same_seed_suggests_the_same(rows: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert sweep(rows, tmp_path / name, "--seed", "5") == 0
    assert numbers_of(tmp_path / "a") == numbers_of(tmp_path / "b")


@pytest.mark.slow
def test_processes_score_as_one_does(rows: Path, tmp_path: Path) -> None:
    assert sweep(rows, tmp_path / "s", "--jobs", "2") == 0
    found = numbers_of(tmp_path / "s")
    assert sum(state in ("COMPLETE", "PRUNED") for state, _ in found) == 4


@pytest.mark.slow
def test_a_killed_sweep_ends_with_all_its_trials(rows: Path, tmp_path: Path) -> None:
    folder, draw = tmp_path / "s", random.Random(3)
    command = [sys.executable, "-m", "tidegate", "sweep", str(rows), "-o", str(folder),
               "--trials", "6", "--folds", "2", "--epochs", "1"]  # fmt: skip
    for _ in range(2):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
            assert run.stderr is not None
            for line in run.stderr:
                if line.startswith("trial "):
                    break
            time.sleep(draw.uniform(0, 0.6))
            run.send_signal(signal.SIGKILL)
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    found = numbers_of(folder)
    assert sum(state in ("COMPLETE", "PRUNED") for state, _ in found) == 6
    page = (folder / "sweep.html").read_text()
    assert page.count("given up</td>") == sum(state == "PRUNED" for state, _ in found)
    assert not any(state == "RUNNING" for state, _ in found)
    assert (folder / "best.toml").exists()


def test_a_study_of_other_data_is_refused(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "s"
    assert sweep(rows, folder, "--trials", "1") == 0
    assert sweep(rows, folder, "--metric", "f1") == 2
    assert "the study of another search (other metric)" in capsys.readouterr().err
    rows.write_text(rows.read_text() + "one more fire,1\n")
    assert sweep(rows, folder) == 2
    assert "(other data)" in capsys.readouterr().err
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "study.db").write_bytes(b"no database at all" * 99)
    assert sweep(rows, tmp_path / "t") == 2
    assert "study.db: no study (" in capsys.readouterr().err


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    from tidegate.presets import preset

    dataset = made_up(n=60)
    numbers = cross_folds(dataset, 2, seed=1)
    settings = {"epochs": 1, "vectors": "none", "ngrams": "none"}
    found = [
        fold_score(dataset, preset("default"), numbers, "accuracy", settings, k) for k in (0, 1)
    ]
    assert all(0 <= score <= 1 for score in found)
    assert np.isin(numbers, (0, 1)).all()
