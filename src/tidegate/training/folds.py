"""Cross-validation: each row answered by a model that has not seen it or its repeats.

Takes a dataset and what trains on a part of it; gives `HeldOut` of all rows. Folds that are done
are kept. Each is trained by itself, so that others may train them elsewhere (`Spread`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import cross_folds
from tidegate.evaluation.thresholds import decide
from tidegate.training.callbacks import Facts
from tidegate.training.checkpoint import Checkpoint, Workspace
from tidegate.training.cost import Cost
from tidegate.training.held_out import Answers, HeldOut, by_split
from tidegate.training.prepare import Indices
from tidegate.training.train import Trained, train

Rows = tuple[Indices, Indices]
# Calls a function with each of some folds' rows, perhaps on other machines; gives what it returned,
# in order.
Spread = Callable[[Callable[[Rows], Checkpoint], Sequence[Rows]], Iterator[Checkpoint]]


def by_cross_validation(
    dataset: Dataset,
    config: Config,
    *,
    folds: int = 5,
    learn: Callable[..., Trained] = train,
    baseline: bool = True,
    work: Workspace | None = None,
    spread: Spread | None = None,
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
    spread : what trains several folds at once; by default they are trained here, in turn
    never_held : rows (N,) that every fold learns from
    on_fold : called after each fold, see `callbacks`

    Raises
    ------
    ConfigError
        Fewer than two folds.
    DataError
        No row can be held out.
    """
    numbers = cross_folds(dataset, folds, seed=config.data.split_seed, never_held=never_held)
    found: list[HeldOut] = []
    rows = {
        fold: (np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold))
        for fold in range(folds)
        if (numbers == fold).any()  # there may be fewer distinct messages than folds
    }
    answered = partial(_answered, dataset, config, learn=learn, baseline=baseline)
    elsewhere: Iterator[Checkpoint] = iter(())
    if spread is not None:
        ask = partial(_stored_answers, answered)
        left = [f for f in rows if work is None or work.kept(f"fold-{f + 1}") is None]
        elsewhere = spread(ask, [rows[fold] for fold in left])
    for fold, (_, held) in rows.items():
        test = dataset.subset(held)

        def make(place: Workspace | None, fold: int = fold, test: Dataset = test) -> HeldOut:
            if spread is not None:
                return restored(next(elsewhere), test)
            return answered(rows[fold], place)

        part = kept_fold(work, f"fold-{fold + 1}", test, make)
        found.append(part)
        on_fold({"number": fold + 1, "of": folds, "rows": len(held), "right": _right(part)})
    return _joined(dataset, numbers, found)


def _answered(
    dataset: Dataset,
    config: Config,
    rows: Rows,
    place: Workspace | None,
    *,
    learn: Callable[..., Trained],
    baseline: bool,
) -> HeldOut:
    return by_split(learn(dataset, config, rows=rows, work=place), baseline=baseline)


def _stored_answers(answered: Callable[..., HeldOut], rows: Rows) -> Checkpoint:
    arrays, facts = stored(answered(rows, None))
    return Checkpoint(arrays=arrays, facts=facts)


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
