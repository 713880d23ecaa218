"""The suite: `default` and others on eleven data sets, out of fold, beside what people would use.

    python -m benchmarks.bench_suite [--sets tweets,trec,…] [--contestants …] [--seeds 0]
                                     [--folds 0,1,2,3,4] [--curve] [--keep FOLDER]

Grouped stratified five-fold cross-validation: texts that repeat one another stay on one side, and
each row is answered by a model that has not learned from it. Files under 1,000 rows are run with
three seeds, and of files over 15,000 rows two folds. All contestants learn from the same rows and
answer the same ones; a Tidegate model is trained as `tidegate train --score none` does, temperature
included (except with `--teacher`, whose temperature would need a second teacher). A set is judged
by accuracy; emotion, irony and stance by macro-F1, as where they come from. `--curve` trains on 50,
100, 300, 1,000 and 3,000 of a fold's training rows. `--keep` keeps every answer, so that a run can
be gone on with, or another contestant added.

The files are `tweets.csv` and `dev/NAME.csv` (columns `text` and `label`) in the data folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, read_dataset
from tidegate.data.splits import grouped_folds
from tidegate.distillation.student import learner_of
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.scores import compare, evaluate
from tidegate.presets import preset
from tidegate.training.baseline import Baseline
from tidegate.training.learner import train_on_all
from tidegate.training.threads import torch_threads

FOLDS = 5
STANCE = [
    f"stance_{target}" for target in ("abortion", "atheism", "climate", "feminist", "hillary")
]
SETS = ["tweets", "trec", "irony", "emotion", *STANCE, "mpqa", "clinc150"]
BY_MACRO_F1 = {"emotion", "irony", *STANCE}
SMALL_ROWS = 1000
LARGE_ROWS, LARGE_FOLDS = 15_000, 2  # files of which only two folds are run: one takes minutes
CURVE = (50, 100, 300, 1000, 3000)
CURVE_TEST_ROWS = 1000  # of a fold, drawn at random: the curve is a mean over sets and folds
WORDS, CHARACTERS = "TF-IDF words + LR", "TF-IDF words and characters + LR"

Answer = Callable[[Sequence[str]], Any]
Fit = Callable[[Dataset, int], Answer]


def tidegate(name: str, **settings: Any) -> Fit:
    """Return what trains a preset as a user would, on all rows it is given."""

    def fit(data: Dataset, seed: int) -> Answer:
        teacher = settings.get("teacher", "none")
        config = preset(name, teacher=teacher).with_settings(seed=seed, **settings)
        return Predictor(train_on_all(learner_of(data, config)).bundle).predict_proba

    return fit


def tfidf(characters: bool) -> Fit:
    def fit(data: Dataset, seed: int) -> Answer:
        model = Baseline(data.kind, len(data.labels), characters=characters)
        return model.fit(data.texts, data.targets).predict_proba

    return fit


def fasttext(data: Dataset, seed: int) -> Answer:
    """Words and pairs of words, 25 passes at a rate of 0.5: its tutorial's settings for texts."""
    from fasttext import train_supervised

    def cleaned(text: str) -> str:
        return " ".join(text.lower().split())

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as stream:
        for i in np.random.default_rng(seed).permutation(len(data)):  # it reads in file order
            stream.write(f"__label__{data.targets[i]} {cleaned(data.texts[i])}\n")
        stream.flush()
        model = train_supervised(
            stream.name, epoch=25, lr=0.5, wordNgrams=2, thread=1, seed=seed, verbose=0
        )

    def answer(texts: Sequence[str]) -> Any:
        found = np.zeros((len(texts), len(data.labels)))
        lines = [cleaned(text) + "\n" for text in texts]
        labels, values = model.f.multilinePredict(lines, len(data.labels), 0.0, "strict")
        for row, (names, shares) in enumerate(zip(labels, values, strict=True)):
            found[row, [int(name.removeprefix("__label__")) for name in names]] = shares
        total = found.sum(axis=1, keepdims=True)
        return np.where(total > 0, found / np.maximum(total, 1e-12), 1 / len(data.labels))

    return answer


def contestants(options: argparse.Namespace) -> dict[str, Fit]:
    known: dict[str, Fit] = {
        WORDS: tfidf(False), CHARACTERS: tfidf(True), "fastText": fasttext,
        "default": tidegate("default"), "LSTM alone": tidegate("default", ngrams="none"),
        "best": tidegate("best"), "blend": tidegate("default", teacher="blend"),
    }  # fmt: skip
    if options.teacher:
        # A temperature would double the time, and changes neither accuracy nor F1.
        known["teacher"] = tidegate("best", teacher=options.teacher, calibrate=False)
    return {name: known[name] for name in options.contestants.split(",")}


def read(name: str) -> Dataset:
    if name == "tweets":
        return read_dataset(DATA / "tweets.csv")
    return read_dataset(DATA / "dev" / f"{name}.csv", DataConfig(text="text", label=("label",)))


def drawn(data: Dataset, rows: Any, n: int, *, seed: int) -> Any:
    """Return n of the rows, at least one of each class where there is room, in file order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows)
    _, first = np.unique(data.targets[order], return_index=True)
    rest = np.setdiff1d(np.arange(len(order)), first)
    return np.sort(order[np.concatenate([first, rest])[:n]])


def answers(
    data: Dataset, name: str, fit: Fit, options: argparse.Namespace, *, seed: int, rows: int = 0
) -> tuple[Any, float]:
    """Return every scored row's probabilities (NaN elsewhere), and the seconds to train a fold."""
    folds = grouped_folds(data, [1 / FOLDS] * FOLDS, seed=seed)
    found, spent = np.full((len(data), len(data.labels)), np.nan), []
    of_folds = options.of_folds[: LARGE_FOLDS if len(data) > LARGE_ROWS else None]
    for fold in of_folds:
        learn, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if rows:
            learn = drawn(data, learn, rows, seed=seed * 100 + fold)
            held = np.sort(np.random.default_rng(fold).permutation(held)[:CURVE_TEST_ROWS])
        slug = "".join(c if c.isalnum() else "-" for c in name)
        place = Path(options.keep) / f"{options.set}--{slug}--{seed}-{fold}-{rows}.npz"
        if options.keep and place.exists():
            with np.load(place) as kept:
                found[held], seconds = kept["p"], float(kept["seconds"])
        else:
            started = time.perf_counter()
            with torch_threads(1):
                answer = fit(data.subset(learn), seed)
            seconds = time.perf_counter() - started
            found[held] = answer([data.texts[i] for i in held])
            if options.keep:
                place.parent.mkdir(parents=True, exist_ok=True)
                np.savez(place, p=found[held], seconds=seconds)
        spent.append(seconds)
    return found, float(np.mean(spent))


def scores(data: Dataset, found: Any) -> dict[str, float]:
    scored = np.flatnonzero(~np.isnan(found[:, 0]))
    report = evaluate(
        data.targets[scored], found[scored], labels=data.labels, kind=data.kind, bootstrap=0
    )
    chosen = found[scored].argmax(axis=1)
    f1 = [_f1(data.targets[scored] == k, chosen == k) for k in range(len(data.labels))]
    return {
        "accuracy": report.scores["accuracy"].value, "macro_f1": float(np.mean(f1)),
        "f1": report.scores["f1"].value,
        "calibration_error": report.scores["expected_calibration_error"].value,
    }  # fmt: skip


def _f1(truth: Any, chosen: Any) -> float:
    hits = float((truth & chosen).sum())
    return 2 * hits / max(float(truth.sum() + chosen.sum()), 1.0)


def one_set(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return every contestant's scores on a set, and how far each is ahead of the better TF-IDF."""
    options.set = name
    data = read(name)
    metric = "macro_f1" if name in BY_MACRO_F1 else "accuracy"
    seeds = (0, 1, 2) if len(data) < SMALL_ROWS and not options.seeds else options.seed_list
    by_name: dict[str, list[dict[str, float]]] = {}
    kept: dict[str, list[Any]] = {}
    for who, fit in contestants(options).items():
        for seed in seeds:
            found, seconds = answers(data, who, fit, options, seed=seed)
            kept.setdefault(who, []).append(found)
            by_name.setdefault(who, []).append(scores(data, found) | {"train_s": seconds})
        means = _means(by_name[who])
        print(f"{name:16} {who:34} {metric} {means[metric]:.4f}", _shown(means), flush=True)
    rows = {who: _means(runs) for who, runs in by_name.items()}
    rivals = [who for who in (WORDS, CHARACTERS) if who in rows]
    if rivals:
        rival = max(rivals, key=lambda who: rows[who][metric])
        for who in rows:
            rows[who]["ahead"] = rows[who][metric] - rows[rival][metric]
            rows[who]["accuracy_interval"] = _interval(data, kept[who][0], kept[rival][0])
    return {"rows": len(data), "classes": len(data.labels), "metric": metric, "models": rows}


def _interval(data: Dataset, ours: Any, theirs: Any) -> list[float]:
    """Return the paired difference in accuracy and its 95 % interval, of the first seed."""
    both = np.flatnonzero(~np.isnan(ours[:, 0]) & ~np.isnan(theirs[:, 0]))
    gap = compare(data.targets[both], ours[both], theirs[both], kind=data.kind).accuracy
    return [gap.value, gap.low, gap.high]


def _means(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}


def _shown(row: dict[str, Any]) -> str:
    return (
        f"accuracy {row['accuracy']:.4f} ECE {row['calibration_error']:.3f} {row['train_s']:.1f} s"
    )


def curve(options: argparse.Namespace) -> dict[str, Any]:
    """Return the judged score of each contestant by the number of rows, for each set."""
    found: dict[str, Any] = {}
    for name in options.sets.split(","):
        options.set = name
        data = read(name)
        metric = "macro_f1" if name in BY_MACRO_F1 else "accuracy"
        for rows in (n for n in options.curve_rows if n < 0.8 * len(data)):
            if rows < 2 * len(data.labels):
                continue
            for who, fit in contestants(options).items():
                p, _ = answers(data, who, fit, options, seed=0, rows=rows)
                value = scores(data, p)[metric]
                found.setdefault(str(rows), {}).setdefault(who, {})[name] = value
                print(f"{name:16} {rows:5} rows {who:34} {metric} {value:.4f}", flush=True)
    return {
        rows: {
            who: {"mean": float(np.mean(list(of.values()))), "sets": of} for who, of in w.items()
        }
        for rows, w in found.items()
    }


def summary(sets: dict[str, Any]) -> dict[str, Any]:
    """Return each contestant's means over the sets, and its wins and losses against TF-IDF."""
    found: dict[str, Any] = {}
    for who in next(iter(sets.values()))["models"]:
        rows = [(s["models"][who], s["metric"]) for s in sets.values() if who in s["models"]]
        ahead = [row["ahead"] for row, _ in rows if "ahead" in row]
        found[who] = {
            "mean": float(np.mean([row[metric] for row, metric in rows])),
            "calibration_error": float(np.mean([row["calibration_error"] for row, _ in rows])),
            "train_s": float(np.mean([row["train_s"] for row, _ in rows])),
        }
        if ahead:
            found[who] |= {
                "ahead": float(np.mean(ahead)), "least_ahead": float(min(ahead)),
                "wins": sum(a > 0 for a in ahead), "losses": sum(a < 0 for a in ahead),
            }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--contestants", default=f"{WORDS},{CHARACTERS},fastText,default,best")
    parser.add_argument("--seeds", default="", help="default: 0, and 0,1,2 for small files")
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--teacher", default="", help="folder of an encoder, for `teacher`")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--curve-rows", default=",".join(map(str, CURVE)))
    parser.add_argument("--keep", default="", help="folder where answers are kept")
    parser.add_argument("--name", default="suite", help="of the JSON file")
    options = parser.parse_args()
    options.seed_list = [int(seed) for seed in (options.seeds or "0").split(",")]
    options.of_folds = [int(fold) for fold in options.folds.split(",")]
    options.curve_rows = [int(rows) for rows in options.curve_rows.split(",")]
    command = "python -m benchmarks.bench_suite"
    if options.curve:
        figures = {"curve": curve(options)}
        for rows, row in figures["curve"].items():
            print(rows, {who: round(found["mean"], 4) for who, found in row.items()})
        print(write(f"{options.name}_curve", figures, command=command + " --curve"))
        return
    sets = {name: one_set(name, options) for name in options.sets.split(",")}
    figures = {"folds": options.of_folds, "sets": sets, "summary": summary(sets)}
    for who, row in figures["summary"].items():
        print(f"{who:36}", {key: round(value, 4) for key, value in row.items()})
    print(write(options.name, figures, command=command))


if __name__ == "__main__":
    main()
