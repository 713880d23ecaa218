"""What the tests of the explorer share: odd texts, and a page opened in a browser."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from conftest import WORDS
from tidegate.engine.bundle import Bundle
from tidegate.pages.explorer import explorer_page

_ODD = (
    "fire flood #@!?.'’:-_0123456789&;ampéÉİıſKßΣσς🔥👩\u200d👧🇫🇷漢字ไทยب\u0301ំʼaA…＇！？＠＃£%°½²Ⅷ"
    "\u00ad\x85\xa0\x1c\ud800<>()=3Ã©â€™\x89Ûªå¨"
)


def odd_texts(n: int) -> list[str]:
    """Return texts of characters that tokenisers stumble on, the same each time."""
    draw = random.Random(7)
    words = ["&#39;", "&eacute;", "&notit;", "&#x1F525;", "&#128;", "U.S.", "#CAfire", "5pm",
             "sooooo", "a@b.co", "www.x.org/y", *WORDS]  # fmt: skip
    texts = []
    for _ in range(n):
        parts = ["".join(draw.choice(_ODD) for _ in range(draw.randint(1, 9))) for _ in range(3)]
        parts.append(chr(draw.randrange(0x110000)) + draw.choice("aA1 #"))
        parts += draw.sample(words, 3)
        draw.shuffle(parts)
        texts.append(draw.choice(["", " ", " "]).join(parts))
    return texts


def altered_texts(texts: list[str], n: int) -> list[str]:
    """Return texts with characters put in, taken out and doubled, the same each time."""
    draw = random.Random(11)
    found = []
    while len(found) < n:
        text = draw.choice(texts)
        for _ in range(draw.randint(1, 4)):
            a, b = sorted(draw.randrange(len(text) + 1) for _ in range(2))
            b = min(b, a + 4)
            new = draw.choice(
                ["", text[a:b] * 3, text[a:b].swapcase(), chr(draw.randrange(0x3000)),
                 chr(draw.randrange(0x20000)), draw.choice(_ODD), " "]
            )  # fmt: skip
            text = text[:a] + new + text[b:]
        if not _JOINED.search(text):
            found.append(text)
    return found


# Two halves of a surrogate pair side by side are one character to JavaScript.
_JOINED = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def opened(page: Any, folder: Path, bundle: Bundle, *, exact: bool = True) -> Bundle:
    path = folder / "explorer.html"
    path.write_text(explorer_page(bundle, title="model", exact=exact).html, encoding="utf-8")
    page.goto(path.as_uri())
    page.locator("#page[data-ready]").wait_for()
    return bundle


def walked(page: Any, texts: list[str], options: object = None) -> list[dict[str, Any]]:
    # JSON on both ways: it carries half a surrogate pair, which the driver's own protocol does not.
    found = page.evaluate(
        """([texts, options]) => JSON.stringify(
            JSON.parse(texts).map((text) => tidegate.engine.walk(text, options ?? {})))""",
        [json.dumps(texts), options],
    )
    return json.loads(found)
