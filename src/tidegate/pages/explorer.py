"""The explorer: one file that holds a model and runs it in the browser.

Takes a `Bundle`, gives HTML. In it is what the JavaScript engine under `assets/` needs: the arrays
(`packing`), the vocabulary, the tokeniser's tables (`tables`), and some messages with Python's own
answers, which the page checks itself against each time it is opened. The same bundle gives the same
bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.evaluation.report import reliability_of
from tidegate.pages import MODULES as WALK_MODULES
from tidegate.pages import asset, bundled, page_file
from tidegate.pages.packing import fitting_steps, packed, rounded
from tidegate.pages.tables import TOKENIZERS, tokenizer_tables
from tidegate.text.lesson import wordnet_licence

MODULES = (
    *WALK_MODULES, "faults", "score", "correct", "live", "engine_bytes", "engine_lstm",
    "engine_attribution", "engine_reach", "engine_characters", "engine_text", "engine_lesson",
    "engine_words", "engine", "dropping", "hold", "reach", "tour", "quiz", "speaker", "explore",
)  # fmt: skip
# How finely arrays are rounded at the coarsest: to multiples of 2⁻ᵇⁱᵗˢ of their size. The first is
# the largest by far, and only words out of vocabulary are read by it.
BITS = {
    "vectors.weight": 4.5, "words.weight": 8.5, "embedding.weight": 10.4, "lstm.weight": 9.5,
    "dense.weight": 9.5,
}  # fmt: skip
# A page's bytes, if its arrays can be rounded to them: those of pretrained vectors bear more of it.
SIZE, SIZE_WITHOUT_VECTORS = 6_000_000, 8_000_000
_BESIDE = 410_000  # of them for what is no array: the script, the tokeniser's tables
_BESIDE_LESSON = 285_000  # and WordNet's words
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
    exact : keep every array as it is; by default large ones are rounded, see `BITS`

    Raises
    ------
    ConfigError
        The model is none that the page can run.
    """
    _check(bundle)
    steps = {} if exact else _steps(bundle)
    carried = replace(
        bundle,
        weights={n: rounded(a, steps[n]) if n in steps else a for n, a in bundle.weights.items()},
    )
    messages = list(SELF_TEST)
    answers = Predictor(carried).predict_proba(messages)
    as_it_was = Predictor(bundle).predict_proba(messages)
    header = _header(bundle, title) | _self_test(answers.tolist())
    data = packed(header, carried.weights, steps)
    page = page_file(
        title=title,
        styles=("page.css", "serve.css", "explore.css"),
        data=f'<script type="text/plain" id="model">{data}</script>{_licence(bundle)}',
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


def _steps(bundle: Bundle) -> dict[str, float]:
    """Return the steps of the arrays that are rounded, so that the page is not too large."""
    beside = len(json.dumps(bundle.tokens)) + len(bundle.pieces or "") // 2 + _BESIDE
    if bundle.config.text.tokenizer == "lesson":
        beside += _BESIDE_LESSON
    most = SIZE if "vectors.weight" in bundle.weights else SIZE_WITHOUT_VECTORS
    return fitting_steps(bundle.weights, BITS, room=most - beside)


def _self_test(answers: list[list[float]]) -> dict[str, Any]:
    pairs = zip(SELF_TEST, answers, strict=True)
    messages = [{"text": text, "probabilities": p} for text, p in pairs]
    return {"selftest": {"tolerance": TOLERANCE, "messages": messages}}


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
