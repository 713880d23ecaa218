"""What a page's tokeniser must know of characters and words, as Python knows it.

Takes the name of a tokeniser, gives tables that go into JSON. A browser may know another version
of Unicode than the Python that reads messages elsewhere, so it is not asked: which characters are
letters, and how they are lowered, travels with the model.
"""

from __future__ import annotations

import html
import html.entities
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import takewhile
from typing import Any

from tidegate.config import TextConfig
from tidegate.text import lesson, tweet

TOKENIZERS = ("tweet", "lesson")  # that the page can read text like

_MOST_SHARED = 25  # A to Z

_Test = Callable[[str], bool]


def tokenizer_tables(config: TextConfig) -> dict[str, Any]:
    """Return the tables of the tokeniser that a config names, as its engine module reads them."""
    found = {"tokenizer": config.tokenizer, "unicode": unicodedata.unidata_version}
    if config.tokenizer == "lesson":
        return found | _lesson_characters() | {"lesson": _lesson_words(config)}
    return found | _tweet_characters()


@cache
def _tweet_characters() -> dict[str, Any]:
    unspaced = re.compile(f"[{tweet.UNSPACED}]").match
    tests: dict[str, _Test] = {
        "word": _is_word,
        "alnum": str.isalnum,
        "digit": str.isdecimal,
        "space": str.isspace,
        "upper": str.isupper,
        "mark": lambda c: unicodedata.category(c)[0] == "M",
        "alpha": lambda c: c.isalnum() and not c.isdecimal(),
        "body": lambda c: c.isalnum() and c != "ʼ" and not unspaced(c),
        "letter": lambda c: c.isalnum() and not c.isdecimal() and c != "ʼ" and not unspaced(c),
        "unassigned": lambda c: unicodedata.category(c) == "Cn",
        **_OF_CASE,
    }
    return {
        "classes": {name: _ranges(test) for name, test in tests.items()},
        "lower": _lowered(),
        "entities": dict(sorted(html.entities.html5.items())),
        "numeric": _numeric_entities(),
        "debris": dict(sorted(tweet.DEBRIS.items())),
        "bytes": sorted([chr(code), byte] for code, byte in tweet.BYTE_OF.items()),
    }


@cache
def _lesson_characters() -> dict[str, Any]:
    tests: dict[str, _Test] = {"word": _is_word, "space": str.isspace, **_OF_CASE}
    return {"classes": {name: _ranges(test) for name, test in tests.items()}, "lower": _lowered()}


def _lesson_words(config: TextConfig) -> dict[str, Any]:
    return {
        "lemmas": config.lemmas,
        "stop_words": sorted(lesson.stop_words()),
        "contractions": dict(lesson.CONTRACTIONS),
        "rules": dict(lesson.SUFFIX_RULES),
        "going_on": dict(lesson.GOING_ON),
        "wordnet": _shortened(lesson.wordnet()),
    }


def _shortened(lines: str) -> str:
    """Return lines of entries in order, each entry without what it shares with the one before.

    An entry is a capital letter, which says how many characters are shared (A: none), and the rest.
    All else in WordNet's tables is in lower case.

    >>> _shortened("index\\tn\\tfire\\tfires\\tflood")
    'index\\tn\\tAfireEsBlood'
    """
    found = []
    for line in lines.splitlines():
        kind, part, *entries = line.split("\t")
        rests = []
        for before, entry in zip(["", *entries], entries, strict=False):
            pairs = zip(before[:_MOST_SHARED], entry, strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            rests.append(chr(ord("A") + shared) + entry[shared:])
        found.append(f"{kind}\t{part}\t{''.join(rests)}")
    return "\n".join(found)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


# What `lower` asks of the characters around a capital sigma can only be seen in its answers.
_OF_CASE: dict[str, _Test] = {
    "cased": lambda c: (c + "Σ").lower()[-1] == "ς",
    "ignorable": lambda c: ("A" + c + "Σ").lower()[-1] == "ς" != (c + "Σ").lower()[-1],
}


@cache
def _characters() -> tuple[str, ...]:
    return tuple(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))


def _ranges(test: _Test) -> list[int]:
    """Return [first, last, first, last, …] of the characters that pass."""
    found: list[int] = []
    for character in filter(test, _characters()):
        code = ord(character)
        if found and found[-1] == code - 1:
            found[-1] = code
        else:
            found += [code, code]
    return found


@cache
def _lowered() -> dict[str, str]:
    return {c: c.lower() for c in _characters() if c.lower() != c}


def _numeric_entities() -> dict[str, Any]:
    """Return the numeric entities that stand for another character, or for none; see HTML 5."""
    codes = (*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, *range(0xFDD0, 0xFDF0), 0xB)
    codes += tuple(plane << 16 | low for plane in range(1, 17) for low in (0xFFFE, 0xFFFF))
    found = {code: html.unescape(f"&#{code};") for code in codes}
    return {
        "replaced": {str(code): c for code, c in sorted(found.items()) if c and c != chr(code)},
        "dropped": sorted(code for code, c in found.items() if not c),
    }
