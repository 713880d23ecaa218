"""The server as processes: one that listens, and those that answer.

With one worker, the process that listens is the one that answers. With more, the first process
loads the models once, forks the workers, which share its memory until they write to it, replaces
those that die, and passes SIGHUP (read the models again) and SIGTERM (end) on to them.

After SIGTERM a worker is no longer ready, answers what comes for a moment longer (so that who
balances load can turn away), closes each connection with its next answer, and ends when none is
left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from tidegate.errors import ConfigError
from tidegate.serving.app import make_app
from tidegate.serving.gate import Gate, State, note
from tidegate.serving.listener import BACKLOG, refuse_new, waiting
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models
from tidegate.serving.protocol import Protocol
from tidegate.serving.service import Service
from tidegate.serving.settings import Settings
from tidegate.serving.supervisor import SIGNALS, Supervisor

_LAST_ROUNDS, _LAST_ROUND_SECONDS = 5, 0.02  # of accepting who waits, before the listener is closed
KEEP_ALIVE_SECONDS = 75
END_SECONDS = 30  # for requests in work to end in, after SIGTERM


def serve(
    paths: Mapping[str, Path],
    *,
    listener: socket.socket,
    settings: Settings,
    workers: int = 1,
    on_ready: Callable[[Models], None] = lambda models: None,
) -> None:
    """Serve models until SIGTERM or SIGINT.

    Parameters
    ----------
    paths : bundles' directories by name; the first is the default
    listener : what `listen` gave
    workers : processes that answer
    on_ready : called once the models are loaded, before the first request

    Raises
    ------
    BundleError, ConfigError
        A model cannot be served.
    """
    if workers < 1:
        raise ConfigError(f"workers: found {workers}; it must be at least 1")
    models = Models.load(paths)
    meters = Meters(models.names, processes=workers + 1)
    worker = _Worker(models, listener, settings, meters)
    worker.check()
    on_ready(models)
    if workers == 1:
        worker.run(0)
        return
    if not hasattr(os, "fork"):
        raise ConfigError("workers: this system cannot fork; take one")
    Supervisor(worker, workers).run()


class _Server(uvicorn.Server):
    """uvicorn, whose signals mean what `serve` says of them."""

    def __init__(
        self, config: uvicorn.Config, service: Service, state: State, listener: socket.socket,
        all_end: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(config)
        self._service, self._state, self._listener = service, state, listener
        self._all_end = all_end
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the signals; unlike uvicorn, do not send them to oneself again at the end."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._end)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that wait, close the listener, and end when all are answered.

        Whoever has a connection by now has sent a request, or is about to.
        """
        for server in self.servers:
            server.close()
        if self._all_end():  # else the other workers go on listening, on the same socket
            refuse_new(self._listener)
        for _ in range(_LAST_ROUNDS):
            await self._take(waiting(self._listener))
            await asyncio.sleep(_LAST_ROUND_SECONDS)
        last = waiting(self._listener)
        self._listener.close()
        await self._take(last)
        await super().shutdown(sockets)

    async def _take(self, connections: list[socket.socket]) -> None:
        """Serve connections as if the event loop had accepted them."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state,
                app_state=self.lifespan.state, _loop=loop,
            )  # fmt: skip
            return made

        for connection in connections:
            connection.setblocking(False)
            with contextlib.suppress(OSError):  # gone in the meantime
                await loop.connect_accepted_socket(protocol, connection)

    def _end(self) -> None:
        if self._state.draining:  # asked twice: now
            self.force_exit = self.should_exit = True
            return
        self._state.draining = True
        note("draining", seconds=self._service.settings.drain_seconds)
        loop = asyncio.get_running_loop()
        loop.call_later(self._service.settings.drain_seconds, self._exit)

    def _exit(self) -> None:
        self.should_exit = True

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._service.reload_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Worker:
    """What one process needs to answer."""

    def __init__(
        self, models: Models, listener: socket.socket, settings: Settings, meters: Meters
    ) -> None:
        self.models, self.listener = models, listener
        self.settings, self.meters = settings, meters

    def check(self) -> None:
        """Raise what `make_app` would, before any process is started."""
        make_app(self.models, settings=self.settings, meters=self.meters)

    def run(
        self, number: int, *, tell_others: Callable[[], None] | None = None,
        all_end: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """Answer until a signal ends it.

        Parameters
        ----------
        number : the row of the meters that is its own
        tell_others : makes all workers read the models again
        all_end : whether the other workers are ending as well
        """
        self.meters.be(number)
        state = State()
        app, service = make_app(
            self.models, settings=self.settings, meters=self.meters, state=state
        )
        if tell_others is not None:
            service.tell_others = tell_others
        # What uvicorn would log, the gate has logged already: as JSON, and without what was sent.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        server = _Server(self._config(app), service, state, self.listener, all_end)
        # asyncio closes the socket it is given with its server; `shutdown` still accepts from ours.
        server.run(sockets=[self.listener.dup()])
        service.batcher.close()

    def _config(self, app: Gate) -> uvicorn.Config:
        limits = self.settings.limits

        class Bounded(Protocol):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, limits=limits, **kwargs)

        return uvicorn.Config(
            app, http=Bounded, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, date_header=True, backlog=BACKLOG, proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=END_SECONDS,
        )  # fmt: skip
