"""The explorer: one file that holds a model and runs it in the browser.

Takes a `Bundle`, gives HTML. Packs what the JavaScript engine under `assets/` needs: the arrays,
the vocabulary, the tokeniser's tables (`tables`), and some messages with Python's own answers,
which the page checks itself against each time it is opened. The same bundle gives the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.evaluation.report import reliability_of
from tidegate.pages import MODULES as WALK_MODULES
from tidegate.pages import asset, bundled, page_file
from tidegate.pages.tables import TOKENIZERS, tokenizer_tables
from tidegate.text.lesson import wordnet_licence

MODULES = (
    *WALK_MODULES, "faults", "score", "correct", "live", "engine_bytes", "engine_lstm",
    "engine_attribution", "engine_reach", "engine_characters", "engine_text", "engine_lesson",
    "engine_words", "engine", "dropping", "hold", "reach", "tour", "quiz", "speaker", "explore",
)  # fmt: skip
# Bits that are kept of the ten of half precision's fraction, by array. The first is the largest by
# far, and only words out of vocabulary are read by it.
KEPT_BITS = {
    "vectors.weight": 7, "words.weight": 8, "embedding.weight": 8, "lstm.weight": 10,
    "dense.weight": 10,
}  # fmt: skip
_KIND = "application/octet-stream;base64"
TOLERANCE = 1e-5  # of the self-test: the same arrays on both sides
# fmt: off
SELF_TEST = (
    "", "fire", "house on fire on 5th street, people are trapped",
    "my inbox is on fire today lol", "what a lovely day, best sunset of the year!!",
    "Flooding reported near the river; roads closed http://t.co/abc #flood",
    "@user sooooo happy about the new album :)", "13,000 people evacuated &amp; 2 hurt",
    "It\u2019s a dis\u00e4ster \U0001f525\U0001f525",
    "\u5730\u9707 \u0637\u0648\u0641\u0627\u0646 fire",
    "#RockyFire #CAfire update: U.S. crews on I-5", "zxqv blorp zzyzx",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """A page, and what became of the model on its way into it.

    Attributes
    ----------
    html : the page
    largest_difference : of the probabilities of the self-test's messages, packed and as they were
    """

    html: str
    largest_difference: float


def explorer_page(bundle: Bundle, *, title: str, exact: bool = False) -> Explorer:
    """Return the page of a model.

    Parameters
    ----------
    bundle : an LSTM
    title : what the page calls the model
    exact : keep every array as it is; by default large ones are rounded, see `KEPT_BITS`

    Raises
    ------
    ConfigError
        The model is none that the page can run.
    """
    _check(bundle)
    packed = bundle if exact else _rounded(bundle)
    messages = list(SELF_TEST)
    answers = Predictor(packed).predict_proba(messages)
    as_it_was = Predictor(bundle).predict_proba(messages)
    data = base64.b64encode(pack(packed, title=title, answers=answers.tolist()))
    page = page_file(
        title=title,
        styles=("page.css", "serve.css", "explore.css"),
        data=f'<script type="{_KIND}" id="model">{data.decode()}</script>' + _licence(bundle),
        script=bundled(MODULES),
        before=f"<script>{asset('theme.js')}</script>",
    )
    return Explorer(html=page, largest_difference=float(np.abs(answers - as_it_was).max()))


def _check(bundle: Bundle) -> None:
    cell, tokenizer = bundle.config.network.cell, bundle.config.text.tokenizer
    if cell != "lstm":
        raise ConfigError(f"explore: the model's cell is {cell!r}; the page runs LSTMs alone")
    if tokenizer not in TOKENIZERS:
        raise ConfigError(
            f"explore: the model's tokenizer is {tokenizer!r}; the page reads text the way of "
            f"{' or '.join(map(repr, TOKENIZERS))}"
        )


def _licence(bundle: Bundle) -> str:
    """Return the licence that goes with WordNet's words, wherever they go."""
    if bundle.config.text.tokenizer != "lesson":
        return ""
    return f'<script type="text/plain" id="licence">{wordnet_licence()}</script>'


def pack(bundle: Bundle, *, title: str, answers: list[list[float]]) -> bytes:
    """Return what travels: gzipped, a header in JSON, and the arrays behind it."""
    arrays = {name: _narrow(array) for name, array in bundle.weights.items()}
    found: list[dict[str, Any]] = []
    at = 0
    for name in sorted(arrays):
        array = arrays[name]
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        found.append({"name": name, "kind": kind, "shape": list(array.shape), "at": at})
        at += -(-array.nbytes // 8) * 8
    header = _header(bundle, title) | {
        "selftest": {
            "tolerance": TOLERANCE,
            "messages": [
                {"text": text, "probabilities": p}
                for text, p in zip(SELF_TEST, answers, strict=True)
            ],
        },
    }
    # Where the arrays begin is not known before the header is written: it says so relative to the
    # end of itself, which is padded to a multiple of 8.
    head = json.dumps(header | {"arrays": found}, separators=(",", ":"), sort_keys=True).encode()
    head += b" " * (-(len(head) + 4) % 8)
    parts = [struct.pack("<I", len(head)), head]
    for entry in found:
        data = _planes(arrays[entry["name"]].astype(f"<{entry['kind']}"))
        parts += [data, b"\0" * (-len(data) % 8)]
    return gzip.compress(b"".join(parts), compresslevel=9, mtime=0)


def _header(bundle: Bundle, title: str) -> dict[str, Any]:
    network = bundle.config.network
    return {
        "name": title, "kind": bundle.kind, "labels": list(bundle.labels),
        "tokens": list(bundle.tokens), "sequence_length": bundle.sequence_length,
        "thresholds": list(bundle.thresholds), "temperature": bundle.temperature,
        "calibration": reliability_of(bundle.extra_files.get("report.json", b"")),
        "pieces": json.loads(bundle.pieces) if bundle.pieces else None,
        "config": {
            name: getattr(network, name)
            for name in ("bidirectional", "num_layers", "hidden_size", "pooling", "ngrams",
                         "ngram_share")
        },
        **tokenizer_tables(bundle.config.text),
    }  # fmt: skip


def _planes(array: npt.NDArray[Any]) -> bytes:
    """Return an array's first bytes, then its second ones, …: like among like is packed smaller."""
    wide = np.frombuffer(array.tobytes(), np.uint8).reshape(-1, array.itemsize)
    return wide.T.tobytes()


def _rounded(bundle: Bundle) -> Bundle:
    """Return the bundle with its large tables rounded, so that they pack smaller."""
    weights = {
        name: next((_cut(a, kept) for part, kept in KEPT_BITS.items() if name.startswith(part)), a)
        for name, a in bundle.weights.items()
    }
    return replace(bundle, weights=weights)


def _cut(array: npt.NDArray[Any], kept: int) -> npt.NDArray[Any]:
    """Return an array with so many bits of its fractions, rounded to even, in its own type."""
    with np.errstate(over="ignore"):
        halves = np.ascontiguousarray(array, np.float16)
    if not np.isfinite(halves).all():
        return array  # beyond what half precision holds
    left_out = 10 - kept
    bits: npt.NDArray[Any] = halves.view(np.uint16).astype(np.uint32)
    if left_out:
        half = (1 << left_out - 1) - 1
        bits = bits + half + ((bits >> left_out) & 1) >> left_out << left_out
    rounded = bits.astype(np.uint16).view(np.float16)
    return rounded.astype(array.dtype) if np.isfinite(rounded).all() else array


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array in half precision if nothing is lost by it."""
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        halves = array.astype(np.float16)
    return halves if np.array_equal(halves.astype(np.float32), array) else array
