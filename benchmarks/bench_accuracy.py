"""Accuracy by grouped cross-validation: presets and baselines over the same folds.

    python -m benchmarks.bench_accuracy [--data FILE] [--seeds 0,1,2] [--presets default,…]

Five folds, stratified by label, texts that repeat one another on one side; text only. A row's
probability comes from the model that has not seen it; scores are taken over all rows together.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.data.dataset import Dataset, read_dataset
from tidegate.data.splits import grouped_folds
from tidegate.distillation.student import learner_of
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.scores import compare, evaluate
from tidegate.presets import preset
from tidegate.training.baseline import Baseline

FOLDS = 5
BASELINES = {"TF-IDF words + LR": False, "TF-IDF words and characters + LR": True}


def out_of_fold(data: Dataset, folds: Any, answer: Any) -> tuple[Any, float]:
    """Return every row's probabilities and the seconds a fold took to train."""
    probabilities, spent = np.zeros((len(data), len(data.labels))), 0.0
    for fold in range(FOLDS):
        train_rows, test_rows = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        start = time.perf_counter()
        model = answer(train_rows)
        spent += time.perf_counter() - start
        probabilities[test_rows] = model.predict_proba([data.texts[i] for i in test_rows])
    return probabilities, spent / FOLDS


def one_seed(data: Dataset, seed: int, presets: list[str]) -> dict[str, Any]:
    """Return every model's scores over the folds of one seed."""
    folds = grouped_folds(data, [1 / FOLDS] * FOLDS, seed=seed)

    def baseline(characters: bool) -> Any:
        def fit(rows: Any) -> Baseline:
            model = Baseline(data.kind, len(data.labels), characters=characters)
            return model.fit([data.texts[i] for i in rows], data.targets[rows])

        return fit

    def tidegate(name: str) -> Any:
        config = preset(name).with_settings(seed=seed)

        def fit(rows: Any) -> Predictor:
            return Predictor(learner_of(data, config).learn((rows, rows[:0])).bundle)

        return fit

    answers = {name: baseline(chars) for name, chars in BASELINES.items()}
    answers |= {f"tidegate {name}": tidegate(name) for name in presets}
    found: dict[str, Any] = {}
    probabilities: dict[str, Any] = {}
    for name, answer in answers.items():
        probabilities[name], seconds = out_of_fold(data, folds, answer)
        report = evaluate(
            data.targets, probabilities[name], labels=data.labels, kind=data.kind, bootstrap=0
        )
        found[name] = {n: s.value for n, s in report.scores.items()} | {"train_s": seconds}
        print(f"seed {seed}  {name:34}", *(f"{k} {found[name][k]:.4f}" for k in SHOWN), flush=True)
    best = max(BASELINES, key=lambda name: found[name]["accuracy"])
    for name in presets:
        ahead = compare(
            data.targets, probabilities[f"tidegate {name}"], probabilities[best], kind=data.kind
        )
        found[f"tidegate {name}"]["ahead_of_best_baseline"] = {
            "accuracy": [ahead.accuracy.value, ahead.accuracy.low, ahead.accuracy.high],
            "f1": [ahead.f1.value, ahead.f1.low, ahead.f1.high],
            "mcnemar_p": ahead.mcnemar_p,
        }
    return found


SHOWN = ("accuracy", "f1", "roc_auc", "expected_calibration_error", "train_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=str(DATA / "tweets.csv"))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--presets", default="default")
    options = parser.parse_args()
    data = read_dataset(options.data)
    seeds = [int(s) for s in options.seeds.split(",")]
    by_seed = {s: one_seed(data, s, options.presets.split(",")) for s in seeds}
    means = {
        name: {k: float(np.mean([by_seed[s][name][k] for s in seeds])) for k in SHOWN}
        for name in by_seed[seeds[0]]
    }
    print(f"\n{'means over seeds ' + options.seeds:36}" + "".join(f"{k[:12]:>14}" for k in SHOWN))
    for name, row in means.items():
        print(f"{name:36}" + "".join(f"{row[k]:14.4f}" for k in SHOWN))
    command = f"python -m benchmarks.bench_accuracy --presets {options.presets}"
    figures = {"rows": len(data), "folds": FOLDS, "means": means, "by_seed": by_seed}
    print(write("accuracy", figures, command=command))


if __name__ == "__main__":
    main()
