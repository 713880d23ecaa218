"""Answers to rows by models that have not learned from them.

Takes a dataset and what trains on a part of it; gives `HeldOut`: the answers of our model and of
its rivals to the same rows, each with the thresholds it decides by. Rows are held out by one split
(a fifth of them) or by cross-validation (each of them once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import cross_folds, grouped_folds
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.evaluation.calibration import apply_temperature, fit_temperature
from tidegate.evaluation.thresholds import decide
from tidegate.training.baseline import Baseline, majority
from tidegate.training.callbacks import Facts
from tidegate.training.checkpoint import Checkpoint, Workspace
from tidegate.training.cost import Answer, Cost, cost
from tidegate.training.prepare import Indices, Prepared
from tidegate.training.threads import torch_threads
from tidegate.training.train import Trained, thresholds, train

Probabilities = npt.NDArray[np.float64]
BASELINE = "TF-IDF words and characters + LR"
MAJORITY = "majority class"
OURS = "this model"
BEFORE = "the model before"  # that this one went on from
CALIBRATION_ROWS = 100  # held out at least, for a temperature to be fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model says of n held-out rows.

    Attributes
    ----------
    probabilities : (n, L)
    threshold : what it decides by, in a form that `decide` takes: one number, one a label, or, from
        several folds, one a row
    """

    probabilities: Probabilities
    threshold: npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Answers to rows by models that have not learned from them.

    Attributes
    ----------
    way : by one split, or by cross-validation
    folds : how many models answered; 1 for a split
    learned_rows : how many rows each of them learned from (of several, the mean)
    test : the rows that were held out (n of them)
    ours, rivals : the answers of our model, and of others by name
    n_tokens, n_unknown : (n,) tokens read of each message, and how many were unknown words
    thresholds, temperature : for a model that learns from every row: those of the models that
        answered, averaged over folds
    costs : what our model and its rivals cost, where there is more than the baseline to compare
    """

    way: Literal["split", "cv"]
    folds: int
    learned_rows: int
    test: Dataset
    ours: Answers
    rivals: Mapping[str, Answers]
    n_tokens: Indices
    n_unknown: Indices
    thresholds: tuple[float, ...]
    temperature: float
    costs: Mapping[str, Cost]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A model that learned from the same rows: its answers, its threshold, and its size."""

    answer: Answer
    threshold: npt.NDArray[np.float64]
    parameters: int
    size_bytes: int

    def answers(self, texts: Sequence[str]) -> Answers:
        """Return its answers to held-out texts."""
        return Answers(probabilities=self.answer(texts), threshold=self.threshold)

    def cost(self, texts: Sequence[str]) -> Cost:
        """Return what it costs to answer texts, measured."""
        return cost(self.answer, texts, parameters=self.parameters, size_bytes=self.size_bytes)


def contestant_of(bundle: Bundle) -> Contestant:
    """Return a bundle as a contestant."""
    predictor = Predictor(bundle)
    return Contestant(
        answer=predictor.predict_proba, threshold=np.asarray(predictor.threshold, np.float64),
        parameters=bundle.n_parameters, size_bytes=bundle.size_bytes,
    )  # fmt: skip


def chosen_threshold(trained: Trained, answer: Answer) -> npt.NDArray[np.float64]:
    """Return a rival's thresholds, chosen as ours were: by the same rule on the same rows."""
    dataset, rule = trained.prepared.dataset, trained.prepared.config.training.threshold
    if rule == "half" or dataset.kind == "multiclass":
        return np.array(0.5)
    kept = dataset.subset(trained.kept_rows)
    found = thresholds(kept.targets, answer(kept.texts), kind=dataset.kind, rule=rule)
    return np.array(found if dataset.kind == "multilabel" else found[0])


def calibrated(held_out: HeldOut) -> HeldOut:
    """Return held-out answers with a temperature, and the temperature for the model of all rows.

    That one is fitted on all rows held out. The answers are divided by two others, so that no
    figure profits from being fitted on the rows it is of: each half of the rows has the temperature
    that fits the other half. Thresholds move along, so that no decision changes.
    """
    test, ours = held_out.test, held_out.ours
    if len(test) < CALIBRATION_ROWS:
        return held_out
    logits = log_odds(ours.probabilities) if test.kind == "multilabel" else None
    if logits is None:
        logits = np.log(np.clip(ours.probabilities, 1e-12, 1.0))
    # Drawn without a look at the labels: else a row's own label could choose its half.
    unlabelled = replace(test, targets=np.zeros_like(test.targets))
    halves = grouped_folds(unlabelled, [0.5, 0.5], seed=0)
    columns = ours.probabilities.shape[1] if test.kind == "multilabel" else 1
    threshold = np.array(np.broadcast_to(ours.threshold, (len(test), columns)), np.float64)
    probabilities = ours.probabilities.copy()
    for half in (0, 1):
        here, there = halves == half, halves != half
        if not here.any() or not there.any():
            return held_out
        t = fit_temperature(logits[there], test.targets[there], kind=test.kind)
        probabilities[here] = apply_temperature(ours.probabilities[here], t, kind=test.kind)
        threshold[here] = moved_thresholds(threshold[here], t)
    t = fit_temperature(logits, test.targets, kind=test.kind)
    return replace(
        held_out,
        ours=Answers(probabilities=probabilities, threshold=threshold),
        thresholds=tuple(moved_thresholds(np.array(held_out.thresholds), t).tolist()),
        temperature=t,
    )


def with_thresholds(held_out: HeldOut, rule: str) -> HeldOut:
    """Return held-out answers with the thresholds that a rule chooses on them."""
    test, ours = held_out.test, held_out.ours
    if rule == "half" or test.kind == "multiclass":
        return held_out
    found = thresholds(test.targets, ours.probabilities, kind=test.kind, rule=rule)
    answers = replace(ours, threshold=np.array(found if test.kind == "multilabel" else found[0]))
    return replace(held_out, ours=answers, thresholds=found)


def moved_thresholds(
    thresholds: npt.NDArray[np.float64], temperature: float
) -> npt.NDArray[np.float64]:
    """Return the thresholds that decide alike once logits are divided by a temperature.

    Examples
    --------
    >>> moved_thresholds(np.array([0.5, 0.9]), 2.0).round(3).tolist()
    [0.5, 0.75]
    """
    inside = (thresholds > 0) & (thresholds < 1)
    moved = 1 / (1 + np.exp(-log_odds(np.where(inside, thresholds, 0.5)) / temperature))
    return np.where(inside, moved, thresholds)


def log_odds(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return log(p / (1 − p)), of probabilities kept clear of 0 and 1."""
    clear = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(clear) - np.log1p(-clear), np.float64)


def by_split(
    trained: Trained,
    contestants: Mapping[str, Contestant] | None = None,
    *,
    baseline: bool = True,
) -> HeldOut:
    """Return the answers of a model that was trained on one side of a split to the other side.

    Parameters
    ----------
    trained : the model, and the split
    contestants : further rivals by name; what all of them cost is then measured, too
    baseline : whether TF-IDF and logistic regression answer, too
    """
    test = trained.test
    ours = contestant_of(trained.bundle)
    others = dict(contestants or {})
    if baseline:  # last: what people would use instead is what ours is compared with
        others[BASELINE] = _baseline(trained)
    costs = {}
    if contestants:
        with torch_threads(1):
            costs = {name: c.cost(test.texts) for name, c in {OURS: ours, **others}.items()}
    rivals = {name: c.answers(test.texts) for name, c in others.items()}
    n_tokens, n_unknown = _words(trained.prepared)
    return HeldOut(
        way="split", folds=1, learned_rows=len(trained.prepared.train_rows), test=test,
        ours=ours.answers(test.texts), rivals={MAJORITY: _majority(trained), **rivals},
        n_tokens=n_tokens, n_unknown=n_unknown, costs=costs,
        thresholds=trained.bundle.thresholds, temperature=trained.bundle.temperature,
    )  # fmt: skip


def by_cross_validation(
    dataset: Dataset,
    config: Config,
    *,
    folds: int = 5,
    learn: Callable[..., Trained] = train,
    baseline: bool = True,
    work: Workspace | None = None,
    never_held: npt.NDArray[np.bool_] | None = None,
    on_fold: Callable[[Facts], None] = lambda facts: None,
) -> HeldOut:
    """Train once a fold, and answer each row by the model that has not seen it or its repeats.

    Vocabulary, thresholds and temperature of a fold come from its training rows alone.

    Parameters
    ----------
    folds : how many
    learn : what trains, called as `train` is
    baseline : whether TF-IDF and logistic regression answer, too
    work : where the folds that are done are kept, and the one that is not; by default nowhere
    never_held : rows (N,) that every fold learns from
    on_fold : called after each fold, see `callbacks`

    Raises
    ------
    ConfigError
        Fewer than two folds.
    DataError
        No row can be held out.
    """
    if folds < 2:
        raise ConfigError(f"cv: found {folds}; give 2 or more folds")
    numbers = cross_folds(dataset, folds, seed=config.data.split_seed, never_held=never_held)
    found: list[HeldOut] = []

    def answered(place: Workspace | None, rows: tuple[Indices, Indices]) -> HeldOut:
        return by_split(learn(dataset, config, rows=rows, work=place), baseline=baseline)

    for fold in range(folds):
        others, held = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        if not len(held):
            continue  # fewer distinct messages than folds
        part = kept_fold(
            work, f"fold-{fold + 1}", dataset.subset(held), partial(answered, rows=(others, held))
        )
        found.append(part)
        on_fold({"number": fold + 1, "of": folds, "rows": len(held), "right": _right(part)})
    return _joined(dataset, numbers, found)


def kept_fold(
    work: Workspace | None,
    name: str,
    test: Dataset,
    make: Callable[[Workspace | None], HeldOut],
) -> HeldOut:
    """Return answers that are kept under a name; if there are none, make and keep them.

    Parameters
    ----------
    test : the rows that are answered
    make : called with a place for what is unfinished, which goes when it is done
    """
    if work is None:
        return make(None)
    kept = work.kept(name)
    if kept is None:
        place = work.within(name)
        found = make(place)
        work.keep(name, *stored(found))
        place.clear()
        kept = work.kept(name)  # read back, so that arrays lie in memory as after a restart
        if kept is None:
            return found
    return restored(kept, test)


def stored(held_out: HeldOut) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return answers as the arrays and facts of a checkpoint, the rows themselves left out."""
    names = list(held_out.rivals)
    answers = [held_out.ours, *(held_out.rivals[name] for name in names)]
    arrays: dict[str, npt.NDArray[Any]] = {
        "n_tokens": held_out.n_tokens, "n_unknown": held_out.n_unknown
    }  # fmt: skip
    for number, each in enumerate(answers):
        arrays[f"{number}.probabilities"] = each.probabilities
        arrays[f"{number}.threshold"] = np.asarray(each.threshold, np.float64)
    facts = {
        "way": held_out.way, "folds": held_out.folds, "learned_rows": held_out.learned_rows,
        "rivals": names, "thresholds": held_out.thresholds, "temperature": held_out.temperature,
        "costs": {name: asdict(cost) for name, cost in held_out.costs.items()},
    }  # fmt: skip
    return arrays, facts


def restored(kept: Checkpoint, test: Dataset) -> HeldOut:
    """Return what `stored` gave as answers to the same rows."""
    arrays, facts = kept.arrays, kept.facts
    ours, *others = (
        Answers(
            probabilities=arrays[f"{number}.probabilities"], threshold=arrays[f"{number}.threshold"]
        )
        for number in range(len(facts["rivals"]) + 1)
    )
    return HeldOut(
        way=facts["way"], folds=facts["folds"], learned_rows=facts["learned_rows"], test=test,
        ours=ours, rivals=dict(zip(facts["rivals"], others, strict=True)),
        n_tokens=arrays["n_tokens"], n_unknown=arrays["n_unknown"],
        thresholds=tuple(facts["thresholds"]), temperature=facts["temperature"],
        costs={name: Cost(**values) for name, values in facts["costs"].items()},
    )  # fmt: skip


def _joined(dataset: Dataset, numbers: Indices, found: Sequence[HeldOut]) -> HeldOut:
    """Return the answers of all folds in the order of the rows that were held out."""
    rows = np.flatnonzero(numbers >= 0)
    order = np.argsort(numbers[rows], kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))

    def answers(parts: Sequence[Answers]) -> Answers:
        several = dataset.kind == "multilabel"
        columns = len(dataset.labels) if several else 1
        each = [np.broadcast_to(p.threshold, (len(p.probabilities), columns)) for p in parts]
        return Answers(
            probabilities=np.concatenate([p.probabilities for p in parts])[place],
            threshold=np.concatenate(each)[place],
        )

    thresholds = np.mean([part.thresholds for part in found], axis=0)
    temperatures = np.log([part.temperature for part in found])
    return HeldOut(
        way="cv", folds=len(found), test=dataset.subset(rows),
        learned_rows=round(float(np.mean([part.learned_rows for part in found]))),
        ours=answers([part.ours for part in found]),
        rivals={n: answers([part.rivals[n] for part in found]) for n in found[0].rivals},
        n_tokens=np.concatenate([part.n_tokens for part in found])[place],
        n_unknown=np.concatenate([part.n_unknown for part in found])[place],
        thresholds=tuple(thresholds.tolist()),
        temperature=float(np.exp(temperatures.mean())), costs={},
    )  # fmt: skip


def _right(part: HeldOut) -> float:
    kind, targets = part.test.kind, part.test.targets
    chosen = decide(part.ours.probabilities, kind=kind, threshold=part.ours.threshold)
    return float((chosen == targets).mean())


def _majority(trained: Trained) -> Answers:
    """Return the training rows' label shares, as the answer to every row."""
    learned = trained.prepared.dataset.targets[trained.prepared.train_rows]
    kind, labels = trained.test.kind, trained.test.labels
    shares = majority(learned, len(trained.test), kind=kind, n_labels=len(labels))
    return Answers(probabilities=shares, threshold=np.array(0.5))


def _baseline(trained: Trained) -> Contestant:
    """Return TF-IDF and logistic regression, fitted on the rows that our model learned from."""
    learned = trained.prepared.dataset.subset(trained.prepared.train_rows)
    found = Baseline(learned.kind, len(learned.labels), characters=True)
    found.fit(learned.texts, learned.targets)
    return Contestant(
        answer=found.predict_proba, threshold=chosen_threshold(trained, found.predict_proba),
        parameters=found.n_parameters, size_bytes=found.size_bytes,
    )  # fmt: skip


def _words(prepared: Prepared) -> tuple[Indices, Indices]:
    """Return how many tokens of each test message were read, and how many were unknown."""
    index = prepared.encoder.vocabulary.index
    limit = prepared.sequence_length or None
    rows = [prepared.tokens[i][:limit] for i in prepared.test_rows]
    unknown = [sum(token not in index for token in tokens) for tokens in rows]
    return np.array([len(tokens) for tokens in rows]), np.array(unknown)
