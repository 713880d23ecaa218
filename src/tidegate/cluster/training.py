"""Training whose parts are trained on the machines of a cluster.

Takes folds of a cross-validation, or settings that a sweep tries; gives what training each of them
here would have given: the same seeds, one core each. A part whose machine is lost is trained again
elsewhere. The dataset is put in the object store once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import ray
from ray.exceptions import RayTaskError

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.training.sweep import Submit, fold_score

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


def spread(function: Callable[[_Asked], _Answer], many: Sequence[_Asked]) -> Iterator[_Answer]:
    """Call a function with each of many things on the cluster; yield the answers in their order.

    It is what `Learner.spread` takes. An error of the function is raised as it would be here.
    """
    call: Any = ray.remote(num_cpus=1)(_called)
    there = ray.put(function)
    answers: list[Any] = [call.remote(there, one) for one in many]
    for answer in answers:
        get: Any = partial(ray.get, answer)
        yield _plain(get)


@contextmanager
def sweep_workers(
    jobs: int, dataset: Dataset, config: Config, numbers: Any, metric: str
) -> Iterator[Submit]:
    """Give what scores settings on a fold on the cluster; it is what `sweep` takes as `workers`."""
    score: Any = ray.remote(num_cpus=1)(_scored)
    about = ray.put((dataset, config, numbers, metric))

    def submit(settings: dict[str, Any], fold: int) -> Future[float]:
        found: Future[float] = Future()

        def tell(done: Future[float]) -> None:
            try:
                found.set_result(_plain(done.result))
            except BaseException as fault:  # noqa: BLE001
                found.set_exception(fault)

        score.remote(about, settings, fold).future().add_done_callback(tell)
        return found

    yield submit


def _called(function: Callable[[_Asked], _Answer], one: _Asked) -> _Answer:
    return function(one)


def _scored(about: Any, settings: dict[str, Any], fold: int) -> float:
    dataset, config, numbers, metric = about
    return fold_score(dataset, config, numbers, metric, settings, fold)


def _plain(get: Callable[[], _Answer]) -> _Answer:
    """Return what Ray gives; an error is the one that was raised, without Ray's words."""
    try:
        return get()
    except RayTaskError as fault:
        raise fault.cause from None
