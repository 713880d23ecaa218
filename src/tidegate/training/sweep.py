"""The search for settings: Optuna's trials, scored by cross-validation, kept so that it can go on.

Takes a `Dataset`, a `Config` and a folder; gives the best settings found. Trials are kept in
`study.db` in the folder, a SQLite file: a sweep that was killed goes on where it was, and a trial
that was under way is tried again. Folds are those of `cross_folds`: messages that repeat one
another lie in one. After each fold a trial that is behind the median of the others is given up.

With several jobs folds run in processes of their own; only this process writes to the study. The
same seed suggests the same settings for one job; for several the order of results decides, too.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import cross_folds
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError, DataError, MissingExtraError
from tidegate.evaluation.scores import evaluate
from tidegate.training.run import fingerprint
from tidegate.training.search_space import Range, space_of
from tidegate.training.threads import torch_threads
from tidegate.training.train import fitted_to, train

STUDY = "tidegate"
DATABASE = "study.db"
Submit = Callable[[dict[str, Any], int], Future[float]]  # scores settings on a fold
METRICS = ("accuracy", "f1")  # f1: of the second label, or the mean over labels
_STARTUP = 10  # trials drawn at random before the others are learned from


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting tried: its number, what became of it, its score and its settings.

    `score` is None where it was given up; `mean` is that over the folds it was scored on, when it
    has just ended.
    """

    number: int
    state: str
    score: float | None
    settings: dict[str, Any]
    mean: float = math.nan
    folds: int = 0

    def line(self) -> str:
        """Return what to say when it has ended."""
        if self.score is not None:
            return f"trial {self.number}: {self.score:.4f}"
        return f"trial {self.number}: given up at {self.mean:.4f} after {self.folds} folds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep found.

    Attributes
    ----------
    metric, folds : how trials were scored
    trials : all that ended, in order; the first has the settings of `default`
    best : the best that was scored on all folds
    config : the best settings, on top of what the sweep began with
    """

    metric: str
    folds: int
    trials: tuple[Trial, ...]
    best: Trial
    config: Config


def sweep(
    dataset: Dataset,
    config: Config,
    folder: Path,
    *,
    trials: int = 30,
    folds: int = 3,
    metric: str = "accuracy",
    jobs: int = 1,
    seed: int = 0,
    most_epochs: int | None = None,
    workers: Callable[..., AbstractContextManager[Submit]] | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> Sweep:
    """Try settings until so many trials have ended, those of an earlier run among them.

    Parameters
    ----------
    folder : where the study lies, made if it is not there
    trials : how many in all
    folds : each trial is scored by so many, or given up after some
    metric : accuracy or f1
    jobs : processes; each trains on one core
    seed : of the search; folds and training have those of the config
    most_epochs : of a trial, for a quick search
    workers : what gives folds to other machines, called as `_workers` is
    on_trial : called after each trial

    Raises
    ------
    ConfigError
        A number that cannot be, or the folder holds the study of other data or settings.
    DataError
        No row can be held out, or no trial was scored.
    MissingExtraError
        Optuna is not installed.
    """
    _check(trials=trials, metric=metric, jobs=jobs)
    numbers = cross_folds(dataset, folds, seed=config.data.split_seed)
    space = space_of(most_epochs)
    about = {"folds": folds, "metric": metric, "most_epochs": most_epochs}
    study = _study(dataset, config, folder, space, about, seed=seed)
    _try_again(study)
    search = _Search(study, space, numbers, folds=folds, on_trial=on_trial)
    with (workers or _workers)(jobs, dataset, config, numbers, metric) as submit:
        search.run(trials, jobs, submit)
    return _found(study, config, folds=folds, metric=metric)


def _check(*, trials: int, metric: str, jobs: int) -> None:
    for name, value, least in (("trials", trials, 1), ("jobs", jobs, 1)):
        if value < least:
            raise ConfigError(f"{name}: found {value}; give {least} or more")
    if metric not in METRICS:
        raise ConfigError(f"metric: found {metric!r}; choose one of {', '.join(METRICS)}")
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError(needed_for="sweep", missing="optuna", extra="sweep")


def _study(
    dataset: Dataset,
    config: Config,
    folder: Path,
    space: Mapping[str, Range],
    about: Mapping[str, Any],
    *,
    seed: int,
) -> Any:
    """Return the folder's study, begun anew or gone on with if it is of these data and settings."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DATABASE
    wanted = {
        "data": fingerprint(dataset), "config": config.to_dict(),
        "automatic": sorted(config.automatic), **about,
    }  # fmt: skip
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{path}", study_name=STUDY, direction="maximize",
            load_if_exists=True, pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        )  # fmt: skip
    # SQLAlchemy's faults and SQLite's have many names.
    except Exception as fault:  # noqa: BLE001
        first = str(fault).splitlines()[0][:200]
        raise DataError(f"{path}: no study ({first}); name another folder") from None
    # A sampler of its own for each run: after so many trials it draws what one run would have.
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + len(study.trials), n_startup_trials=_STARTUP, multivariate=True,
        constant_liar=True, warn_independent_sampling=False,
    )  # fmt: skip
    had = study.user_attrs.get("of")
    if had is None:
        study.set_user_attr("of", wanted)
        default = fitted_to(dataset, config, np.arange(len(dataset)))
        study.enqueue_trial(_inside(default, space))
    elif had != wanted:
        differ = ", ".join(name for name, value in wanted.items() if had.get(name) != value)
        raise ConfigError(
            f"{path}: it is the study of another search (other {differ}); give the old ones, or "
            "name another folder"
        )
    return study


def _inside(config: Config, space: Mapping[str, Range]) -> dict[str, Any]:
    """Return a config's settings, each at the nearest place of the space."""
    found: dict[str, Any] = {}
    values = {k: v for section in config.to_dict().values() for k, v in section.items()}
    for name, one in space.items():
        if one.how == "choice":
            found[name] = min(one.values, key=lambda v: abs(v - values[name]))
        else:
            found[name] = min(max(values[name], one.values[0]), one.values[1])
    return found


def _try_again(study: Any) -> None:
    """Put what a killed run was trying back at the head of the queue."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def suggested(trial: Any, space: Mapping[str, Range]) -> dict[str, Any]:
    """Return the settings that Optuna suggests for a trial."""
    found: dict[str, Any] = {}
    for name, one in space.items():
        if one.how == "choice":
            found[name] = trial.suggest_categorical(name, list(one.values))
        elif one.how == "whole":
            found[name] = trial.suggest_int(name, int(one.values[0]), int(one.values[1]))
        else:
            low, high = one.values
            found[name] = trial.suggest_float(name, low, high, log=one.how == "log")
    return found


class _Search:
    """Trials under way: what is asked of Optuna, and what it is told."""

    def __init__(
        self, study: Any, space: Mapping[str, Range], numbers: Any, *, folds: int,
        on_trial: Callable[[Trial], None],
    ) -> None:  # fmt: skip
        self.study, self.space, self.on_trial = study, space, on_trial
        self.folds = [fold for fold in range(folds) if (numbers == fold).any()]
        self.scores: dict[int, list[float]] = {}
        self.settings: dict[int, dict[str, Any]] = {}

    def ended(self) -> int:
        from optuna.trial import TrialState

        return len(self.study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))

    def run(self, trials: int, jobs: int, submit: Submit) -> None:
        """Keep as many trials under way as there are jobs, until enough have ended."""
        left = trials - self.ended()
        under_way: dict[Future[float], Any] = {}
        while left > 0 or under_way:
            while left > 0 and len(under_way) < jobs:
                trial = self.study.ask()
                self.settings[trial.number] = suggested(trial, self.space)
                self.scores[trial.number] = []
                under_way[self._next(trial, submit)] = trial
                left -= 1
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda f: under_way[f].number):
                trial = under_way.pop(future)
                if not self._told(trial, future.result()):
                    under_way[self._next(trial, submit)] = trial

    def _next(self, trial: Any, submit: Submit) -> Future[float]:
        return submit(self.settings[trial.number], self.folds[len(self.scores[trial.number])])

    def _told(self, trial: Any, score: float) -> bool:
        """Take the score of a fold; return whether the trial has ended."""
        from optuna.trial import TrialState

        scores = self.scores[trial.number]
        scores.append(score)
        mean = math.fsum(scores) / len(scores)
        whole = len(scores) == len(self.folds)
        trial.report(mean, step=len(scores))
        if not whole and not trial.should_prune():
            return False
        state = TrialState.COMPLETE if whole else TrialState.PRUNED
        self.study.tell(trial, mean if whole else None, state=state)
        self.on_trial(Trial(
            number=trial.number + 1, state=state.name.lower(), score=mean if whole else None,
            settings=self.settings[trial.number], mean=mean, folds=len(scores),
        ))  # fmt: skip
        return True


@contextmanager
def _workers(
    jobs: int, dataset: Dataset, config: Config, numbers: Any, metric: str
) -> Iterator[Submit]:
    """Give what scores settings on a fold: here for one job, in processes for more."""
    if jobs == 1:

        def here(settings: dict[str, Any], fold: int) -> Future[float]:
            future: Future[float] = Future()
            future.set_result(fold_score(dataset, config, numbers, metric, settings, fold))
            return future

        yield here
        return
    # Spawned, not forked: torch's threads do not outlive a fork.
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_remember,
        initargs=(dataset, config, numbers, metric),
    ) as pool:  # fmt: skip
        yield lambda settings, fold: pool.submit(_fold_score, settings, fold)


_MINE: list[Any] = []  # of a worker: what its trials are about


def _remember(*about: Any) -> None:
    _MINE[:] = about


def _fold_score(settings: dict[str, Any], fold: int) -> float:
    dataset, config, numbers, metric = _MINE
    return fold_score(dataset, config, numbers, metric, settings, fold)


def fold_score(
    dataset: Dataset,
    config: Config,
    numbers: Any,
    metric: str,
    settings: dict[str, Any],
    fold: int,
) -> float:
    """Return how settings score on the rows of a fold, learned from those of the others."""
    chosen = config.with_settings(**settings)
    others, held = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
    with torch_threads(1):
        bundle = train(dataset, chosen, rows=(others, held)).bundle
    model, test = Predictor(bundle), dataset.subset(held)
    report = evaluate(
        test.targets, model.predict_proba(test.texts), labels=test.labels, kind=test.kind,
        threshold=model.threshold, bootstrap=2,
    )  # fmt: skip
    name = metric
    if test.kind == "multilabel" and metric == "accuracy":
        name = "subset_accuracy"
    return float(report.scores[name].value)


def _found(study: Any, config: Config, *, folds: int, metric: str) -> Sweep:
    from optuna.trial import TrialState

    ended = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    trials = tuple(
        Trial(
            number=trial.number + 1, state=trial.state.name.lower(), settings=dict(trial.params),
            # Optuna gives a trial that was given up the score of the folds it had: not of all.
            score=trial.value if trial.state == TrialState.COMPLETE else None,
        )
        for trial in ended
    )  # fmt: skip
    whole = [trial for trial in trials if trial.score is not None]
    if not whole:
        raise DataError("sweep: no trial was scored on all folds; let it go on")
    best = max(whole, key=lambda trial: (trial.score or 0.0, -trial.number))
    return Sweep(
        metric=metric, folds=folds, trials=trials, best=best,
        config=config.with_settings(**best.settings),
    )  # fmt: skip
