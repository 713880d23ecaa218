"""What half precision costs: bfloat16 in training, float16 in the bundle's word vectors.

    python -m benchmarks.bench_precision [--seeds 10]

One grouped split of the reference tweets; each seed trains once in float32 and once in bfloat16.
The test of the difference is a paired t-test over the seeds. The cost of float16 vectors is what
the engine's probabilities differ by when the same network's vectors are kept in float32.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields, replace
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.data.dataset import read_dataset
from tidegate.data.splits import split
from tidegate.engine.predictor import Predictor
from tidegate.engine.vectors import WordVectors
from tidegate.presets import preset
from tidegate.training import prepare
from tidegate.training.pretrained import Pretrained, load_pretrained
from tidegate.training.train import Trained, train


def accuracy(trained: Trained) -> float:
    test = trained.test
    chosen = Predictor(trained.bundle).predict_proba(test.texts).argmax(axis=1)
    return float((chosen == test.targets).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    config = preset("default")
    data = read_dataset(DATA / "tweets.csv")
    rows = split(data, config.data)
    found: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for seed in range(options.seeds):
        for precision in found:
            start = time.perf_counter()
            trained = train(data, config.with_settings(seed=seed, precision=precision), rows=rows)
            seconds[precision].append(time.perf_counter() - start)
            found[precision].append(accuracy(trained))
        print(seed, found["float32"][-1], found["bfloat16"][-1], flush=True)
    gaps = np.array(found["bfloat16"]) - np.array(found["float32"])
    error = gaps.std(ddof=1) / np.sqrt(len(gaps))
    figures: dict[str, Any] = {
        "seeds": options.seeds,
        "accuracy": {name: float(np.mean(values)) for name, values in found.items()},
        "train_s": {name: float(np.median(values)) for name, values in seconds.items()},
        "bfloat16_minus_float32": float(gaps.mean()),
        "standard_error": float(error),
        "t": float(gaps.mean() / error),
        "float16_vectors": float16_cost(data, rows),
    }
    print(figures)
    print(write("precision", figures, command="python -m benchmarks.bench_precision"))


def float16_cost(data: Any, rows: Any) -> dict[str, float]:
    """Return how far probabilities move, and how many labels, when the vectors are rounded."""
    exact: list[Any] = []

    class Keeping(Pretrained):
        def projected(self, projection: Any) -> Any:
            exact.append(self.table @ projection.T)
            return super().projected(projection)

    def keeping(name: str) -> Any:
        found = load_pretrained(name)
        return Keeping(**{f.name: getattr(found, f.name) for f in fields(found)})

    prepare.load_pretrained = keeping  # type: ignore[assignment]
    try:
        bundle = train(data, preset("default"), rows=rows).bundle
    finally:
        prepare.load_pretrained = load_pretrained
    words = WordVectors(table=exact[0], pieces=bundle.pieces).rows(list(bundle.tokens))
    single = {"vectors.weight": exact[0], "words.weight": words}
    before = Predictor(replace(bundle, weights={**bundle.weights, **single}))
    wanted = before.predict_proba(data.texts)
    found = Predictor(bundle).predict_proba(data.texts)
    return {
        "largest_difference": float(np.abs(wanted - found).max()),
        "labels_changed": int((wanted.argmax(axis=1) != found.argmax(axis=1)).sum()),
        "messages": len(data),
        "mb_saved": sum(a.nbytes - bundle.weights[n].nbytes for n, a in single.items()) / 1e6,
    }


if __name__ == "__main__":
    main()
