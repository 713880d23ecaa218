"""What the machine does to a run: full and read-only disks, no memory, clocks, changing files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import rows
from kills import SAMPLE, TINY, files_of, start, wait_for, write
from tidegate.cli import main
from tidegate.data.dataset import read_dataset
from tidegate.errors import DataError
from tidegate.training.checkpoint import Workspace

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its limits")


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `tidegate` in a process of its own, after some code."""
    program = f"import sys; from tidegate.cli import main\n{code}\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.csv", rows(200))


@LINUX
def test_a_file_that_cannot_be_written_is_one_line(csv: Path, tmp_path: Path) -> None:
    words = ["train", str(csv), *TINY, "--hidden-size=32", "-o", str(tmp_path / "model")]
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"
    done = run(limited.format(60_000), *words)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"tidegate: {tmp_path}/model.run/work/")
    assert last.endswith(
        ": File too large; the work before it is kept: mend it, and --resume goes on"
    )
    assert not list(tmp_path.rglob("*.new"))
    assert not (tmp_path / "model").exists()
    assert main([*words, "--resume"]) == 0
    found = files_of(tmp_path / "model")
    assert main(words) == 0
    assert files_of(tmp_path / "model") == found


@LINUX
def test_a_run_that_is_killed_while_it_writes_the_bundle_leaves_nothing_when_it_ends(
    csv: Path, tmp_path: Path
) -> None:
    words = ["train", str(csv), "--epochs=1", "--score=none", "--no-calibrate"]
    assert main([*words, "-o", str(tmp_path / "whole" / "model")]) == 0
    # The system ends who writes a larger file: checkpoints are smaller, the bundle's weights not.
    killed = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))"
    )
    words += ["-o", str(tmp_path / "model")]
    done = run(killed, *words)
    assert done.returncode == -signal.SIGXFSZ, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "whole", "model.run"}
    assert list((tmp_path / "model.run").rglob("weights.safetensors"))
    assert main([*words, "--resume"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "whole", "model"}
    assert files_of(tmp_path / "model") == files_of(tmp_path / "whole" / "model")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(place)]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount on this machine")
    if done.returncode:
        pytest.skip("no right to mount a small file system here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", SAMPLE, "-o", str(small_disk / "model"), "--epochs=2", "--score=split"]
    assert main(words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device" in last
    assert sorted(path.name for path in small_disk.iterdir()) == ["model.run"]
    work = Workspace(small_disk / "model.run" / "work")
    names = [path.stem for path in work.folder.glob("*.safetensors")]
    assert names
    assert all(work.kept(name) is not None for name in names)
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    assert main([*words, "--resume"]) == 0
    assert sorted(path.name for path in small_disk.iterdir()) == ["model"]


def test_a_disk_that_is_read_only_is_one_line_and_keeps_the_work(
    small_disk: Path, csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(csv), *TINY, "-o", str(small_disk / "model")]
    run_place = small_disk / "model.run"
    process = start(words, csv.parent / "log")
    wait_for(process, run_place / "work" / "fold-1.safetensors")
    process.kill()
    process.wait()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for more in (["--resume"], []):
        assert main(["train", *words, *more]) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.endswith(f": {small_disk} cannot be written to; name another path")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert main(["train", *words, "--resume"]) == 0
    assert [path.name for path in small_disk.iterdir()] == ["model"]


@LINUX
def test_a_memory_limit_is_one_line(csv: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, tidegate.report.card, tidegate.training.learner\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000,) * 2)"
    )
    words = ["train", str(csv), *TINY, "--hidden-size=6000", "-o", str(tmp_path / "model")]
    done = run(limited, *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines() == [
        "tidegate: not enough memory; give it more, fewer or shorter rows, or a smaller "
        "--batch-size or --hidden-size"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.slow
def test_a_clock_that_goes_backwards_changes_nothing(csv: Path, tmp_path: Path) -> None:
    backwards = (
        "import time\n"
        "times = iter(range(2_000_000_000, 0, -3600))\n"
        "time.time = lambda: float(next(times))\n"
        "time.time_ns = lambda: next(times) * 1_000_000_000"
    )
    words = ["train", str(csv), *TINY, "-o", str(tmp_path / "model")]
    done = run(backwards, *words)
    assert done.returncode == 0, done.stderr
    found = files_of(tmp_path / "model")
    assert main(words) == 0
    assert files_of(tmp_path / "model") == found


@pytest.mark.parametrize("how", ["grows", "is replaced"])
def test_a_file_that_changes_while_it_is_read_is_told(how: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", rows(60_000))
    ended = threading.Event()

    def change() -> None:
        while not ended.wait(0.001):
            if how == "grows":
                with path.open("a") as stream:
                    stream.write("one more,0\n")
            else:
                beside = path.with_suffix(".new")
                beside.write_bytes(path.read_bytes()[:100_000])
                beside.replace(path)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with pytest.raises(DataError, match=r"rows\.csv: it changed while it was read; wait until"):
            read_dataset(path)
    finally:
        ended.set()
        changing.join()
