r"""Short messages to words: the default tokeniser.

Takes one text as people typed it. Gives its tokens, or the tokens with their place in that text.
Knows nothing of vocabularies, models or labels; the standard library is all it needs.

    repair    entities (``&amp;``), mojibake (``â€™``) and invisible characters, offsets kept
    split     at white space; a surface word met before is answered from a cache
    read      one compiled pattern over a new surface word, kinds tried in the order of `_PATTERN`

Tokens are lower case words with their apostrophes and stop words, ``<url>``, ``<user>``, ``<num>``,
``!``, ``?``, ``...``, emoji and a few faces. No other token starts with ``<``.

White space separates everything, so a surface word means the same in every message: that is what
makes the cache exact, and bulk scoring fast. Letters, digits and marks are those of the Unicode
tables of the running Python. Every step is linear in the length of the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from tidegate.text.spans import TokenSpan, rewrite

MAX_TOKEN_CHARACTERS: Final = 64
"""A longer token is cut; a longer surface word is read but not remembered."""

MAX_CACHED_WORDS: Final = 200_000
"""Surface words remembered before the cache starts afresh (about 40 MB when full)."""


# --- repair: mojibake ---------------------------------------------------------------------------


def _cp1252(byte: int) -> str:
    return bytes([byte]).decode("cp1252", errors="ignore") or chr(byte)


_CONTINUATION: Final = "".join(_cp1252(byte) + chr(byte) for byte in range(0x80, 0xC0))
"""How the second and later bytes of a UTF-8 character look, once read as cp1252 or Latin-1."""

BYTE_OF: Final = {ord(_cp1252(byte)): byte for byte in range(0x80, 0x100)}


def _debris() -> dict[str, str]:
    r"""Two mistakes in a row: UTF-8 read as cp1252, saved as Mac Roman, and that read as Latin-1.

    The reference data is full of it: ’ became ``\x89Ûª``. What Mac Roman lacks was saved as ``_``,
    except for the five bytes that cp1252 lacks, too.
    """
    table: dict[str, str] = {}
    for code in (*range(0xA0, 0x100), *range(0x2010, 0x203B), 0x20AC, 0x2122):
        mangled = ""
        for seen in map(_cp1252, chr(code).encode()):
            kept = seen.encode("mac_roman", errors="ignore").decode("latin-1")
            mangled += kept or (seen if ord(seen) < 0xA0 else "_")
        if "_" not in mangled and not (mangled[0] == "å" and mangled[1].islower()):
            table[mangled] = chr(code)  # Danish may write åø; nobody writes åÊ
    # Several characters lost the same byte; these are the likeliest.
    return table | {"\x89Û_": "…", "Ì_": "ó"}


DEBRIS: Final = _debris()


def _one_of(characters: str) -> str:
    return "[" + "".join(map(re.escape, sorted(set(characters)))) + "]"


def _mojibake() -> re.Pattern[str]:
    """Only sequences that honest text hardly ever holds; accented letters alone are left alone.

    All leads come first, and each form looks back at its own: that way `re` skips what begins none
    of them six times faster.
    """
    tails = {lead: _one_of("".join(k[1] for k in DEBRIS if k[0] == lead)) for lead in "åÌ\x89"}
    thirds, more = _one_of("".join(k[2] for k in DEBRIS if len(k) == 3)), _one_of(_CONTINUATION)
    forms = (
        ("\x89", tails["\x89"] + thirds), ("å", tails["å"]), ("Ì", tails["Ì"]),
        ("Â", r"[\xa0-\xbf]"), ("Ã", more), ("[âï]", more * 2), ("ã", r"[\x81‚ƒ]" + more),
        ("ð", more * 3), ("[Ä-ß]", rf"{more}(?:[Ä-ß]{more})+"),
        ("[à-ï]", rf"{more}{more}(?:[à-ï]{more}{more})+"),
    )  # fmt: skip
    return re.compile("[\x89Â-ð](?:" + "|".join(f"(?<={a}){rest}" for a, rest in forms) + ")")


_MOJIBAKE: Final = _mojibake()


def _unmangled(found: re.Match[str]) -> str:
    try:
        return DEBRIS.get(found[0]) or found[0].translate(BYTE_OF).encode("latin-1").decode()
    except UnicodeError:
        return found[0]


# --- repair: entities and invisible characters --------------------------------------------------

_EMOJI = (
    "[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_INVISIBLE = (
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b\u200c"
    r"\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000e0000-\U000e0fff]"
)
# Digits are few: html.unescape would turn 100,000 of them into an integer first.
_ENTITY_OR_INVISIBLE: Final = re.compile(
    r"&(?:amp;)*(?P<name>#[0-9]{1,7}(?![0-9]);?|#[xX][0-9a-fA-F]{1,6}(?![0-9a-fA-F]);?"
    r"|[A-Za-z][A-Za-z0-9]{1,31};|(?:amp|lt|gt|quot|nbsp)(?![A-Za-z0-9]))"
    rf"|{_INVISIBLE}|\u200d(?!{_EMOJI})"
)


def _decoded(found: re.Match[str]) -> str:
    if not found["name"]:
        return ""
    decoded = html.unescape("&" + found["name"])
    return decoded if decoded[:1] == "&" else _ENTITY_OR_INVISIBLE.sub("", decoded)


# --- read ---------------------------------------------------------------------------------------

UNSPACED = (  # written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_APOSTROPHES = "'’‘´`ʼ＇"
_STRAIGHT = str.maketrans(dict.fromkeys(_APOSTROPHES, "'"))

_UNITS = (
    "am|pm|km|kph|kmh|mph|cm|mm|mi|ft|in|inch|kg|lbs?|oz|g|w|mb|gb|fps|hpa|x"
    "|h|hrs?|hours?|mins?|minutes?|secs?|days?|wks?|weeks?|months?|yrs?|years?|yo"
)
_ADDRESS = r"[!#-;=?-~]*(?<![.,;:!?\')\]}])"  # printable ASCII but " < >, not ending a sentence

# MARK, WORD, LETTER and ALONE are filled in by `_compiled`. No repeated part can match the same
# characters in two ways, and what looks back or ahead is bounded: that keeps the scan linear.
_PATTERN = rf"""
  (?P<alone> ALONE )
| (?P<url>   (?i:htt(?:ps?)?) (?: :(?://{_ADDRESS})? | (?=…|\.\.) )
           | (?i:www\.) {_ADDRESS}
           | (?<![\w.@-]) (?:[A-Za-z0-9][A-Za-z0-9-]{{0,62}}\.){{1,4}}
             (?: (?i:com|org|net|gov|edu|info|ly)(?![\w-])(?:/{_ADDRESS})?
               | [A-Za-z]{{2,6}}/{_ADDRESS} ) )
| (?P<user>  [@＠] NAME
           | (?<![\w.+-]) [\w.+-]{{1,64}} @ [\w-]{{1,63}} (?:\.[\w-]{{1,63}})+ )
| (?P<num>   (?:(?<!\w)[+-])? [\#$£€¥]? \d+ (?:[.,:/'-]\d+)*
             (?: (?: (?i:st|nd|rd|th|k|m|b|bn|mn|'?s) | % | °(?i:[cf])? )? MARK* (?!\w)
               | (?=(?i:{_UNITS})(?!\w)) ) )
| [\#＃] (?P<tag> NAME )
| (?P<short> (?<![\w.]) LETTER (?:\.LETTER)+ (?!\w) ) \.?
| (?P<word>  WORD (?:[{_APOSTROPHES}]WORD)* )
| (?P<stop>  [!?！？]+ )
| (?P<dots>  (?:\.\.|…) [.…]* )
| (?P<face>  [:;=] ['-]? (?: \)+ | \(+ | [DPp](?!\w) ) )
| (?P<heart> <3 (?![.,]?\d) )
| (?P<emoji> (?P<one> [\U0001f1e6-\U0001f1ff]{{2}}
                    | {_EMOJI}[\U0001f3fb-\U0001f3ff]? (?:\u200d{_EMOJI}[\U0001f3fb-\U0001f3ff]?)* )
             (?P=one)* )
| (?P<other> \S )
"""


def _compiled(*, mark: str, word: str, letter: str, alone: str) -> re.Pattern[str]:
    pattern = _PATTERN.replace("NAME", r"(?:\w++MARK*+)++").replace("WORD", word)
    pattern = pattern.replace("LETTER", letter).replace("ALONE", alone).replace("MARK", mark)
    return re.compile(pattern, re.VERBOSE)


_NEVER = r"(?!)"
_ASCII_PATTERN: Final = _compiled(mark=_NEVER, word="[A-Za-z0-9]+", letter="[A-Za-z]", alone=_NEVER)


@cache
def _unicode_pattern() -> re.Pattern[str]:
    """Built when the first word beyond ASCII arrives: Python's re has no class for marks."""
    blocks = chain(range(0x300, 0x3100), range(0xA000, 0xAC00), range(0xF900, 0x1F000))
    marks = [code for code in blocks if unicodedata.category(chr(code))[0] == "M"]
    mark = _one_of("".join(map(chr, marks)))
    word = rf"[^\W_ʼ{UNSPACED}]+(?:MARK+[^\W_ʼ{UNSPACED}]*)*"
    return _compiled(
        mark=mark, word=word, letter=rf"[^\W\d_ʼ{UNSPACED}]", alone=rf"[{UNSPACED}]MARK*"
    )


_ELONGATED: Final = re.compile(r"([^\W\d_])\1{2,}")


def _composed(token: str) -> str:
    """Cut first: to sort the marks of one letter is quadratic in their number."""
    return unicodedata.normalize("NFC", token[:MAX_TOKEN_CHARACTERS])[:MAX_TOKEN_CHARACTERS]


def _word(surface: str) -> str:
    token = surface.lower()
    if _ELONGATED.search(token):  # half the price of a sub that finds nothing
        token = _ELONGATED.sub(r"\1\1", token)
    if not token.isascii():
        token = _composed(token)
    if not token.isalnum():
        token = token.translate(_STRAIGHT)
    return token[:MAX_TOKEN_CHARACTERS]


class _Piece(NamedTuple):
    token: str
    start: int
    end: int
    dropped: str = ""


# U capital, l other letter, 0 digit, _ what separates. Two capitals before small letters to the
# end are a place or a name (#CAfire); else the last capital begins the next word (#USAToday).
_PLACE_FIRST: Final = re.compile(r"(?=UU[l0_]+$)UU(?=l)")
_TAG_PARTS: Final = re.compile(r"U+(?![Ul])|U+(?=Ul)|U?l+|U|0+")


def _tag_parts(tag: str) -> Iterator[re.Match[str]]:
    shape = ""
    for character in tag:
        if character == "_":
            shape += "_"
        elif character.isdecimal():
            shape += "0"
        elif character.isupper():
            shape += "U"
        elif unicodedata.category(character)[0] == "M" and shape:
            shape += shape[-1]
        else:
            shape += "l"
    place = None if tag[0] in "AI" else _PLACE_FIRST.match(shape)
    if place:
        yield place
    yield from _TAG_PARTS.finditer(shape, place.end() if place else 0)


def _pieces_of_stop(surface: str, start: int) -> Iterator[_Piece]:
    """One ! for all of a run, one ? for all of a run: '?!?!' is '?' and '!'."""
    run = surface.replace("！", "!").replace("？", "?")
    other = "?" if run[0] == "!" else "!"
    turn = run.find(other)
    if turn < 0:
        yield _Piece(run[0], start, start + len(run))
    else:
        yield _Piece(run[0], start, start + turn)
        yield _Piece(other, start + turn, start + len(run))


_FIXED: Final = {"url": "<url>", "user": "<user>", "num": "<num>", "dots": "...", "heart": "❤"}


def _pieces(text: str, start: int, end: int) -> Iterator[_Piece]:
    """Read what is left of a surface word once it is repaired."""
    pattern = _ASCII_PATTERN if text.isascii() else _unicode_pattern()
    for found in pattern.finditer(text, start, end):
        kind = found.lastgroup or "other"
        first, last = found.span(kind)
        if kind == "word":
            yield _Piece(_word(found[0]), first, last)
        elif kind == "alone":  # these scripts have no case
            yield _Piece(_composed(found[0]), first, last)
        elif kind in _FIXED:
            yield _Piece(_FIXED[kind], first, last)
        elif kind == "other":
            yield _Piece(found[0], first, last, "punctuation")
        elif kind == "tag":
            for part in _tag_parts(found["tag"]):
                a, b = first + part.start(), first + part.end()
                if text[a:b].isalpha() and text.isascii():
                    yield _Piece(_word(text[a:b]), a, b)
                else:
                    yield from _pieces(text, a, b)
        elif kind == "stop":
            yield from _pieces_of_stop(found[0], first)
        elif kind == "face":
            eyes = ";" if found[0][0] == ";" else ":"
            yield _Piece(eyes + found[0][-1].lower(), first, last)
        elif kind == "emoji":
            yield _Piece(found["one"][:MAX_TOKEN_CHARACTERS], first, last)
        else:  # short
            yield _Piece(_word(found["short"]), first, last)


# Most new surface words look like this; a shorter way to what `_pieces` says of them.
_PLAIN: Final = re.compile(
    r"(?P<word>[A-Za-z]+)[.,]?|(?P<num>[0-9]+)[.,]?|(?P<user>@[A-Za-z0-9_]+)"
    r"|(?P<url>https?://[A-Za-z0-9./]*[A-Za-z0-9])"
)


def _repaired(surface: str) -> str:
    if "&" in surface or not (surface.isascii() and surface.isprintable()):
        return _ENTITY_OR_INVISIBLE.sub(_decoded, surface)
    return surface


def _tokens_of(surface: str) -> tuple[str, ...]:
    plain = _PLAIN.fullmatch(surface)
    if plain:
        kind = plain.lastgroup or ""
        return (_word(plain[kind]) if kind == "word" else _FIXED[kind],)
    surface = _repaired(surface)
    return tuple(piece.token for piece in _pieces(surface, 0, len(surface)) if not piece.dropped)


class _Words(dict[str, tuple[str, ...]]):
    """Surface words read so far; a new one is read when it is asked for."""

    def __missing__(self, surface: str) -> tuple[str, ...]:
        tokens = _tokens_of(surface)
        if len(surface) < 5 or (len(surface) <= MAX_TOKEN_CHARACTERS and not surface.isdigit()):
            if len(self) >= MAX_CACHED_WORDS:
                self.clear()
            self[surface] = tokens
        return tokens


class TweetTokenizer:
    """Split short messages of any language into the tokens that the default model reads.

    Calling it gives them, `spans` also their place in the text. Keep one: it remembers words.

    Examples
    --------
    >>> tokenize = TweetTokenizer()
    >>> tokenize("Don't panic!!! 13,000 evacuated @CALFIRE http://t.co/abc #RockyFire")
    ["don't", 'panic', '!', '<num>', 'evacuated', '<user>', '<url>', 'rocky', 'fire']
    >>> [(span.token, span.start, span.end) for span in tokenize.spans("Fire &amp; #CAfire")]
    [('fire', 0, 4), ('&', 5, 10), ('ca', 12, 14), ('fire', 14, 18)]
    """

    __slots__ = ("_words",)
    read = staticmethod(_tokens_of)  # the tokens of one surface word, not remembered
    repair = staticmethod(_repaired)  # one surface word without entities and what is invisible

    def __init__(self) -> None:
        self._words = _Words()

    def __reduce__(self) -> tuple[type[TweetTokenizer], tuple[()]]:
        return (TweetTokenizer, ())

    def __call__(self, text: str) -> list[str]:
        """Return the tokens of `text`, in order."""
        return list(chain.from_iterable(map(self._words.__getitem__, self.surfaces(text))))

    def surfaces(self, text: str) -> list[str]:
        """Return what stands between white space; `read` gives each one's tokens."""
        return self.mended(text).split()

    def mended(self, text: str) -> str:
        """Return a text without mojibake, of which half of one may look like white space."""
        return text if text.isascii() else _MOJIBAKE.sub(_unmangled, text)

    def spans(self, text: str) -> list[TokenSpan]:
        """Return the tokens of `text` with their place in it, and what the model does not read.

        Offsets count code points of `text` itself, before any repair. Where `dropped` is empty,
        the tokens are those of calling the tokeniser. What came of one entity shares its place.
        """
        whole = rewrite(text, _MOJIBAKE, _unmangled)
        spans: list[TokenSpan] = []
        for chunk in re.finditer(r"\S+", whole.text):
            surface = rewrite(chunk[0], _ENTITY_OR_INVISIBLE, _decoded)
            for piece in _pieces(surface.text, 0, len(surface.text)):
                first = chunk.start() + surface.starts[piece.start]
                last = chunk.start() + surface.ends[piece.end - 1] - 1
                place = {"start": whole.starts[first], "end": whole.ends[last]}
                spans.append(TokenSpan(token=piece.token, dropped=piece.dropped, **place))
        return spans
