"""Corrections that people send, kept as rows of a CSV file that can be trained on.

Each is added at the end in one write, under a lock, so that processes do not mix their rows.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path

from tidegate.data.outputs import delimited
from tidegate.errors import DataError
from tidegate.serving.batching import Answer
from tidegate.serving.models import Served

try:
    import fcntl
except ImportError:  # not on Windows, where only one process runs
    fcntl = None  # type: ignore[assignment]

SEPARATOR = "|"  # between the labels of a message that has several
COLUMNS = ("text", "label", "decided", "probability", "model", "fingerprint", "time")


class Feedback:
    """The file.

    Raises
    ------
    DataError
        It cannot be written, or has other columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("a+", encoding="utf-8", newline="") as stream:
                stream.seek(0)
                header = next(csv.reader(stream), None)
                if header is None:
                    stream.write(delimited([list(COLUMNS)]))
        except (OSError, UnicodeDecodeError, csv.Error) as fault:
            why = getattr(fault, "strerror", None) or str(fault)
            raise DataError(f"{path}: {why}; corrections cannot be kept there") from None
        if header not in (None, list(COLUMNS)):
            raise DataError(
                f"{path}: its columns are not {', '.join(COLUMNS)}; name another file for feedback"
            )

    def keep(self, model: Served, text: str, label: str | Sequence[str], *, answer: Answer) -> None:
        """Add a correction; it is on the disk when this returns.

        Parameters
        ----------
        label : what is right, in multi-label models several
        answer : what the model had said

        Raises
        ------
        OSError
            There is no room, or no permission any more.
        """
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        several = model.predictor.kind == "multilabel"
        right = [label] if isinstance(label, str) else label
        decided = [answer.label] if isinstance(answer.label, str) else answer.label
        of = dict(zip(model.predictor.labels, answer.probabilities, strict=True))
        probability = "" if several else f"{of[right[0]]:.6f}"
        shown = [SEPARATOR.join(names) for names in (right, decided)]
        row = [text, *shown, probability, model.name, model.fingerprint, stamp]
        data = delimited([row]).encode("utf-8", "replace")
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if not size:  # somebody has taken the file away, to train on it
                data = delimited([list(COLUMNS)]).encode() + data
            try:
                written = os.write(handle, data)
                if written < len(data):
                    raise OSError(28, "no room")
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)  # no half of a row stays
                raise
        finally:
            os.close(handle)
