"""Text to tokens: the lesson's pipeline and the default one.

Takes a message, gives its tokens, or its tokens with their place in the text. Knows nothing of
vocabularies or models.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tidegate.config import TextConfig
from tidegate.text.spans import TokenSpan

__all__ = ["SurfaceTokenizer", "TextTokenizer", "TokenSpan", "make_tokenizer"]


class TextTokenizer(Protocol):
    """What every tokeniser can do."""

    def __call__(self, text: str) -> list[str]:
        """Return the tokens of a message."""

    def spans(self, text: str) -> list[TokenSpan]:
        """Return the same tokens with their place in the text, and what was dropped, and why."""


@runtime_checkable
class SurfaceTokenizer(TextTokenizer, Protocol):
    """A tokeniser that reads what stands between white space piece by piece."""

    def surfaces(self, text: str) -> list[str]:
        """Return a message's surface words."""

    def mended(self, text: str) -> str:
        """Return the message of which `str.split` makes the surface words."""

    def read(self, surface: str) -> tuple[str, ...]:
        """Return the tokens of one of them."""


def make_tokenizer(config: TextConfig) -> TextTokenizer:
    """Return the tokeniser a config names."""
    if config.tokenizer == "lesson":
        from tidegate.text.lesson import LessonTokenizer

        return LessonTokenizer(lemmas=config.lemmas)
    from tidegate.text.tweet import TweetTokenizer

    return TweetTokenizer()
