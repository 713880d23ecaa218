"""The explorer: one file that holds a model and runs it in the browser.

Takes a `Bundle`, gives HTML. Packs what the JavaScript engine under `assets/` needs: the arrays,
the vocabulary, tables of characters, and some messages with Python's own answers, which the page
checks itself against each time it is opened. The same bundle gives the same bytes.

The tables of characters travel along because a browser may know another version of Unicode than
the Python that reads messages elsewhere.
"""

from __future__ import annotations

import base64
import gzip
import html
import html.entities
import json
import re
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.evaluation.report import reliability_of
from tidegate.pages import MODULES as WALK_MODULES
from tidegate.pages import asset, bundled, page_file
from tidegate.text import tweet

MODULES = (
    *WALK_MODULES, "faults", "score", "correct", "live", "engine_bytes", "engine_lstm",
    "engine_attribution", "engine_reach", "engine_text", "engine_words", "engine", "dropping",
    "hold", "reach", "tour", "quiz", "speaker", "explore",
)  # fmt: skip
VECTORS = "vectors.weight"
_ROUNDED = 3  # bits of a fraction of ten that are left out of half precision
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
    bundle : an LSTM that reads tweets
    title : what the page calls the model
    exact : keep every array as it is; by default the pretrained vectors of word pieces, which only
        words out of vocabulary are read by, keep 7 of the 10 bits of their fractions

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
        data=f'<script type="{_KIND}" id="model">{data.decode()}</script>',
        script=bundled(MODULES),
        before=f"<script>{asset('theme.js')}</script>",
    )
    return Explorer(html=page, largest_difference=float(np.abs(answers - as_it_was).max()))


def _check(bundle: Bundle) -> None:
    cell, tokenizer = bundle.config.network.cell, bundle.config.text.tokenizer
    if cell != "lstm":
        raise ConfigError(f"explore: the model's cell is {cell!r}; the page runs LSTMs alone")
    if tokenizer != "tweet":
        raise ConfigError(
            f"explore: the model's tokenizer is {tokenizer!r}; the page reads text the way of "
            "'tweet' alone"
        )


def pack(bundle: Bundle, *, title: str, answers: list[list[float]]) -> bytes:
    """Return what travels: gzipped, a header in JSON, and the arrays behind it."""
    arrays = bundle.weights
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
        "unicode": unicodedata.unidata_version,
        **character_tables(),
    }  # fmt: skip


def _planes(array: npt.NDArray[Any]) -> bytes:
    """Return an array's first bytes, then its second ones, …: like among like is packed smaller."""
    wide = np.frombuffer(array.tobytes(), np.uint8).reshape(-1, array.itemsize)
    return wide.T.tobytes()


def _rounded(bundle: Bundle) -> Bundle:
    """Return the bundle with its largest table rounded, to even, so that it packs smaller."""
    table = bundle.weights.get(VECTORS)
    if table is None or table.dtype != np.float16:
        return bundle
    bits: npt.NDArray[Any] = np.ascontiguousarray(table).view(np.uint16).astype(np.uint32)
    half = (1 << _ROUNDED - 1) - 1
    bits = bits + half + ((bits >> _ROUNDED) & 1) >> _ROUNDED << _ROUNDED
    rounded = bits.astype(np.uint16).view(np.float16)
    return replace(bundle, weights={**bundle.weights, VECTORS: rounded})


# --- characters -----------------------------------------------------------------------------------


@cache
def character_tables() -> dict[str, Any]:
    """Return what Python knows of characters and the tokeniser asks for, as the engine reads it."""
    unspaced = re.compile(f"[{tweet.UNSPACED}]").match
    tests: dict[str, Callable[[str], bool]] = {
        "word": lambda c: c.isalnum() or c == "_",
        "alnum": str.isalnum,
        "digit": str.isdecimal,
        "space": str.isspace,
        "upper": str.isupper,
        "mark": lambda c: unicodedata.category(c)[0] == "M",
        "alpha": lambda c: c.isalnum() and not c.isdecimal(),
        "body": lambda c: c.isalnum() and c != "ʼ" and not unspaced(c),
        "letter": lambda c: c.isalnum() and not c.isdecimal() and c != "ʼ" and not unspaced(c),
    }
    return {
        "classes": {name: _ranges(test) for name, test in tests.items()},
        "entities": dict(sorted(html.entities.html5.items())),
        "numeric": _numeric_entities(),
        "debris": dict(sorted(tweet.DEBRIS.items())),
        "bytes": sorted([chr(code), byte] for code, byte in tweet.BYTE_OF.items()),
    }


def _ranges(test: Callable[[str], bool]) -> list[int]:
    """Return [first, last, first, last, …] of the characters that pass."""
    found: list[int] = []
    for code in (*range(0xD800), *range(0xE000, 0x110000)):
        if test(chr(code)):
            if found and found[-1] == code - 1:
                found[-1] = code
            else:
                found += [code, code]
    return found


def _numeric_entities() -> dict[str, Any]:
    """Return the numeric entities that stand for another character, or for none; see HTML 5."""
    codes = (*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, *range(0xFDD0, 0xFDF0), 0xB)
    codes += tuple(plane << 16 | low for plane in range(1, 17) for low in (0xFFFE, 0xFFFF))
    found = {code: html.unescape(f"&#{code};") for code in codes}
    return {
        "replaced": {str(code): c for code, c in sorted(found.items()) if c and c != chr(code)},
        "dropped": sorted(code for code, c in found.items() if not c),
    }
