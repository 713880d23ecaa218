"""A million messages from CSV to Parquet: rate, memory, and twenty SIGKILLs.

    python -m benchmarks.bench_bulk MODEL [--rows 1000000] [--kills 20]

The reference tweets are repeated with varied numbers. Memory is the largest sum over the process
and its helpers, of what each holds alone and its part of what they share. The killed run is
started again with --resume each time, and its output must equal the uninterrupted one's.
"""

from __future__ import annotations

import argparse
import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as parquet

from benchmarks.results_file import DATA, write


def make_rows(path: Path, n: int) -> None:
    with (DATA / "tweets.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    rng = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "keyword", "text"])
        for i in range(n):
            row = rows[i % len(rows)]
            writer.writerow([i, row["keyword"], f"{row['text']} {rng.randrange(10**6)}"])


def memory_bytes(pid: int) -> int:
    """Return the proportional set size of a process and its children."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    total += next(int(x.split()[1]) for x in text.splitlines() if x.startswith("Pss:")) * 1024
    return total + sum(memory_bytes(int(child)) for child in children)


def run(command: list[str], *, kill_after: float | None = None) -> tuple[int, float, int]:
    """Return exit code, seconds and peak bytes of a command."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, memory_bytes(process.pid))
        if kill_after is not None and time.perf_counter() - start >= kill_after:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    return process.wait(), time.perf_counter() - start, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    figures: dict[str, object] = {"rows": options.rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "messages.csv"
        make_rows(source, options.rows)
        base = [sys.executable, "-m", "tidegate", "predict", options.model, "-i", str(source)]
        for threads in (1, 2):
            command = [*base, "-o", str(folder / "whole.parquet"), "--threads", str(threads)]
            code, seconds, peak = run(command)
            assert code == 0, code
            figures[f"threads_{threads}"] = {
                "seconds": seconds, "rows_per_s": options.rows / seconds, "peak_mb": peak / 1e6,
            }  # fmt: skip
            print(threads, figures[f"threads_{threads}"], flush=True)
        rng = random.Random(1)
        target, kills, starts = folder / "killed.parquet", 0, 0
        while True:
            starts += 1
            after = rng.uniform(0.1, 3.0) if kills < options.kills else None
            code, seconds, _ = run([*base, "-o", str(target), "--resume"], kill_after=after)
            kills += code != 0
            assert code in (0, -signal.SIGKILL), code
            if code == 0 and kills >= options.kills:
                break
            if code == 0:
                target.unlink()
        same = parquet.read_table(target).equals(parquet.read_table(folder / "whole.parquet"))
        left = sorted(p.name for p in folder.iterdir())
        figures |= {"kills": kills, "starts": starts, "equal": same, "left": left}
        print(figures, flush=True)
        assert same
    print(write("bulk", figures, command="python -m benchmarks.bench_bulk MODEL"))


if __name__ == "__main__":
    main()
