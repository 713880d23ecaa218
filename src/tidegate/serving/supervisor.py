"""The process that forks workers, replaces those that die, and passes signals on to them."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from tidegate.errors import DataError
from tidegate.serving.gate import note
from tidegate.serving.meters import Meters
from tidegate.serving.models import Models, Served

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_QUICK_DEATHS = 5  # in a row, each within a second of its start: then something is wrong for good


class Worker(Protocol):
    """What a forked process is to do, and what it shares with the others."""

    models: Models
    listener: socket.socket
    meters: Meters

    def run(
        self, number: int, *, tell_others: Callable[[], None] | None = None,
        all_end: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        """Answer until a signal ends it."""


class Supervisor:
    """The process that forks workers and replaces them."""

    def __init__(self, worker: Worker, n_workers: int) -> None:
        self._worker = worker
        self._numbers: dict[int, int] = {}  # process id → the worker's number
        self._started: dict[int, float] = {}
        self._n_workers = n_workers
        self._ending = mmap.mmap(-1, 1)  # shared with the workers: 1 once all are to end
        self._reloading = False
        self._quick_deaths = 0

    def run(self) -> None:
        """Keep the workers up until SIGTERM, then wait for them."""
        wake, waker = socket.socketpair()  # a signal that comes at any moment is seen here
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        self._worker.meters.be(self._n_workers)  # the row after the workers'
        for number in (*SIGNALS, signal.SIGHUP, signal.SIGCHLD):
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
        if number in SIGNALS:
            self._worker.listener.close()  # it goes on listening until the last worker closes it
            self._end()
        elif number == signal.SIGHUP:
            self._reloading = True

    def _end(self) -> None:
        self._ending[0] = 1
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for pid in list(self._numbers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _look(self) -> None:
        """Do what signals have asked for, and replace who has died."""
        if self._reloading and not self._ending[0]:
            self._reloading = False
            self._reload()
        for pid in list(self._numbers):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            number = self._numbers.pop(pid)
            if self._ending[0]:
                continue
            lasted = time.monotonic() - self._started.pop(pid)
            self._quick_deaths = self._quick_deaths + 1 if lasted < 1.0 else 0
            code = os.waitstatus_to_exitcode(status)
            note("worker replaced", worker=number, pid=pid, code=code)
            if self._quick_deaths >= _QUICK_DEATHS:
                note("giving up", detail="workers end as soon as they are started")
                self._end()
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
        # A signal to end waits until this process knows the worker, so that it is passed on, and
        # until the worker has left this process's handlers, so that it ends by it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self._ending[0]:
                return
            pid = os.fork()
            if pid:
                self._numbers[pid] = number
                self._started[pid] = time.monotonic()
                return
            signal.set_wakeup_fd(-1)
            for heard in (*SIGNALS, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(heard, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = 1
        try:
            # Ctrl-C goes to all processes of a terminal; with what the parent then sends, it would
            # come twice, which means: end at once.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            _end_with(parent)
            self._worker.run(
                number, tell_others=_parent_told,
                all_end=lambda: bool(self._ending[0]) or os.getppid() != parent,
            )  # fmt: skip
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


def _parent_told() -> None:
    """Have the process that started this one make all of them reload."""
    os.kill(os.getppid(), signal.SIGHUP)
