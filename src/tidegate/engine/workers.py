"""Helper processes: blocks of bytes out, answers back.

Takes a command that reads questions and writes answers; spreads blocks over several such processes
and the caller itself. Knows nothing of models or messages.

Why processes: an LSTM in NumPy is many small calls, and Python lets one thread at a time start one.
Two threads gain a tenth on the default model, two processes are twice as fast.

What a helper needs at first, such as a model, it is sent as well, so that nothing lies in a file
that a killed process would leave. A helper that dies takes nothing with it: the block it had is
worked on here.

Helpers end when their standard input closes or their parent changes, so none outlives the process
that started it, however that one ends. (Linux' parent-death signal would not do: it comes when the
starting *thread* ends, and a server's threads end all the time.)

Threads may share helpers: a call takes those that are idle and does without the others. A forked
process has none: it closes its copies of the pipes at once. The pipes are unbuffered, so that
nothing half written is sent twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar

Block = TypeVar("Block")
Answer = TypeVar("Answer")

_LENGTH = struct.Struct("<Q")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_WATCH_S = 0.5  # how long a helper may outlive its parent while its standard input stays open


_everyone: weakref.WeakSet[Workers] = weakref.WeakSet()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Helper processes that answer blocks.

    Parameters
    ----------
    count : how many to start; where the machine refuses one there are fewer
    code : Python that a helper runs; it calls `serve`
    first : what each helper is sent before any block

    Examples
    --------
    >>> code = "from tidegate.engine.workers import serve; serve(lambda first: bytes.upper)"
    >>> helpers = Workers(1, code)
    >>> helpers.map([b"a", b"b"], ask=bytes.upper, tell=lambda block: block, heard=bytes)
    [b'A', b'B']
    >>> helpers.close()
    """

    def __init__(self, count: int, code: str, first: bytes = b"") -> None:
        root = str(Path(__file__).parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            **dict.fromkeys(_ONE_THREAD, "1"),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        # -P: a json.py in the caller's working directory is none of ours.
        command = [sys.executable, "-P", "-c", code, str(os.getpid())]
        pipe = subprocess.PIPE
        self._processes: list[subprocess.Popen[bytes]] = []
        with _interrupts_blocked(), contextlib.suppress(OSError):
            for _ in range(count):
                self._processes.append(
                    subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, env=environment)
                )
        self._first = first
        self._begun: set[subprocess.Popen[bytes]] = set()
        self._busy: set[subprocess.Popen[bytes]] = set()
        self._choosing = threading.Lock()
        _everyone.add(self)

    def __len__(self) -> int:
        return len(self._processes)

    def map(
        self,
        blocks: Sequence[Block],
        *,
        ask: Callable[[Block], Answer],
        tell: Callable[[Block], bytes],
        heard: Callable[[bytes], Answer],
    ) -> list[Answer]:
        """Return each block's answer, in order.

        Parameters
        ----------
        ask : answers a block here
        tell, heard : a block as bytes for a helper, and its answer from bytes
        """
        answers: dict[int, Answer] = {}
        waiting = iter(range(len(blocks)))
        lock = threading.Lock()

        def take() -> int | None:
            with lock:
                return next(waiting, None)

        def through(process: subprocess.Popen[bytes]) -> None:
            try:
                while (number := take()) is not None:
                    answer = self._exchange(process, tell(blocks[number]))
                    if answer is None:  # it died; the caller will find this block missing
                        process.kill()
                        return
                    answers[number] = heard(answer)
            finally:
                self._busy.discard(process)

        mine = self._idle()
        threads = [threading.Thread(target=through, args=(p,), daemon=True) for p in mine]
        for thread in threads:
            thread.start()
        try:
            while (number := take()) is not None:
                answers[number] = ask(blocks[number])
        finally:
            while take() is not None:  # after a fault here the helpers are to take no more of it
                pass
            for thread in threads:
                thread.join()
        for number in range(len(blocks)):
            if number not in answers:
                answers[number] = ask(blocks[number])
        return [answers[number] for number in range(len(blocks))]

    def _idle(self) -> list[subprocess.Popen[bytes]]:
        """Take the helpers that are alive and answer no other call."""
        with self._choosing:
            found = [p for p in self._processes if p not in self._busy and p.poll() is None]
            self._busy.update(found)
        return found

    def _exchange(self, process: subprocess.Popen[bytes], data: bytes) -> bytes | None:
        """Return a helper's answer, or None if it is no more."""
        if process.stdin is None or process.stdout is None:
            return None
        try:
            if process not in self._begun:
                _send(process.stdin, self._first)
                self._begun.add(process)
                if len(self._begun) == len(self._processes):
                    self._first = b""  # no longer needed, and perhaps big
            _send(process.stdin, data)
            return next(_blocks(process.stdout), None)
        except (OSError, ValueError):  # ValueError: closed here meanwhile
            return None

    def close(self) -> None:
        """Let the helpers end, and wait until they have."""
        self._close_pipes()
        for process in self._processes:
            process.wait()
        self._processes = []

    def _close_pipes(self) -> None:
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):  # it died with a block half read
                        stream.close()

    def _abandon(self) -> None:
        """Leave the helpers to the process that this one was forked from."""
        self._close_pipes()
        for process in self._processes:
            process.returncode = 0  # it is no child of this process, which could not wait for it
        self._processes = []


def _after_fork() -> None:
    for workers in list(_everyone):
        workers._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block the interrupt signal in what is started meanwhile.

    Ctrl-C reaches all processes of a terminal, but the parent alone decides what comes of it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(begin: Callable[[bytes], Callable[[bytes], bytes]]) -> None:
    """Be a helper: answer blocks from standard input until it closes.

    Parameters
    ----------
    begin : takes what is sent first, and returns what answers a block
    """
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever else prints must not get between the answers
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    blocks = _blocks(source)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        if (first := next(blocks, None)) is not None:
            answer = begin(first)
            for block in blocks:
                _send(target, answer(block))
    os._exit(0)  # at once: the parent waits, and there is nothing to put away


def _end_with(parent: int) -> None:
    """End this process soon after its parent, even if a fork of that one holds our pipe open."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(0)


def _send(stream: IO[bytes], data: bytes) -> None:
    left = memoryview(_LENGTH.pack(len(data)) + data)
    while left:  # what is not buffered may be written in part
        left = left[stream.write(left) :]
    stream.flush()


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield whole blocks until the stream ends."""
    while len(head := _read(stream, _LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(head)
        data = _read(stream, size)
        if len(data) < size:
            return
        yield data


def _read(stream: IO[bytes], size: int) -> bytes:
    """Return so many bytes, or fewer where the stream ends."""
    parts: list[bytes] = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
