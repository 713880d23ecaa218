"""A connection to a Ray cluster, for as long as some work takes.

Takes an address. `auto` is the cluster that RAY_ADDRESS names or that runs on this machine; if
there is none, one is started here for the time of the work, on all of its cores. `local` starts one
whatever else there is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tidegate.errors import ConfigError

AUTO, LOCAL = "auto", "local"
_OBJECTS_BYTES = 256 << 20  # of a cluster that is started here: it holds the model and little else


@contextmanager
def connected(address: str = AUTO) -> Iterator[None]:
    """Be connected to a cluster; a connection that is there already is used, and stays.

    Raises
    ------
    ConfigError
        There is no cluster at the address.
    """
    # Nothing is reported to anybody unless somebody asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        with _signals_kept(), _hushed():
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


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Let SIGTERM mean afterwards what it meant before; Ray ends the process in its own way."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what Ray's core says of itself out of standard error; its faults are raised as well.

    The level is read when a process connects, and one line says so then.
    """
    if "RAY_BACKEND_LOG_LEVEL" in os.environ:  # somebody wants to hear it
        yield
        return
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    spoken = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(spoken, 2)
        os.close(spoken)
        os.close(nowhere)
        del os.environ["RAY_BACKEND_LOG_LEVEL"]


def _connect(address: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address != LOCAL:
        try:
            ray.init(address, **quiet)
            return
        except ConnectionError:
            if address != AUTO or os.environ.get("RAY_ADDRESS"):
                raise
    ray.init(LOCAL, include_dashboard=False, object_store_memory=_OBJECTS_BYTES, **quiet)


def cores() -> int:
    """Return how many cores the cluster has now."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))
