"""Reproducible: the same data, settings and seed give the same bytes; `--like` repeats a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import rows, some_slow
from kills import SAMPLE, TINY, files_of, write
from tidegate.cli import main

BLEND = [*TINY, "--teacher-folds=2", "--teacher-models=1", "--augment=1", "--epochs=2"]
LESSON = [
    "--preset=lesson", "--embedding-size=8", "--hidden-size=8", "--head-size=8", "--epochs=2",
    "--num-words=60",
]  # fmt: skip
RUNS = {
    "default": ("binary", TINY),
    "default, split": ("binary", [*TINY, "--score=split", "--threshold=f1"]),
    "several classes": ("multiclass", TINY),
    "several labels": ("multilabel", [*TINY, "--label=x", "--label=y"]),
    "blend": ("binary", [*BLEND, "--teacher=blend"]),
    "best of several labels": ("multilabel", [*BLEND, "--preset=best", "--label=x", "--label=y"]),
    "lesson": ("binary", LESSON),
}


def train(data: Path | str, words: list[str], folder: Path, **more: str) -> dict[str, bytes]:
    """Train in a process of its own, with the hashes of another; return the bundle's files."""
    folder.mkdir()
    model = folder / "model"
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "train", str(data), *words, "-o", str(model)],
        capture_output=True, text=True, check=False, env={**os.environ, **more},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return files_of(model)


@pytest.mark.parametrize(
    "name", some_slow(RUNS, slow=("best of several labels", "several classes"))
)
def test_the_same_run_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    kind, words = RUNS[name]
    data = str(write(tmp_path / "rows.csv", rows(160, kind)))
    models = [tmp_path / folder / "model" for folder in ("one", "two", "other")]
    for model, seed in zip(models, ("5", "5", "6"), strict=True):
        assert main(["train", data, *words, "--seed", seed, "-o", str(model)]) == 0
    one, two, other = map(files_of, models)
    assert one == two
    assert one["weights.safetensors"] != other["weights.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--teacher=blend", "--teacher-folds=3", "--teacher-models=1"],
        ["--preset=lesson", "--epochs=1"],
    ],
    ids=["default", "blend", "lesson"],
)
def test_other_processes_with_other_hashes_give_the_same_bytes(
    words: list[str], tmp_path: Path
) -> None:
    one = train(SAMPLE, words, tmp_path / "one", PYTHONHASHSEED="1")
    two = train(SAMPLE, words, tmp_path / "two", PYTHONHASHSEED="2")
    assert one == two


@pytest.mark.slow
def test_a_run_is_repeated_from_its_bundle_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.txt"
    lines = write(tmp_path / "rows.csv", rows(160)).read_text().splitlines()[1:]
    data.write_text("\n".join(lines) + "\n", encoding="utf-16")
    model, again = tmp_path / "model", tmp_path / "again" / "model"
    reading = ["--columns", "text,target", "--format", "csv", "--encoding", "utf-16"]
    words = [str(data), *TINY[:3], "--score=none", "--private", "--seed=7", *reading]
    assert main(["train", *words, "-o", str(model)]) == 0
    run = json.loads((model / "manifest.json").read_text())["training_data"]["run"]
    assert run["reading"] == {
        "format": "csv", "encoding": "utf-16", "columns": ["text", "target"]
    }  # fmt: skip
    assert "epochs" in run["automatic"]
    assert {"python", "tidegate", "torch", "numpy", "scikit-learn"} <= run["versions"].keys()
    assert main(["train", str(data), "--like", str(model), "-o", str(again)]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"the same bytes as {model}"
    assert files_of(again) == files_of(model)
    words = ["train", str(data), "--like", str(model), "-o", str(again), "--seed=8"]
    assert main(words) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"not the same bytes as {model}: another seed"
    assert files_of(again) != files_of(model)


def test_what_cannot_be_repeated_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", SAMPLE, "-o", str(tmp_path / "model"), "--like", str(tmp_path / "no")]
    for more, message in (
        ([], "no bundle there; name a directory that tidegate train wrote"),
        (["--preset", "best"], "like: found with --preset, but the bundle has all settings"),
        (["--config", "x.toml"], "like: found with --config; give one of them"),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err


OLD = Path(__file__).parents[1] / "data" / "bundles" / "format-1-default"


def test_a_bundle_of_before_repeats_with_all_settings_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "rows.csv", rows(80))
    words = ["train", str(data), "--like", str(OLD), "--epochs=1", "--vectors=none"]
    assert main([*words, "--score=none", "-o", str(tmp_path / "model")]) == 0
    assert "written before bundles said which settings follow" in capsys.readouterr().err
