"""The engine beside what people would use instead: one table, on the same rows.

    python -m benchmarks.bench_engine [--runs 5] [--keep FOLDER]

Everything learns from the same training rows of the reference tweets (grouped split) and is scored
on the same test rows. Speed is from raw text: in bulk on 60,000 distinct messages (the tweets with
varied numbers), and on 1,000 single ones. Contestants take turns; figures are medians over the
runs; each uses one core unless its name says otherwise. Also: how cost grows with the number of
messages, their length and the hidden size.
"""

from __future__ import annotations

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import fasttext
import joblib
import numpy as np

from benchmarks.contestants import CONTESTANTS
from benchmarks.results_file import DATA, write
from tidegate.data.dataset import Dataset, read_dataset
from tidegate.data.splits import split
from tidegate.distillation.student import learner_of
from tidegate.engine.blas import one_thread
from tidegate.engine.bundle import Bundle
from tidegate.engine.network import weight_shapes
from tidegate.engine.predictor import Predictor
from tidegate.exporting.export import export_onnx
from tidegate.presets import preset
from tidegate.training.baseline import Baseline


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def learn(data: Dataset, rows: Any, folder: Path, *, lesson: bool = True) -> dict[str, float]:
    """Train and save every contestant that is not there; return seconds by file.

    `lesson=False` leaves out the lesson's network, which takes minutes, and the ONNX files.
    """
    texts = [data.texts[i] for i in rows[0]]
    targets = data.targets[rows[0]]

    def fit_tfidf() -> None:
        joblib.dump(Baseline("binary", 2).fit(texts, targets).pipeline, folder / "tfidf.joblib")

    def fit_fasttext() -> None:
        lines = [f"__label__{y} {' '.join(t.lower().split())}\n"
                 for y, t in zip(targets, texts, strict=True)]  # fmt: skip
        (folder / "train.txt").write_text("".join(lines), encoding="utf-8")
        model = fasttext.train_supervised(
            str(folder / "train.txt"), wordNgrams=2, epoch=10, lr=0.5, dim=32, bucket=200_000,
            thread=1, seed=1, verbose=0,
        )  # fmt: skip
        model.save_model(str(folder / "fasttext.bin"))

    def fit_preset(name: str) -> None:
        learner_of(data, preset(name)).learn(rows).bundle.save(folder / name)

    kept = folder / "seconds.json"
    seconds = json.loads(kept.read_text()) if kept.exists() else {}
    for target, work in (
        ("tfidf.joblib", fit_tfidf), ("fasttext.bin", fit_fasttext),
        ("default", lambda: fit_preset("default")), ("lesson", lambda: fit_preset("lesson")),
    ):  # fmt: skip
        if not (folder / target).exists() and (lesson or target != "lesson"):
            seconds[target] = timed(work)
            print(f"{target}: {seconds[target]:.1f} s", flush=True)
    kept.write_text(json.dumps(seconds))
    if not lesson:
        return seconds
    bundle = Bundle.load(folder / "default")
    export_onnx(bundle, folder / "default.onnx")
    export_onnx(bundle, folder / "int8.onnx", int8=True)
    return seconds


def size_mb(path: Path) -> float:
    files = [path] if path.is_file() else [p for p in path.iterdir() if p.suffix != ".html"]
    return sum(p.stat().st_size for p in files) / 1e6


def measure(data: Dataset, rows: Any, folder: Path, runs: int) -> dict[str, dict[str, float]]:
    answers = {name: load(folder) for name, (load, _) in CONTESTANTS.items()}
    test = [data.texts[i] for i in rows[1]]
    distinct = list(dict.fromkeys(data.texts))
    bulk = [f"{text} {k}" for k in range(8) for text in distinct]
    slow = [f"{text} 0" for text in distinct]  # the lesson's are fifty times slower
    found: dict[str, dict[str, list[float]]] = {n: {"bulk": [], "single": []} for n in answers}
    for run in range(runs + 1):
        for name, answer in answers.items():
            texts = slow if name.startswith("lesson") else bulk
            rate = len(texts) / timed(lambda a=answer, t=texts: a(t))
            singles = [timed(lambda a=answer, t=text: a([t])) for text in test[:1000]]
            if run:  # the first is a warm-up
                found[name]["bulk"].append(rate)
                found[name]["single"] += singles
    command = [sys.executable, "-m", "benchmarks.contestants", "--cold", str(folder), test[0]]
    cold = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    table = {}
    for name, answer in answers.items():
        p = answer(test)
        table[name] = {
            "accuracy": float(((p >= 0.5) == data.targets[rows[1]]).mean()),
            "bulk_per_s": float(np.median(found[name]["bulk"])),
            "p50_us": float(np.percentile(found[name]["single"], 50) * 1e6),
            "p99_us": float(np.percentile(found[name]["single"], 99) * 1e6),
            "one_shot_s": cold[name][0],
            "memory_mb": cold[name][1],
            "size_mb": size_mb(folder / CONTESTANTS[name][1]),
        }
        print(name, {k: round(v, 3) for k, v in table[name].items()}, flush=True)
    return table


def matrix_rate(m: int, k: int, n: int) -> float:
    """Return this core's products of float32 matrices, in 10⁹ operations a second."""
    rng = np.random.default_rng(0)
    a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    with one_thread():
        seconds = [timed(lambda: a.dot(b, out=out)) for _ in range(60)]
    return 2e-9 * m * k * n / float(np.median(seconds))


def lesson_operations(data: Dataset, folder: Path) -> dict[str, float]:
    """Return the multiplications and additions left of a message of the lesson's network.

    Of a message's T tokens the first layer's W x is looked up, and neither layer has a state before
    its first token: 3 T − 2 products of 256 values with 256 × 1024 are left, and the dense layer.
    The rate is the network's own, ids to logits, beside products of matrices of the same shape as
    its steps' and of a shape that suits the processor best.
    """
    padded = Predictor.load(folder / "lesson", engine="numpy")
    config = padded.bundle.config.with_settings(pooling="last")
    model = Predictor(replace(padded.bundle, config=config), engine="numpy")
    reader = model.reader()
    ids = [reader.encoder.encode(f"{t} 0") for t in dict.fromkeys(data.texts)]
    tokens = float(np.mean([len(one) for one in ids]))
    units = config.network.hidden_size
    step, head = 2 * units * 4 * units, 2 * units * units
    left = (3 * tokens - 2) * step + head
    rate = left * len(ids) / float(np.median([timed(lambda: reader.logits(ids)) for _ in range(5)]))
    same, best = matrix_rate(192, units, 4 * units), matrix_rate(2048, 1024, 1024)
    return {
        "real_tokens": tokens,
        "padded_torch_mflop": (25 * 4 * step + head) / 1e6,
        "real_tokens_mflop": left / 1e6,
        "gflop_per_s": rate / 1e9,
        "matrix_gflop_per_s_192x256x1024": same,
        "matrix_gflop_per_s_2048x1024x1024": best,
        "share_of_same_shape": rate / 1e9 / same,
        "share_of_best_shape": rate / 1e9 / best,
    }


def synthetic(folder: Path, hidden: int, length: int, engine: str = "numpy") -> Predictor:
    """Return the default model's shape with other sizes and random weights."""
    bundle = Bundle.load(folder / "default")
    config = bundle.config.with_settings(hidden_size=hidden, max_tokens=length, ngrams="none")
    shapes = weight_shapes(config.network, n_words=len(bundle.tokens), n_outputs=1)
    rng = np.random.default_rng(0)
    weights = {n: rng.normal(0, 0.5 / hidden**0.5, s).astype(np.float32) for n, s in shapes.items()}
    kept = {n: bundle.weights[n] for n in ("vectors.weight", "words.weight")}
    return Predictor(
        Bundle(config=config, kind="binary", labels=bundle.labels, tokens=bundle.tokens,
               sequence_length=length, weights={**weights, **kept}, pieces=bundle.pieces),
        engine=engine,
    )  # fmt: skip


def growth(data: Dataset, folder: Path) -> dict[str, Any]:
    """Return messages a second by number, by length, and by hidden size."""
    model = Predictor.load(folder / "default", engine="numpy")
    texts = list(dict.fromkeys(data.texts))
    by_number = {}
    for power in (3, 4, 5, 6):
        n = 10**power
        many = [f"{texts[i % len(texts)]} {i // len(texts)}" for i in range(n)]
        by_number[str(n)] = n / timed(lambda m=many: model.predict_proba(m))
    words = model.bundle.tokens[2:]
    rng = np.random.default_rng(0)

    def rate(hidden: int, length: int) -> float:
        predictor = synthetic(folder, hidden, length)
        n = max(200, 40_000 // length)
        made = [" ".join(rng.choice(words, size=length)) for _ in range(n)]
        predictor.predict_proba(made)
        return n / float(np.median([timed(lambda: predictor.predict_proba(made)) for _ in "123"]))

    return {
        "messages": by_number,
        "tokens": {str(n): rate(32, n) for n in (5, 10, 20, 50, 100, 200, 500)},
        "hidden_size": {str(h): rate(h, 20) for h in (16, 32, 64, 128, 256)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", help="folder of the trained contestants, made if missing")
    options = parser.parse_args()
    data = read_dataset(DATA / "tweets.csv")
    rows = split(data, preset("default").data)
    where = nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory()
    with where as name:
        folder = Path(name)
        folder.mkdir(exist_ok=True)
        seconds = learn(data, rows, folder)
        table = measure(data, rows, folder, options.runs)
        operations = lesson_operations(data, folder)
        curves = growth(data, folder)
    for name, (_, file) in CONTESTANTS.items():
        if file in seconds:
            table[name]["train_s"] = seconds[file]
    ours, peer = table["tidegate"], table["TF-IDF(1,2) + LR"]
    lesson, padded = table["lesson in tidegate, real tokens"], table["lesson in torch, padded"]
    ratios = {
        "bulk_to_tfidf": ours["bulk_per_s"] / peer["bulk_per_s"],
        "bulk_to_fasttext": ours["bulk_per_s"] / table["fastText"]["bulk_per_s"],
        "p50_to_tfidf": ours["p50_us"] / peer["p50_us"],
        "two_cores_to_one": table["tidegate, 2 cores"]["bulk_per_s"] / ours["bulk_per_s"],
        "lesson_to_padded_torch": lesson["bulk_per_s"] / padded["bulk_per_s"],
        "lesson_padded_to_padded_torch": table["lesson in tidegate, padded"]["bulk_per_s"]
        / padded["bulk_per_s"],
    }
    print(ratios, operations, curves, sep="\n")
    figures = {"runs": options.runs, "table": table, "ratios": ratios, "lesson": operations,
               "growth": curves}  # fmt: skip
    print(write("engine", figures, command="python -m benchmarks.bench_engine"))


if __name__ == "__main__":
    main()
