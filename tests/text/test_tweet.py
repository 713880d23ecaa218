"""The default tokeniser: what it reads, what it repairs, where it says things stood."""

from __future__ import annotations

import copy
import csv
import pickle
import statistics
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.text import tweet
from tidegate.text.tweet import MAX_TOKEN_CHARACTERS, TweetTokenizer

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "tweets.csv"
SPECIAL = {"<url>", "<user>", "<num>"}

tokenize = TweetTokenizer()

EXAMPLES = {
    # words
    "The river IS rising": "the river is rising",
    "don't don’t DON`T it's": "don't don't don't it's",
    "rock'n'roll 'tis the dogs'": "rock'n'roll tis the dogs",
    "anti-war foo_bar either/or": "anti war foo bar either or",
    "sooo GOOOOAL cool wheee": "soo gooal cool whee",
    "U.S. troops at 5 a.m.": "u.s troops at <num> a.m",
    "2nite mh370 b4 4x4": "2nite mh370 b4 4x4",
    # places, people, numbers
    "see https://t.co/x1 now": "see <url> now",
    "(http://example.org/a_(b)?q=1&r=2).": "<url>",
    "www.example.org or example.com, bit.ly/3x": "<url> or <url> <url>",
    "flood.http://t.co/x": "flood <url>",
    "cut off https://… here": "cut off <url> ... here",
    "@you: ask .@me or a.b@example.org": "<user> ask <user> or <user>",
    "13,000 3.5 10:30 #1 $5 20% 5th 1980s -4 +7 20°C 2/3": " ".join(["<num>"] * 12),
    "2015-08-05 10:30pm 16yr-old 5km": "<num> <num> pm <num> yr old <num> km",
    "٣٤ १२ 1️⃣": "<num> <num> <num>",
    # hashtags
    "#CAfire #RockyFire #flooding": "ca fire rocky fire flooding",
    "#USAToday #NJTurnpike #ABomb": "usa today nj turnpike a bomb",
    "#Storm2031 #MH370 #snow_day": "storm <num> mh <num> snow day",
    "#ÉtéChaud #地震 #1stResponders": "été chaud 地 震 <num> st responders",
    # punctuation
    "Run!!! Why?? ?!?!? well... hm…… ok.": "run ! why ? ? ! well ... hm ... ok",
    "a, b; (c) [d] {e} * | ~ ^ = +": "a b c d e",
    "！？": "! ?",
    # emoji and faces
    ":) :-))) ;) =( :D :p <3 &lt;3": ":) :) ;) :( :d :p ❤ ❤",
    "🔥🔥🔥 🌊🔥": "🔥 🌊 🔥",
    "👩🏽\u200d🚒 ❤️\u200d🔥 ❤️ 🇺🇸🇫🇷": "👩🏽\u200d🚒 ❤\u200d🔥 ❤ 🇺🇸 🇫🇷",
    # other scripts
    "हिन्दी में आग": "हिन्दी में आग",
    "東京で火事": "東 京 で 火 事",
    "서울 화재 Пожар в ЛЕСУ حريق": "서울 화재 пожар в лесу حريق",
    "น้ำท่วม": "น้ ำ ท่ ว ม",
    "e\u0301te\u0301": "été",
    # repair
    "fire &amp; smoke &amp;amp; ash AT&T": "fire smoke ash at t",
    "one&nbsp;two&#10;three&hellip; caf&eacute;": "one two three ... café",
    "&bogus; &#99999999999999999999;": "bogus <num>",
    "itâ€™s Ã©tÃ© Ã\xa0 la ðŸ˜€": "it's été à la 😀",
    "Ð¿Ñ€Ð¸Ð²ÐµÑ‚ æ—¥æœ¬": "привет 日 本",
    "ð\x9f\x98\x85 ok": "😅 ok",
    "it\x89Ûªs \x89ÛÏhot\x89Û\x9d wait\x89Û_ a\x89ÛÓb": "it's hot wait ... a b",
    "North\xe5\xcaSouth caf\xcc\xa9 \xe5\xa36bn": "north south café <num>",
    "café”… Ångström åø naïve “crème”": "café ... ångström åø naïve crème",
    # what must not harm
    "<url> <pad> <unk> <num>": "url pad unk num",
    "fl\x00oo\u200bd\ud800 \ufeffnow\u00ad": "flood now",
    "\u0301\u0301 \u200d \ufffd \x07 ʼ ' # @ &": "",
    "": "",
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.items())
def test_a_message_becomes_these_tokens(text: str, expected: str) -> None:
    assert tokenize(text) == expected.split()


@pytest.mark.parametrize("text", EXAMPLES)
def test_spans_give_the_same_tokens(text: str) -> None:
    assert_spans_hold(text)


def assert_spans_hold(text: str) -> None:
    tokens = tokenize(text)
    spans = tokenize.spans(text)
    assert [span.token for span in spans if not span.dropped] == tokens
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    starts = [span.start for span in spans]
    assert starts == sorted(starts)


def assert_tokens_are_sound(tokens: list[str]) -> None:
    for token in tokens:
        assert 0 < len(token) <= MAX_TOKEN_CHARACTERS
        assert token in SPECIAL or not token.startswith("<")
        assert not any(character.isspace() for character in token)


# Pieces that meet each other badly, beside what hypothesis thinks of.
PIECES = [
    *(
        "&",
        "amp;",
        "&amp;",
        "&nbsp;",
        "&#x",
        "\x89Û",
        "\x89ÛÏ",
        "_",
        "å",
        "Ê",
        "Ã",
        "©",
        "â€™",
        "ð",
    ),
    *(
        "Ÿ",
        "\x85",
        "\x9f",
        "\xa0",
        "#",
        "@",
        "http://",
        "www.",
        ".com",
        "t.co/",
        "1",
        ",",
        "th",
        "%",
    ),
    *("a", "A", "aaa", "É", "\u0301", "'", "’", "ʼ", "火", "ก", "ั", "🔥", "\u200d", "\ufe0f", "🇺"),
    *(
        "🏽",
        "!",
        "?",
        "...",
        "…",
        ":",
        ")",
        "<",
        "3",
        "<url>",
        "\x00",
        "\u200b",
        "\ud83d",
        " ",
        "İ",
    ),
]
messy_texts = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=30).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.text() | st.text(st.characters()) | messy_texts)
def test_any_text_has_sound_tokens_and_matching_spans(text: str) -> None:
    assert_tokens_are_sound(tokenize(text))
    assert_spans_hold(text)


@settings(max_examples=200, deadline=None)
@given(messy_texts)
def test_memory_does_not_change_the_tokens(text: str) -> None:
    assert tokenize(text) == TweetTokenizer()(text)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="ascii")), st.text(st.characters(codec="ascii")))
def test_white_space_separates_messages(left: str, right: str) -> None:
    assert tokenize(f"{left} {right}") == tokenize(left) + tokenize(right)


@pytest.mark.parametrize("word", ["été", "naïveté", "東京", "привет", "it’s", "😀", "señor", "€"])
def test_mojibake_reads_as_what_was_meant(word: str) -> None:
    mangled = "".join(
        bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in word.encode()
    )
    assert tokenize(mangled) == tokenize(word)


def test_spans_point_into_the_text_as_it_was_typed() -> None:
    text = "&lt;b&gt; caf\xcc\xa9 \u200bFire&amp;Ice it\x89Ûªs #RockyFire"
    found = [(s.token, text[s.start : s.end]) for s in tokenize.spans(text) if not s.dropped]
    assert found == [
        ("b", "b"),
        ("café", "caf\xcc\xa9"),
        ("fire", "Fire"),
        ("ice", "Ice"),
        ("it's", "it\x89Ûªs"),
        ("rocky", "Rocky"),
        ("fire", "Fire"),
    ]


def test_dropped_punctuation_keeps_its_place() -> None:
    text = "fire, &amp; (smoke)"
    dropped = [(s.token, s.start, s.end) for s in tokenize.spans(text) if s.dropped]
    assert dropped == [(",", 4, 5), ("&", 6, 11), ("(", 12, 13), (")", 18, 19)]
    assert {s.dropped for s in tokenize.spans(text)} == {"", "punctuation"}


def test_question_and_exclamation_marks_share_out_their_run() -> None:
    assert [(s.token, s.start, s.end) for s in tokenize.spans("!!?!")] == [("!", 0, 2), ("?", 2, 4)]


def test_a_long_token_is_cut() -> None:
    assert tokenize("ab" * 100) == ["ab" * 32]
    assert tokenize("g" + "o" * 500 + "al") == ["gooal"]
    (marked,) = tokenize("e" + "\u0301\u0323" * 5000)
    assert marked.startswith("ẹ")
    assert len(marked) <= MAX_TOKEN_CHARACTERS


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tweet, "MAX_CACHED_WORDS", 3)
    fresh = TweetTokenizer()
    for number in range(10):
        assert fresh(f"word{number} {'x' * 65}") == [f"word{number}", "xx"]
        assert len(fresh._words) <= 3
    assert all(len(word) <= 64 for word in fresh._words)


def test_copies_travel_without_their_memory() -> None:
    used = TweetTokenizer()
    used("some words")
    for twin in (pickle.loads(pickle.dumps(used)), copy.deepcopy(used)):
        assert twin._words == {}
        assert twin("some words") == ["some", "words"]


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "@", "#A", "#aA", "#a1", "&", "&amp;", "&#", "&#1", "[", "([{", "🔥", "🔥\u200d"),
        *("\u0301", "a\u0301", "火", "ก", "1", "1,", "1a", "a.", "a-", "a+", "a@", "a@b.", "http:"),
        *(
            "http://",
            "www.",
            "www.a",
            "'",
            "a'",
            "!?",
            ".",
            "…",
            ":",
            ":(",
            "<",
            "<3",
            "é",
            "Ã",
            "ð",
        ),
        *(
            "Ã©",
            "åÊ",
            "\x89Û_",
            "\x89",
            "_",
            "#_",
            "\x00",
            "\u200d",
            "🇺",
            "\ud800",
            "a ",
            "& ",
            "Ä€",
        ),
    ],
)
def test_time_grows_with_length_and_not_faster(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[: length - 2] + "a "
        tokenizer = TweetTokenizer()
        begin = time.perf_counter()
        assert_tokens_are_sound(tokenizer(text)[-3:])
        return time.perf_counter() - begin

    tokenize("é")
    # Ten times the text would take a hundred times as long, were it quadratic.
    long = min(seconds(100_000) for _ in range(2))
    assert long < 0.2 or long < 50 * min(seconds(10_000) for _ in range(3))


def test_the_reference_data_reads_plausibly() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"the reference data is not at {REFERENCE}")
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    lengths = []
    for text in texts:
        tokens = tokenize(text)
        assert_tokens_are_sound(tokens)
        assert_spans_hold(text)
        assert "\x89" not in "".join(tokens)
        lengths.append(len(tokens))
    assert 14 < statistics.mean(lengths) < 17
    assert max(lengths) < 60
