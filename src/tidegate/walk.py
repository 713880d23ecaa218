"""The walk: everything a model did while it read one message, gate by gate.

Takes a `Predictor` (or a bundle) and a text; gives a `Walk`: the tokens and where they stood, every
gate and state of every layer and direction, the probability as each token is read, what each token
contributed, and how far the walk lies from the engine's own answer. It runs the engine's code and
keeps what the engine throws away. Knows nothing of pages or terminals.

The four steps and the names of the gates are those of `lstm`.

T tokens read, H units, L labels.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.attribution import integrated_gradients
from tidegate.blas import one_thread
from tidegate.bundle import Bundle
from tidegate.errors import ConfigError, DataError
from tidegate.lstm import GATE_NAMES, STEPS, Floats, Trace
from tidegate.runtime import Predictor, to_probabilities
from tidegate.vocabulary import PAD, PAD_ID

WALK_VERSION = 1
MAX_RUNS = 256  # prefixes read, and tokens left out, of one message
MAX_VALUES = 100_000  # gate values in a walk's JSON, before tokens are left out of it
MAX_TEXT = 20_000  # characters of the text in a walk's JSON
_SATURATED = 0.05
_CHANGED_UNITS = 3
_ARRAYS = ("f", "i", "g", "o", "c_before", "c", "h")

Doubles = npt.NDArray[np.float64]


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
    their sigmoid or tanh. A direction that reads backward took the last token first.
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
    notices: tuple[str, ...] = field(default=())

    @property
    def read_tokens(self) -> list[WalkToken]:
        """The tokens read, one for each row of the arrays."""
        return [self.tokens[k] for k in self.read]

    def to_dict(
        self, *, pre_activations: bool = True, max_values: int = MAX_VALUES
    ) -> dict[str, Any]:
        """Return the walk as JSON-ready values; `docs/reference/walk.md` describes them.

        Parameters
        ----------
        pre_activations : give `z` too
        max_values : of gates and states at most. A long message's are given for some tokens only,
            those that contributed most among them: `shown` lists the rows, and `notices` says so.
        """
        arrays = len(_ARRAYS) + 4 * pre_activations
        a_token = sum(arrays * d.h.shape[1] for d in self.directions)
        shown, notices = self._shown(max(max_values // a_token, 4))
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
            "tokens": [_token_dict(token) for token in self.tokens],
            "read": self.read.tolist(),
            "path": _plain(self.path, 6),
            "contributions": _plain(self.contributions, 6),
            "baseline": round(self.baseline, 6),
            "completeness_error": self.completeness_error,
            "left_out": _plain(self.left_out, 6),
            "residual": self.residual,
            "steps": list(STEPS),
            "gate_names": dict(GATE_NAMES),
            "shown": shown.tolist(),
            "directions": [
                _direction_dict(d, shown, pre_activations=pre_activations) for d in self.directions
            ],
            "notices": notices,
        }

    def _shown(self, most: int) -> tuple[npt.NDArray[np.int64], list[str]]:
        """Return the rows whose gates the JSON holds, so many at most, and the notices."""
        n_tokens = len(self.read)
        if n_tokens <= most:
            return np.arange(n_tokens), list(self.notices)
        order = np.argsort(-np.abs(self.contributions), kind="stable")
        chosen = np.unique([0, n_tokens - 1, *order[: most - 2].tolist()])
        notice = (
            f"the message has {n_tokens} tokens: gates are shown for {len(chosen)} of them, "
            "those that contributed most, the first and the last"
        )
        return chosen, [*self.notices, notice]


def walk(model: Predictor | Bundle, text: str, *, label: str | None = None) -> Walk:
    """Read one message step by step, keeping every gate.

    Parameters
    ----------
    model : whose answer is explained
    label : the label explained; by default the second of two, else the likeliest

    Raises
    ------
    ConfigError
        The model is no LSTM, or has no such label.
    DataError
        The message is not text.

    Examples
    --------
    >>> found = walk(predictor, "house ablaze on 5th street")  # doctest: +SKIP
    >>> found.directions[0].f.shape  # doctest: +SKIP
    (5, 32)
    """
    predictor = Predictor(model) if isinstance(model, Bundle) else model
    cell = predictor.bundle.config.network.cell
    if cell != "lstm":
        raise ConfigError(f"walk: the model's cell is {cell!r}; only an LSTM has these four steps")
    if not isinstance(text, str):
        raise DataError(f"walk: found {type(text).__name__} {text!r}; a message is text")
    answer = predictor.predict_proba([text])[0]  # also: its words are met now
    number = _label_number(predictor, answer, label)
    tokens, read, ids = _tokens(predictor, text)
    directions, probabilities = _traced(predictor, ids)
    with one_thread():
        found = integrated_gradients(predictor, ids, label=number)
    path, left_out, notices = _variants(predictor, ids, np.abs(found.values), number, answer)
    decided = predictor.decide(answer[None])[0]
    return Walk(
        text=text, kind=predictor.kind, labels=predictor.labels, tokens=tokens, read=read,
        label=number, probabilities=probabilities, decided=decided, path=path,
        contributions=found.values, baseline=found.baseline, completeness_error=found.error,
        left_out=left_out, directions=directions,
        residual=float(np.abs(probabilities - answer).max()), notices=notices,
    )  # fmt: skip


def _label_number(predictor: Predictor, answer: Doubles, label: str | None) -> int:
    if label is None:
        return 1 if predictor.kind == "binary" else int(answer.argmax())
    if label not in predictor.labels:
        raise ConfigError(f"label: no {label!r}; the model has {', '.join(predictor.labels)}")
    return predictor.labels.index(label)


def _tokens(
    predictor: Predictor, text: str
) -> tuple[tuple[WalkToken, ...], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the text's tokens, which of them are read, and the ids read (T,)."""
    encoder = predictor.encoder
    index = encoder.vocabulary.index
    drops_unknown = predictor.bundle.config.text.unknown == "drop" and not encoder.open_words
    tokens: list[WalkToken] = []
    read: list[int] = []
    for span in encoder.tokenizer.spans(text):
        known = span.token in index
        why = span.dropped
        if not why and drops_unknown and not known:
            why = "not in the vocabulary"
        elif not why and encoder.limit is not None and len(read) >= encoder.limit:
            why = f"past the {encoder.limit} tokens that are read"
        if not why:
            read.append(len(tokens))
        tokens.append(
            WalkToken(token=span.token, start=span.start, end=span.end, known=known, dropped=why)
        )
    ids = encoder.encode(text)
    if predictor.bundle.config.network.pooling == "padded_last":
        ids = [*ids, *[PAD_ID] * (predictor.bundle.sequence_length - len(ids))]
    for _ in range(len(ids) - len(read)):
        read.append(len(tokens))
        tokens.append(WalkToken(token=PAD, start=-1, end=-1, known=True))
    return tuple(tokens), np.array(read, np.int64), np.array(ids, np.int64)


def _traced(
    predictor: Predictor, ids: npt.NDArray[np.int64]
) -> tuple[tuple[DirectionWalk, ...], Doubles]:
    """Run the engine on one message, keeping what it throws away; return its answer (L,) too."""
    network = predictor.network
    packed = predictor.packed([ids.tolist()])
    traces = [[Trace() for _ in layer] for layer in network.layers]
    with one_thread():
        states = network.states(packed, traces=traces)
        logits = network.head(network.pool(states, packed))
    answer = to_probabilities(
        logits, kind=predictor.kind, temperature=predictor.bundle.temperature
    )[0]
    directions = tuple(
        _direction(number, trace, reverse=direction.reverse)
        for number, (layer, layer_traces) in enumerate(zip(network.layers, traces, strict=True))
        for direction, trace in zip(layer, layer_traces, strict=True)
    )
    return directions, answer


def _direction(layer: int, trace: Trace, *, reverse: bool) -> DirectionWalk:
    """Return a trace of one message in the message's order."""

    def in_order(steps: list[Floats]) -> Floats:
        found = np.concatenate(steps)
        return found[::-1].copy() if reverse else found

    z = in_order(trace.z)
    units = z.shape[1] // 4
    before = [np.zeros_like(trace.c[0]), *trace.c[:-1]]
    return DirectionWalk(
        layer=layer, reverse=reverse, c_before=in_order(before),
        z={name: z[:, k * units : (k + 1) * units] for k, name in enumerate("ifog")},
        **{name: in_order(getattr(trace, name)) for name in "figoch"},
    )  # fmt: skip


def _variants(
    predictor: Predictor,
    ids: npt.NDArray[np.int64],
    weight: Doubles,
    label: int,
    answer: Doubles,
) -> tuple[Doubles, Doubles, tuple[str, ...]]:
    """Return the answers prefix by prefix, the fall without each token, and notices."""
    n = len(ids)
    real = ids.tolist()
    if predictor.bundle.config.network.pooling == "padded_last":
        while len(real) > 1 and real[-1] == PAD_ID:
            real.pop()
    ends = np.unique(np.linspace(0, n, min(n + 1, MAX_RUNS)).round().astype(np.int64))
    absent = np.sort(np.argsort(-weight[: len(real)], kind="stable")[:MAX_RUNS])
    lists = [real[:end] or [PAD_ID] for end in ends]
    lists += [real[:k] + real[k + 1 :] or [PAD_ID] for k in absent]
    logits = predictor.logits(lists)
    p = to_probabilities(logits, kind=predictor.kind, temperature=predictor.bundle.temperature)
    path = np.full((n + 1, p.shape[1]), np.nan)
    path[ends] = p[: len(ends)]
    left_out = np.full(n, np.nan)
    left_out[absent] = answer[label] - p[len(ends) :, label]
    if n <= MAX_RUNS - 1:
        return path, left_out, ()
    notice = f"prefixes were read at {len(ends)} places, and {len(absent)} tokens left out in turn"
    return path, left_out, (f"the message has {n} tokens: {notice}",)


def _token_dict(token: WalkToken) -> dict[str, Any]:
    return {
        "token": token.token.encode("utf-8", "replace").decode(),
        "start": token.start,
        "end": token.end,
        "known": token.known,
        "dropped": token.dropped,
    }


def _direction_dict(
    d: DirectionWalk, shown: npt.NDArray[np.int64], *, pre_activations: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"layer": d.layer, "reverse": d.reverse, "units": d.h.shape[1]}
    found |= {name: _plain(getattr(d, name)[shown], 4) for name in _ARRAYS}
    if pre_activations:
        found["z"] = {name: _plain(values[shown], 4) for name, values in d.z.items()}
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


class _Callable(ModuleType):
    """Lets `tidegate.walk` be the function it is named for, and stay a module."""

    def __call__(self, *args: Any, **kwargs: Any) -> Walk:
        return walk(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
