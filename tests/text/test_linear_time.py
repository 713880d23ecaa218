"""Texts made to be slow: every step's time grows as their length, and shortcuts change nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.engine.vectors import byte_pairs
from tidegate.text import lesson
from tidegate.text.lesson import SUFFIX_RULES, LessonTokenizer
from tidegate.text.tweet import TweetTokenizer

PATTERNS = [
    "s", "es", "ing", "ed", "ses", "er", "&#99999999;", "&amp;", "http://", "www.,", "@", "#",
    "#Ab", "0", "1,", "a.b", "a@b.", "中٣", "f\u0301", "â€", "ðŸ", "👩\u200d", "!?", "\u200b", "Σ'",
]  # fmt: skip
SHORT, LONG = 2_000, 32_000
READINGS: dict[str, Callable[[str], object]] = {
    "tweet": lambda text: TweetTokenizer()(text),
    "lesson": lambda text: LessonTokenizer()(text),
    "tweet, spans": lambda text: TweetTokenizer().spans(text),
    "lesson, spans": lambda text: LessonTokenizer().spans(text),
    "pieces": lambda text: byte_pairs(text, PIECES),
}
PIECES = {
    piece: number
    for number, piece in enumerate(["▁", *"abcdefghinrst", "es", "in", "ing", "▁a", "ss", "ssss"])
}


def seconds(read: Callable[[str], object], text: str) -> float:
    begin = time.process_time()
    read(text)
    return time.process_time() - begin


@pytest.mark.parametrize("reading", READINGS)
def test_time_grows_as_the_length_does(reading: str) -> None:
    read = READINGS[reading]
    read("warm s é")
    for pattern in PATTERNS:
        short = pattern * (SHORT // len(pattern))
        long = pattern * (LONG // len(pattern))
        ratio = min(seconds(read, long) for _ in range(2)) / max(
            min(seconds(read, short) for _ in range(3)), 2e-5
        )
        assert ratio < 80, pattern  # 16 is linear, 256 quadratic


def slowly(form: str, pos: str) -> str:
    """Return NLTK 3.8's lemma of a regular form, round by round as it is told at the top there."""
    index = lesson._tables().index

    def one_round(forms: list[str]) -> list[str]:
        return [
            one[: -len(old)] + new
            for one in forms
            for old, new in SUFFIX_RULES[pos]
            if one.endswith(old)
        ]

    forms = [form]
    candidates = [form, *one_round([form])]
    while candidates:
        lemmas = [one for one in candidates if pos in index.get(one, "")]
        if lemmas:
            return min(lemmas, key=len)
        forms = candidates = one_round(forms)
    return form


suffixes = st.sampled_from(
    ["s", "es", "ed", "ing", "ses", "ies", "ves", "xes", "ches", "men", "er", "est", "ss", "x"]
)
stems = st.sampled_from(["", "build", "bus", "fire", "big", "kiss", "s", "hous", "church", "wom"])


@settings(max_examples=400, deadline=None)
@given(stems, st.lists(suffixes, max_size=40), st.sampled_from("vna"))
def test_long_forms_have_the_lemma_that_every_round_gives(
    stem: str, ends: list[str], pos: str
) -> None:
    form = stem + "".join(ends)
    if form in lesson._tables().exceptions[pos] or not form:
        return
    found = lesson._tables().look_up(form, pos=pos, every_round=True)
    assert found == slowly(form, pos)


def test_a_form_of_many_suffixes_ends_where_nltk_ends() -> None:
    assert lesson.lemmatize("build" + "ings" * 20_000, mode="nltk-3.8") == "build"
    assert lesson.lemmatize("zzxq" + "s" * 50_000, mode="nltk-3.8") == "zzxq" + "s" * 50_000


def joined_one_by_one(word: str, index: Mapping[str, int]) -> list[str]:
    """Return a word's parts as the rule says it: best pair first, all pairs looked at each time."""
    parts = ["▁", *word]
    while len(parts) > 1:
        made = [index.get(a + b, len(index)) for a, b in pairwise(parts)]
        if min(made) == len(index):
            break
        place = made.index(min(made))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


@settings(max_examples=400, deadline=None)
@given(
    st.text("ab", max_size=40),
    st.lists(st.text("ab", min_size=2, max_size=5), max_size=12, unique=True),
)
def test_pieces_are_joined_in_the_order_of_their_ids(word: str, longer: list[str]) -> None:
    index = {piece: number for number, piece in enumerate(["▁", "a", "b", *longer, "▁a"])}
    parts = joined_one_by_one(word, index)
    assert byte_pairs(word, index) == [index[part] for part in parts]
