"""Kill a training at random moments, resume it, and compare its bundle with the whole run's.

A program of its own: it loads the libraries once and forks a process for each run, so that a run
costs what training costs. It takes one JSON object and prints one.

    words : of `tidegate train`, without -o
    folder : where the bundles go
    kills : how many runs are killed; runs that end before are not counted
    twice : of these, how many are killed again while they are resumed
    seed : of the moments
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.data.dataset import Dataset

SAMPLE = str(Path(__file__).parents[1] / "src" / "tidegate" / "sample" / "messages.csv")
TINY = [
    "--vectors=none", "--embedding-size=6", "--hidden-size=4", "--epochs=3", "--folds=3",
    "--min-count=1",
]  # fmt: skip


def write(path: Path, data: Dataset) -> Path:
    """Write rows as a CSV, several labels in columns of their own."""
    several = data.kind == "multilabel"
    names = data.labels if several else ("target",)
    cells = data.targets if several else [[data.labels[y]] for y in data.targets]
    lines = [",".join([text, *map(str, row)]) for text, row in zip(data.texts, cells, strict=True)]
    path.write_text("\n".join([",".join(["text", *names]), *lines]) + "\n", encoding="utf-8")
    return path


def obey_signals() -> None:
    """Undo what `nohup` or a background shell has the tests, and all they start, ignore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(words: list[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own, what it says in a file."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "tidegate", "train", *words], stdout=stream, stderr=stream,
            env={**os.environ, "OMP_NUM_THREADS": "1", **more}, preexec_fn=obey_signals,
        )  # fmt: skip


def wait_for(process: subprocess.Popen[bytes], *places: Path) -> None:
    """Wait until one of some files is there."""
    while not any(place.exists() for place in places):
        assert process.poll() is None
        time.sleep(0.005)


def killed(words: list[str], folder: Path, **job: Any) -> dict[str, Any]:
    """Run the experiment in a process of its own; return what it found."""
    job |= {"words": words, "folder": str(folder)}
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(job)], capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def files_of(model: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a bundle."""
    return {path.name: path.read_bytes() for path in sorted(model.iterdir())}


def _begin(words: list[str], log: Path) -> int:
    """Start a run in a fork; return its process id."""
    from tidegate.cli import main

    process = os.fork()
    if process:
        return process
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os._exit(main(words))


def _end(process: int, *, after_s: float | None = None) -> int:
    """Wait for a run, or kill it after a time; return its exit code, negative if it was killed."""
    limit = None if after_s is None else time.monotonic() + after_s
    while True:
        found, status = os.waitpid(process, 0 if limit is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if limit is not None and time.monotonic() >= limit:
            os.kill(process, signal.SIGKILL)
            limit = None
        time.sleep(0.001)


def _experiment(job: dict[str, Any]) -> dict[str, Any]:
    import tidegate.cli.train
    import tidegate.distillation.student
    import tidegate.report.card
    import tidegate.training.learner  # noqa: F401

    rng = np.random.default_rng(job["seed"])
    folder = Path(job["folder"])

    def words(name: str, *more: str) -> list[str]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        return ["train", *job["words"], "-o", str(folder / name / "model"), *more]

    started = time.monotonic()
    code = _end(_begin(words("whole"), folder / "log"))
    took = time.monotonic() - started
    whole = files_of(folder / "whole" / "model")
    found: dict[str, Any] = {"code": code, "whole_s": round(took, 3), "killed": 0, "differ": []}
    found["left"], found["kept"] = [], 0
    for number in range(4 * job["kills"]):
        if found["killed"] == job["kills"]:
            break
        name, after = f"run-{number}", float(rng.uniform(0, took))
        began = time.monotonic()
        code = _end(_begin(words(name), folder / "log"), after_s=after)
        if code != -signal.SIGKILL:  # it was sooner done than the whole run
            took = min(took, time.monotonic() - began)
            continue
        found["killed"] += 1
        found["kept"] += any((folder / name).glob("model.run/work/**/*.safetensors"))
        if number < job.get("twice", 0):
            after = float(rng.uniform(0, took))
            _end(_begin(words(name, "--resume"), folder / "log"), after_s=after)
        code = _end(_begin(words(name, "--resume"), folder / "log"))
        now = files_of(folder / name / "model") if code == 0 else {}
        changed = [file for file in whole if now.get(file) != whole[file]]
        if code or changed or now.keys() != whole.keys():
            found["differ"].append([number, round(after, 3), code, changed])
        found["left"] += [p.name for p in (folder / name).iterdir() if p.name != "model"]
    return found


if __name__ == "__main__":
    print(json.dumps(_experiment(json.loads(sys.argv[1]))))
