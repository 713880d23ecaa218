"""Folds and trials on a cluster of two nodes: the figures of one machine, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import made_up
from kills import TINY, write
from tidegate.cli import main

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.mark.heavy
@pytest.mark.parametrize("more", [[], ["--teacher=blend", "--teacher-folds=2", "--augment=1"]])
def test_a_cross_validation_gives_the_same_figures(
    two_nodes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    rows = write(tmp_path / "rows.csv", made_up(n=150))
    words = ["train", str(rows), "--score=cv", *TINY, *more]
    assert main([*words, "-o", str(tmp_path / "here"), "--json"]) == 0
    here = json.loads(capsys.readouterr().out)
    assert main([*words, "-o", str(tmp_path / "there"), "--json", "--ray", two_nodes.address]) == 0
    said = capsys.readouterr()
    there = json.loads(said.out)
    assert there["metrics"] == here["metrics"]
    assert "fold 3 of 3" in said.err
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("here", "there")]
    assert weights[0] == weights[1]


@pytest.mark.heavy
def test_a_sweep_gives_the_same_trials(two_nodes: Any, tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    rows = write(tmp_path / "rows.csv", made_up(n=120))
    words = ["sweep", str(rows), "--trials", "4", "--folds", "2", "--epochs", "1"]
    assert main([*words, "-o", str(tmp_path / "here")]) == 0
    assert main([*words, "-o", str(tmp_path / "there"), "--ray", two_nodes.address]) == 0
    found = [
        [
            (trial.params, trial.value, trial.state.name)
            for trial in optuna.load_study(
                study_name="tidegate", storage=f"sqlite:///{tmp_path / name / 'study.db'}"
            ).trials
        ]
        for name in ("here", "there")
    ]
    assert found[0] == found[1]
    assert (tmp_path / "here" / "best.toml").read_bytes() == (
        tmp_path / "there" / "best.toml"
    ).read_bytes()


@pytest.mark.heavy
def test_an_error_of_a_fold_is_the_one_it_is_here(two_nodes: Any) -> None:
    import ray

    from tidegate.cluster.session import connected
    from tidegate.cluster.training import spread
    from tidegate.errors import DataError

    def fails(number: int) -> int:
        if number == 2:
            raise DataError("row 2: broken")
        return number

    with connected(two_nodes.address):
        assert ray.is_initialized()
        assert list(spread(abs, [-1, -2, 3])) == [1, 2, 3]
        with pytest.raises(DataError, match=r"\Arow 2: broken\Z"):
            list(spread(fails, [1, 2]))
    assert not ray.is_initialized()
