"""A lock that two processes cannot hold together.

Takes the path of a file that is there for nothing else. It goes with the process that holds it, so
that none is left behind by a kill.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockedError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, where the system has such.

    Raises
    ------
    LockedError
        Another process holds it, or has just removed it.

    Examples
    --------
    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp()) / "lock"):
    ...     pass
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = os.path.samestat(os.fstat(stream.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):
            free = False
        except OSError:  # a file system without locks
            free = True
        if not free:  # held by another run, or removed by the run that held it before
            raise LockedError
        yield
