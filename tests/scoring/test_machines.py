"""Bulk scoring on machines as they are: full disks, signals, files in the way. Nothing is lost."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import WORDS, tiny_bundle
from kills import obey_signals
from tidegate.cli import main
from tidegate.data.records import open_records
from tidegate.engine.predictor import HELPED_MESSAGES, Predictor
from tidegate.errors import BundleError, DataError
from tidegate.scoring import files as scoring
from tidegate.scoring.files import score_file

N_ROWS = 9_000
DISK_POINTS = 20
SIGNAL_POINTS = (0.3, 0.6, 0.9)  # of the time that a whole run takes
MORE_SIGNAL_POINTS = tuple((k + 1) / 21 for k in range(20))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle().save(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(3)
    path = tmp_path_factory.mktemp("source") / "in.csv"
    rows = [f"{i},{' '.join(rng.choices(WORDS, k=6))} {i}\n" for i in range(N_ROWS)]
    path.write_text("id,text\n" + "".join(rows))
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PART_ROWS", 256)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A disk of its own, and what sets its size or other options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no program mounts a file system here")
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system, and not everywhere")

    def change(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    yield folder, change
    subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_disk_full_at_twenty_points_changes_no_byte(
    model: Path,
    source: Path,
    tmp_path: Path,
    disk: tuple[Path, Callable[[str], None]],
    kind: str,
) -> None:
    folder, change = disk
    predictor, records = Predictor.load(model), open_records(source)
    whole, output = tmp_path / f"whole.{kind}", folder / f"out.{kind}"
    score_file(predictor, records, whole)
    most = 3 * whole.stat().st_size // 1024  # the parts, with their tables, and the whole
    failed, done_before = 0, 0
    for point in range(DISK_POINTS):
        change(f"size={8 + point * most // DISK_POINTS}k")
        try:
            found = score_file(predictor, records, output, resume=True)
        except DataError as fault:
            failed += 1
            assert str(fault).startswith(f"{output}: No space left on device; "), fault
            assert not output.exists()
            done = len(list(folder.glob(".out.*.parts/part-*")))
            assert done >= done_before
            rows = f"the first {min(done * 256, N_ROWS):,} rows are scored and kept"
            assert (rows if done else "nothing was written") in str(fault)
            done_before = done
        else:
            assert found.resumed == min(done_before * 256, N_ROWS)
            break
    assert failed > DISK_POINTS // 2
    assert output.read_bytes() == whole.read_bytes()
    assert [path.name for path in folder.iterdir()] == [output.name]


def test_a_limit_of_file_size_is_one_line_and_keeps_the_parts(
    model: Path, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", str(source), "-o"]
    subprocess.run([*command, str(output)], capture_output=True, check=True)
    limit = output.stat().st_size - 1  # each part fits, but not the whole file
    output.unlink()
    done = subprocess.run(
        [*command, str(output)], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        f"tidegate: {output}: File too large; the first 9,000 rows are scored and kept: mend it, "
        "and --resume goes on after them\n"
    )
    done = subprocess.run(
        [*command, str(output), "--resume"], capture_output=True, text=True, check=True
    )
    assert "9000 rows, 9000 of them by an earlier run" in done.stderr
    assert len(output.read_text().splitlines()) == N_ROWS + 1


def test_a_disk_that_may_only_be_read_is_named_at_once(
    model: Path,
    source: Path,
    disk: tuple[Path, Callable[[str], None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, change = disk
    change("ro")
    for words in (
        ["predict", str(model), "-i", str(source), "-o", str(folder / "out.csv")],
        ["walk", str(model), "fire", "--html", str(folder / "walk.html")],
        ["train", str(source), "-o", str(folder / "model")],
    ):
        assert main(words) == 2
        _, said = capsys.readouterr()
        assert "cannot be written to; name another" in said
        assert said.count("\n") == 1


def test_no_room_for_the_copy_of_standard_input_is_one_line(
    model: Path, source: Path, tmp_path: Path, disk: tuple[Path, Callable[[str], None]]
) -> None:
    folder, _ = disk
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", "-", "-o"]
    with source.open() as stream:
        done = subprocess.run(
            [*command, str(tmp_path / "out.csv")], stdin=stream, capture_output=True, text=True,
            env={**os.environ, "TMPDIR": str(folder)}, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        f"tidegate: standard input: its copy in {folder}: No space left on device; give a file, or "
        "name another folder in TMPDIR\n"
    )
    assert list(folder.iterdir()) == []


def test_a_bundle_that_finds_no_room_leaves_the_one_that_is_there(
    disk: tuple[Path, Callable[[str], None]],
) -> None:
    folder, change = disk
    change("size=40k")
    place = tiny_bundle().save(folder / "model")
    before = (place / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="model: No space left on device; nothing was written"):
        tiny_bundle(hidden_size=64).save(place)
    assert (place / "manifest.json").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["model"]


def test_a_folder_that_vanishes_meanwhile_is_one_line(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "PART_ROWS", 256)
    output = tmp_path / "there" / "out.csv"
    output.parent.mkdir()

    def vanish(rows: int) -> None:
        if rows == 512:
            shutil.rmtree(output.parent)

    with pytest.raises(DataError, match=r"out.csv: No such file or directory; the first 512 rows"):
        score_file(Predictor.load(model), open_records(source), output, on_progress=vanish)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("x" * 300 + ".csv", "File name too long; name another place"),
        ("in.csv/out.csv", "there is no folder"),
        ("folder.csv", "a folder is in the way; name a file"),
    ],
)
def test_an_output_that_cannot_be_is_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, why: str
) -> None:
    (tmp_path / "in.csv").write_text("text\nfire\n")
    (tmp_path / "folder.csv").mkdir()
    words = ["predict", str(model), "-i", str(tmp_path / "in.csv"), "-o", str(tmp_path / output)]
    assert main(words) == 2
    _, said = capsys.readouterr()
    assert why in said
    assert said.count("\n") == 1


def test_a_long_name_has_room_for_what_stands_beside_it(model: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / ("x" * 240 + ".csv")
    source.write_text("text\nfire\n")
    assert score_file(Predictor.load(model), open_records(source), output).rows == 1


def helpers_of(pid: int) -> list[int]:
    """Return the helper processes that a process started, by their command lines."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if str(pid).encode() in words and any(b"help_out" in word for word in words):
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(SIGNAL_POINTS, id="three"),
        pytest.param(MORE_SIGNAL_POINTS, id="twenty", marks=pytest.mark.slow),
    ],
)
def test_a_signal_leaves_parts_and_nothing_else(
    model: Path, source: Path, tmp_path: Path, name: str, points: tuple[float, ...]
) -> None:
    assert N_ROWS > HELPED_MESSAGES
    number = getattr(signal, name)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", "-", "--threads", "3"]

    def run(output: Path) -> subprocess.Popen[str]:
        with source.open() as stream:
            return subprocess.Popen(
                [*command, "-o", str(output), "--resume"], stdin=stream, stderr=subprocess.PIPE,
                text=True, env=env, preexec_fn=obey_signals,
            )  # fmt: skip

    start = time.perf_counter()
    whole = run(tmp_path / "whole.csv")
    assert "9000 rows" in whole.communicate()[1]
    usual = time.perf_counter() - start
    output = tmp_path / "out.csv"
    for point in points:
        process = run(output)
        time.sleep(point * usual)
        process.send_signal(number)
        _, said = process.communicate()
        assert process.returncode in (0, -number, 128 + number)  # done, or not yet at work
        if name not in ("SIGKILL", "SIGINT") and process.returncode == 128 + number:
            assert "Traceback" not in said
            assert f"ended by {name}" in said
        until = time.monotonic() + 20
        while helpers_of(process.pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert not helpers_of(process.pid)
        assert list(temporary.iterdir()) == []
        output.unlink(missing_ok=True)
    last = run(output)
    assert "9000 rows" in last.communicate()[1]
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"temporary", "whole.csv", "out.csv"}


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_ending_signal_says_how_to_go_on(
    model: Path, source: Path, tmp_path: Path, name: str, code: int
) -> None:
    many = tmp_path / "many.csv"
    lines = source.read_text().splitlines(keepends=True)
    many.write_text(lines[0] + "".join(lines[1:]) * 20)
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", str(many), "-o"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "out.csv")], stderr=subprocess.PIPE, text=True,
        preexec_fn=obey_signals,
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / ".out.csv.parts" / "part-000000").exists():
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate()
    assert process.returncode == code
    assert said == f"tidegate: predict: ended by {name}; --resume goes on from here\n"
    assert (tmp_path / ".out.csv.parts" / "part-000000").exists()


def test_a_signal_that_is_ignored_stays_so(model: Path, source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", str(source), "-o"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "out.csv")], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # as nohup does
    )  # fmt: skip
    time.sleep(0.2)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate()
    assert process.returncode == 0
    assert "9000 rows" in said


@pytest.mark.parametrize("way", ["name", "spelling", "symlink", "hard link", "through a folder"])
def test_an_output_that_is_the_input_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text\nfire\n")
    output = {
        "name": source, "spelling": tmp_path / ".." / tmp_path.name / "in.csv",
        "through a folder": tmp_path / "folder" / "in.csv",
    }.get(way, tmp_path / "other.csv")  # fmt: skip
    if way == "symlink":
        output.symlink_to(source)
    if way == "hard link":
        output.hardlink_to(source)
    if way == "through a folder":
        (tmp_path / "folder").symlink_to(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["predict", str(model), "-i", str(source), "-o", str(output)]) == 2
    _, said = capsys.readouterr()
    assert said == (
        f"tidegate: {output}: it is the input, which stays as it is; name another output\n"
    )
    assert source.read_text() == "text\nfire\n"
    assert sorted(tmp_path.iterdir()) == before


def test_an_output_that_is_standard_input_is_refused(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text\nfire\n")
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", "-", "-o"]
    with source.open() as stream:
        done = subprocess.run(
            [*command, str(source)], stdin=stream, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert "it is the input, which stays as it is" in done.stderr
    assert source.read_text() == "text\nfire\n"


def test_what_is_not_ours_in_the_parts_place_is_never_touched(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\nfire\n")
    parts = tmp_path / ".out.csv.parts"

    def refused(*more: str) -> str:
        assert main(["predict", str(model), "-i", str(source), "-o", str(output), *more]) == 2
        _, said = capsys.readouterr()
        assert said.count("\n") == 1
        assert str(parts) in said
        assert not output.exists()
        return said

    parts.write_text("mine")
    assert "found something else where the finished parts go; move it" in refused()
    assert parts.read_text() == "mine"
    parts.unlink()
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, content in (("part-000000", "mine"), ("lock", "mine"), ("notes.txt", "")):
        (mine / name).write_text(content)
        parts.symlink_to(mine)
        assert "found something else" in refused()
        parts.unlink()
        mine.rename(parts)
        for more in ((), ("--resume",)):
            assert f"found '{name}' where the finished parts go" in refused(*more)
        assert [path.name for path in parts.iterdir()] == [name]
        assert (parts / name).read_text() == content
        parts.rename(mine)
        (mine / name).unlink()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"mine": 1}', "[" * 100_000, "\xff"])
def test_a_broken_job_file_is_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\nfire\n")
    parts = tmp_path / ".out.csv.parts"
    parts.mkdir()
    (parts / "job.json").write_text(content, encoding="latin-1")
    (parts / "part-000000").write_text("fire,0\n")
    for more in ((), ("--resume",)):
        assert main(["predict", str(model), "-i", str(source), "-o", str(output), *more]) == 2
        _, said = capsys.readouterr()
        assert "job.json: not a job file as tidegate writes it; move the folder away" in said
        assert said.count("\n") == 1
    assert sorted(path.name for path in parts.iterdir()) == ["job.json", "part-000000"]


@pytest.mark.usefixtures("small_parts")
def test_another_file_among_our_parts_stays(model: Path, source: Path, tmp_path: Path) -> None:
    predictor, output = Predictor.load(model), tmp_path / "out.csv"
    parts = tmp_path / ".out.csv.parts"

    def add(rows: int) -> None:
        (parts / "notes.txt").write_text("mine")

    score_file(predictor, open_records(source), output, on_progress=add)
    assert [path.name for path in parts.iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("small_parts")
def test_parts_half_removed_by_a_kill_are_scored_again(
    model: Path, source: Path, tmp_path: Path
) -> None:
    predictor, output = Predictor.load(model), tmp_path / "out.csv"
    score_file(predictor, open_records(source), tmp_path / "whole.csv")
    rng = random.Random(4)

    class Stopped(BaseException):
        """What a kill looks like from inside."""

    def stop(rows: int) -> None:
        if rows == 2560:
            raise Stopped

    for _ in range(8):
        with contextlib.suppress(Stopped):
            score_file(predictor, open_records(source), output, resume=True, on_progress=stop)
        for path in (tmp_path / ".out.csv.parts").glob("*-0*"):
            if rng.random() < 0.2:
                path.unlink()
    score_file(predictor, open_records(source), output, resume=True)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / ".out.csv.parts").exists()


@pytest.mark.usefixtures("small_parts")
def test_parts_that_others_broke_are_one_line(model: Path, source: Path, tmp_path: Path) -> None:
    predictor, output = Predictor.load(model), tmp_path / "out.parquet"
    parts = tmp_path / ".out.parquet.parts"

    class Stopped(BaseException):
        """What a kill looks like from inside."""

    def stop(rows: int) -> None:
        if rows == 512:
            raise Stopped

    for name, why in (("faults-000001.json", "broken"), ("part-000001", "broken")):
        with pytest.raises(Stopped):
            score_file(predictor, open_records(source), output, on_progress=stop)
        (parts / name).write_bytes(b"PAR1?")
        with pytest.raises(DataError, match=f"{name}: {why}.*; score again without resuming"):
            score_file(predictor, open_records(source), output, resume=True)


def test_an_output_that_is_there_is_told_or_kept(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\nfire\n")
    output.write_text("mine")
    words = ["predict", str(model), "-i", str(source), "-o", str(output)]
    assert main([*words, "--no-clobber"]) == 2
    assert "out.csv: it is there already, and --no-clobber keeps it" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main(words) == 0
    assert "out.csv: it is there already, and will be replaced\n" in capsys.readouterr().err
    assert output.read_text().startswith("text,predicted_label")
    output.unlink()
    assert main([*words, "--no-clobber"]) == 0
    assert "already" not in capsys.readouterr().err
