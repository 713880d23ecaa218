"""The walk: everything a model did while it read one message, gate by gate.

Takes a `Predictor` (or a bundle) and a text; gives a `Walk`: the tokens and where they stood, every
gate and state of every layer and direction, the probability as each token is read, what each token
contributed, and how far the walk lies from the engine's own answer. It runs the engine's code and
keeps what the engine throws away. Knows nothing of pages or terminals.

The four steps and the names of the gates are those of `lstm`.

T tokens read, H units, L labels.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from tidegate.engine.blas import one_thread
from tidegate.engine.bundle import Bundle
from tidegate.engine.lstm import Floats, Trace
from tidegate.engine.network import weight_names
from tidegate.engine.predictor import Predictor, to_probabilities
from tidegate.engine.reader import Reader
from tidegate.errors import ConfigError, DataError
from tidegate.text.encoder import Encoder
from tidegate.text.ids import flatten
from tidegate.text.vocabulary import PAD, PAD_ID
from tidegate.walking.attribution import Contributions, integrated_gradients
from tidegate.walking.holding import Hold, held
from tidegate.walking.record import (
    DirectionWalk,
    Doubles,
    HeadWalk,
    NgramWalk,
    Walk,
    WalkToken,
)  # fmt: skip

__all__ = ["DirectionWalk", "Walk", "WalkToken", "walk"]

_CLEANED = "removed by cleaning"
_WRITTEN = re.compile(r"\S+")
MAX_RUNS = 256  # prefixes read, and tokens left out, of one message,
MAX_RUN_TOKENS = 200_000  # fewer where those would have more tokens than this, but 16


def walk(
    model: Predictor | Bundle, text: str, *, label: str | None = None, hold: Hold | None = None
) -> Walk:
    """Read one message step by step, keeping every gate.

    Parameters
    ----------
    model : whose answer is explained
    label : the label explained; by default the second of two, else the likeliest
    hold : gates held at a value while the message is read, in every layer and direction: `{"f": 0}`
        erases the cell state at each token, `{"f": {3: 1}}` lets unit 3 forget nothing. Gates are
        f, i and o, from 0 to 1, and the candidate values g, from −1 to 1. The answer, and
        everything else in the walk, is that of the model so held

    Raises
    ------
    ConfigError
        The model is no LSTM, or has no such label, gate or unit.
    DataError
        The message is not text.

    Examples
    --------
    >>> walk(predictor, "house on fire").directions[0].f.shape  # doctest: +SKIP
    (3, 32)
    """
    predictor = Predictor(model) if isinstance(model, Bundle) else model
    cell = predictor.bundle.config.network.cell
    if cell != "lstm":
        raise ConfigError(f"walk: the model's cell is {cell!r}; only an LSTM has these four steps")
    if not isinstance(text, str):
        raise DataError(f"walk: found {type(text).__name__} {text!r}; a message is text")
    if hold:
        predictor = Predictor(held(predictor.bundle, hold))
    answer = predictor.predict_proba([text])[0]
    number = _label_number(predictor, answer, label)
    reader = predictor.reader()
    tokens, read, ids = _tokens(predictor, reader.encoder, text)
    directions, lstm_logits = _traced(predictor, reader, ids)
    with one_thread():
        found = integrated_gradients(predictor, ids, label=number, reader=reader)
    ngrams = _ngrams(reader, ids, lstm_logits, found)
    logits = reader.network.with_ngrams(lstm_logits, flatten([ids.tolist()]), reader.tables(ids))
    probabilities = to_probabilities(
        logits, kind=predictor.kind, temperature=predictor.bundle.temperature
    )[0]
    path, left_out, notices = _variants(
        predictor, reader, ids, weight=np.abs(found.values), label=number, answer=answer
    )
    decided = predictor.decide(answer[None])[0]
    return Walk(
        text=text, kind=predictor.kind, labels=predictor.labels, tokens=tokens, read=read,
        label=number, probabilities=probabilities, decided=decided, path=path,
        contributions=found.values, baseline=found.baseline, completeness_error=found.error,
        left_out=left_out, directions=directions, ngrams=ngrams,
        head=_head(predictor, lstm_logits),
        residual=float(np.abs(probabilities - answer).max()), notices=notices,
    )  # fmt: skip


def _label_number(predictor: Predictor, answer: Doubles, label: str | None) -> int:
    if label is None:
        return 1 if predictor.kind == "binary" else int(answer.argmax())
    if label not in predictor.labels:
        raise ConfigError(f"label: no {label!r}; the model has {', '.join(predictor.labels)}")
    return predictor.labels.index(label)


def _tokens(
    predictor: Predictor, encoder: Encoder, text: str
) -> tuple[tuple[WalkToken, ...], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the text's tokens, which of them are read, and the ids read (T,)."""
    index = encoder.vocabulary.index
    drops_unknown = predictor.bundle.config.text.unknown == "drop" and not encoder.open_words
    tokens: list[WalkToken] = []
    read: list[int] = []
    place = 0
    for span in encoder.tokenizer.spans(text):
        tokens += _cleaned_away(text, place, span.start)
        place = max(place, span.end)
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
    tokens += _cleaned_away(text, place, len(text))
    ids = encoder.encode(text)
    if predictor.bundle.config.network.pooling == "padded_last":
        ids = [*ids, *[PAD_ID] * (predictor.bundle.sequence_length - len(ids))]
    for _ in range(len(ids) - len(read)):
        read.append(len(tokens))
        tokens.append(WalkToken(token=PAD, start=-1, end=-1, known=True))
    return tuple(tokens), np.array(read, np.int64), np.array(ids, np.int64)


def _cleaned_away(text: str, start: int, end: int) -> list[WalkToken]:
    """Return what was written between two tokens and is part of neither."""
    return [
        WalkToken(token=gap[0], start=gap.start(), end=gap.end(), known=False, dropped=_CLEANED)
        for gap in _WRITTEN.finditer(text, start, end)
    ]


def _traced(
    predictor: Predictor, reader: Reader, ids: npt.NDArray[np.int64]
) -> tuple[tuple[DirectionWalk, ...], Floats]:
    """Run the LSTM on one message, keeping what the engine throws away; and its logits (1, k)."""
    network = predictor.network
    packed = reader.packed([ids.tolist()])
    traces = [[Trace() for _ in layer] for layer in network.layers]
    with one_thread():
        states = network.states(packed, reader.tables(ids), traces=traces)
        logits = network.head(network.pool(states, packed))
    directions = tuple(
        _direction(predictor.bundle, number, trace, reverse=direction.reverse)
        for number, (layer, layer_traces) in enumerate(zip(network.layers, traces, strict=True))
        for direction, trace in zip(layer, layer_traces, strict=True)
    )
    return directions, logits


def _ngrams(
    reader: Reader, ids: npt.NDArray[np.int64], lstm_logits: Floats, found: Contributions
) -> NgramWalk | None:
    """Return what the linear branch said of the message, if there is one."""
    network = reader.network
    if network.ngrams is None:
        return None
    table = reader.tables(ids)[-1]
    return NgramWalk(
        share=network.config.ngram_share, lstm_logits=lstm_logits[0],
        ngram_logits=network.ngrams.logits(flatten([ids.tolist()]), table)[0],
        bias=network.ngrams.bias, token_logits=network.ngrams.token_shares(ids, table),
        contributions=found.ngrams,
    )  # fmt: skip


def _head(predictor: Predictor, lstm_logits: Floats) -> HeadWalk:
    """Return how the LSTM's states became an answer."""
    network = predictor.bundle.config.network
    return HeadWalk(
        pooling=network.pooling, dense=network.head_size, logits=lstm_logits[0],
        temperature=predictor.bundle.temperature,
    )  # fmt: skip


def _direction(bundle: Bundle, layer: int, trace: Trace, *, reverse: bool) -> DirectionWalk:
    """Return a trace of one message in the message's order."""

    def in_order(steps: list[Floats]) -> Floats:
        found = np.concatenate(steps)
        return found[::-1].copy() if reverse else found

    z = in_order(trace.z)
    units = z.shape[1] // 4
    before = [np.zeros_like(trace.c[0]), *trace.c[:-1]]
    names = weight_names(bundle.config.network, layer, reverse=reverse)
    u, b_x, b_h = (
        np.asarray(bundle.weights[names[part]], np.float32)
        for part in ("weight_hh", "bias_ih", "bias_hh")
    )
    return DirectionWalk(
        layer=layer, reverse=reverse, c_before=in_order(before),
        recurrent=u, bias=b_x + b_h,
        z={name: z[:, k * units : (k + 1) * units] for k, name in enumerate("ifog")},
        **{name: in_order(getattr(trace, name)) for name in "figoch"},
    )  # fmt: skip


def _variants(
    predictor: Predictor,
    reader: Reader,
    ids: npt.NDArray[np.int64],
    *,
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
    runs = min(max(MAX_RUN_TOKENS // n, 16), MAX_RUNS)
    places = np.linspace(0, n, min(n + 1, runs)).round().astype(np.int64)
    ends = np.array(sorted(set(places.tolist())))  # np.unique would load numpy.ma: 13 ms
    absent = np.sort(np.argsort(-weight[: len(real)], kind="stable")[:runs])
    lists = [real[:end] or [PAD_ID] for end in ends]
    lists += [real[:k] + real[k + 1 :] or [PAD_ID] for k in absent]
    logits = reader.logits(lists)
    p = to_probabilities(logits, kind=predictor.kind, temperature=predictor.bundle.temperature)
    path = np.full((n + 1, p.shape[1]), np.nan)
    path[ends] = p[: len(ends)]
    left_out = np.full(n, np.nan)
    left_out[absent] = answer[label] - p[len(ends) :, label]
    if n < runs:
        return path, left_out, ()
    notice = f"prefixes were read at {len(ends)} places, and {len(absent)} tokens left out in turn"
    return path, left_out, (f"the message has {n} tokens: {notice}",)
