"""The slowest texts that a search finds, in both text pipelines.

    python -m benchmarks.bench_texts [SECONDS] [MODEL]

A text is a beginning, a part that is repeated, and an end, each made of fragments that are known to
trouble tokenisers. The search keeps the slowest of 10,000 characters and changes them at random,
for SECONDS (by default 600) in all. The slowest of each reading are then timed at 100,000
characters, the best of three runs, in seconds of processor time. With a MODEL, its whole answer is
timed, too.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.results_file import write
from tidegate.config import TextConfig
from tidegate.engine.predictor import Predictor
from tidegate.text.encoder import Encoder
from tidegate.text.vocabulary import Vocabulary

SHORT, LONG = 10_000, 100_000
KEPT, SHOWN = 40, 5
# fmt: off
FRAGMENTS = [
    *"aAbzZ019_'’‘´`ʼ＇@＠#＃&;:=.,!?！？-+/\\()[]{}<>\"~^%$£€¥°|*… \n\t\r",
    *"\x0b\x1c\x85\xa0\u2028\u3000",
    *"\x00\x07\x7f\xad\u200b\u200d\u200e\u202e\ufe0f\ufeff\ud800\udfff\U000e0041",
    "http://", "https://", "htt", "http:", "http", "www.", "WWW.", "t.co/", "a.com", "a.b.c.d.com/",
    "ab.", "a-", "a.b", "@a", "@a@", "a@b", "a@b.", "a.b@c.d", "#", "#a", "#A", "#aB", "#AB",
    "#ABc",
    "#1", "#_", "&amp;", "&amp", "&amp;amp;", "&#", "&#1", "&#99999999;", "&#9999999;", "&#x",
    "&#x41;", "&#38;", "&lt;", "&a", "&notanentity;", "&amp;#38;", "&amp;amp;lt;",
    "é", "e\u0301", "\u0301", "\u0300\u0323", "\u0345", "\u05b0", "\u0f71\u0f72\u0f74", "a\u0301'",
    "가", "\u1100\u1161", "ﬁ", "İ", "ß", "ſ", "Σ", "σς", "Σ'", "ǅ", "中", "日本", "ไทย", "ก\u0e34",
    "\u1000\u103b", "ア", "ｱ", "ﷺ", "㎏", "\u0e33", "\u0958", "\u1e9b\u0323", "𝐀", "𝟎", "٣", "²",
    "½", "Ⅷ", "🔥", "🔥🔥", "👩\u200d", "👩\u200d👩", "🏽", "👍🏽", "🇫", "🇫🇷", "\u2764\ufe0f",
    "1\ufe0f\u20e3", "→", "â", "Ã", "Â", "Ã©", "â€™", "â€", "ð", "ðŸ", "ðŸ”¥", "Ä", "Äÿ", "à", "à¤",
    "à¤¹", "\x89", "\x89Û", "\x89Ûª", "å", "åÊ", "Ì", "Ì_", "ï¿½", "ã", "Ä\x80Å", "à\x80\x80",
    "<3", "<3.", "<3,1", ":)", ":(", "=D", ":-D", ";'", ":))", ":D a", "..", "...", "!?", "?!",
    "1,", "1.", "1:", "1/1", "1st", "1am", "10km", "-1", "+1", "$1", "#1st", "1'", "1's", "°C",
    "1%",
    "aaa", "AAA", "ſſſ", "can't", "'s", "don't", "cannot", "gonna", "ing", "ies", "ses", "es", "s",
    "xes", "ches", "men", "ed", "er", "est", "ss", "the", "under_score", "__", "a_b",
    "x" * 10, "0" * 10, "A" * 10, "-" * 10, "。", "「",
]
# fmt: on
Recipe = tuple[list[str], list[str], list[str]]


def readings(model: str | None) -> dict[str, Callable[[str], Any]]:
    """Return what is timed: a text's ids, with nothing remembered of others, and its spans."""
    tweet = TextConfig(tokenizer="tweet", max_tokens=0)
    lesson = TextConfig(tokenizer="lesson", max_tokens=0)
    words = Vocabulary(("<pad>", "<unk>", "fire"))
    found: dict[str, Callable[[str], Any]] = {
        "tweet": lambda text: Encoder(tweet, words, open_words=True).encode_all([text]),
        "lesson": lambda text: Encoder(lesson, words, open_words=True).encode_all([text]),
        "tweet, spans": lambda text: Encoder(tweet, words).tokenizer.spans(text),
        "lesson, spans": lambda text: Encoder(lesson, words).tokenizer.spans(text),
    }
    if model is not None:
        found["answer"] = lambda text: Predictor.load(model).predict_proba([text])
    return found


def build(recipe: Recipe, size: int) -> str:
    start, unit, end = map("".join, recipe)
    unit = unit or "a"
    return (start + unit * (size // len(unit) + 1))[: size - len(end)] + end


def drawn(rng: random.Random) -> Recipe:
    def some(*counts: int) -> list[str]:
        return rng.choices(FRAGMENTS, k=rng.choice(counts))

    return some(0, 0, 1, 2), some(1, 1, 2, 2, 3, 4, 6), some(0, 0, 1, 2)


def changed(recipe: Recipe, rng: random.Random) -> Recipe:
    """Return a recipe with one fragment taken away, put in or put in another's place."""
    parts = [list(part) for part in recipe]
    part = parts[rng.choice([0, 1, 1, 1, 2])]
    how = rng.random()
    if part and how < 0.3:
        part.pop(rng.randrange(len(part)))
    elif part and how < 0.6:
        part[rng.randrange(len(part))] = rng.choice(FRAGMENTS)
    else:
        part.insert(rng.randrange(len(part) + 1), rng.choice(FRAGMENTS))
    return parts[0], parts[1] or [rng.choice(FRAGMENTS)], parts[2]


def timed(read: Callable[[str], Any], text: str) -> float:
    begin = time.process_time()
    read(text)
    return time.process_time() - begin


def search(read: Callable[[str], Any], seconds: float, rng: random.Random) -> dict[str, Any]:
    """Return the slowest texts of a search."""
    end = time.monotonic() + seconds
    found = [(timed(read, build(([], [f], []), SHORT)), ([], [f], [])) for f in FRAGMENTS]
    tried = len(found)
    while time.monotonic() < end:
        found = sorted(found, key=lambda one: -one[0])[:KEPT]
        recipe = drawn(rng) if rng.random() < 0.4 else changed(rng.choice(found)[1], rng)
        found.append((timed(read, build(recipe, SHORT)), recipe))
        tried += 1
    slowest = []
    for _, recipe in sorted(found, key=lambda one: -one[0])[:SHOWN]:
        short, long = (min(timed(read, build(recipe, n)) for _ in range(3)) for n in (SHORT, LONG))
        slowest.append({
            "text": ascii(recipe), "short_s": round(short, 4), "long_s": round(long, 3),
            "us_a_character": round(long / LONG * 1e6, 2), "ratio": round(long / short, 1),
        })  # fmt: skip
    slowest.sort(key=lambda one: -one["long_s"])
    return {"tried": tried, "slowest": slowest}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    timings = readings(sys.argv[2] if len(sys.argv) > 2 else None)
    figures: dict[str, Any] = {"characters": [SHORT, LONG], "seconds_searched": seconds}
    for name, read in timings.items():
        figures[name] = search(read, seconds / len(timings), random.Random(0))
        worst = figures[name]["slowest"][0]
        print(f"{name}: {worst['long_s']:.3f} s, {figures[name]['tried']} tried: {worst['text']}")
    write("texts", figures, command=f"python -m benchmarks.bench_texts {seconds:g}")


if __name__ == "__main__":
    main()
