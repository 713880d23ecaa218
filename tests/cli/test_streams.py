"""The command line's streams: readers that leave, full disks, closed ones; words with dashes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import tiny_bundle
from tidegate.cli import main

VERBS = [
    "predict {model} fire flood storm",
    "predict {model} fire flood storm --json",
    "inspect {model}",
    "inspect {model} --json",
    "walk {model} fire",
    "walk {model} fire --json",
    "evaluate {model} {data}",
    "evaluate {model} {data} --json",
    "check {data}",
    "predict --help",
    "--version",
]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("streams")
    rows = "".join(f"fire {i},{i % 2}\n" for i in range(200))
    (folder / "d.csv").write_text(f"text,target\n{rows}")
    return {
        "model": str(tiny_bundle().save(folder / "m")), "data": str(folder / "d.csv"),
    }  # fmt: skip


def shell(words: str, *, unbuffered: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `tidegate` as $T in a shell that says the exit code of the first program of a pipe."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    env |= {"T": f"{sys.executable} -m tidegate"}
    env |= {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    return subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, env=env, check=False
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_that_leaves_is_no_fault(names: dict[str, str], verb: str) -> None:
    words = verb.format(**names)
    for reader in ("head -1", "true"):
        done = shell(f"$T {words} | {reader} >/dev/null; exit ${{PIPESTATUS[0]}}")
        assert (done.returncode, done.stderr) == (0, "")
    done = shell(f"$T {words} 2>&1 | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS[::2])
def test_a_full_standard_output_is_one_line(names: dict[str, str], verb: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    for unbuffered in (False, True):
        done = shell(f"$T {verb.format(**names)} > /dev/full", unbuffered=unbuffered)
        assert done.returncode == 2
        assert done.stderr == "tidegate: standard output: No space left on device\n"


def test_a_fault_that_nobody_reads_keeps_its_code(names: dict[str, str]) -> None:
    done = shell(
        "$T predict {model}.none fire 2>&1 | true; exit ${{PIPESTATUS[0]}}".format(**names)
    )
    assert (done.returncode, done.stderr) == (2, "")
    for nowhere in ("2>/dev/full", "2>&-"):
        done = shell(f"$T predict {names['model']}.none fire {nowhere}")
        assert (done.returncode, done.stdout) == (2, "")


def test_closed_streams_are_no_fault(names: dict[str, str]) -> None:
    done = shell("$T predict {model} fire >&-".format(**names))
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("$T predict {model} <&-".format(**names))
    assert done.returncode == 2
    assert "no message; give texts" in done.stderr
    done = shell("$T predict {model} -i - -o {data}.out.csv <&-".format(**names))
    assert done.returncode == 2
    assert "standard input: it is closed; give a file" in done.stderr


def test_training_goes_on_when_nobody_reads_what_it_says(
    names: dict[str, str], tmp_path: Path
) -> None:
    small = "--epochs 1 --vectors none --embedding-size 4 --hidden-size 4 --score none"
    words = "$T train {data} -o {folder}/m " + small + " 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    done = shell(words.format(**names, folder=tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "m" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ("predict", "-5 degrees tonight"),
        ("predict", "-5"),
        ("predict", "--help me please"),
        ("predict", "--- see below"),
        ("predict", "-is this an option"),
        ("walk", "- flood"),
        ("walk", "-🔥"),
    ],
)
def test_a_message_that_begins_with_a_dash_is_told_its_place(
    names: dict[str, str], capsys: pytest.CaptureFixture[str], verb: str, text: str
) -> None:
    assert main([verb, names["model"], text]) == 2
    _, said = capsys.readouterr()
    hint = f"; a message that begins with a dash goes after --: tidegate {verb} MODEL -- {text!r}\n"
    assert said.endswith(hint)
    assert said.count("\n") == 1
    assert main([verb, names["model"], "--", text]) == 0


def test_an_option_that_does_not_exist_is_no_message(
    names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["predict", names["model"], "--frob"], ["predict", names["model"], "-x", "a b"]):
        assert main(words) == 2
        assert "goes after --" not in capsys.readouterr().err


def test_debug_after_the_dashes_is_a_message(
    names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", names["model"], "--", "--debug"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("--debug,")
