"""Where a token stands in a message.

Takes nothing, gives `TokenSpan`, knows nothing of how text is cut.
"""

from __future__ import annotations

from dataclasses import dataclass


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
