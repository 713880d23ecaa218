"""The lesson's text pipeline: clean, tokenise, drop stop words, lemmatise.

Takes a message, gives the tokens that the notebook gets from NLTK, or the same tokens with their
place in the message. Reads the stop words and WordNet's tables that lie in `data/`, on first use.
Knows nothing of NLTK, vocabularies or models.

Notation, as in WordNet's own description of its lemmatiser, Morphy:

    form         a word as written                               "buildings"
    pos          part of speech: v, n, a, r, or s, which is a again under another name
    index        the lemmas that WordNet has for a pos
    exceptions   the irregular forms of a pos and their lemmas   n: "geese" → "goose"
    rules        the suffixes of a pos and what replaces them    n: "s" → ""
    round        every rule applied to every form of the round before

One look-up gathers candidates, keeps those in the index, and takes the shortest, the first one on
ties; none leaves the form as it was. If the form is an exception, the candidates are the form and
its lemmas; else the form and one round of rules. NLTK 3.8 goes on for as many rounds as it takes to
find a lemma; NLTK 3.9 and later stop after one. The lesson looks each word up five times, as
v, n, a, r and s, each on the answer of the one before:

    "Buildings" → clean → "buildings"
    3.8:   v "build" (round one: "building", no verb; round two: "builde", "build") → … "build"
    3.9+:  v "buildings" (round one finds no verb) → n "building" → … "building"

One difference from NLTK is known: the tables hold no compounds, so a word with an underscore inside
("hot_dogs") stays as it is, where NLTK answers "hot_dog".
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import get_args

from tidegate.config import Lemmas
from tidegate.errors import ConfigError
from tidegate.text.spans import TokenSpan

__all__ = [
    "LessonTokenizer",
    "TokenSpan",
    "clean",
    "lemmatize",
    "stop_words",
    "tokenize",
    "wordnet",
    "wordnet_licence",
]


# The notebook's passes, v n a r s, in its order; s, the satellite adjectives, has the tables of a.
PASSES = ("v", "n", "a", "r", "a")

# Morphy's suffix rules, in NLTK's order, which decides between candidates of one length.
SUFFIX_RULES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "v": (
            ("s", ""),
            ("ies", "y"),
            ("es", "e"),
            ("es", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
        ),
        "n": (
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ),
        "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
        "r": (),
    }
)

_SUFFIXES = {pos: tuple(suffix for suffix, _ in rules) for pos, rules in SUFFIX_RULES.items()}

# The rules after which another may apply, longest suffix first, and how many characters they take
# away: whatever else a rule puts at the end, no suffix ends so. At most one of them goes on: of
# "…es" as a verb, "s" leaves an "e" at the end, and "es" leaves what may end in a suffix again.
GOING_ON: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType(
    {
        "v": (("es", 2), ("s", 1), ("ed", 2), ("ing", 3)),
        "n": (("ses", 2), ("s", 1)),
        "a": (("est", 3), ("er", 2)),
    }
)
_LONGEST_STEP = 3

# word_tokenize splits these into two words. NLTK's pattern ignores case the way `re` does, which
# makes the dotless ı equal to i; it asks for white space after "wanna", but pads the text with a
# blank first, so the end of the text will do.
CONTRACTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cannot": ("can", "not"),
        "gimme": ("gim", "me"),
        "gımme": ("gım", "me"),
        "gonna": ("gon", "na"),
        "gotta": ("got", "ta"),
        "lemme": ("lem", "me"),
        "wanna": ("wan", "na"),
    }
)

MAX_CACHED_FORMS = 200_000
MAX_CACHED_LENGTH = 64  # code points; longer forms hardly recur, and would let the cache grow large

_PUNCTUATION = re.compile(r"[^\w\s]")
_WORD_CHARACTER = re.compile(r"\w")
_CHUNK = re.compile(r"\S+")


def clean(text: str) -> str:
    r"""Lower the text and drop what is neither a word character nor white space, `[^\w\s]`.

    >>> clean("Forest FIRE near La Ronge, Sask.!")
    'forest fire near la ronge sask'
    """
    return _PUNCTUATION.sub("", text.lower())


def tokenize(cleaned: str) -> list[str]:
    """Cut a cleaned text into words: what NLTK's `word_tokenize` gives for it.

    Without punctuation only white space and seven contractions are left for it to cut at.

    >>> tokenize("you cannot stay")
    ['you', 'can', 'not', 'stay']
    """
    tokens: list[str] = []
    for word in cleaned.split():
        tokens += CONTRACTIONS.get(word, (word,))
    return tokens


@cache
def stop_words() -> frozenset[str]:
    """Return NLTK's English stop words, the 179 of the lesson's time; read once.

    >>> len(stop_words()), "the" in stop_words()
    (179, True)
    """
    return frozenset(_read_data("stopwords_english_179.txt").decode("utf-8").split())


def lemmatize(word: str, *, mode: Lemmas) -> str:
    """Reduce a word to its lemma in the lesson's five passes: v, n, a, r, s.

    Parameters
    ----------
    word : str
        A lower-case word. One that WordNet does not know comes back as it is.
    mode : {"nltk-3.8", "nltk-3.9+"}
        Whose WordNetLemmatizer to answer like. The lesson's is 3.8.

    Raises
    ------
    ConfigError
        If there is no such mode.

    Examples
    --------
    >>> lemmatize("buildings", mode="nltk-3.8"), lemmatize("buildings", mode="nltk-3.9+")
    ('build', 'building')
    """
    _check_mode(mode)
    tables = _tables()
    for pos in PASSES:
        word = tables.look_up(word, pos=pos, every_round=mode == "nltk-3.8")
    return word


class LessonTokenizer:
    """Turns messages into the lesson's tokens, and remembers the words it has met.

    The memory maps a stretch of text between white space, as written, to its lemmas, () for a stop
    word: a message of known words costs one split and as many look-ups. It holds 200,000 forms of
    up to 64 characters and starts afresh when full. A copy or a pickle leaves it behind.

    Parameters
    ----------
    lemmas : {"nltk-3.8", "nltk-3.9+"}
        Whose WordNetLemmatizer to answer like. The lesson's is 3.8.

    Raises
    ------
    ConfigError
        If there is no such mode.

    Examples
    --------
    >>> tokenizer = LessonTokenizer()
    >>> tokenizer("The buildings are burning!")
    ['build', 'burn']
    >>> [span.token for span in tokenizer.spans("The buildings are burning!") if span.dropped]
    ['the', 'are']
    """

    def __init__(self, *, lemmas: Lemmas = "nltk-3.8") -> None:
        _check_mode(lemmas)
        self.lemmas = lemmas
        self._forms = _KnownForms(lemmas)

    def __call__(self, text: str) -> list[str]:
        """Return the lemmas of a message, in order, stop words left out."""
        # Lowering and cleaning a stretch between white space gives the same as doing so to the
        # whole text: no white space is changed, and none lets the sigma rule of lower() look past.
        return list(chain.from_iterable(map(self._forms.__getitem__, text.split())))

    def spans(self, text: str) -> list[TokenSpan]:
        """Return every token in order, stop words included, with its place in the message.

        The tokens that are not dropped are those of calling the tokeniser. Offsets increase and
        do not overlap; punctuation within a word lies inside its span, around it outside.
        """
        spans: list[TokenSpan] = []
        for chunk in _CHUNK.finditer(text):
            places = _word_character_places(chunk.group(), chunk.start())
            first = 0
            for word in tokenize(clean(chunk.group())):
                last = first + len(word) - 1
                lemmas = self._forms[word]
                spans.append(
                    TokenSpan(
                        token=lemmas[0] if lemmas else word,
                        start=places[first],
                        end=places[last] + 1,
                        dropped="" if lemmas else "stop word",
                    )
                )
                first = last + 1
        return spans

    def __repr__(self) -> str:
        return f"LessonTokenizer(lemmas={self.lemmas!r})"

    def __getstate__(self) -> Lemmas:
        return self.lemmas

    def __setstate__(self, lemmas: Lemmas) -> None:
        self.lemmas = lemmas
        self._forms = _KnownForms(lemmas)


class _KnownForms(dict[str, tuple[str, ...]]):
    """Form → lemmas, worked out when first asked for; a dict, so that a known one costs no call."""

    __slots__ = ("mode",)

    def __init__(self, mode: Lemmas) -> None:
        super().__init__()
        self.mode: Lemmas = mode

    def __missing__(self, form: str) -> tuple[str, ...]:
        cleaned = clean(form)
        if cleaned == form:
            stopped = stop_words()
            lemmas = tuple(
                lemmatize(word, mode=self.mode) for word in tokenize(form) if word not in stopped
            )
        else:
            lemmas = self[cleaned]  # cleaning twice changes nothing, so this goes one step down
        if len(form) <= MAX_CACHED_LENGTH:
            if len(self) >= MAX_CACHED_FORMS:
                self.clear()
            self[form] = lemmas
        return lemmas


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """WordNet's single words: lemma → its parts of speech, and irregular form → lemmas for each."""

    index: dict[str, str]
    exceptions: dict[str, dict[str, tuple[str, ...]]]
    longest: int  # characters of a lemma

    def look_up(self, form: str, *, pos: str, every_round: bool) -> str:
        """Return the shortest lemma of a form, or the form; see the top of this module."""
        irregular = self.exceptions[pos].get(form)
        if irregular is not None:
            return self._shortest([form, *irregular], pos) or form
        if not form.endswith(_SUFFIXES[pos]):
            return form  # no rule applies, so whether the index has it makes no difference
        forms = _one_round([form], pos)
        lemma = self._shortest([form, *forms], pos)
        if every_round and not lemma and len(form) > self.longest:
            forms = _one_round([self._shortened(form, pos)], pos)
            lemma = self._shortest(forms, pos)
        while every_round and forms and not lemma:
            forms = _one_round(forms, pos)
            lemma = self._shortest(forms, pos)
        return lemma or form

    def _shortened(self, form: str, pos: str) -> str:
        """Return a form after the rounds in which every form is too long to be a lemma.

        One round after the other would copy the form each time, which is quadratic in its length.
        """
        end = len(form)
        while end > self.longest + _LONGEST_STEP:
            for suffix, taken in GOING_ON[pos]:
                if form.endswith(suffix, 0, end):
                    end -= taken
                    break
            else:
                break
        return form[:end]

    def _shortest(self, candidates: list[str], pos: str) -> str:
        index = self.index
        return min((c for c in candidates if pos in index.get(c, "")), key=len, default="")


def _one_round(forms: list[str], pos: str) -> list[str]:
    return [
        form[: -len(suffix)] + replacement
        for form in forms
        for suffix, replacement in SUFFIX_RULES[pos]
        if form.endswith(suffix)
    ]


def _word_character_places(chunk: str, offset: int) -> list[int]:
    """Return where each character of the cleaned chunk stands in the text the chunk starts in."""
    # Some characters become two when lowered (İ, an i and a dot that cleaning drops), so lower one
    # at a time. That picks the wrong sigma at the end of a word, but never another length.
    return [
        place
        for place, character in enumerate(chunk, offset)
        for _ in _WORD_CHARACTER.finditer(character.lower())
    ]


def _check_mode(mode: str) -> None:
    if mode not in get_args(Lemmas):
        known = " or ".join(map(repr, get_args(Lemmas)))
        raise ConfigError(f"lemmas: there is no mode {mode!r}; use {known}")


def wordnet() -> str:
    r"""Return WordNet's single words as they lie in the package, a line for each kind of entry.

    A line has tabs between "index", parts of speech, and their lemmas; or between "exceptions", a
    part of speech, and irregular forms with their lemmas behind blanks.

    >>> wordnet().splitlines()[0].split("\t")[:2]
    ['index', 'a']
    """
    return gzip.decompress(_read_data("wordnet.txt.gz")).decode("ascii")


def wordnet_licence() -> str:
    """Return the licence of WordNet's words, which goes wherever they are copied to.

    >>> "Princeton University" in wordnet_licence()
    True
    """
    return _read_data("WORDNET-LICENSE.txt").decode("utf-8")


@cache
def _tables() -> _Tables:
    index: dict[str, str] = {}
    exceptions: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in wordnet().splitlines():
        kind, parts, *entries = line.split("\t")
        if kind == "index":
            index.update(dict.fromkeys(entries, parts))
        else:
            pairs = (entry.split(" ") for entry in entries)
            exceptions[parts] = {form: tuple(lemmas) for form, *lemmas in pairs}
    return _Tables(index=index, exceptions=exceptions, longest=max(map(len, index)))


def _read_data(name: str) -> bytes:
    from importlib.resources import files  # costs as much as the rest of this module's imports

    return (files("tidegate.text") / "tables" / name).read_bytes()
