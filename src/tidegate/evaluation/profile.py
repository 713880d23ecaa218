"""What a model's input and answers looked like on held-out rows, and how far later ones have moved.

Takes numbers of each message (score, tokens, share of unknown words), gives histograms and the
population stability index between two of them. Knows nothing of models or servers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Kind

# The upper ends of the bins; what is larger falls into one more.
SCORE_EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
TOKEN_EDGES = (2, 4, 6, 8, 11, 14, 18, 23, 30, 39)
UNKNOWN_EDGES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
_EDGES: Mapping[str, tuple[float, ...]] = {
    "score": SCORE_EDGES, "tokens": TOKEN_EDGES, "unknown": UNKNOWN_EDGES,
}  # fmt: skip

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Histograms of held-out messages: counts by bin.

    Attributes
    ----------
    score : the second label's probability of a binary model, else the largest probability
    tokens : tokens read
    unknown : share of the tokens read that are not in the vocabulary
    """

    score: tuple[int, ...]
    tokens: tuple[int, ...]
    unknown: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {name: list(counts) for name, counts in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: object) -> Profile | None:
        """Read what `to_dict` wrote; None if it is not that, as in a bundle that has none."""
        if not isinstance(data, dict) or set(data) != set(_EDGES):
            return None
        for name, counts in data.items():
            whole = isinstance(counts, list) and all(type(c) is int and c >= 0 for c in counts)
            if not whole or len(counts) != len(_EDGES[name]) + 1:
                return None
        return cls(**{name: tuple(counts) for name, counts in data.items()})


def scores(probabilities: npt.NDArray[np.float64], kind: Kind) -> Values:
    """Return the number of each row of probabilities (n, L) that its distribution is watched by."""
    found: Values = probabilities[:, 1] if kind == "binary" else probabilities.max(axis=1)
    return found


def counts(name: str, values: Values) -> npt.NDArray[np.int64]:
    """Return how many values fall into each bin of "score", "tokens" or "unknown".

    Examples
    --------
    >>> counts("unknown", np.array([0.0, 0.02, 1.0])).tolist()
    [1, 1, 0, 0, 0, 0, 0, 0, 1]
    """
    edges = _EDGES[name]
    places = np.searchsorted(np.array(edges), values, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.int64)


def profile(
    probabilities: npt.NDArray[np.float64], tokens: Values, unknown: Values, *, kind: Kind
) -> Profile:
    """Return the histograms of some messages: probabilities (n, L), tokens and unknown shares (n,).

    Examples
    --------
    >>> p = np.array([[0.95, 0.05], [0.2, 0.8]])
    >>> profile(p, np.array([3, 50]), np.array([0.0, 0.5]), kind="binary").tokens
    (0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1)
    """
    return Profile(
        score=tuple(counts("score", scores(probabilities, kind)).tolist()),
        tokens=tuple(counts("tokens", tokens).tolist()),
        unknown=tuple(counts("unknown", unknown).tolist()),
    )


def stability_index(expected: Sequence[float], found: Sequence[float]) -> float:
    """Return the population stability index of two histograms of the same bins.

        PSI = Σ_b (q_b − p_b) ln(q_b / p_b)

    with shares p of what was expected and q of what was found, half a message being added to each
    bin so that empty ones can be compared. It is the symmetric Kullback-Leibler divergence
    (Kullback & Leibler 1951; Siddiqi, Credit Risk Scorecards, 2006, ch. 7, where 0.1 and 0.25 are
    the usual limits of a small and a large shift). NaN where a histogram is empty.

    Examples
    --------
    >>> round(stability_index([50, 50], [500, 500]), 3)
    0.0
    >>> round(stability_index([50, 50], [90, 10]), 2)
    0.85
    """
    if not sum(expected) or not sum(found):
        return math.nan
    p = np.asarray(expected, np.float64) + 0.5
    q = np.asarray(found, np.float64) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())
