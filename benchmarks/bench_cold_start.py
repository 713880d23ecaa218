"""One message from a shell: whole-process seconds and memory, against the same answer by torch.

    python -m benchmarks.bench_cold_start MODEL [--runs 10]

Both commands read the same bundle and print the same probability; they take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.results_file import write

TEXT = "Forest fire near La Ronge Sask. Canada"
ANSWERS = {
    "tidegate predict": [sys.executable, "-m", "tidegate", "predict", "{model}", TEXT],
    "the same through torch": [sys.executable, "-m", "benchmarks.torch_answer", "{model}", TEXT],
    "bare import numpy": [sys.executable, "-c", "import numpy"],
}


def once(words: list[str]) -> tuple[float, float]:
    """Return wall seconds and peak megabytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words}: exit code {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    commands = {n: [w.format(model=options.model) for w in words] for n, words in ANSWERS.items()}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for run in range(options.runs + 1):
        for name, words in commands.items():
            found = once(words)
            if run:  # the first is a warm-up
                seen[name].append(found)
    figures: dict[str, Any] = {}
    for name, runs in seen.items():
        wall, memory = np.median(np.array(runs), axis=0)
        figures[name] = {"wall_s": float(wall), "memory_mb": float(memory)}
        print(f"{name:26} {wall:7.3f} s {memory:7.1f} MB")
    ours, theirs = figures["tidegate predict"], figures["the same through torch"]
    figures["wall_ratio_to_torch"] = ours["wall_s"] / theirs["wall_s"]
    print(f"ratio to torch: {figures['wall_ratio_to_torch']:.3f}")
    command = "python -m benchmarks.bench_cold_start MODEL"
    print(write("cold_start", {"runs": options.runs, "medians": figures}, command=command))


if __name__ == "__main__":
    main()
