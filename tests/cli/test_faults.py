"""Twenty-odd kinds of bad input: each ends in exit code 2, one line, and no file."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import tiny_bundle
from tidegate.cli import main

GOOD = "text,target\n" + "".join(f"message number {i} is here,{i % 2}\n" for i in range(60))
Fault = tuple[str, Callable[[Path], list[str]], str]


def train_on(name: str, content: str | bytes, *flags: str) -> Callable[[Path], list[str]]:
    """Return what writes a data file and gives the command that trains on it."""

    def arguments(folder: Path) -> list[str]:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
        return ["train", str(folder / name), "-o", str(folder / "model"), *flags]

    return arguments


def command(*words: str) -> Callable[[Path], list[str]]:
    """Return what gives a command in which {folder} is the test's folder."""
    return lambda folder: [word.format(folder=folder) for word in words]


FAULTS: list[Fault] = [
    ("missing file", command("train", "{folder}/no.csv", "-o", "{folder}/model"),
     "no.csv: no such file; check the path"),
    ("a folder", command("train", "{folder}", "-o", "{folder}/model"),
     "a folder was found; name one file in it"),
    ("unknown kind of file", train_on("d.xls", GOOD), "unknown kind of file; its name should end"),
    ("empty file", train_on("d.csv", ""), "the file is empty; it needs a header and rows"),
    ("only white space", train_on("d.csv", "\n\n \n\n"), "no column 'text'; it has ' '"),
    ("header but no rows", train_on("d.csv", "text,target\n"), "a header but no rows"),
    ("missing column", train_on("d.csv", "tweet,target\na,1\n"),
     "no column 'text'; it has 'tweet', 'target': name the right one"),
    ("missing label column", train_on("d.csv", GOOD, "--label", "urgent"),
     "no column 'urgent'; it has 'text', 'target'"),
    ("wrong separator", train_on("d.csv", GOOD.replace(",", ";")),
     "its separator seems to be ';': save it with commas"),
    ("column twice", train_on("d.csv", "text,text,target\n"), "column 'text' stands twice"),
    ("empty label", train_on("d.csv", GOOD + "help us,\n"),
     "row 61 (line 62), column 'target': the label is empty; fill it or drop the row"),
    ("missing label in JSON", train_on("d.jsonl", '{"text": "a", "target": null}\n'),
     "row 1 (line 1), column 'target': the label is empty"),
    ("one class only", train_on("d.csv", GOOD.replace(",0\n", ",1\n")),
     "column 'target': found one class only ('1'); give two"),
    ("a label a row", train_on("d.csv", GOOD, "--label", "text", "--text", "target"),
     "found 60 classes in 60 rows; name the column that holds the label"),
    ("a row that is not text", train_on("d.jsonl", '{"text": 5, "target": 1}\n'),
     "row 1 (line 1), column 'text': found int 5; a message is text"),
    ("a broken quote", train_on("d.csv", GOOD + '"left open,1\n'),
     "row 61 (line 62): a quote is left open to the end of the file"),
    ("a stray quote", train_on("d.csv", GOOD + '"in the" middle,1\n'),
     "row 61 (line 62): ',' expected after '\"'; a quote inside a quoted field is written"),
    ("too many fields", train_on("d.csv", GOOD + "a,b,c\n"),
     "row 61 (line 62): 3 fields found, 2 needed; quote a text that holds the separator"),
    ("a binary file", train_on("d.csv", bytes(range(256)) * 40), "found binary data; save it as"),
    ("a spreadsheet", train_on("d.csv", b"PK\x03\x04" + bytes(900)),
     "the zip data is broken (File is not a zip file); compress it anew, or save it as CSV"),
    ("UTF-16 without a mark", train_on("d.csv", GOOD.encode("utf-16-le")),
     "found UTF-16 text without its mark; give --encoding utf-16-le"),
    ("neither UTF-8 nor cp1252", train_on("d.csv", GOOD.encode() + b"caf\x81,1\n"),
     "row 61 (line 62): byte 0x81 is not UTF-8; mend it, or give the right --encoding"),
    ("broken gzip", train_on("d.csv.gz", gzip.compress(GOOD.encode())[:-20]),
     "the gzip data is broken"),
    ("JSON that is none", train_on("d.jsonl", '{"text": "a", "target": 1}\n{oops\n'),
     "row 2 (line 2): not JSON"),
    ("JSON that is no object", train_on("d.jsonl", '{"text": "a", "target": 1}\n[1]\n'),
     "row 2 (line 2): found list; write one JSON object a line"),
    ("no Parquet", train_on("d.parquet", GOOD), "not a Parquet file"),
    ("too few rows", train_on("d.csv", "text,target\na,0\na,1\n"), "too few"),
    ("multi-label cell that is not 0 or 1",
     train_on("d.csv", "text,a,b\nx,1,2\ny,0,1\n", "--label", "a", "--label", "b"),
     "row 1, column 'b': found '2'; a multi-label column holds 0 or 1"),
    ("unknown preset", train_on("d.csv", GOOD, "--preset", "bset"),
     "preset 'bset' does not exist: choose one of"),
    ("unknown flag", train_on("d.csv", GOOD, "--hidden-sise", "3"), "No such option"),
    ("a setting out of bounds", train_on("d.csv", GOOD, "--dropout", "1.5"),
     "dropout: found 1.5; it must be below 1"),
    ("a setting of the wrong type", train_on("d.csv", GOOD, "--epochs", "many"), "--epochs"),
    ("a seed that a random split cannot have",
     train_on("d.csv", GOOD, "--split", "random", "--split-seed", "8589934592"),
     "split_seed: found 8589934592; of a random split it must be below 4294967296"),
    ("texts that nobody labels", train_on("d.csv", GOOD, "--unlabelled", "more.csv"),
     "unlabelled: found 'more.csv', but there is no teacher; give one or leave it out"),
    ("a setting of a teacher, of whom there is none",
     train_on("d.csv", GOOD, "--preset", "best", "--teacher-folds", "8"),
     "teacher_folds: found 8, but there is no teacher; give one or leave it out"),
    ("missing vectors", train_on("d.csv", GOOD, "--vectors", "no.txt"),
     "vectors: 'no.txt': no such file; give words, wordllama, none or a file"),
    ("no bundle there", command("predict", "{folder}/no", "help"),
     "no bundle there; name a directory that tidegate train wrote"),
    ("unknown verb", command("prognosticate"), "No such command 'prognosticate'"),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[name for name, _, _ in FAULTS])
def test_a_fault_is_one_line_and_leaves_nothing(
    fault: Fault, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, arguments, expected = fault
    words = arguments(tmp_path)
    before = sorted(tmp_path.iterdir())
    code = main(words)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if "were kept, and say nothing" not in line]
    assert code == 2, err
    assert lines[-1].startswith("tidegate: ")
    assert expected in lines[-1]
    assert len(lines) == 1
    assert "model written" not in out
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_in_the_way_of_training_is_found_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.csv").write_text(GOOD)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    assert main(["train", str(tmp_path / "d.csv"), "-o", str(tmp_path / "model")]) == 2
    out, err = capsys.readouterr()
    assert "found something that is no bundle; name another path" in err
    assert "Epoch" not in out
    assert (tmp_path / "model" / "notes.txt").read_text() == "mine"


def test_a_bundle_that_is_there_is_told_or_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.csv").write_text(GOOD)
    model = tiny_bundle().save(tmp_path / "model")
    before = (model / "manifest.json").read_bytes()
    words = ["train", str(tmp_path / "d.csv"), "-o", str(model), "--epochs", "1", "--vectors"]
    words += ["none", "--score", "none"]
    assert main([*words, "--no-clobber"]) == 2
    out, err = capsys.readouterr()
    assert err == (
        f"tidegate: {model}: it is there already, and --no-clobber keeps it; name another\n"
    )
    assert not out
    assert (model / "manifest.json").read_bytes() == before
    assert main(words) == 0
    assert f"{model}: it is there already, and will be replaced\n" in capsys.readouterr().err
    assert (model / "manifest.json").read_bytes() != before


def test_train_private_leaves_the_messages_out(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(GOOD)
    words = ["train", str(tmp_path / "d.csv"), "--epochs", "1", "--vectors", "none", "-o"]
    assert main([*words, str(tmp_path / "shown")]) == 0
    assert main([*words, str(tmp_path / "hidden"), "--private"]) == 0
    assert "message number" in (tmp_path / "shown" / "report.html").read_text()
    for path in (tmp_path / "hidden").iterdir():
        assert b"message number" not in path.read_bytes(), path.name


@pytest.mark.parametrize("output", [".", "..", "no/.."])
def test_a_folder_without_a_name_is_refused_as_any_other(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "d.csv").write_text(GOOD)
    monkeypatch.chdir(tmp_path / "here")
    assert main(["train", "d.csv", "-o", output]) == 2
    assert "found something that is no bundle; name another path" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "d.csv"]


def test_training_into_this_folder_keeps_its_work_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d.csv").write_text(GOOD)
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    words = ["train", "../d.csv", "-o", ".", "--epochs", "1", "--vectors", "none", "--keep-run"]
    assert main(words) == 0
    assert (tmp_path / "model" / "report.html").exists()
    assert (tmp_path / "model.run" / "metrics.jsonl").exists()


@pytest.mark.parametrize("name", ["v.txt", "v.npy"])
def test_vectors_that_are_not_utf8_are_named_with_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "d.csv").write_text(GOOD)
    (tmp_path / "v.txt").write_bytes("fire 0.5 1\ncafé 1 0.5\n".encode("latin-1"))
    np.save(tmp_path / "v.npy", np.eye(2))
    words = ["train", str(tmp_path / "d.csv"), "-o", str(tmp_path / "model")]
    assert main([*words, "--vectors", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert "v.txt: line 2: not UTF-8; save it as UTF-8 text" in error
    assert error.count("\n") == 1


def test_a_label_the_model_does_not_know_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle().save(tmp_path / "model")
    (tmp_path / "d.csv").write_text("text,target\nfire,1\nflood,maybe\n")
    assert main(["evaluate", str(tmp_path / "model"), str(tmp_path / "d.csv")]) == 2
    assert "row 2, column 'target': found 'maybe'; the model knows 0, 1" in capsys.readouterr().err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tidegate", "--debug", "inspect", str(tmp_path / "no")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert "BundleError" in done.stderr


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let standard input hold these bytes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_line_of_standard_input_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tiny_bundle().save(tmp_path / "model"))
    texts = ["fire\u2028near\x85the\x0bhouse\x0c", "", "help, please"]
    for data in ("\n".join(texts), "\r\n".join([*texts, ""]), "\ufeff" + "\n".join(texts)):
        given(monkeypatch, data.encode())
        assert main(["predict", model, "--json"]) == 0
        rows = capsys.readouterr().out.split("\n")[:-1]
        assert [json.loads(row)["text"] for row in rows] == texts


def test_standard_input_that_is_not_utf8_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, "fire\ncafé\n".encode("latin-1"))
    assert main(["predict", str(tiny_bundle().save(tmp_path / "model"))]) == 2
    out, err = capsys.readouterr()
    assert err == "tidegate: standard input: line 2: not UTF-8; give it as UTF-8\n"
    assert not out


def test_a_reader_that_leaves_a_pipe_is_no_fault(tmp_path: Path) -> None:
    tiny_bundle().save(tmp_path / "model")
    (tmp_path / "many.txt").write_text("fire near the river\n" * 50_000)
    words = f"{sys.executable} -m tidegate predict {tmp_path / 'model'} < {tmp_path / 'many.txt'}"
    env = {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"}
    done = subprocess.run(
        f"{words} | head -2", shell=True, capture_output=True, text=True, env=env, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("text,label,probability_0,probability_1\n")


def test_predictions_are_machine_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle().save(tmp_path / "model")
    assert main(["predict", str(tmp_path / "model"), "--json", "fire, now", "coffee"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["fire, now", "coffee"]
    assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-9 for row in rows)
    assert rows[0]["label"] in ("0", "1")
