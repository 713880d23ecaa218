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
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate.errors import ConfigError, DataError
from tidegate.serving.app import Service, make_app, parent_told
from tidegate.serving.gate import Gate, State, note
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models, Served
from tidegate.serving.problems import Problem
from tidegate.serving.settings import Limits, Settings

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 75
END_SECONDS = 30  # for requests in work to end in, after SIGTERM
_LAST_WORDS_SECONDS = 0.5  # for a request on a connection that was accepted last to come in
_QUICK_DEATHS = 5  # in a row, each within a second of its start: then something is wrong for good
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
    _Supervisor(worker, workers).run()


class _Protocol(HttpToolsProtocol):
    """HTTP with a bound on headers, on how long they may take, and on connections."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._header_bytes = 0
        self._in_headers = True
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.close()
            return
        self._waiting = self.loop.call_later(self._limits.request_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
            if self._waiting is None:
                self._waiting = self.loop.call_later(self._limits.request_seconds, self._give_up)
        super().data_received(data)
        # The first part of a body may have come along: what counts is what came before it began.
        if self._in_headers and self._header_bytes > self._limits.header_bytes:
            self._refuse()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if sum(len(n) + len(v) for n, v in self.headers[-1:]) > self._limits.header_bytes:
            self._refuse()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._header_bytes = 0
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.header_bytes:
            self._refuse()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.transport.is_closing():
            super().on_message_complete()
        self._in_headers = True

    def shutdown(self) -> None:
        """End the connection; if its request is still on its way, when that is answered."""
        if getattr(self, "cycle", None) is None:  # before the first request there is none
            self.loop.call_later(_LAST_WORDS_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def _refuse(self) -> None:
        """Answer 431, once, and close."""
        if self.transport.is_closing():
            return
        limit = self._limits.header_bytes
        problem = Problem(431, f"the headers are larger than {limit:,} bytes; send less")
        body = problem.body("none")
        head = (
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
            b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(head + body)
        self.transport.close()

    def _give_up(self) -> None:
        """Close a connection whose request does not come."""
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn, whose signals mean what `serve` says of them."""

    def __init__(self, config: uvicorn.Config, service: Service, state: State) -> None:
        super().__init__(config)
        self._service, self._state = service, state
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the signals; unlike uvicorn, do not send them to oneself again at the end."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._end)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept who is waiting at the door, then close it, and end when all are answered."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state,
                app_state=self.lifespan.state, _loop=loop,
            )  # fmt: skip
            return made

        for listener in sockets or []:
            listener.listen(0)  # who comes now is told to try again
            with contextlib.suppress(OSError):  # BlockingIOError: nobody waits any more
                while True:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    await loop.connect_accepted_socket(protocol, connection)
        await super().shutdown(sockets)

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
        server = _Server(self._config(app), service, state)
        server.run(sockets=[self.listener])
        service.batcher.close()

    def _config(self, app: Gate) -> uvicorn.Config:
        limits = self.settings.limits

        class Protocol(_Protocol):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, limits=limits, **kwargs)

        return uvicorn.Config(
            app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, date_header=True, backlog=BACKLOG, proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=END_SECONDS,
        )  # fmt: skip


class _Supervisor:
    """The process that forks workers and replaces them."""

    def __init__(self, worker: _Worker, n_workers: int) -> None:
        self._worker = worker
        self._numbers: dict[int, int] = {}  # process id → the worker's number
        self._started: dict[int, float] = {}
        self._n_workers = n_workers
        self._ending = False
        self._reloading = False
        self._quick_deaths = 0

    def run(self) -> None:
        """Keep the workers up until SIGTERM, then wait for them."""
        wake, waker = socket.socketpair()  # a signal that comes at any moment is seen here
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        self._worker.meters.be(self._n_workers)  # the row after the workers'
        for number in (*_SIGNALS, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._heard)
        try:
            for worker in range(self._n_workers):
                self._start(worker)
            wake.settimeout(1.0)
            while self._numbers:
                with contextlib.suppress(TimeoutError, InterruptedError):
                    wake.recv(64)
                self._look()
        finally:
            signal.set_wakeup_fd(-1)
            for pid in self._numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if number in _SIGNALS:
            self._ending = True
            # The door is closed by the last worker that stands at it, when nobody waits there.
            self._worker.listener.close()
            self._send(signal.SIGTERM)
        elif number == signal.SIGHUP:
            self._reloading = True

    def _send(self, number: signal.Signals) -> None:
        for pid in list(self._numbers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _look(self) -> None:
        """Do what signals have asked for, and replace who has died."""
        if self._reloading and not self._ending:
            self._reloading = False
            self._reload()
        for pid in list(self._numbers):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            number = self._numbers.pop(pid)
            if self._ending:
                continue
            lasted = time.monotonic() - self._started.pop(pid)
            self._quick_deaths = self._quick_deaths + 1 if lasted < 1.0 else 0
            code = os.waitstatus_to_exitcode(status)
            note("worker replaced", worker=number, pid=pid, code=code)
            if self._quick_deaths >= _QUICK_DEATHS:
                note("giving up", detail="workers end as soon as they are started")
                self._ending = True
                self._send(signal.SIGTERM)
                raise DataError("serve: the workers end as soon as they are started; see the log")
            self._worker.meters.restarted()
            self._start(number)

    def _reload(self) -> None:
        """Read the models here, for workers to come, and have the others read them."""
        models = self._worker.models
        for name in models.names:
            try:
                models.put(Served.load(name, models.get(name).path))
            except Exception as fault:  # noqa: BLE001 - the workers refuse it, too, and say so
                note("reload refused", model=name, detail=str(fault))
        self._send(signal.SIGHUP)

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._numbers[pid] = number
            self._started[pid] = time.monotonic()
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for heard in (*_SIGNALS, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(heard, signal.SIG_DFL)
            _end_with(parent)
            self._worker.run(number, tell_others=parent_told)
            code = 0
        except BaseException as fault:  # noqa: BLE001 - the fork must not go on as its parent
            note("worker failed", worker=number, detail=repr(fault))
        finally:
            sys.stderr.flush()
            os._exit(code)


def _end_with(parent: int) -> None:
    """Have this process end when its parent does, where the system can tell it (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
