"""Thousands of messages, read by the page and by Python: the same tokens, gates and answers."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from conftest import tiny_bundle
from explorers import altered_texts, odd_texts, opened
from tidegate.config import Config
from tidegate.data.dataset import Dataset, from_lists, read_dataset
from tidegate.engine.bundle import Bundle
from tidegate.engine.lstm import Trace
from tidegate.engine.predictor import Predictor
from tidegate.presets import preset

pytestmark = pytest.mark.slow
N = 2000  # messages of each sort
AT_ONCE = 500  # messages that cross between the two at a time
UNITS = 6  # of each layer that are compared on a message; others on the next
GATES = "figoch"


def reference_texts(tweets: Path) -> list[str]:
    with tweets.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["text"] for row in csv.DictReader(file)))


@pytest.fixture(scope="module")
def texts(tweets: Path) -> list[str]:
    reference = reference_texts(tweets)
    fuzzed = odd_texts(N // 2) + altered_texts(reference, N - N // 2)
    return reference[:N] + fuzzed


def sample(kind: str) -> Dataset:
    data = read_dataset(str(files("tidegate") / "sample" / "messages.csv"))
    if kind == "binary":
        return data
    named = ["flood" if "flood" in t else "fire" if "fire" in t else "none" for t in data.texts]
    return from_lists(list(data.texts), named)


def trained(name: str) -> Bundle:
    from tidegate.training.train import train

    sizes = {"hidden_size": 64, "embedding_size": 64, "head_size": 64}
    settings: dict[str, tuple[str, str, dict[str, object]]] = {
        "default": ("binary", "default", {"epochs": 2}),
        "lesson": ("binary", "lesson", {"epochs": 12, "batch_size": 32, **sizes}),
        "two layers, three classes": (
            "multiclass", "default", {"epochs": 2, "num_layers": 2, "hidden_size": 24},
        ),
    }  # fmt: skip
    kind, base, more = settings[name]
    config: Config = preset(base).with_settings(**more)
    return train(sample(kind), config).bundle


@pytest.fixture(scope="module", params=["default", "lesson", "two layers, three classes"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return trained(request.param)


def halves(texts: list[str]) -> Iterator[tuple[int, list[str]]]:
    for start in range(0, len(texts), AT_ONCE):
        yield start, texts[start : start + AT_ONCE]


def chosen_units(n: int, units: int) -> npt.NDArray[np.int64]:
    """Return (n, UNITS): those compared on each message."""
    return np.random.default_rng(3).integers(0, units, (n, UNITS))


def python_states(model: Predictor, texts: list[str]) -> list[npt.NDArray[np.float32]]:
    """Return each message's gates and states: (directions, 6, T, H)."""
    reader = model.reader()
    padded = model.bundle.config.network.pooling == "padded_last"
    ids = [reader.encoder.encode(text) for text in texts]
    by_length: dict[int, list[int]] = {}
    for number, found in enumerate(ids):
        by_length.setdefault(0 if padded else len(found), []).append(number)
    answers: list[Any] = [None] * len(texts)
    for rows in by_length.values():
        traces = [[Trace() for _ in layer] for layer in model.network.layers]
        lists = [ids[row] for row in rows]
        tables = reader.tables(np.concatenate([np.array(one) for one in lists]))
        # Of one length, all of them run at every step, in the order they were given.
        model.network.states(reader.packed(lists), tables, traces=traces)
        parts = []
        for layer, found in zip(model.network.layers, traces, strict=True):
            for direction, trace in zip(layer, found, strict=True):
                way = slice(None, None, -1 if direction.reverse else 1)
                parts.append([np.stack(getattr(trace, name)[way], axis=1) for name in GATES])
        whole = np.array(parts)  # (directions, 6, B, T, H)
        for place, row in enumerate(rows):
            answers[row] = whole[:, :, place]
    return answers


# What the page makes of messages; numbers as bytes, since there are millions.
TRACE = """([texts, units]) => {
    const found = JSON.parse(texts).map((text, n) => {
        const { tokens, read, probabilities, directions } = tidegate.engine.trace(text);
        const states = directions.flatMap((one) => [..."figoch"].flatMap(
            (name) => one[name].flatMap((row) => units[n].map((unit) => row[unit]))));
        const { label } = tidegate.engine.predict(text);
        return { tokens, read, probabilities, label, states };
    });
    const bytes = new Uint8Array(Float32Array.from(found.flatMap((one) => one.states)).buffer);
    let raw = "";
    for (let k = 0; k < bytes.length; k += 8192)
        raw += String.fromCharCode(...bytes.subarray(k, k + 8192));
    found.forEach((one) => { delete one.states; });
    return [JSON.stringify(found), btoa(raw)];
}"""
SPANS = """(texts) => JSON.stringify(JSON.parse(texts).map(
    (text) => tidegate.engine.model.spans(text).map(
        ({ token, start, end, dropped }) => [token, start, end, dropped])))"""


def spans(model: Predictor, text: str) -> list[list[Any]]:
    return [[s.token, s.start, s.end, s.dropped] for s in model.encoder.tokenizer.spans(text)]


def test_tokens_gates_and_probabilities(
    page: Any, tmp_path: Path, bundle: Bundle, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    opened(page, tmp_path, bundle)
    model = Predictor(bundle)
    units = chosen_units(len(texts), bundle.config.network.hidden_size)
    gap_of_gates = gap_of_answers = 0.0
    for start, some in halves(texts):
        mine = units[start : start + len(some)]
        told, raw = page.evaluate(TRACE, [json.dumps(some), mine.tolist()])
        values = np.frombuffer(base64.b64decode(raw), np.float32)
        answers = model.predict_proba(some)
        for found, text, states, which, answer, label in zip(
            json.loads(told), some, python_states(model, some), mine, answers,
            model.decide(answers), strict=True,
        ):  # fmt: skip
            written = [t for t in found["tokens"] if t["start"] >= 0]
            index = model.encoder.vocabulary.index
            kept = [t for t in written if t["dropped"] in ("", "stop word", "punctuation")]
            wanted = [s for s in spans(model, text) if s[3] or s[0] in index or not drops(model)]
            limit = model.encoder.limit
            if limit is None or sum(not s[3] for s in wanted) <= limit:
                assert [[t["token"], t["start"], t["end"], t["dropped"]] for t in kept] == wanted
            expected = states[..., which]
            here, values = values[: expected.size], values[expected.size :]
            gap = float(np.abs(here.reshape(expected.shape) - expected).max())
            gap_of_gates = max(gap_of_gates, gap)
            gap = float(np.abs(np.array(found["probabilities"]) - answer).max())
            gap_of_answers = max(gap_of_answers, gap)
            assert found["label"] == label or np.ptp(answer) < 1e-5
        assert not values.size
    with capsys.disabled():
        print(f"\n{len(texts)} messages: gates {gap_of_gates:.1e}, answers {gap_of_answers:.1e}")
    assert gap_of_gates < 1e-5
    assert gap_of_answers < 1e-5


def drops(model: Predictor) -> bool:
    return model.encoder.vocabulary.unknown_id < 0


def test_as_shipped(
    page: Any, tmp_path: Path, bundle: Bundle, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    opened(page, tmp_path, bundle, exact=False)
    model = Predictor(bundle)
    found = page.evaluate(
        """(texts) => JSON.parse(texts).map((text) => {
            const { values, label } = tidegate.engine.predict(text);
            return [values, label];
        })""",
        json.dumps(texts),
    )
    answers = model.predict_proba(texts)
    gaps = np.abs(np.array([values for values, _ in found]) - answers).max(axis=1)
    same = np.mean([a == label for a, (_, label) in zip(model.decide(answers), found, strict=True)])
    with capsys.disabled():
        print(f"\nas shipped: answers {gaps.max():.1e}, the same decision {same:.2%}")
    assert np.ptp(answers, axis=0).min() > 0.5  # of a model that hardly reacts, gaps are small
    assert gaps.max() < 2e-3
    assert same >= 0.999


@pytest.mark.parametrize("tokenizer", ["tweet", "lesson", "lesson 3.9+"])
def test_tokens_of_every_row(page: Any, tmp_path: Path, tweets: Path, tokenizer: str) -> None:
    name, _, mode = tokenizer.partition(" ")
    small = tiny_bundle(tokenizer=name, lemmas=f"nltk-{mode or '3.8'}")
    opened(page, tmp_path, small)
    model = Predictor(small)
    reference = reference_texts(tweets)
    every = [*map(chr, range(0x80, 0xD800)), *map(chr, range(0xE000, 0x20000))]
    around = [f"A{c}a{c}Σ{c} fires{c}ing" for c in every]
    joined = [" ".join(around[k : k + 40]) for k in range(0, len(around), 40)]
    for _, some in halves([*reference, *altered_texts(reference, 6000), *odd_texts(2000), *joined]):
        found = json.loads(page.evaluate(SPANS, json.dumps(some)))
        for text, one in zip(some, found, strict=True):
            assert one == spans(model, text), text
