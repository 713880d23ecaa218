"""What a server counts, over all of its processes, and how Prometheus reads it.

Counts lie in memory that the processes share, a row each, so that any of them can tell the sums and
a process that died takes nothing with it. A row is only written by its own process.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from tidegate.engine.predictor import Answers
from tidegate.evaluation.profile import (
    SCORE_EDGES,
    TOKEN_EDGES,
    UNKNOWN_EDGES,
    counts,
    scores,
    stability_index,
)
from tidegate.serving.models import Models, Served

ROUTES = (
    "/v1/predict", "/v1/walk", "/v1/explain", "/v1/score", "/v1/models", "/v1/models/{name}",
    "/v1/models/{name}/reload", "/v1/models/{name}/report", "/v1/models/{name}/mistakes.html",
    "/v1/feedback", "/healthz", "/readyz", "/metrics", "/openapi.json", "page", "other",
)  # fmt: skip
STATUSES = (
    200, 201, 206, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 499, 500, 503,
)  # fmt: skip
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
DRIFT: dict[str, Sequence[float]] = {
    "score": SCORE_EDGES, "tokens": TOKEN_EDGES, "unknown": UNKNOWN_EDGES,
}  # fmt: skip
DRIFT_MESSAGES = 100  # of fewer the index is large whatever they are
CONTENT_TYPE = CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block of counts lies in a row."""

    start: int
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.start + int(np.prod(self.shape))


class Meters:
    """The counts of all processes of a server.

    Made before the processes are forked; each then says with `be` which row is its own.

    Parameters
    ----------
    names : the models'
    processes : how many will count
    """

    def __init__(self, names: Sequence[str], processes: int = 1) -> None:
        self.names = list(names)
        self._size = 0
        n_models = len(self.names)
        n_routes, n_statuses = len(ROUTES), len(STATUSES) + 1
        self._requests = self._block(n_routes, n_statuses)
        self._latency = self._block(n_routes, len(SECONDS) + 1)
        self._seconds = self._block(n_routes)
        self._batches = self._block(len(BATCHES) + 1)
        self._batched = self._block(1)
        self._messages = self._block(n_models)
        self._in_flight = self._block(1)
        self._restarts = self._block(1)
        self._drift = {name: self._block(n_models, len(DRIFT[name]) + 1) for name in DRIFT}
        # Anonymous and shared: it lives as long as the processes that were forked with it.
        memory = mmap.mmap(-1, 8 * processes * self._size)
        self._rows = np.frombuffer(memory, np.float64).reshape(processes, self._size)
        self._status = {status: k for k, status in enumerate(STATUSES)}
        self._route = {route: k for k, route in enumerate(ROUTES)}
        self.be(0)
        self._model = {name: k for k, name in enumerate(self.names)}

    def _block(self, *shape: int) -> _Place:
        place = _Place(self._size, shape)
        self._size = place.end
        return place

    def _mine(self, place: _Place) -> npt.NDArray[np.float64]:
        return self._rows[self.process, place.start : place.end].reshape(place.shape)

    def _sum(self, place: _Place) -> npt.NDArray[np.float64]:
        total: npt.NDArray[np.float64] = self._rows[:, place.start : place.end].sum(axis=0)
        return total.reshape(place.shape)

    @property
    def in_flight(self) -> int:
        """Requests in work in this process."""
        return int(self._row[self._in_flight.start])

    def begin(self) -> None:
        """Count a request that begins."""
        self._row[self._in_flight.start] += 1

    def end(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        row = self._row
        row[self._in_flight.start] -= 1
        r = self._route[route]
        width = len(STATUSES) + 1
        row[self._requests.start + r * width + self._status.get(status, width - 1)] += 1
        bin_ = bisect_left(SECONDS, seconds)
        row[self._latency.start + r * (len(SECONDS) + 1) + bin_] += 1
        row[self._seconds.start + r] += seconds

    def be(self, process: int) -> None:
        """Count in another row from now on, in which no request is in work."""
        self.process = process
        # Item by item a view of memory is written twice as fast as an array.
        self._row: Any = memoryview(self._rows[process])
        self._row[self._in_flight.start] = 0

    def restarted(self) -> None:
        """Count a process that was replaced."""
        self._row[self._restarts.start] += 1

    def batch(self, model: Served, answers: Answers) -> None:
        """Count a batch of answers."""
        n = len(answers.tokens)
        row = self._row
        row[self._batches.start + bisect_left(BATCHES, n)] += 1
        row[self._batched.start] += n
        m = self._model[model.name]
        row[self._messages.start + m] += n
        values = {
            "score": scores(answers.probabilities, model.predictor.kind),
            "tokens": answers.tokens,
            "unknown": answers.unknown,
        }
        for name, place in self._drift.items():
            self._mine(place)[m] += counts(name, values[name])

    def forget_drift(self, model: str) -> None:
        """Begin to count what the messages are like again, for a model that was replaced."""
        for place in self._drift.values():
            self._mine(place)[self._model[model]] = 0

    def text(self, models: Models) -> bytes:
        """Return all counts in Prometheus's text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Page(self, models))
        return generate_latest(registry)

    def families(self, models: Models) -> Iterator[Metric]:
        """Yield the metrics."""
        yield from self._of_requests()
        sizes = HistogramMetricFamily("tidegate_batch_messages", "Messages computed together.")
        sizes.add_metric(
            [], _buckets(BATCHES, self._sum(self._batches)), float(self._sum(self._batched)[0])
        )
        yield sizes
        messages = CounterMetricFamily("tidegate_messages", "Messages answered.", labels=["model"])
        for name, n in zip(self.names, self._sum(self._messages), strict=True):
            messages.add_metric([name], float(n))
        yield messages
        flight = GaugeMetricFamily("tidegate_requests_in_flight", "Requests in work.")
        flight.add_metric([], float(self._sum(self._in_flight)[0]))
        yield flight
        restarts = CounterMetricFamily("tidegate_worker_restarts", "Worker processes replaced.")
        restarts.add_metric([], float(self._sum(self._restarts)[0]))
        yield restarts
        yield from self._of_models(models)

    def _of_requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "tidegate_requests", "Requests answered.", labels=["route", "status"]
        )
        latency = HistogramMetricFamily(
            "tidegate_request_seconds", "From a request's headers to its answer's end.",
            labels=["route"],
        )  # fmt: skip
        found, bins = self._sum(self._requests), self._sum(self._latency)
        seconds = self._sum(self._seconds)
        for r, route in enumerate(ROUTES):
            for status, n in zip((*map(str, STATUSES), "other"), found[r], strict=True):
                if n:
                    requests.add_metric([route, status], float(n))
            if found[r].any():
                latency.add_metric([route], _buckets(SECONDS, bins[r]), float(seconds[r]))
        yield requests
        yield latency

    def _of_models(self, models: Models) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "tidegate_model_info", "The models served.", labels=["model", "fingerprint", "kind"]
        )
        seen = {
            name: HistogramMetricFamily(
                f"tidegate_message_{name}", text, labels=["model"]
            )
            for name, text in {
                "score": "The second label's probability of two, else the largest.",
                "tokens": "Tokens read of a message.",
                "unknown": "Share of a message's words that the model does not know.",
            }.items()
        }  # fmt: skip
        drift = GaugeMetricFamily(
            "tidegate_drift_psi",
            "Population stability index of the messages against held-out training rows.",
            labels=["model", "of"],
        )
        for model in models:
            m = self._model[model.name]
            info.add_metric([model.name, model.fingerprint, model.predictor.kind], 1.0)
            for name, family in seen.items():
                bins = self._sum(self._drift[name])[m]
                family.add_metric([model.name], _buckets(DRIFT[name], bins), None)
                if model.profile is not None and bins.sum() >= DRIFT_MESSAGES:
                    expected = getattr(model.profile, name)
                    drift.add_metric([model.name, name], stability_index(expected, bins.tolist()))
        yield info
        yield from seen.values()
        yield drift


class _Page(Collector):
    """One reading of the counts."""

    def __init__(self, meters: Meters, models: Models) -> None:
        self._meters, self._models = meters, models

    def collect(self) -> Iterable[Metric]:
        return self._meters.families(self._models)


def _buckets(edges: Sequence[float], bins: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    """Return counts by bin as Prometheus has them: how many are at or below each edge."""
    names = [*(str(float(edge)) for edge in edges), "+Inf"]
    return list(zip(names, np.cumsum(bins).tolist(), strict=True))
