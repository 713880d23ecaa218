"""The verbs on files as people have them: flags that say how to read, and what is said of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conftest import WORDS, tiny_bundle
from tidegate.cli import main

ROWS = [(f"{WORDS[i % 20]} {WORDS[(i * 7) % 29]} {'near' * (i % 3)} {i}", i % 2) for i in range(60)]
FEW = ["--epochs", "1", "--vectors", "none", "--hidden-size", "4"]


def table(path: Path, *, head: str = "text,target", encoding: str = "utf-8") -> Path:
    lines = [head] if head else []
    path.write_bytes("\n".join([*lines, *(f"{t},{y}" for t, y in ROWS), ""]).encode(encoding))
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    data = table(folder / "d.csv")
    assert run("train", data, "-o", folder / "m", *FEW) == 0
    return folder / "m"


def test_train_reads_what_the_flags_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "SMS"
    data.write_bytes("".join(f"{y}\tжар {t}\n" for t, y in ROWS).encode("cp1251"))
    flags = ["--format", "tsv", "--encoding", "cp1251", "--columns", "target, text"]
    assert run("check", data, *flags) == 0
    assert "60 messages, binary" in capsys.readouterr().out
    assert run("train", data, "-o", tmp_path / "m", *flags, *FEW) == 0
    assert run("evaluate", tmp_path / "m", data, *flags, "--json") == 0
    report = json.loads(capsys.readouterr().out.split("report.html\n")[-1])
    assert (report["n_rows"], report["learned_rows"]) == (60, 60)
    assert run("train", data, "-o", tmp_path / "m2", *flags[:2], "--encoding", "x", *FEW) == 2
    assert "encoding: found 'x', which is no encoding of text" in capsys.readouterr().err


def test_evaluate_says_how_many_rows_were_learned(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = [f"unseen words {i},{i % 2}" for i in range(20)]
    old = [f"{t.upper()}!!,{y}" for t, y in ROWS[:40]]
    (tmp_path / "d.csv").write_text("\n".join(["text,target", *new, *old]))
    assert run("evaluate", model, tmp_path / "d.csv") == 0
    out = capsys.readouterr().out
    assert "caution: the model learned from 40 of these 60 rows (67%)" in out
    assert "caution: 60 rows are few" in out
    (tmp_path / "d.csv").write_text("\n".join(["text,target", *new * 6]))
    assert run("evaluate", model, tmp_path / "d.csv") == 0
    assert "caution" not in capsys.readouterr().out


def test_a_bundle_that_does_not_know_its_rows_says_nothing_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle().save(tmp_path / "m")
    assert run("evaluate", tmp_path / "m", table(tmp_path / "d.csv"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["learned_rows"] is None


def test_evaluate_takes_other_columns_and_other_labels(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = table(tmp_path / "d.csv", head="tweet,gold")
    assert run("evaluate", model, data) == 2
    assert "it has 'tweet', 'gold': name the right one by --text" in capsys.readouterr().err
    assert run("evaluate", model, data, "--text", "tweet", "--label", "gold") == 0
    capsys.readouterr()
    data.write_text("text,target\nfire,0.0\nflood,True\nstorm,maybe\n")
    assert run("evaluate", model, data) == 2
    assert "Of 3 rows 1 carry labels it does not know (1 of 'maybe')" in capsys.readouterr().err
    assert run("evaluate", model, data, "--unknown-labels", "skip", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["n_rows"] == 2
    assert "labels were read as the model's: '0.0' as '0', 'True' as '1'" in err
    assert "1 of 3 rows were left out, whose labels the model does not know" in err
    for flags in (["--label", "a", "--label", "b"], ["--label-separator", "|"]):
        assert run("evaluate", model, data, *flags) == 2
        assert "the model gives a message one label" in capsys.readouterr().err


def test_several_labels_of_one_column_are_learned_and_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ["fire|flood", "flood", "", "fire"]
    lines = [f"{t},{sets[i % 4]}" for i, (t, _) in enumerate(ROWS)]
    data = tmp_path / "d.csv"
    data.write_text("\n".join(["text,topics", *lines]))
    flags = ["--label", "topics", "--label-separator", "|"]
    assert run("check", data, "--label", "topics") == 2
    assert "the label is empty" in capsys.readouterr().err
    assert run("check", data, *flags) == 0
    assert "label 'fire': 30 rows" in capsys.readouterr().out
    assert run("train", data, "-o", tmp_path / "m", *flags, *FEW) == 0
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["labels"]) == ("multilabel", ["fire", "flood"])
    assert run("evaluate", tmp_path / "m", data) == 0
    capsys.readouterr()
    data.write_text("text,hot,wet\nfire now,1,0\nriver,0,1\n")
    assert run("evaluate", tmp_path / "m", data, "--label", "hot", "--label", "wet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["fire", "flood"]
    assert run("evaluate", tmp_path / "m", data, "--label", "hot", "--label-separator", "|") == 2


def test_a_multilabel_model_needs_its_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle(kind="multilabel").save(tmp_path / "m")
    assert run("evaluate", tmp_path / "m", table(tmp_path / "d.csv")) == 2
    assert "name a 0/1 column for each (a, b, c), or give --label-separator" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([f"message {'x' * i},{i % 2}" for i in range(30)], 0),
        ([f"message {'x' * i},c{i % 12}" for i in range(24)], 0),
        (["win now,1", "see you,0"] * 20, 2),
        (["win now,1", "see you,0"], 2),
        ([f"message {'x' * i},1" for i in range(30)], 2),
    ],
    ids=["few rows", "few a class", "repeats", "two rows", "one class"],
)
def test_check_and_train_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], code: int
) -> None:
    data = tmp_path / "d.csv"
    data.write_text("\n".join(["text,target", *lines]))
    for score in ([], ["--score", "split"]):
        found = [
            (run(*words, *score), capsys.readouterr().err.splitlines()[-1:])
            for words in (["check", data], ["train", data, "-o", tmp_path / "m", *FEW])
        ]
        assert [code for code, _ in found] == [code, code]
        if code:
            assert found[0] == found[1]


def test_check_says_which_labels_would_not_be_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "d.csv"
    lines = [f"message {'x' * i},{'rare' if not i else 'usual'}" for i in range(40)]
    data.write_text("\n".join(["text,target", *lines]))
    assert run("check", data) == 0
    out = capsys.readouterr().out
    assert "train would hold out 39 rows, in 5 folds" in out
    assert "1 of 2 labels have no test row, so nothing is known of how well they are told" in out
    assert "40 rows are few to learn from" in out
    assert run("train", data, "-o", tmp_path / "m", *FEW) == 0
    assert "1 of 2 labels have no test row" in capsys.readouterr().err


def test_check_has_the_flags_of_data_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "d.csv", "--epochs", "2") == 2
    assert "No such option" in capsys.readouterr().err


def test_a_threshold_rule_that_is_none_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", tmp_path / "no.csv", "-o", tmp_path / "m", "--threshold", "bogus") == 2
    assert "threshold: found 'bogus', which is no rule; use one of half, f1" in (
        capsys.readouterr().err
    )


def test_bundle_of_rows_learned_stays_small(model: Path) -> None:
    assert (model / "learned.bin").stat().st_size <= 5 * len(ROWS)
    assert np.unique(np.fromfile(model / "learned.bin", "<u4")).size == len(ROWS)


def test_inspect_is_for_people(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact = json.loads((model / "manifest.json").read_text())
    assert run("inspect", model) == 0
    said = capsys.readouterr().out
    assert f"temperature {exact['temperature']:.4g}".rstrip("0").rstrip(".") in said
    assert "trained on: 60 rows of " in said
    assert said.index("accuracy: ") < said.index("trained on: ") < said.index("hidden_size=4")
    assert not re.search(r"\d\.\d{6}", said)
    assert run("inspect", model, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(shown)[:4] == ["kind", "labels", "thresholds", "temperature"]
    assert shown.keys() == exact.keys() - {"files", "manifest_sha256"}
    value = exact["metrics"]["scores"]["roc_auc"]["value"]
    assert shown["metrics"]["scores"]["roc_auc"]["value"] == pytest.approx(value, rel=1e-3)
    assert not re.search(r"\d\.\d{8}", json.dumps(shown))
