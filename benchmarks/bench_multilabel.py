"""Multi-label: macro-F1 of `multilabel` against one-vs-rest TF-IDF and logistic regression.

    python -m benchmarks.bench_multilabel

Both learn from the training file and are scored once on the validation file. The thresholds of both
are chosen by the same rule on the same rows, kept from training; 0.5 is shown beside.
"""

from __future__ import annotations

import csv
import time
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, read_dataset
from tidegate.data.splits import grouped_folds
from tidegate.distillation.student import learner_of
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.scores import evaluate
from tidegate.evaluation.thresholds import choose_threshold
from tidegate.presets import preset
from tidegate.training.baseline import Baseline


def macro_f1(data: Dataset, probabilities: Any, threshold: Any) -> float:
    """Return the mean of the labels' F1."""
    report = evaluate(
        data.targets, probabilities, labels=data.labels, kind="multilabel",
        threshold=threshold, bootstrap=0,
    )  # fmt: skip
    return report.scores["f1"].value


def main() -> None:
    with (DATA / "disaster_messages_train.csv").open(newline="", encoding="utf-8") as stream:
        labels = tuple(next(csv.reader(stream))[1:])
    columns = DataConfig(label=labels)
    data = read_dataset(DATA / "disaster_messages_train.csv", columns)
    test = read_dataset(DATA / "disaster_messages_validation.csv", columns)
    folds = grouped_folds(data, (0.1, 0.9), seed=0)
    kept, learn = np.flatnonzero(folds == 0), np.flatnonzero(folds == 1)
    config = preset("multilabel").with_settings(label=labels, threshold="half")

    def ours(rows: Any) -> Any:
        return Predictor(learner_of(data, config).learn((rows, rows[:0])).bundle)

    def theirs(rows: Any) -> Any:
        model = Baseline("multilabel", len(labels))
        return model.fit([data.texts[i] for i in rows], data.targets[rows])

    figures: dict[str, Any] = {"train_rows": len(learn), "test_rows": len(test)}
    for name, fit in (("tidegate multilabel", ours), ("TF-IDF one-vs-rest LR", theirs)):
        start = time.perf_counter()
        model = fit(learn)
        seconds = time.perf_counter() - start
        validation = model.predict_proba([data.texts[i] for i in kept])
        truth = data.targets[kept]
        thresholds = np.array(
            [
                choose_threshold(truth[:, k], validation[:, k], rule="f1")
                if truth[:, k].any()
                else 0.5
                for k in range(len(labels))
            ]
        )
        probabilities = model.predict_proba(test.texts)
        figures[name] = {
            "macro_f1_chosen_thresholds": macro_f1(test, probabilities, thresholds),
            "macro_f1_at_half": macro_f1(test, probabilities, 0.5),
            "train_s": seconds,
        }
        print(name, figures[name], flush=True)
    print(write("multilabel", figures, command="python -m benchmarks.bench_multilabel"))


if __name__ == "__main__":
    main()
