"""A stream's copy on disk, to be checked and read again.

Takes a stream, gives `Spooled`. Where the system gives a path to a file without a name, as Linux
does, the copy has none: however the process ends, nothing stays in the temporary folder.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tidegate.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """A copy: where it is, as long as its file is not dropped."""

    path: Path
    file: Any

    def __del__(self) -> None:
        self.file.close()


def spool(stream: IO[bytes] | None, *, name: str) -> Spooled:
    """Copy a stream to a temporary file that goes when the copy is dropped.

    Raises
    ------
    DataError
        There is no stream, or no room for its copy.

    Examples
    --------
    >>> import io
    >>> copy = spool(io.BytesIO(b"text"), name="standard input")
    >>> copy.path.read_bytes()
    b'text'
    """
    if stream is None:
        raise DataError(f"{name}: it is closed; give a file")
    try:
        copy = unnamed()
        shutil.copyfileobj(stream, copy.file)
        copy.file.flush()
    except OSError as fault:
        raise DataError(
            f"{name}: its copy in {tempfile.gettempdir()}: {fault.strerror or fault}; give a file, "
            "or name another folder in TMPDIR"
        ) from fault
    return copy


def unnamed() -> Spooled:
    """Return an empty temporary file, without a name where the system gives a path to such a one.

    Raises
    ------
    OSError
        There is no room for it.
    """
    file: Any = tempfile.TemporaryFile(prefix="tidegate-")  # noqa: SIM115
    path = Path(f"/proc/self/fd/{file.fileno()}")
    if not path.exists():
        file.close()
        file = tempfile.NamedTemporaryFile(prefix="tidegate-")  # noqa: SIM115
        path = Path(file.name)
    return Spooled(path=path, file=file)
