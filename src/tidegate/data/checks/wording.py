"""What messages are written in: damage, scripts, languages, lengths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# UTF-8 read as Windows-1252 or Latin-1, what decoders put in the place of what they cannot read,
# and control characters.
_DAMAGE = re.compile(
    "\ufffd|[ÂÃ][\x80-\xbf]|â(?:€|\x80)|Ã[ƒ‚]|ð(?:Ÿ|\x9f)|"
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,6}|#x[0-9a-fA-F]{2,6});")

# Where most letters of a script stand; enough to tell scripts apart, not to tell all of them.
_SCRIPTS = {
    "Latin": "A-Za-z\u00c0-\u024f", "Greek": "\u0370-\u03ff", "Cyrillic": "\u0400-\u052f",
    "Hebrew": "\u0590-\u05ff", "Arabic": "\u0600-\u06ff\u0750-\u077f", "Devanagari":
    "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff", "Tamil": "\u0b80-\u0bff", "Thai": "\u0e00-\u0e7f",
    "Hangul": "\uac00-\ud7af\u1100-\u11ff", "Kana": "\u3040-\u30ff",
    "Han": "\u4e00-\u9fff\u3400-\u4dbf",
}  # fmt: skip
_LETTERS = {name: re.compile(f"[{letters}]+") for name, letters in _SCRIPTS.items()}

# Frequent words of languages in Latin letters; one of several languages counts for each.
_FUNCTION_WORDS = {
    "English": "the and of is you that this with for are was have it's i'm they what",
    "German": "der und ist nicht das ich zu ein mit auf auch wir für sich dem von",
    "French": "le les et est pas je vous que dans une pour sur avec nous du ça",
    "Spanish": "el los y es que no por una con para está muy pero las del",
    "Portuguese": "o os e é não que uma com para do da em você mas",
    "Italian": "il di che è non un per sono della con ho più gli",
    "Dutch": "het een niet van dat ik op te zijn voor met aan",
    "Indonesian": "yang dan di itu ini tidak untuk dengan saya ada",
}
_LANGUAGES: dict[str, set[str]] = {}
for _name, _listed in _FUNCTION_WORDS.items():
    for _word in _listed.split():
        _LANGUAGES.setdefault(_word, set()).add(_name)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_FEWEST_SIGNS = 2  # function words that a message needs to tell its language


def is_damaged(text: str) -> bool:
    """Tell whether a text was decoded wrongly somewhere on its way.

    >>> is_damaged("cafÃ©"), is_damaged("it\u00e2\u20ac\u2122s"), is_damaged("café")
    (True, True, False)
    """
    if text.isascii() and (text.isprintable() or _CONTROL.search(text) is None):
        return False
    return _DAMAGE.search(text) is not None


def has_entities(text: str) -> bool:
    """Tell whether a text has HTML entities in it.

    >>> has_entities("fire &amp; smoke"), has_entities("R&D")
    (True, False)
    """
    return "&" in text and _ENTITY.search(text) is not None


def script_of(text: str) -> str:
    """Return the script that most letters of a text are of; empty for none.

    >>> script_of("fire"), script_of("пожар в доме"), script_of("123 🔥")
    ('Latin', 'Cyrillic', '')
    """
    if text.isascii():
        return "Latin" if _LETTERS["Latin"].search(text) else ""
    found = Counter(
        {name: sum(map(len, letters.findall(text))) for name, letters in _LETTERS.items()}
    )
    name, count = found.most_common(1)[0]
    return name if count else ""


def language_of(text: str) -> str:
    """Return the language whose frequent words a text has most of; empty where that is unclear.

    >>> language_of("the house is on fire"), language_of("das Haus ist nicht da")
    ('English', 'German')
    """
    found: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()):
        found.update(_LANGUAGES.get(word, ()))
    if not found:
        return ""
    (name, count), *rest = found.most_common(2)
    return name if count >= _FEWEST_SIGNS and (not rest or count > rest[0][1]) else ""


def most_of(names: Sequence[str]) -> list[tuple[str, int]]:
    """Return the names and how often each stands, the most frequent first, the empty one aside."""
    return sorted(Counter(filter(None, names)).items(), key=lambda pair: (-pair[1], pair[0]))
