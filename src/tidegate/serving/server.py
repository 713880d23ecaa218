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

from tidegate.errors import ConfigError, DataError
from tidegate.serving.app import make_app
from tidegate.serving.gate import Gate, State, note
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models
from tidegate.serving.protocol import Protocol
from tidegate.serving.service import Service
from tidegate.serving.settings import Settings
from tidegate.serving.supervisor import SIGNALS, Supervisor

BACKLOG = 2_048
_LAST_ROUNDS, _LAST_ROUND_SECONDS = 5, 0.02  # of looking who waits at the door before it is closed
KEEP_ALIVE_SECONDS = 75
END_SECONDS = 30  # for requests in work to end in, after SIGTERM


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    DataError
        The address is taken, or is not one of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG)
        found.setblocking(False)
    except (OSError, OverflowError) as fault:
        why = getattr(fault, "strerror", None) or fault
        raise DataError(f"{host}:{port}: {why}; choose another --port, or --host") from None
    return found


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
        self, config: uvicorn.Config, service: Service, state: State, listener: socket.socket
    ) -> None:
        super().__init__(config)
        self._service, self._state, self._listener = service, state, listener
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
        """Accept who is waiting at the door, then close it, and end when all are answered.

        Whoever the system has let in before the door is closed has sent a request, or is about to.
        """
        self._listener.listen(0)  # from now on it lets one in at a time
        for server in self.servers:
            server.close()
        for _ in range(_LAST_ROUNDS):
            await self._take(self._waiting_at_the_door())
            await asyncio.sleep(_LAST_ROUND_SECONDS)
        last = self._waiting_at_the_door()
        self._listener.close()  # at once after the look, so that nobody comes in between
        await self._take(last)
        await super().shutdown(sockets)

    def _waiting_at_the_door(self) -> list[socket.socket]:
        """Return the connections that nobody has taken yet."""
        found: list[socket.socket] = []
        with contextlib.suppress(OSError):  # BlockingIOError: there are no more
            while True:
                found.append(self._listener.accept()[0])
        return found

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

    def run(self, number: int, *, tell_others: Callable[[], None] | None = None) -> None:
        """Answer until a signal ends it.

        Parameters
        ----------
        number : the row of the meters that is its own
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
        server = _Server(self._config(app), service, state, self.listener)
        # The event loop has a door of its own, which it closes when it likes; the listener is ours.
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
