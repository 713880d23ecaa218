"""Whether labelling what `suggest` names teaches more than labelling at random.

    python -m benchmarks.bench_suggest [--seeds 0,1,2,3,4] [--rounds 5] [--sets trec,emotion]

A third of the messages is held out. A model learns from 100 labelled messages drawn at random; then
in each round 100 more are labelled, either as `suggest` names them or at random, and a new model
learns from all of them. Given are macro-F1 on the held-out third after each round, and the paired
difference of their mean over the rounds, over the seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, read_dataset
from tidegate.data.splits import grouped_folds
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.scores import evaluate
from tidegate.presets import preset
from tidegate.scoring.suggest import suggest
from tidegate.training.train import train

ROUND = 100


def learned(dataset: Dataset, rows: list[int], seed: int) -> Predictor:
    config = preset("default").with_settings(seed=seed)
    labelled = dataset.subset(np.array(rows))
    every = np.arange(len(labelled))
    return Predictor(train(labelled, config, rows=(every, every[:0])).bundle)


def macro_f1(model: Predictor, test: Dataset) -> float:
    p = model.predict_proba(test.texts)
    found = evaluate(test.targets, p, labels=test.labels, kind=test.kind, threshold=model.threshold)
    return float(found.scores["f1"].value)


def rounds(dataset: Dataset, test: Dataset, seed: int, n: int, *, by_model: bool) -> list[float]:
    """Return macro-F1 after each round of labelling."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(dataset)).tolist()
    rows, left = first_of_every_class(dataset, order)
    found = []
    for k in range(n):
        model = learned(dataset, rows, seed)
        if k:
            found.append(macro_f1(model, test))
        if by_model:
            texts = [dataset.texts[i] for i in left]
            chosen = [left[s.index] for s in suggest(model, texts, ROUND)]
        else:
            chosen = left[:ROUND]
        rows = rows + chosen
        taken = set(chosen)
        left = [i for i in left if i not in taken]
    found.append(macro_f1(learned(dataset, rows, seed), test))
    return found


def first_of_every_class(dataset: Dataset, order: list[int]) -> tuple[list[int], list[int]]:
    """Return the first 100 rows of an order, one of every class among them, and the others."""
    seen: dict[int, int] = {}
    for i in order:
        seen.setdefault(int(dataset.targets[i]), i)
    rows = list(dict.fromkeys([*seen.values(), *order]))
    return rows[:ROUND], rows[ROUND:]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sets", default="trec,emotion")
    asked = parser.parse_args()
    result = {}
    for name in asked.sets.split(","):
        dataset = read_dataset(DATA / "dev" / f"{name}.csv", DataConfig(label=("label",)))
        differences, curves = [], {"suggest": [], "random": []}
        for seed in map(int, asked.seeds.split(",")):
            sides = grouped_folds(dataset, [1 / 3, 2 / 3], seed=seed)
            test, rest = (dataset.subset(np.flatnonzero(sides == k)) for k in (0, 1))
            rest = replace(rest, labels=dataset.labels)
            both = {
                who: rounds(rest, test, seed, asked.rounds, by_model=who == "suggest")
                for who in curves
            }
            for who, values in both.items():
                curves[who].append(values)
            differences.append(float(np.mean(both["suggest"]) - np.mean(both["random"])))
            print(name, seed, {w: [round(v, 3) for v in vs] for w, vs in both.items()}, flush=True)
        d = np.array(differences)
        error = float(d.std(ddof=1) / np.sqrt(len(d))) if len(d) > 1 else None
        result[name] = {
            "difference": float(d.mean()), "standard error": error, "seeds": len(d),
            **{who: np.mean(values, axis=0).round(4).tolist() for who, values in curves.items()},
        }  # fmt: skip
    command = f"python -m benchmarks.bench_suggest --seeds {asked.seeds} --rounds {asked.rounds}"
    write("suggest", {"rounds of 100 labels, macro-F1": result}, command=command)


if __name__ == "__main__":
    main()
