"""The reference data: checked where it lies, and what is said where it cannot be had."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from tidegate.cli import main


def test_the_competitions_file_is_known_and_kept(tweets: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    assert main(["fetch", "disaster-tweets", "--file", str(tweets), "-o", str(output)]) == 0
    assert output.read_bytes() == tweets.read_bytes()
    assert main(["fetch", "disaster-tweets", "--file", str(tweets), "-o", str(output),
                 "--no-clobber"]) == 2  # fmt: skip


def test_another_file_is_refused(
    tweets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.csv"
    shutil.copy(tweets, path)
    path.write_bytes(
        path.read_bytes().replace(b",1\r\n", b",0\r\n", 1).replace(b",1\n", b",0\n", 1)
    )
    for source, told in (("competition", "not those of train.csv"), ("cc0", "has 11370")):
        assert main(["fetch", "disaster-tweets", "--file", str(path), "--source", source,
                     "-o", str(tmp_path / "out.csv")]) == 2  # fmt: skip
        assert told in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["train.csv"]


def test_a_file_of_other_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nfire,1\n")
    assert main(["fetch", "disaster-tweets", "--file", str(path), "-o", str(tmp_path / "o")]) == 2
    assert "found the columns text, label; train.csv has id, keyword" in capsys.readouterr().err


def test_without_kagglehub_its_install_command_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec("kagglehub") is not None:
        pytest.skip("kagglehub is installed here")
    assert main(["fetch", "disaster-tweets", "--source", "cc0", "-o", str(tmp_path / "o.csv")]) == 2
    told = capsys.readouterr().err
    assert "the competition's test rows" in told
    assert "pip install 'tidegate[fetch]'" in told
