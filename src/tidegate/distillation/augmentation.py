"""Augmentation: new texts made from given ones, for a teacher to label.

Takes texts and a generator, gives texts. No label is made here: what a made text means, its teacher
says. The ways are those of Tang et al. (2019, arXiv 1903.12136), without a part-of-speech tagger,
and one of Jiao et al. (2020, arXiv 1909.10351).

    masking   each word is left out with a probability of 15 %
    run       a run of 2 to 12 words is all that stays
    splice    a piece of another text is put before or after
    swap      a share of the words become others of like meaning
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tidegate.data.splits import normalise

RUN_SHARE, MASKED_SHARE, SPLICE_SHARE = 0.35, 0.15, 0.3
_RUN = (2, 12)
_WORD = re.compile(r"([^\w@]*)([^\W\d_]{3,})(\W*)")  # letters, and what surrounds them


def augmented(
    texts: Sequence[str],
    *,
    rounds: int,
    rng: np.random.Generator,
    avoided: Collection[str] = (),
    groups: npt.NDArray[np.int64] | None = None,
    neighbours: Mapping[str, Sequence[str]] | None = None,
    swap_share: float = 0.0,
) -> tuple[list[str], list[int]]:
    """Return made texts, and for each the number of the text that it was made from.

    No made text is a given one or another made one, differences of case, spacing, links and
    mentions aside.

    Parameters
    ----------
    rounds : how many are tried from each text
    avoided : texts that must not come out: held-back ones
    groups : (n,) texts of different groups are never put together; by default all are of one
    neighbours : words in lower case, and those that may stand in the place of each
    swap_share : of the words that have some, those swapped

    Examples
    --------
    >>> made, sources = augmented(["a house on fire"], rounds=3, rng=np.random.default_rng(0))
    >>> set(sources)
    {0}
    """
    words = [text.split() for text in texts]
    seen = {normalise(text) for text in (*texts, *avoided)}
    group = np.zeros(len(texts), np.int64) if groups is None else groups
    members = {int(g): np.flatnonzero(group == g) for g in np.unique(group)}
    made, sources = [], []
    for _ in range(rounds):
        for number, own in enumerate(words):
            found = _shortened(own, rng)
            if rng.random() < SPLICE_SHARE:
                mates = members[int(group[number])]
                piece = _run(words[mates[rng.integers(len(mates))]], rng)
                found = [*found, *piece] if rng.random() < 0.5 else [*piece, *found]
            if neighbours and swap_share:
                swapped = rng.random(len(found)) < swap_share
                for i in np.flatnonzero(swapped).tolist():
                    found[i] = _swapped(found[i], neighbours, rng)
            text = " ".join(found)
            name = normalise(text)
            if name and name not in seen:
                seen.add(name)
                made.append(text)
                sources.append(number)
    return made, sources


def bare_word(word: str) -> str:
    """Return a word in lower case without the punctuation around it, or "" if it is no plain word.

    Examples
    --------
    >>> [bare_word(word) for word in ("(Fire!", "#flood", "@anna", "http://a.b", "4", "of")]
    ['fire', 'flood', '', '', '', '']
    """
    parts = _WORD.fullmatch(word)
    return parts[2].lower() if parts else ""


def _swapped(word: str, neighbours: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    """Return a neighbour of a word, in its letter case and punctuation; or the word."""
    parts = _WORD.fullmatch(word)
    mates = neighbours.get(parts[2].lower(), ()) if parts else ()
    if not parts or not mates:
        return word
    before, old, after = parts.groups()
    new = mates[int(rng.integers(len(mates)))]
    if old.isupper():
        new = new.upper()
    elif old[0].isupper():
        new = new.capitalize()
    return before + new + after


def _shortened(words: list[str], rng: np.random.Generator) -> list[str]:
    if rng.random() < RUN_SHARE:
        words = _run(words, rng)
    kept = rng.random(len(words)) >= MASKED_SHARE
    return [word for word, stays in zip(words, kept, strict=True) if stays]


def _run(words: list[str], rng: np.random.Generator) -> list[str]:
    length = int(rng.integers(_RUN[0], _RUN[1] + 1))
    start = int(rng.integers(max(len(words) - length, 0) + 1))
    return words[start : start + length]
