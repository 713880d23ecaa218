"""Where a token stands in a message, and where a repaired character stood before.

Takes nothing, gives `TokenSpan` and `rewrite`, knows nothing of how text is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpan:
    """A token and its place in the original text.

    Parameters
    ----------
    token : str
        What the model reads; for a dropped token, the form it had when it was dropped.
    start, end : int
        Half-open offsets in the original text, in code points: `text[start:end]` was written.
    dropped : str
        Why the model does not read this token, such as "stop word"; empty if it does.
    """

    token: str
    start: int
    end: int
    dropped: str = ""


class Rewritten(NamedTuple):
    """A repaired text, and for each of its characters where in the original it stood."""

    text: str
    starts: list[int]
    ends: list[int]


def rewrite(text: str, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> Rewritten:
    """Return `pattern.sub(by, text)` with the way back to `text`."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0

    def keep(until: int) -> None:
        pieces.append(text[done:until])
        starts.extend(range(done, until))
        ends.extend(range(done + 1, until + 1))

    for found in pattern.finditer(text):
        keep(found.start())
        new = by(found)
        pieces.append(new)
        starts.extend([found.start()] * len(new))
        ends.extend([found.end()] * len(new))
        done = found.end()
    keep(len(text))
    return Rewritten("".join(pieces), starts, ends)
