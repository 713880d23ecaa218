"""Other people's texts, labels and names are shown on a terminal, never obeyed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import made_up, small, tiny_bundle
from tidegate.cli import main
from tidegate.cli.printing import put, say
from tidegate.errors import visible
from tidegate.report.card import markdown, with_report
from tidegate.training.learner import Learner, train_and_score

# What a line for people must not hold; a tab is harmless.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
EVIL = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202edrawkcab\r\x08"
FOLDER = "mo\x1b[2Jdel\u202e"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    bundle = replace(
        tiny_bundle(3), labels=(f"calm{EVIL}", f"urgent{EVIL}\nlabel 'forged': 9 rows"),
        metrics={"scores": {EVIL: {"value": 0.5, "low": 0.4, "high": 0.6}}},
        training_data={"source": EVIL, "rows": 3, "sha256": "0" * 64},
    )  # fmt: skip
    config = bundle.config.with_settings(text=f"text{EVIL}", label=[f"target{EVIL}"])
    return replace(bundle, config=config).save(tmp_path / FOLDER)


def table(path: Path, rows: list[list[str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return str(path)


def labelled(model: Path) -> str:
    labels = [f"calm{EVIL}", f"urgent{EVIL}\nlabel 'forged': 9 rows"]
    rows = [[f"fire {k} {EVIL}", labels[k % 2]] for k in range(60)]
    place = model.parent / f"da\x1b[2Jta{EVIL[1:6]}.csv"
    return table(place, [[f"text{EVIL}", f"target{EVIL}"], *rows])


def quiet(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, all of it harmless."""
    out, err = capsys.readouterr()
    assert not STEERING.search(out), ascii(out)
    assert not STEERING.search(err), ascii(err)
    return out + err


def test_verbs_show_what_they_quote(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = labelled(model)
    for arguments in (
        ["inspect", str(model)], ["inspect", "--json", str(model)], ["evaluate", str(model), data],
        ["evaluate", str(model), data, "--json"], ["predict", str(model), EVIL, "--json"],
        ["walk", str(model), f"fire {EVIL}"], ["walk", str(model), f"fire {EVIL}", "--json"],
        ["check", data, "--text", f"text{EVIL}", "--label", f"target{EVIL}"],
    ):  # fmt: skip
        assert main(arguments) == 0, capsys.readouterr()
        printed = quiet(capsys)
        assert "\nlabel 'forged'" not in printed
    assert main(["walk", str(model), f"fire {EVIL}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == f"fire {EVIL}"


def test_faults_show_what_they_quote(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = labelled(model)
    for arguments in (
        ["inspect", f"nowhere{EVIL}"], ["check", f"nowhere{EVIL}.csv"],
        ["check", data, "--text", f"other{EVIL}"], ["walk", str(model), "fire", "--label", EVIL],
        ["train", data, "-o", str(model), f"--{EVIL}"], [EVIL], ["predict", str(model), f"-{EVIL}"],
    ):  # fmt: skip
        assert main(arguments) == 2
        assert quiet(capsys).count("\n") == 1


def test_csv_in_a_pipe_is_faithful(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"fire\n{EVIL}"
    assert main(["predict", str(model), text]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows[1][0] == text
    assert rows[0][2] == f"probability_calm{EVIL}"


def test_csv_on_a_terminal_is_harmless(model: Path) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tidegate", "predict", str(model), f"fire {EVIL}"]
    done = subprocess.run(command, stdout=slave, stderr=subprocess.PIPE, check=False)
    os.close(slave)
    assert done.returncode == 0, done.stderr
    printed = os.read(master, 100_000).decode().replace("\r\n", "\n")  # a terminal ends lines so
    os.close(master)
    assert not STEERING.search(printed), ascii(printed)
    assert "\\u001b[31mred" in printed


def test_half_a_character_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say("half \ud83d")
    put("half \ud83d\nand a line")
    out, err = capsys.readouterr()
    assert (out, err) == ("half \\ud83d\\u000aand a line\n", "half \\ud83d\n")


def test_what_is_harmless_stays_as_it_is() -> None:
    for text in ("fire 火 🔥 é\ta\u0301 العربية", "👩\u200d🚒", "a\u00a0b"):
        assert visible(text) == text
    assert visible("a\nb", lines=True) == "a\nb"


def test_the_model_card_shows_labels_as_they_are() -> None:
    evil = ("<script>alert(1)</script>", f"[x](javascript:y) | `b` {EVIL}\n# Head", "*c*")
    data = replace(made_up("multilabel"), labels=evil)
    scored = train_and_score(Learner(data, small(epochs=1)))
    card = with_report(scored, title="my_model <b>").extra_files["README.md"].decode()
    assert "\n# my\\_model \\<b\\>\n" in card
    assert "\\<script\\>alert\\(1\\)\\</script\\>, \\[x\\]\\(javascript:y\\) \\| \\`b\\` " in card
    assert "\n# Head" not in card
    assert not STEERING.search(card)
    assert markdown("not-urgent, 5 % & more") == "not-urgent, 5 % \\& more"


def test_the_shell_can_complete_verbs_and_flags() -> None:
    def completed(words: str, n: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from tidegate.cli import main; main()"],
            env={**os.environ, "_TIDEGATE_COMPLETE": "complete_bash", "COMP_WORDS": words,
                 "COMP_CWORD": str(n), "_TYPER_COMPLETE_ARGS": words},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.split()

    assert completed("tidegate tr", 1) == ["train"]
    assert completed("tidegate train --ep", 2) == ["--epochs"]
