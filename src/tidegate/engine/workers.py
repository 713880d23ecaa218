"""Helper processes: blocks of bytes out, answers back.

Takes a command that reads questions and writes answers; spreads blocks over several such processes
and the caller itself. Knows nothing of models or messages.

Why processes: an LSTM in NumPy is many small calls, and Python lets one thread at a time start one.
Two threads gain a tenth on the default model, two processes are twice as fast.

A helper that dies takes nothing with it: the block it had is worked on here. Helpers end when their
standard input closes, so none outlives the process that started it, however that one ends.

Threads may share helpers: a call takes those that are idle and does without the others. A forked
process has none: it closes its copies of the pipes at once. The pipes are unbuffered, so that
nothing half written is sent twice.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar

Block = TypeVar("Block")
Answer = TypeVar("Answer")

_LENGTH = struct.Struct("<Q")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
    count : how many to start
    code : Python that a helper runs; it calls `serve`
    arguments : what it finds in `sys.argv[1:]`

    Examples
    --------
    >>> code = "from tidegate.engine.workers import serve; serve(bytes.upper)"
    >>> helpers = Workers(1, code)
    >>> helpers.map([b"a", b"b"], ask=bytes.upper, tell=lambda block: block, heard=bytes)
    [b'A', b'B']
    >>> helpers.close()
    """

    def __init__(self, count: int, code: str, arguments: Sequence[str] = ()) -> None:
        root = str(Path(__file__).parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            **dict.fromkeys(_ONE_THREAD, "1"),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        # -P: a json.py in the caller's working directory is none of ours.
        command = [sys.executable, "-P", "-c", code, *arguments]
        pipe = subprocess.PIPE
        self._processes = [
            subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, env=environment)
            for _ in range(count)
        ]
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
                    answer = _exchange(process, tell(blocks[number]))
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


def serve(answer: Callable[[bytes], bytes]) -> None:
    """Be a helper: answer blocks from standard input until it closes."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever else prints must not get between the answers
    try:
        for block in _blocks(source):
            _send(target, answer(block))
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)


def _exchange(process: subprocess.Popen[bytes], data: bytes) -> bytes | None:
    """Return a helper's answer, or None if it is no more."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        _send(process.stdin, data)
        return next(_blocks(process.stdout), None)
    except (OSError, ValueError):  # ValueError: closed here meanwhile
        return None


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
