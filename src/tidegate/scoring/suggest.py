"""Which messages to label next: those the model is unsure of, and unlike one another.

Takes a `Predictor` and messages, gives the ones whose labels would teach it most, by margin
sampling: the less two labels' probabilities differ, the more a label is worth. Messages that are
much like one already chosen are passed over, or a hundred copies of one doubt would be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tidegate.data.splits import normalise
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError, DataError

_POOL = 10  # times as many messages as asked for are compared with one another
_WIDTH = 2048  # of the hashed words

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A message to label.

    Attributes
    ----------
    index : its place among the messages given
    text : the message
    label : what the model would say; of several labels, joined by a comma
    uncertainty : from 0, sure, to 1, two labels are equally likely
    """

    index: int
    text: str
    label: str
    uncertainty: float


def suggest(predictor: Predictor, texts: Sequence[str], n: int) -> list[Suggestion]:
    """Return up to n messages to label, the one worth most first.

    Messages that repeat one another are one; those that say nothing are none.

    Raises
    ------
    ConfigError
        n is not positive.
    DataError
        No message says anything.

    Examples
    --------
    >>> suggest(predictor, ["fire", "fire!", "hm"], n=2)  # doctest: +SKIP
    """
    if n < 1:
        raise ConfigError(f"n: found {n}; give 1 or more")
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        plain = normalise(text)
        if plain:
            first.setdefault(plain, index)
    if not first:
        raise DataError("suggest: no message has words; give some that do")
    places = np.fromiter(first.values(), np.int64)
    p = predictor.predict_proba([texts[k] for k in places])
    doubt = uncertainty(p, kind=predictor.kind)
    pool = np.argsort(-doubt, kind="stable")[: max(_POOL * n, 1)]
    said = list(first)
    chosen = pool[_spread(doubt[pool], _vectors([said[k] for k in pool]), n)]
    decided = predictor.decide(p[chosen])
    return [
        Suggestion(
            index=int(places[k]), text=texts[places[k]], uncertainty=float(doubt[k]),
            label=label if isinstance(label, str) else ", ".join(label),
        )
        for k, label in zip(chosen, decided, strict=True)
    ]  # fmt: skip


def uncertainty(p: Doubles, *, kind: str) -> Doubles:
    """Return how unsure answers (N, L) are, (N,), each from 0 to 1.

    Of one label a message: 1 − (the largest probability − the second). Of several: that of the
    label nearest to one half.

    >>> uncertainty(np.array([[0.9, 0.1], [0.5, 0.5]]), kind="binary").round(1).tolist()
    [0.2, 1.0]
    """
    if kind == "multilabel":
        found: Doubles = (1 - np.abs(2 * p - 1)).max(axis=1)
        return found
    two = np.sort(p, axis=1)[:, -2:]
    margin: Doubles = 1 - (two[:, 1] - two[:, 0])
    return margin


def _vectors(plain: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return messages as unit vectors of hashed words, rare words longer than frequent ones."""
    counts = np.zeros((len(plain), _WIDTH), np.float32)
    for row, text in enumerate(plain):
        for word in set(text.split()):
            counts[row, crc32(word.encode("utf-8", "surrogatepass")) % _WIDTH] += 1
    rare = np.log((1 + len(plain)) / (1 + (counts > 0).sum(axis=0))) + 1
    found: npt.NDArray[np.float32] = counts * rare.astype(np.float32)
    unit: npt.NDArray[np.float32] = found / np.maximum(
        np.linalg.norm(found, axis=1, keepdims=True), 1e-12
    )
    return unit


def _spread(doubt: Doubles, vectors: npt.NDArray[np.float32], n: int) -> npt.NDArray[np.int64]:
    """Return up to n rows, greedily: the largest doubt times the distance to those chosen."""
    nearest = np.zeros(len(doubt))
    free = np.ones(len(doubt), np.bool_)
    chosen: list[int] = []
    for _ in range(min(n, len(doubt))):
        worth = np.where(free, doubt * (1 - nearest), -1.0)
        best = int(worth.argmax())
        chosen.append(best)
        free[best] = False
        nearest = np.maximum(nearest, np.clip(vectors @ vectors[best], 0, 1))
    return np.array(chosen, np.int64)
