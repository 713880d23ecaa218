"""Seconds and memory of training: the default preset against the lesson's 20 epochs, in one run.

    python -m benchmarks.bench_training [--data FILE] [--runs 3]

Reading, preprocessing, training, exporting and checking are counted; imports are not.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write


def once(data: str, name: str) -> dict[str, float]:
    """Return seconds and peak megabytes of one training, in this fresh process."""
    import torch

    from tidegate.data.dataset import read_dataset
    from tidegate.presets import preset
    from tidegate.training.train import train

    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # imports torch's compiler, lazily
    start = time.perf_counter()
    trained = train(read_dataset(data), preset(name))
    seconds = time.perf_counter() - start
    best = max(epoch.test_accuracy for epoch in trained.history)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory_mb": memory, "best_test_accuracy": best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=str(DATA / "tweets.csv"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--once", default="")
    options = parser.parse_args()
    if options.once:
        found = once(options.data, options.once)
        print(found["seconds"], found["memory_mb"], found["best_test_accuracy"])
        return
    figures: dict[str, Any] = {}
    for name, runs in (("default", options.runs), ("lesson", 1)):
        rows = []
        for _ in range(runs):
            words = [sys.executable, "-m", "benchmarks.bench_training", "--once", name]
            done = subprocess.run(
                [*words, "--data", options.data], capture_output=True, text=True, check=True
            )
            rows.append([float(v) for v in done.stdout.split()])
        seconds, memory, accuracy = np.median(np.array(rows), axis=0)
        figures[name] = {"seconds": seconds, "memory_mb": memory, "best_test_accuracy": accuracy}
        print(
            f"{name:10} {seconds:8.2f} s {memory:8.0f} MB  best accuracy {accuracy:.4f}", flush=True
        )
    figures["times_faster"] = figures["lesson"]["seconds"] / figures["default"]["seconds"]
    print(f"default is {figures['times_faster']:.1f} times faster")
    print(write("training", figures, command="python -m benchmarks.bench_training"))


if __name__ == "__main__":
    main()
