"""The epochs of a run, written down as they end: one JSON object a line.

Takes the epochs of each part of the work, gives a file that is always whole. A part that is gone on
with after a kill tells its epochs again, so that each stands there once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tidegate.training.checkpoint import write_whole


class Metrics:
    """The file of a run's epochs; lines of an earlier run stay until their part is told again.

    Parameters
    ----------
    path : of the file, which need not be there
    on_epoch : called with each epoch, as a dict that names its part

    Examples
    --------
    >>> import tempfile
    >>> metrics = Metrics(Path(tempfile.mkdtemp()) / "metrics.jsonl")
    >>> metrics.tell("fold-1", [{"number": 1, "loss": 0.5}])
    >>> print(metrics.path.read_text(), end="")
    {"part": "fold-1", "number": 1, "loss": 0.5}
    """

    def __init__(
        self, path: Path, *, on_epoch: Callable[[dict[str, Any]], None] = lambda epoch: None
    ) -> None:
        self.path, self.on_epoch = path, on_epoch
        self._parts: dict[str, list[str]] = {}
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                part = json.loads(line)["part"]
            except (ValueError, KeyError, TypeError):
                continue  # somebody edited it: nothing is made from this file
            self._parts.setdefault(str(part), []).append(line)

    def tell(self, part: str, epochs: Sequence[dict[str, Any]]) -> None:
        """Write down all epochs of a part until now."""
        self._parts[part] = [
            json.dumps({"part": part, **{k: _number(v) for k, v in epoch.items()}})
            for epoch in epochs
        ]
        lines = [line for lines in self._parts.values() for line in lines]
        text = "".join(line + "\n" for line in lines)
        write_whole(self.path, lambda beside: beside.write_text(text, "utf-8"), lasting=False)
        if epochs:
            self.on_epoch({"part": part, **epochs[-1]})


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
