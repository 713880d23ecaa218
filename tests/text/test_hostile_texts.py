"""Texts nobody meant to send: an answer in bounded memory, and the same in any company."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from conftest import tiny_bundle
from tidegate.cli import main
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor

HOSTILE = {
    "nothing": "",
    "white space": " \n\t\u200b\u3000",
    "100,000 characters of words": "fire near the river " * 5_000,
    "100,000 characters of one word": "x" * 100_000,
    "100,000 characters of one mark": "!" * 100_000,
    "100,000 characters of one link": "https://example.org/" + "a" * 100_000,
    "100,000 different words": " ".join(f"w{k:05}q" for k in range(14_000)),
    "a hashtag without end": "#" + "FireFlood" * 11_000,
    "only emoji": "🔥🌊👩‍👩‍👧‍👦🇫🇷🏳️‍🌈",
    "only unknown words": "qwxz zxwq wqzx",
    "NUL": "fire\x00near\x00\x00the river",
    "control characters": "".join(map(chr, range(32))) + "fire",
    "a lone surrogate": "fire \ud83d near",
    "only lone surrogates": "\udc80\ud83d" * 40,
    "stacked accents": "f" + "\u0301" * 5_000 + "ire",
    "right to left": "\u202eحريق\u202c fire",
    "no words of ours": "火事です 消防車を呼んで",
}
MODELS: dict[str, dict[str, object]] = {
    "default": {},
    "every token": {"max_tokens": 0},
    "lesson": {
        "tokenizer": "lesson", "unknown": "drop", "pooling": "padded_last", "max_tokens": 0,
        "bidirectional": False, "num_layers": 2,
    },
}  # fmt: skip
MOST_MEMORY = 80e6  # bytes beyond the model, for 100,000 characters


@pytest.fixture(params=MODELS, scope="module")
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return tiny_bundle(3, **MODELS[request.param])


@pytest.mark.parametrize("case", HOSTILE)
def test_any_text_gets_an_answer_in_bounded_memory(bundle: Bundle, case: str) -> None:
    predictor = Predictor(bundle)
    tracemalloc.start()
    try:
        found = predictor.predict_proba([HOSTILE[case]])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.shape == (1, 2)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)
    assert peak < MOST_MEMORY


def test_hostile_company_changes_no_answer(bundle: Bundle) -> None:
    predictor = Predictor(bundle)
    together = predictor.predict_proba([*HOSTILE.values(), "fire near the river"])
    alone = [
        predictor.predict_proba([text])[0] for text in (*HOSTILE.values(), "fire near the river")
    ]
    assert np.abs(together - np.array(alone)).max() <= 1e-6


@pytest.mark.slow
def test_words_never_seen_do_not_pile_up(bundle: Bundle) -> None:
    """A service meets new words for ever: what it remembers of them has an end."""
    predictor = Predictor(bundle)
    sizes = []
    for round_ in range(3):
        tracemalloc.start()
        for block in range(6):
            predictor.predict_proba(
                [f"new{round_}x{block}y{k} word{round_}{block}{k}" for k in range(2_000)]
            )
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert sizes[-1] < 40e6, sizes


def test_the_command_line_answers_them_or_says_what_is_wrong(tmp_path: Path) -> None:
    model = tiny_bundle(3).save(tmp_path / "model")
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    kept = {name: text for name, text in HOSTILE.items() if "surrogate" not in name}
    with source.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text"])
        writer.writerows([text] for text in kept.values())
    assert main(["predict", str(model), "--input", str(source), "--output", str(target)]) == 0
    csv.field_size_limit(10_000_000)
    with target.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["text"] for row in rows] == list(kept.values())
    expected = Predictor.load(model).predict_proba(list(kept.values()))[:, 1]
    assert [float(row["probability_1"]) for row in rows] == pytest.approx(expected, abs=1e-6)


def test_bytes_that_are_no_text_reach_the_command_line(tmp_path: Path) -> None:
    """A shell hands over any bytes; Python reads those that are not UTF-8 as lone surrogates."""
    model = tiny_bundle(3).save(tmp_path / "model")
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "--json"]
    done = subprocess.run(
        [*map(os.fsencode, command), b"fire \xff near", "🔥".encode(), b""],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 3
