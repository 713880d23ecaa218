"""Words cut into pieces as the tokenizers library cuts them, and their mean vectors."""

import importlib.util
import json
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from conftest import WORDS
from tidegate.engine.vectors import WordVectors, n_pieces, whole_words
from tidegate.errors import BundleError
from tidegate.training.pretrained import load_pretrained


@cache
def library() -> Tokenizer:
    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "tokenizers"
    return Tokenizer.from_file(str(folder / "l2_supercat_tokenizer_config.json"))


@cache
def vectors() -> WordVectors:
    pretrained = load_pretrained("wordllama")
    assert pretrained is not None
    return WordVectors(table=pretrained.table, pieces=pretrained.pieces)


def test_known_and_made_up_words_are_cut_as_the_library_cuts_them() -> None:
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwygpbvkxqj'éüñçßжшяあ火事😀 ́0123456789-_"
    made_up = ["".join(rng.choices(letters, k=rng.randint(1, 24))) for _ in range(5000)]
    words = [w.replace(" ", "") or "x" for w in [*WORDS, "<url>", "<user>", "aaaaaaaa", *made_up]]
    expected = [e.ids for e in library().encode_batch(words, add_special_tokens=False)]
    assert vectors().piece_ids(words) == expected


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z"]), min_size=1, max_size=20))
def test_any_word_is_cut_as_the_library_cuts_it(word: str) -> None:
    expected = library().encode(word, add_special_tokens=False).ids
    assert vectors().piece_ids([word]) == [expected]


def test_a_words_vector_is_the_mean_of_its_pieces() -> None:
    ours = vectors()
    (ids,) = ours.piece_ids(["wildfires"])
    assert len(ids) > 1
    np.testing.assert_allclose(ours.rows(["wildfires"])[0], ours.table[ids].mean(axis=0), atol=1e-6)


def test_words_at_hand_are_looked_up() -> None:
    found = WordVectors(
        table=np.ones((1, 2), np.float32), pieces=json.dumps({"words": ["a"]}), words=("b",),
        word_table=np.full((1, 2), 7.0, np.float32),
    ).rows(["a", "b", "c"])  # fmt: skip
    assert found.tolist() == [[1, 1], [7, 7], [0, 0]]


def test_words_that_are_listed_are_not_cut() -> None:
    pieces = json.dumps({"pieces": ["▁", "a", "b", "ab"], "words": ["ab", "ba"]})
    ours = WordVectors(table=np.arange(6, dtype=np.float32)[:, None], pieces=pieces)
    assert ours.piece_ids(["ab", "ba", "abb", ""]) == [[4], [5], [0, 3, 2], [0]]
    assert ours.rows(["ba", "abb"])[:, 0].tolist() == [5.0, pytest.approx(5 / 3)]
    assert n_pieces(pieces) == 6
    assert whole_words(json.dumps({"pieces": ["▁fire", "a"], "words": ["flood"]})) == [
        "fire",
        "flood",
    ]


def test_whole_words_have_values_beside_those_of_their_pieces() -> None:
    whole, cut = load_pretrained("words"), vectors()
    assert whole is not None
    width = cut.table.shape[1]
    rows = whole.rows(["horrible", "fire", "zxqv"])
    for row, word in zip(rows, ["horrible", "fire", "zxqv"], strict=True):
        np.testing.assert_allclose(row[:width], cut.rows([word])[0], atol=1e-5)
    assert [bool(row[width:].any()) for row in rows] == [True, True, False]
    words = whole.rows(whole.whole_words())[:, width:]
    assert words[words.any(axis=1)].std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("pieces", ["nonsense", "[]", "3", "{}", '{"words": [], "others": []}'])
def test_broken_pieces_are_named(pieces: str) -> None:
    with pytest.raises(BundleError, match="the pieces of the vectors are broken"):
        WordVectors(table=np.ones((1, 2), np.float32), pieces=pieces).rows(["a"])
