"""Runs that end early: killed at random moments, resumed, and refused where they must be."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from conftest import rows
from kills import SAMPLE, TINY, files_of, killed, start, wait_for, write
from tidegate.cli import main
from tidegate.training.checkpoint import Workspace


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.csv", rows(200))


@pytest.mark.slow
@pytest.mark.parametrize("score", ["cv", "split"])
def test_a_killed_run_is_gone_on_with_to_the_same_bytes(
    score: str, csv: Path, tmp_path: Path
) -> None:
    words = [str(csv), *TINY, "--score", score]
    found = killed(words, tmp_path, kills=3, twice=1, seed=3)
    assert (found["code"], found["differ"], found["left"]) == (0, [], [])
    assert found["killed"] == 3


@pytest.mark.slow
def test_twenty_five_kills_of_a_default_run(tmp_path: Path) -> None:
    found = killed([SAMPLE, "--epochs=2", "--folds=2"], tmp_path, kills=25, twice=5, seed=25)
    assert (found["code"], found["differ"], found["left"]) == (0, [], [])
    assert found["killed"] == 25
    assert found["kept"] >= 10


@pytest.mark.slow
def test_ten_kills_of_a_blends_student(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.csv", rows(400))
    words = [str(data), "--teacher=blend", "--teacher-folds=3", "--teacher-models=2", "--epochs=2"]
    found = killed(words, tmp_path, kills=10, twice=3, seed=10)
    assert (found["code"], found["differ"], found["left"]) == (0, [], [])
    assert found["killed"] == 10
    assert found["kept"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [["--label=x", "--label=y", "--preset=best", "--teacher-folds=2"], ["--preset=lesson"]],
    ids=["several labels", "lesson"],
)
def test_kills_of_other_runs(words: list[str], tmp_path: Path) -> None:
    kind = "multilabel" if "--label=x" in words else "binary"
    data = write(tmp_path / "rows.csv", rows(300, kind))
    words = [str(data), *words, "--hidden-size=16", "--epochs=2"]
    found = killed(words, tmp_path, kills=5, twice=1, seed=5)
    assert (found["code"], found["differ"], found["left"]) == (0, [], [])
    assert found["killed"] == 5


LONG = ["--vectors=none", "--epochs=400", "--score=none", "--no-calibrate"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_keeps_the_work_and_says_how_to_go_on(
    number: signal.Signals, code: int, csv: Path, tmp_path: Path
) -> None:
    log, run = tmp_path / "log", tmp_path / "model.run"
    process = start([str(csv), *LONG, "-o", str(tmp_path / "model")], log)
    wait_for(process, run / "metrics.jsonl")
    time.sleep(0.2)
    process.send_signal(number)
    assert process.wait() == code
    how = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    last = log.read_text().splitlines()[-1]
    assert last == f"tidegate: train: {how}; --resume goes on from here"
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert epochs[-1]["part"] == "shipped"
    kept = Workspace(run / "work").kept("shipped")
    assert kept is not None
    assert len(kept.facts["history"]) == len(epochs)  # the very last one was kept
    assert {p.name for p in run.iterdir()} == {
        "run.json", "config.toml", "environment.json", "metrics.jsonl", "work", "lock"
    }  # fmt: skip
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("more", [[], pytest.param(["--resume"], marks=pytest.mark.slow)])
def test_two_runs_in_one_place_are_one(more: list[str], csv: Path, tmp_path: Path) -> None:
    words = [str(csv), *LONG, "-o", str(tmp_path / "model")]
    first = start(words, tmp_path / "log")
    try:
        wait_for(first, tmp_path / "model.run" / "metrics.jsonl")
        second = start([*words, *more], tmp_path / "second")
        assert second.wait() == 2
        said = (tmp_path / "second").read_text().splitlines()
        assert said == [f"tidegate: {tmp_path}/model: another run trains it; wait for it to end"]
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()


@pytest.fixture(scope="module")
def killed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and what a run leaves that was killed after its first fold."""
    folder = tmp_path_factory.mktemp("killed")
    words = [str(write(folder / "rows.csv", rows(200))), *TINY, "-o", str(folder / "model")]
    process = start(words, folder / "log")
    wait_for(process, folder / "model.run" / "work" / "fold-1.safetensors")
    process.kill()
    process.wait()
    assert not (folder / "model").exists()
    return folder


@pytest.fixture
def left(killed_run: Path, tmp_path: Path) -> tuple[list[str], Path]:
    """The words of that run, and its directory, beside this test's own output."""
    run = Path(shutil.copytree(killed_run / "model.run", tmp_path / "model.run"))
    return [str(killed_run / "rows.csv"), *TINY, "-o", str(tmp_path / "model")], run


Left = tuple[list[str], Path]


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_other_settings_data_or_versions_are_not_gone_on_with(
    left: Left, capsys: pytest.CaptureFixture[str]
) -> None:
    words, run = left
    csv = Path(words[0])
    assert main(["train", *words, "--resume", "--epochs", "4"]) == 2
    assert last_line(capsys) == (
        f"tidegate: resume: {run} holds the work of other data or settings (epochs was 3 and is 4);"
        " give those again, or leave out --resume to begin anew"
    )
    whole = csv.read_text()
    csv.write_text(whole + "one more,0\n")
    assert main(["train", *words, "--resume"]) == 2
    assert "(the data changed)" in last_line(capsys)
    csv.write_text(whole)
    about = json.loads((run / "run.json").read_text())
    about["versions"]["torch"] = "0.1"
    (run / "run.json").write_text(json.dumps(about))
    assert main(["train", *words, "--resume"]) == 2
    assert "(torch was '0.1' and is " in last_line(capsys)
    assert (run / "work" / "fold-1.safetensors").exists()  # nothing was lost
    assert main(["train", *words]) == 0  # and a new run clears it
    assert not run.exists()


def test_a_broken_checkpoint_is_one_line_and_its_part_can_be_done_again(
    left: Left, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, run = left
    place = run / "work" / "fold-1.safetensors"
    data = bytearray(place.read_bytes())
    data[-3] ^= 1  # a bit of the last number
    place.write_bytes(data)
    assert main(["train", *words, "--resume"]) == 2
    assert last_line(capsys) == (
        f"tidegate: {place}: broken (its checksum is another); remove it, and --resume does this "
        "part again; or leave out --resume to begin anew"
    )
    place.unlink()
    assert main(["train", *words, "--resume"]) == 0
    found = files_of(tmp_path / "model")
    assert main(["train", *words]) == 0
    assert files_of(tmp_path / "model") == found


def test_a_run_directory_that_vanishes_is_one_line(csv: Path, tmp_path: Path) -> None:
    process = start([str(csv), *LONG, "-o", str(tmp_path / "model")], tmp_path / "log")
    wait_for(process, tmp_path / "model.run" / "metrics.jsonl")
    (tmp_path / "model.run").rename(tmp_path / "elsewhere")
    assert process.wait() == 2
    assert (tmp_path / "log").read_text().splitlines()[-1] == (
        f"tidegate: {tmp_path}/model.run: was removed while the run kept its work there; train "
        "again"
    )
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.run").exists()


def test_what_is_not_a_run_in_its_place_stays(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "model.run"
    run.mkdir()
    for name, content in (("notes.txt", "mine"), ("run.json", "{oops"), ("run.json", "[]")):
        (run / name).write_text(content)
        for more in ((), ("--resume",)):
            assert main(["train", str(csv), *TINY, "-o", str(tmp_path / "model"), *more]) == 2
            assert "found something else where unfinished work goes; move it" in last_line(capsys)
        assert [path.name for path in run.iterdir()] == [name]
        assert (run / name).read_text() == content
        (run / name).unlink()


def test_a_loss_that_is_no_number_stops_the_run_with_the_reason(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(csv), *TINY, "-o", str(tmp_path / "model"), "--score", "none"]
    assert main([*words, "--learning-rate", "1e30"]) == 2
    line = last_line(capsys)
    assert "the loss is " in line
    assert "lower --learning-rate, or set --clip-norm" in line
    assert (
        main([*words, "--learning-rate", "30", "--clip-norm", "0", "--optimizer", "rmsprop"]) == 2
    )
    line = last_line(capsys)
    assert "over 10 times that of knowing nothing" in line
    assert not (tmp_path / "model").exists()


def test_resuming_nothing_is_said_and_a_run_can_be_kept(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(csv), *TINY, "-o", str(tmp_path / "model"), "--keep-run"]
    assert main([*words, "--resume"]) == 0
    run = tmp_path / "model.run"
    assert f"{run}: no work is kept there, so this run begins anew" in capsys.readouterr().err
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(e["part"], e["number"]) for e in epochs] == [
        (part, number)
        for part in ("fold-1/model", "fold-2/model", "fold-3/model", "shipped")
        for number in (1, 2, 3)
    ]
    before = files_of(tmp_path / "model")
    again = ["train", str(csv), "-o", str(tmp_path / "model"), "--config", str(run / "config.toml")]
    kept = tmp_path / "config.toml"
    kept.write_bytes((run / "config.toml").read_bytes())
    assert main([*again[:-1], str(kept)]) == 0
    assert files_of(tmp_path / "model") == before
    assert not run.exists()
