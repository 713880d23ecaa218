"""Lessons: texts with soft labels that a student learns from, and new texts made from given ones.

Takes texts and a generator, gives texts. No label is made here: what a made text means, its teacher
says. The ways are those of Tang et al. (2019, arXiv 1903.12136), without a part-of-speech tagger.

    masking   each word is left out with a probability of 15 %
    run       a run of 2 to 12 words is all that stays
    splice    a piece of another text is put before or after
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.dataset import Dataset, normalise

RUN_SHARE, MASKED_SHARE, SPLICE_SHARE = 0.35, 0.15, 0.3
_RUN = (2, 12)


Probabilities = npt.NDArray[np.float64]


class Teacher(Protocol):
    """What has labelled the lessons.

    Attributes
    ----------
    name : for people
    facts : what the report and the model card say of it: parameters, bytes, licence
    """

    name: str
    facts: dict[str, Any]

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What a student learns from in place of the rows' own labels.

    Attributes
    ----------
    texts : n of them: the training rows', made ones, unlabelled ones
    targets : (n, L) the share of each label, binary too
    """

    texts: tuple[str, ...]
    targets: npt.NDArray[np.float32]
    teacher: Teacher


def own_shares(dataset: Dataset) -> Probabilities:
    """Return the rows' own labels as shares (n, L)."""
    if dataset.kind == "multilabel":
        return dataset.targets.astype(np.float64)
    return np.eye(len(dataset.labels))[dataset.targets]


def augmented(
    texts: Sequence[str],
    *,
    rounds: int,
    rng: np.random.Generator,
    avoided: Collection[str] = (),
) -> tuple[list[str], list[int]]:
    """Return made texts, and for each the number of the text that it was made from.

    No made text is a given one or another made one, differences of case, spacing, links and
    mentions aside.

    Parameters
    ----------
    rounds : how many are tried from each text
    avoided : texts that must not come out: held-back ones

    Examples
    --------
    >>> made, sources = augmented(["a house on fire"], rounds=3, rng=np.random.default_rng(0))
    >>> set(sources)
    {0}
    """
    words = [text.split() for text in texts]
    seen = {normalise(text) for text in (*texts, *avoided)}
    made, sources = [], []
    for _ in range(rounds):
        for number, own in enumerate(words):
            found = _shortened(own, rng)
            if rng.random() < SPLICE_SHARE:
                piece = _run(words[int(rng.integers(len(words)))], rng)
                found = [*found, *piece] if rng.random() < 0.5 else [*piece, *found]
            text = " ".join(found)
            name = normalise(text)
            if name and name not in seen:
                seen.add(name)
                made.append(text)
                sources.append(number)
    return made, sources


def _shortened(words: list[str], rng: np.random.Generator) -> list[str]:
    if rng.random() < RUN_SHARE:
        words = _run(words, rng)
    kept = rng.random(len(words)) >= MASKED_SHARE
    return [word for word, stays in zip(words, kept, strict=True) if stays]


def _run(words: list[str], rng: np.random.Generator) -> list[str]:
    length = int(rng.integers(_RUN[0], _RUN[1] + 1))
    start = int(rng.integers(max(len(words) - length, 0) + 1))
    return words[start : start + length]
