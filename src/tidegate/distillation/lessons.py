"""Lessons: texts with soft labels that a student learns from, and new texts made from given ones.

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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tidegate.data.dataset import Dataset, normalise

RUN_SHARE, MASKED_SHARE, SPLICE_SHARE = 0.35, 0.15, 0.3
_RUN = (2, 12)
_WORD = re.compile(r"([^\w@]*)([^\W\d_]{3,})(\W*)")  # letters, and what surrounds them

Probabilities = npt.NDArray[np.float64]


class Teacher(Protocol):
    """What has labelled the lessons.

    Attributes
    ----------
    name : for people
    facts : what the report and the model card say of it: kind, parameters, bytes, licence
    """

    name: str

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready."""
        ...

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


def out_of_fold(
    texts: Sequence[str],
    folds: npt.NDArray[np.int64],
    ask: Callable[[int, list[str]], Probabilities],
) -> Probabilities:
    """Return the labels (n, L) of texts, each fold's by who has not seen it.

    Parameters
    ----------
    folds : (n,) the fold of each; −1 for texts made from no row
    ask : labels texts of one fold

    Examples
    --------
    >>> folds = np.array([0, 1, 0])
    >>> out_of_fold(["a", "b", "c"], folds, lambda f, t: np.full((len(t), 1), f))[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    numbers = np.unique(folds).tolist()
    inside = [np.flatnonzero(folds == fold) for fold in numbers]
    answers = np.concatenate(
        [ask(k, [texts[i] for i in rows.tolist()]) for k, rows in zip(numbers, inside, strict=True)]
    )
    found = np.empty_like(answers, np.float64)
    found[np.concatenate(inside)] = answers
    return found


def own_shares(dataset: Dataset) -> Probabilities:
    """Return the rows' own labels as shares (n, L)."""
    if dataset.kind == "multilabel":
        return dataset.targets.astype(np.float64)
    return np.eye(len(dataset.labels))[dataset.targets]


def log_odds(p: Probabilities) -> Probabilities:
    """Return log(p / (1 − p)), of probabilities kept a millionth away from 0 and 1.

    Examples
    --------
    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    clear = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clear) - np.log1p(-clear), np.float64)


def sigmoid(z: Probabilities) -> Probabilities:
    """Return 1 / (1 + exp(−z)), for any z without overflow.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -1e4])).tolist()
    [0.5, 0.0]
    """
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)), np.float64)


def mixed(soft: Probabilities, own: Dataset, *, share: float, temperature: float) -> Probabilities:
    """Return a teacher's labels (n, L) as the student learns them.

    The first rows are those of `own`: they keep a share of their true labels.

    Parameters
    ----------
    share : of the teacher's word on labelled rows
    temperature : what its logits are divided by; above 1 it is less sure (Hinton et al. 2015)
    """
    p = np.clip(soft, 1e-7, 1 - 1e-7)
    if own.kind == "multilabel":
        found = sigmoid(log_odds(p) / temperature)
    else:
        logits = np.log(p) / temperature
        found = np.exp(logits - logits.max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
    found[: len(own)] = share * found[: len(own)] + (1 - share) * own_shares(own)
    return found


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
