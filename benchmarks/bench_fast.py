"""The kernel in C beside the engine in NumPy, TF-IDF and fastText: the bars of tidegate-fast.

    python -m benchmarks.bench_fast [--runs 7] [--keep FOLDER]

The default model, TF-IDF(1,2) with logistic regression, and fastText learn from the same rows (see
`bench_engine`). Contestants take turns, figures are medians over the runs. Bulk is 60,000 distinct
messages from raw text, in seconds of one thread's own time, so that other work on the machine
counts little; single messages and two threads are in seconds of the clock. Then: how far both
engines' probabilities lie apart over 200,000 messages, the command in a new process, how time grows
with rows, length and width, and how near the recurrence comes to what the core can multiply.
"""

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tidegate_fast

from benchmarks.bench_cold_start import TEXT, once
from benchmarks.bench_engine import learn, synthetic, timed
from benchmarks.contestants import fasttext, tfidf
from benchmarks.results_file import DATA, write
from tidegate.data.dataset import read_dataset
from tidegate.data.splits import split
from tidegate.engine.kernel import Kernel
from tidegate.engine.predictor import Predictor
from tidegate.presets import preset

ENGINES = ("numpy", "fast")


def own_time(work: Callable[[], Any]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def compared(folder: Path, texts: list[str], singles: list[str], runs: int) -> dict[str, Any]:
    """Return bulk rates, and times of one message, of each contestant."""
    models = {e: Predictor.load(folder / "default", engine=e) for e in ENGINES}
    answers = {n: m.predict_proba for n, m in models.items()}
    answers |= {"TF-IDF(1,2) + LR": tfidf(folder), "fastText": fasttext(folder)}
    bulk: dict[str, list[float]] = {n: [] for n in answers}
    single: dict[str, list[np.ndarray]] = {n: [] for n in answers}
    for run in range(runs + 1):
        for n, answer in answers.items():
            seconds = own_time(lambda a=answer: a(texts))
            each = np.array([timed(lambda a=answer, t=text: a([t])) for text in singles])
            if run:  # the first is a warm-up
                bulk[n].append(seconds)
                single[n].append(each)
    found = {}
    for n in answers:
        percentiles = np.array([np.percentile(each, (50, 99)) for each in single[n]]) * 1e6
        p50, p99 = np.median(percentiles, axis=0)
        rate = len(texts) / float(np.median(bulk[n]))
        found[n] = {
            "bulk_per_s": rate,
            "us": 1e6 / rate,
            "p50_us": float(p50),
            "p99_us": float(p99),
            # Of each message's median over the runs: without what other work on the machine does.
            "p99_of_medians_us": float(np.percentile(np.median(single[n], axis=0), 99) * 1e6),
        }
    ratios = {
        n: float(np.median(np.array(bulk[n]) / np.array(bulk["fast"])))
        for n in answers
        if n != "fast"
    }
    ratios["numpy to TF-IDF"] = float(
        np.median(np.array(bulk["TF-IDF(1,2) + LR"]) / np.array(bulk["numpy"]))
    )
    return {"table": found, "fast_is_times_as_fast_as": ratios}


def two_threads(folder: Path, texts: list[str], runs: int) -> dict[str, float]:
    """Return how much faster two threads are than one, by the clock."""
    one, two = (Predictor.load(folder / "default", engine="fast", threads=n) for n in (1, 2))
    pairs = []
    for _ in range(runs + 1):
        pairs.append([timed(lambda m=m: m.predict_proba(texts)) for m in (one, two)])
    seconds = np.array(pairs[1:])
    medians = np.median(seconds, axis=0)
    return {
        "one_per_s": len(texts) / float(medians[0]), "two_per_s": len(texts) / float(medians[1]),
        "ratio": float(np.median(seconds[:, 0] / seconds[:, 1])),
    }  # fmt: skip


def parity(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Return how far the engines lie apart, and whether company changes a bit."""
    models = [Predictor.load(folder / "default", engine=e) for e in ENGINES]
    many = [f"{text} {k}" for k in range(-(-200_000 // len(texts))) for text in texts][:200_000]
    one, other = (model.predict_proba(many) for model in models)
    alone = np.concatenate([models[1].predict_proba([text]) for text in many[:5000]])
    return {
        "messages": len(many), "largest_gap": float(np.abs(one - other).max()),
        "alone_equal_to_the_last_bit": bool((alone == other[:5000]).all()),
    }  # fmt: skip


def cold(folder: Path, runs: int) -> dict[str, float]:
    """Return median seconds of `tidegate predict` in a new process, by engine."""
    command = [sys.executable, "-m", "tidegate", "predict", str(folder / "default"), TEXT]
    seen: dict[str, list[float]] = {"numpy": [], "auto": []}
    for _ in range(runs + 3):
        for n, times in seen.items():
            times.append(once([*command, "--engine", n])[0])
    return {n: float(np.median(times[1:])) for n, times in seen.items()}


def growth(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Return microseconds a message of each engine by rows of a call, tokens, and hidden units."""
    words = Predictor.load(folder / "default", engine="numpy").bundle.tokens[2:]
    rng = np.random.default_rng(0)

    def cost(predictor: Predictor, made: list[str]) -> float:
        calls = max(1, 2_000 // len(made))
        predictor.predict_proba(made)
        spent = [
            own_time(lambda: [predictor.predict_proba(made) for _ in range(calls)]) for _ in "123"
        ]
        return float(np.median(spent)) / calls / len(made) * 1e6

    def sized(engine: str, hidden: int, length: int) -> float:
        n = max(100, 20_000 // length)
        made = [" ".join(rng.choice(words, size=length)) for _ in range(n)]
        return cost(synthetic(folder, hidden, length, engine), made)

    found: dict[str, Any] = {}
    for engine in ENGINES:
        model = Predictor.load(folder / "default", engine=engine)
        found[engine] = {
            "rows": {str(n): cost(model, texts[:n]) for n in (1, 2, 8, 32, 128, 512, 2048)},
            "tokens": {str(n): sized(engine, 32, n) for n in (5, 10, 20, 50, 100, 200, 500)},
            "hidden_size": {str(h): sized(engine, h, 20) for h in (8, 16, 32, 64, 128, 256)},
        }
    return found


def roofline(folder: Path) -> dict[str, Any]:
    """Return what a core can multiply and move, and what the recurrence multiplies in a second.

    A token costs 2 · 4H · H operations a direction, on a matrix that stays in the cache. What is
    read from memory for it is a row of the table: 4 · 4H bytes.
    """
    length, n = 20, 2000
    rng = np.random.default_rng(0)
    large = rng.random(1 << 24, np.float32)
    seconds = float(np.median([own_time(large.copy) for _ in range(9)]))
    a, b = rng.random((2048, 1024), np.float32), rng.random((1024, 1024), np.float32)
    peak = 2e-9 * a.size * 1024 / own_time_of(lambda: a @ b)
    shares: dict[str, Any] = {}
    for hidden in (16, 32, 64, 128, 256):
        predictor = synthetic(folder, hidden, length, "numpy")
        reader = predictor.reader()
        ids = rng.integers(2, len(predictor.bundle.tokens), (n, length)).tolist()
        operations = 2 * n * (length - 1) * 2 * 4 * hidden * hidden
        rates = {"numpy": operations / own_time_of(lambda r=reader, i=ids: r.logits(i))}
        for instructions in tidegate_fast.INSTRUCTION_SETS:
            kernel = Kernel(predictor.network, tidegate_fast, instructions=instructions)
            fast = reader.with_kernel(kernel)
            rates[instructions] = operations / own_time_of(lambda r=fast, i=ids: r.logits(i))
        shares[str(hidden)] = {
            n: {"gflop_per_s": rate / 1e9, "share": rate / 1e9 / peak} for n, rate in rates.items()
        }
    return {
        "matrix_gflop_per_s": peak, "copy_gb_per_s": 2 * large.nbytes / seconds / 1e9,
        "by_hidden_size": shares,
    }  # fmt: skip


def own_time_of(work: Callable[[], Any]) -> float:
    work()
    return float(np.median([own_time(work) for _ in range(5)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--keep", help="folder of the trained contestants, made if missing")
    options = parser.parse_args()
    data = read_dataset(DATA / "tweets.csv")
    rows = split(data, preset("default").data)
    distinct = list(dict.fromkeys(data.texts))
    bulk = [f"{text} {k}" for k in range(8) for text in distinct]
    where = nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory()
    with where as name:
        folder = Path(name)
        folder.mkdir(exist_ok=True)
        learn(data, rows, folder, lesson=False)
        figures: dict[str, Any] = {
            "runs": options.runs, "instructions": tidegate_fast.INSTRUCTION_SETS[0],
            **compared(folder, bulk, [data.texts[i] for i in rows[1]][:1000], options.runs),
            "two_threads": two_threads(folder, bulk, options.runs),
            "parity": parity(folder, distinct), "one_shot_s": cold(folder, options.runs),
            "growth_us": growth(folder, distinct), "roofline": roofline(folder),
        }  # fmt: skip
    for part, found in figures.items():
        print(part, found)
    print(write("fast", figures, command="python -m benchmarks.bench_fast"))


if __name__ == "__main__":
    main()
