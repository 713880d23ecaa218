"""Tokens to ids: the words that a model has learned a vector for.

Takes token lists, gives a fitted `Vocabulary`. Knows nothing of weights.

Ids: 0 is padding; with `unknown = "unk"`, 1 is `<unk>`; then the words, most frequent first, ties
in the order they were first seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidegate.config import TextConfig

PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1
DROPPED = -1


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens a model has learned a vector for, in id order.

    Examples
    --------
    >>> words = Vocabulary.fit([["fire", "near", "fire"], ["near", "sea"]], TextConfig(min_count=1))
    >>> words.tokens
    ('<pad>', '<unk>', 'fire', 'near', 'sea')
    """

    tokens: tuple[str, ...]
    index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {t: i for i, t in enumerate(self.tokens)})

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def unknown_id(self) -> int:
        """The id of a word out of vocabulary: `<unk>`'s, or -1 when such words are dropped."""
        return self.index.get(UNK, DROPPED)

    @classmethod
    def fit(cls, token_lists: Iterable[Sequence[str]], config: TextConfig) -> Vocabulary:
        """Count tokens and keep the `num_words` most frequent seen `min_count` times or more."""
        counts = Counter(token for tokens in token_lists for token in tokens)
        # most_common sorts stably, so words of equal count stay in the order they were first seen.
        common = counts.most_common(config.num_words or None)
        words = tuple(word for word, count in common if count >= config.min_count)
        special = (PAD, UNK) if config.unknown == "unk" else (PAD,)
        return cls(special + words)

    def extended(self, token_lists: Iterable[Sequence[str]], config: TextConfig) -> Vocabulary:
        """Return this vocabulary with the new words behind its own, whose ids stay.

        Examples
        --------
        >>> words = Vocabulary(("<pad>", "<unk>", "fire"))
        >>> words.extended([["fire", "sea", "sea"], ["sky"]], TextConfig(min_count=2)).tokens
        ('<pad>', '<unk>', 'fire', 'sea')
        """
        counts = Counter(t for tokens in token_lists for t in tokens if t not in self.index)
        common = counts.most_common(config.num_words or None)
        return Vocabulary(self.tokens + tuple(w for w, n in common if n >= config.min_count))
