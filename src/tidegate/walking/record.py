"""What a walk found: the record of one message read gate by gate, and its JSON.

Holds numbers and says what they mean; `walk` makes it. Knows nothing of models or texts.

T tokens read, H units, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.engine.lstm import GATE_NAMES, STEPS, Floats

WALK_VERSION = 1
MAX_VALUES = 100_000  # gate values in a walk's JSON, before tokens are left out of it
MAX_TOKENS = 1_000  # tokens in a walk's JSON
MAX_TEXT = 20_000  # characters of the text in a walk's JSON
_SATURATED = 0.05
_MOST_WEIGHTED_UNITS = 64  # 16,384 weights a direction: some 100 kB of a page
_CHANGED_UNITS = 3
_ARRAYS = ("f", "i", "g", "o", "c_before", "c", "h")

Doubles = npt.NDArray[np.float64]


# What a notebook shows of a walk, once somebody above has said it: see `show_in_notebooks`.
_page: Callable[[Walk], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkToken:
    """A piece of the text as the model saw it.

    Attributes
    ----------
    token : what the model reads, or would have read
    start, end : its place in the text, in code points; −1 for padding
    known : it is in the vocabulary
    dropped : why the model did not read it; empty if it did
    """

    token: str
    start: int
    end: int
    known: bool
    dropped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionWalk:
    """What one direction of one layer did, token by token in the message's order.

    Each gate and state is (T, H): forget gate f, input gate i, candidate values g, output gate o,
    the cell state before and after, the hidden state h. `z` maps f, i, g and o to what stood before
    their sigmoid or tanh, W x_t + U h_{t−1} + b. A direction that reads backward took the last
    token first. `recurrent` is U, (4H, H), and `bias` is b, (4H,): blocks in the order i, f, g, o.
    """

    layer: int
    reverse: bool
    f: Floats
    i: Floats
    g: Floats
    o: Floats
    c_before: Floats
    c: Floats
    h: Floats
    z: Mapping[str, Floats]
    recurrent: Floats
    bias: Floats

    def at(self, rows: npt.NDArray[np.int64]) -> DirectionWalk:
        """Return the same of some tokens only."""
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return replace(self, z={name: z[rows] for name, z in self.z.items()}, **arrays)

    @property
    def kept(self) -> Floats:
        """(T,) share of the old cell state that was kept: Σ|f c_before| / Σ|c_before|."""
        old = np.abs(self.c_before).sum(axis=1)
        kept = np.abs(self.f * self.c_before).sum(axis=1)
        share: Floats = np.divide(kept, old, out=np.ones_like(old), where=old > 0)
        return share

    @property
    def written(self) -> Floats:
        """(T,) share of what went into the new cell state that is new."""
        new = np.abs(self.i * self.g).sum(axis=1)
        old = np.abs(self.f * self.c_before).sum(axis=1)
        share: Floats = np.divide(new, new + old, out=np.zeros_like(new), where=new + old > 0)
        return share

    @property
    def saturated(self) -> Floats:
        """(T,) share of the gates f, i and o that are nearly shut or open: within 0.05."""
        gates = np.concatenate([self.f, self.i, self.o], axis=1)
        shut_or_open = (gates < _SATURATED) | (gates > 1 - _SATURATED)
        share: Floats = shut_or_open.mean(axis=1).astype(np.float32)
        return share

    @property
    def changed_units(self) -> npt.NDArray[np.int64]:
        """(T, 3) the units whose cell state changed most, the most changed first."""
        change = np.abs(self.c - self.c_before)
        return np.argsort(-change, axis=1, kind="stable")[:, :_CHANGED_UNITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramWalk:
    """What the linear branch of words and characters said beside the LSTM; k outputs.

        logits = (1 − share) · lstm_logits + share · ngram_logits        before the temperature

    Attributes
    ----------
    share : the branch's weight
    lstm_logits, ngram_logits : (k,) the two answers
    bias : (k,) the branch's answer to a message that says nothing
    token_logits : (T, k) what each token brings to `ngram_logits`; with the bias they add up to it
    contributions : (T,) the part of the walk's `contributions` that came through the branch
    """

    share: float
    lstm_logits: Floats
    ngram_logits: Floats
    bias: Floats
    token_logits: Floats
    contributions: Doubles

    def at(self, rows: npt.NDArray[np.int64]) -> NgramWalk:
        """Return the same of some tokens only."""
        return replace(
            self, token_logits=self.token_logits[rows], contributions=self.contributions[rows]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "share": self.share,
            "lstm_logits": _plain(self.lstm_logits, 6),
            "ngram_logits": _plain(self.ngram_logits, 6),
            "bias": _plain(self.bias, 6),
            "token_logits": _plain(self.token_logits, 6),
            "contributions": _plain(self.contributions, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadWalk:
    """How the LSTM's states became an answer; k outputs.

    Attributes
    ----------
    pooling : how the top layer's states become one vector: mean_max, mean, max, last, padded_last
    dense : units of the dense layer before the output; 0 without one
    logits : (k,) the LSTM's answer, before the linear branch's share and the temperature
    temperature : by which the logits are divided
    """

    pooling: str
    dense: int
    logits: Floats
    temperature: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "pooling": self.pooling,
            "dense": self.dense,
            "logits": _plain(self.logits, 6),
            "temperature": self.temperature,
        }


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One message, read step by step.

    Attributes
    ----------
    text : the message
    tokens : everything in it, in order; those read are `read`
    read : (T,) which of `tokens` the model read, in the order of the arrays
    label : the label explained: its number
    probabilities : (L,) the answer
    path : (T + 1, L) the answer to the first 0, 1, …, T tokens alone; NaN where not worked out
    contributions : (T,) what each token brought to the label's probability (integrated gradients)
    baseline : the label's probability of as many tokens that say nothing
    completeness_error : sum of the contributions − (probability − baseline)
    left_out : (T,) how much the label's probability falls without each token; NaN if not worked out
    directions : every layer's directions, the lowest layer first
    ngrams : what the linear branch said; None for a model without one
    head : how the LSTM's states became an answer
    residual : largest difference between `probabilities` and the engine's own answer
    notices : what a reader should know, such as what was left out
    """

    text: str
    kind: str
    labels: tuple[str, ...]
    tokens: tuple[WalkToken, ...]
    read: npt.NDArray[np.int64]
    label: int
    probabilities: Doubles
    decided: str | tuple[str, ...]
    path: Doubles
    contributions: Doubles
    baseline: float
    completeness_error: float
    left_out: Doubles
    directions: tuple[DirectionWalk, ...]
    residual: float
    head: HeadWalk
    ngrams: NgramWalk | None = None
    notices: tuple[str, ...] = field(default=())

    @property
    def read_tokens(self) -> list[WalkToken]:
        """The tokens read, one for each row of the arrays."""
        return [self.tokens[k] for k in self.read]

    def to_dict(
        self, *, pre_activations: bool = True, weights: bool = False, max_values: int = MAX_VALUES
    ) -> dict[str, Any]:
        """Return the walk as JSON-ready values; `docs/reference/walk.md` describes them.

        Parameters
        ----------
        pre_activations : give `z` too
        weights : give each direction's `recurrent` and `bias` too, where they are small enough for
            a page: those of 64 units or fewer
        max_values : of gates and states at most. A long message's are given for some tokens only,
            those that contributed most among them: `shown` lists the rows, and `notices` says so.
        """
        found, thinned = self._thinned()
        arrays = len(_ARRAYS) + 4 * pre_activations
        a_token = sum(arrays * d.h.shape[1] for d in self.directions)
        shown = found._rows(max(max_values // a_token, 4))
        notices = list(self.notices) + thinned
        if len(shown) < len(found.read):
            notices.append(
                f"the message has {len(self.read)} tokens: gates are shown for {len(shown)} of "
                "them, those that contributed most, the first and the last"
            )
        text = self.text
        if len(text) > MAX_TEXT:
            notices.append(f"the text's first {MAX_TEXT} of {len(text)} characters are shown")
        return {
            "walk_version": WALK_VERSION,
            "text": text[:MAX_TEXT].encode("utf-8", "replace").decode(),
            "kind": self.kind,
            "labels": list(self.labels),
            "label": self.label,
            "decided": self.decided if isinstance(self.decided, str) else list(self.decided),
            "probabilities": _plain(self.probabilities, 6),
            "tokens": [_token_dict(token) for token in found.tokens],
            "read": found.read.tolist(),
            "path": _plain(found.path, 6),
            "contributions": _plain(found.contributions, 6),
            "baseline": round(self.baseline, 6),
            "completeness_error": self.completeness_error,
            "left_out": _plain(found.left_out, 6),
            "ngrams": None if found.ngrams is None else found.ngrams.to_dict(),
            "head": self.head.to_dict(),
            "residual": self.residual,
            "steps": list(STEPS),
            "gate_names": dict(GATE_NAMES),
            "shown": shown.tolist(),
            "directions": [
                _direction_dict(d, shown, pre_activations=pre_activations, weights=weights)
                for d in found.directions
            ],
            "notices": notices,
        }

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows: the walk's page, if `tidegate.pages` was loaded."""
        return None if _page is None else _page(self)

    def _rows(self, most: int) -> npt.NDArray[np.int64]:
        """Return so many rows at most: those that contributed most, the first and the last."""
        n_tokens = len(self.read)
        if n_tokens <= most:
            return np.arange(n_tokens)
        order = np.argsort(-np.abs(self.contributions), kind="stable")
        return np.unique([0, n_tokens - 1, *order[: most - 2].tolist()])

    def _thinned(self) -> tuple[Walk, list[str]]:
        """Return the walk with `MAX_TOKENS` tokens at most, and what to say of it."""
        if len(self.tokens) <= MAX_TOKENS:
            return self, []
        rows = self._rows(MAX_TOKENS // 2)
        numbers = self.read[rows]
        unread = np.setdiff1d(np.arange(len(self.tokens)), self.read)[: MAX_TOKENS // 2]
        kept = np.union1d(numbers, unread)
        smaller = replace(
            self,
            tokens=tuple(self.tokens[k] for k in kept),
            read=np.searchsorted(kept, numbers),
            path=self.path[np.concatenate([[0], rows + 1])],
            contributions=self.contributions[rows],
            left_out=self.left_out[rows],
            directions=tuple(d.at(rows) for d in self.directions),
            ngrams=None if self.ngrams is None else self.ngrams.at(rows),
        )
        notice = (
            f"the message has {len(self.tokens)} tokens: {len(kept)} of them are shown, those read "
            "that contributed most and the first of those not read"
        )
        return smaller, [notice]


def show_in_notebooks(page: Callable[[Walk], str]) -> None:
    """Say what HTML a notebook shows of a walk. Pages are made in a room above this one."""
    global _page
    _page = page


def _token_dict(token: WalkToken) -> dict[str, Any]:
    return {
        "token": token.token.encode("utf-8", "replace").decode(),
        "start": token.start,
        "end": token.end,
        "known": token.known,
        "dropped": token.dropped,
    }


def _direction_dict(
    d: DirectionWalk, shown: npt.NDArray[np.int64], *, pre_activations: bool, weights: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"layer": d.layer, "reverse": d.reverse, "units": d.h.shape[1]}
    found |= {name: _plain(getattr(d, name)[shown], 4) for name in _ARRAYS}
    if pre_activations:
        found["z"] = {name: _plain(values[shown], 4) for name, values in d.z.items()}
    if weights and d.recurrent.shape[1] <= _MOST_WEIGHTED_UNITS:
        found |= {name: _plain(getattr(d, name), 4) for name in ("recurrent", "bias")}
    found |= {name: _plain(getattr(d, name), 4) for name in ("kept", "written", "saturated")}
    found["changed_units"] = d.changed_units.tolist()
    return found


def _plain(values: npt.NDArray[np.floating[Any]], digits: int) -> Any:
    """Return rounded lists, with None for what is not a number."""
    rounded = np.round(values.astype(np.float64), digits)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    plain = rounded.astype(object)
    plain[~np.isfinite(rounded)] = None
    return plain.tolist()
