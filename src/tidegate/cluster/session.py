"""A connection to a Ray cluster, for as long as some work takes.

Takes an address. `auto` is the cluster that RAY_ADDRESS names or that runs on this machine; if
there is none, one is started here for the time of the work, on all of its cores.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tidegate.errors import ConfigError

AUTO = "auto"
_OBJECTS_BYTES = 256 << 20  # of a cluster that is started here: it holds the model and little else


@contextmanager
def connected(address: str = AUTO) -> Iterator[None]:
    """Be connected to a cluster; a connection that is there already is used, and stays.

    Raises
    ------
    ConfigError
        There is no cluster at the address.
    """
    # Nothing is reported to anybody, and Ray's own words stay in its logs, unless somebody asks.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect(address)
    except (ConnectionError, ValueError, RuntimeError, OSError) as fault:
        first = str(fault).strip().splitlines()[0][:200]
        raise ConfigError(
            f"ray: no cluster at {address!r} ({first}); start one with ray start --head, or leave "
            "the address out"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        ray.init(address, **quiet)
    except ConnectionError:
        if address != AUTO or os.environ.get("RAY_ADDRESS"):
            raise
        ray.init("local", include_dashboard=False, object_store_memory=_OBJECTS_BYTES, **quiet)


def cores() -> int:
    """Return how many cores the cluster has now."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))
