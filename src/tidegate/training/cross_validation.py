"""Grouped cross-validation: every row scored by a model that has not learned from it.

Takes a dataset and a config, gives pooled scores beside the baseline's in the same folds, and the
rows whose label those models doubt most. Vocabulary, thresholds and temperature of a fold come
from its training rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import grouped_folds
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.evaluation.scores import compare, evaluate
from tidegate.training.baseline import Baseline
from tidegate.training.score import BASELINE, finite
from tidegate.training.train import Trained, train

_DOUBTFUL_ROWS = 30


def cross_validate(
    dataset: Dataset,
    config: Config,
    *,
    folds: int = 5,
    learn: Callable[..., Trained] = train,
    on_fold: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train once a fold and score each row by the model that has not seen it or its repeats.

    Parameters
    ----------
    folds : how many
    learn : what trains, called as `train` is
    on_fold : called with a line after each fold

    Returns
    -------
    JSON-ready: `folds`, the pooled scores of `model` and `baseline`, how far the model is `ahead`,
    and the most `doubtful` rows with their text, place, label and its probability

    Raises
    ------
    ConfigError
        Fewer than two folds.
    """
    if folds < 2:
        raise ConfigError(f"cv: found {folds}; give 2 or more folds")
    numbers = grouped_folds(dataset, [1 / folds] * folds, seed=config.data.split_seed)
    shape = (len(dataset), len(dataset.labels))
    ours, theirs = np.zeros(shape), np.zeros(shape)
    chosen = np.zeros(dataset.targets.shape, dtype=np.int64)
    for fold in range(folds):
        others, held = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        predictor = Predictor(learn(dataset, config, rows=(others, held[:0])).bundle)
        texts = [dataset.texts[i] for i in held]
        ours[held] = predictor.predict_proba(texts)
        chosen[held] = predictor.choose(ours[held])
        baseline = Baseline(dataset.kind, len(dataset.labels))
        baseline.fit([dataset.texts[i] for i in others], dataset.targets[others])
        theirs[held] = baseline.predict_proba(texts)
        share = float((chosen[held] == dataset.targets[held]).mean())
        on_fold(f"fold {fold + 1} of {folds}: {len(held)} rows held back, {share:.4f} right")
    ahead = compare(dataset.targets, ours, theirs, kind=dataset.kind)
    found = {
        "folds": folds,
        "rows": len(dataset),
        "share_decided_rightly": float((chosen == dataset.targets).mean()),
        "model": _report(dataset, ours),
        "baseline": {"name": BASELINE, **_report(dataset, theirs)},
        "ahead": {
            name: {"value": score.value, "low": score.low, "high": score.high}
            for name, score in (("accuracy", ahead.accuracy), ("f1", ahead.f1))
        },
        "doubtful": _doubtful(dataset, ours),
    }
    plain: dict[str, Any] = finite(found)
    return plain


def _report(dataset: Dataset, probabilities: npt.NDArray[np.float64]) -> dict[str, Any]:
    report = evaluate(
        dataset.targets, probabilities, labels=dataset.labels, kind=dataset.kind, bootstrap=200
    )
    return report.to_dict()


def _doubtful(dataset: Dataset, probabilities: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the rows whose given label has the lowest out-of-fold probability."""
    if dataset.kind == "multilabel":
        given = np.where(dataset.targets == 1, probabilities, 1 - probabilities)
        label_numbers = given.argmin(axis=1)
        lowest = given.min(axis=1)
    else:
        label_numbers = dataset.targets
        lowest = probabilities[np.arange(len(dataset)), dataset.targets]
    order = np.argsort(lowest, kind="stable")[:_DOUBTFUL_ROWS]
    return [
        {
            "row": dataset.rows[i],
            "text": dataset.texts[i],
            "label": dataset.labels[label_numbers[i]],
            "probability": float(lowest[i]),
        }
        for i in order
    ]


def lines(found: dict[str, Any]) -> list[str]:
    """Return the cross-validation's table for a terminal."""
    names = ("accuracy", "f1", "roc_auc", "expected_calibration_error")
    head = f"{found['folds']}-fold, grouped"
    table = [f"{head:30}" + "".join(f"{name[:12]:>13}" for name in names)]
    for title, report in (
        ("this model", found["model"]),
        (found["baseline"]["name"], found["baseline"]),
    ):
        values = (report["scores"][name]["value"] for name in names)
        shown = "".join(f"{'–' if v is None else format(v, '.4f'):>13}" for v in values)
        table.append(f"{title:30}{shown}")
    gap = found["ahead"]["accuracy"]
    table.append(f"ahead by {gap['value']:+.4f} accuracy ({gap['low']:+.4f} to {gap['high']:+.4f})")
    return table
