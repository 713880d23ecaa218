"""The lesson's pipeline: its words, its places in the text, and that it answers as NLTK does."""

from __future__ import annotations

import csv
import gzip
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import ConfigError
from tidegate.text import lesson
from tidegate.text.lesson import (
    LessonTokenizer,
    clean,
    lemmatize,
    stop_words,
    tokenize,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
RECORDED = Path(__file__).parents[1] / "data" / "nltk_3_8_lemmas.json.gz"
DEBIAN_WORDNET = Path(os.environ.get("TIDEGATE_WORDNET", "/usr/share/wordnet"))
FILE_OF_POS = {"v": "verb", "n": "noun", "a": "adj", "r": "adv"}

needs_shared = pytest.mark.skipif(
    not (SHARED / "lesson_tokens.json.gz").exists(),
    reason="the reference data is not in ../shared/data",
)

# Text that looks for trouble: NLTK's contractions in every state, white space of all kinds, capital
# letters that lower to two characters or depend on their place, and anything else.
TROUBLE = """
cannot Cannot can-not gonna wanna Wanna! wannabe gimme GİMME gımme lemme gotta d'ye more'n 'tis
'twas it's don't the The ΟΔΟΣ ΣΑΣ Σ σ' İ ẞ fires, BUILDINGS #fire @a_b ½ ² _ __ é
"""
pieces = st.one_of(
    st.sampled_from(TROUBLE.split()),
    st.sampled_from([" ", "\n", "\t", "\x1c", "\x85", "\u2028", "\u3000", "", "\u200b", "\u00ad"]),
    st.text(max_size=6),
)
texts = st.lists(pieces, max_size=12).map("".join) | st.lists(pieces, max_size=12).map(" ".join)


def in_plain_steps(text: str) -> list[str]:
    words = [word for word in tokenize(clean(text)) if word not in stop_words()]
    return [lemmatize(word, mode="nltk-3.8") for word in words]


# ---------------------------------------------------------------------------- words


def test_cleaning_lowers_and_drops_punctuation_but_keeps_underscores() -> None:
    assert clean("Our #FLOOD_watch:\n13,000 don't go!") == "our flood_watch\n13000 dont go"


def test_seven_contractions_are_cut_in_two_and_longer_words_are_not() -> None:
    words = tokenize("cannot gonna gotta gimme lemme gımme wannabe wanna")
    assert " ".join(words) == "can not gon na got ta gim me lem me gım me wannabe wan na"


def test_there_are_179_stop_words() -> None:
    assert len(stop_words()) == 179
    assert {"the", "can", "not", "don't"} <= stop_words()


@pytest.mark.parametrize(
    ("word", "lesson_lemma", "newer_lemma"),
    [
        ("buildings", "build", "building"),  # only 3.8 goes on to a second round
        ("geese", "goose", "goose"),  # an exception
        ("fires", "fire", "fire"),
        ("was", "be", "be"),
        ("best", "best", "best"),
        ("us", "u", "u"),  # the shortest candidate, though "us" is in the index
        ("covfefe", "covfefe", "covfefe"),
        ("hot_dogs", "hot_dogs", "hot_dogs"),  # compounds are not in the tables
        ("", "", ""),
    ],
)
def test_lemmas_in_both_modes(word: str, lesson_lemma: str, newer_lemma: str) -> None:
    assert lemmatize(word, mode="nltk-3.8") == lesson_lemma
    assert lemmatize(word, mode="nltk-3.9+") == newer_lemma


@pytest.mark.parametrize("make", [lambda mode: LessonTokenizer(lemmas=mode), None])
def test_an_unknown_mode_is_refused_with_the_known_ones(
    make: Callable[[str], LessonTokenizer] | None,
) -> None:
    with pytest.raises(ConfigError) as error:
        make("porter") if make else lemmatize("fires", mode="porter")  # type: ignore[arg-type]
    assert str(error.value) == ("lemmas: there is no mode 'porter'; use 'nltk-3.8' or 'nltk-3.9+'")


# ---------------------------------------------------------------------------- the tokeniser


def test_a_message_becomes_lemmas_without_stop_words() -> None:
    tokenizer = LessonTokenizer()
    assert tokenizer("The buildings are burning, we CANNOT leave!") == ["build", "burn", "leave"]
    assert tokenizer("") == tokenizer(" \n!? ") == tokenizer("The") == []


@settings(deadline=None, max_examples=300)
@given(texts)
def test_the_fast_path_gives_what_the_plain_steps_give(text: str) -> None:
    assert LessonTokenizer()(text) == in_plain_steps(text)


def test_a_known_word_answers_as_it_did_the_first_time() -> None:
    tokenizer = LessonTokenizer(lemmas="nltk-3.9+")
    assert tokenizer("Buildings, buildings") == tokenizer("Buildings, buildings")
    assert tokenizer("buildings") == ["building"]


def test_the_memory_is_bounded_in_entries_and_in_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesson, "MAX_CACHED_FORMS", 5)
    tokenizer = LessonTokenizer()
    words = [f"word{i}" for i in range(40)] + ["x" * 65, "X" * 65]
    assert tokenizer(" ".join(words)) == [word.lower() for word in words]
    assert 0 < len(tokenizer._forms) <= 5
    assert max(map(len, tokenizer._forms)) <= 64


def test_a_pickled_tokeniser_answers_alike_and_leaves_its_memory_behind() -> None:
    tokenizer = LessonTokenizer(lemmas="nltk-3.9+")
    tokens = tokenizer("Buildings burned")
    again = pickle.loads(pickle.dumps(tokenizer))
    assert not again._forms
    assert again("Buildings burned") == tokens == ["building", "burn"]
    assert repr(again) == "LessonTokenizer(lemmas='nltk-3.9+')"


def test_importing_reads_no_table() -> None:
    code = (
        "import sys; from tidegate.text import lesson; "
        "print(lesson._tables.cache_info().currsize, lesson.stop_words.cache_info().currsize, "
        "'nltk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "False"]


def test_the_tables_are_small_reproducible_and_licensed() -> None:
    data = files("tidegate.text") / "tables"
    packed = (data / "wordnet.txt.gz").read_bytes()
    assert len(packed) <= 400_000
    assert packed[3:8] == bytes(5)  # gzip's flags (no file name) and its four bytes of time
    notice = (data / "WORDNET-LICENSE.txt").read_text("utf-8")
    assert "Princeton University" in notice
    assert 'PROVIDED "AS IS"' in notice


# ---------------------------------------------------------------------------- places


@settings(deadline=None, max_examples=300)
@given(texts)
def test_spans_hold_the_same_tokens_at_increasing_places(text: str) -> None:
    tokenizer = LessonTokenizer()
    spans = tokenizer.spans(text)
    assert [span.token for span in spans if not span.dropped] == tokenizer(text)
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        end = span.end
    # What is written at a token's place is what it was made from.
    surfaces = [clean(text[span.start : span.end]).replace("ς", "σ") for span in spans]
    assert surfaces == [word.replace("ς", "σ") for word in tokenize(clean(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The fires!", [("the", "The", "stop word"), ("fire", "fires", "")]),
        ("(can-not)", [("can", "can", "stop word"), ("not", "not", "stop word")]),
        ("...won't", [("wont", "won't", "")]),
        ("İzmir İİ", [("izmir", "İzmir", ""), ("ii", "İİ", "")]),
        ("ΟΔΟΣ!", [("οδος", "ΟΔΟΣ", "")]),
        ("so gon'na", [("so", "so", "stop word"), ("gon", "gon", ""), ("na", "na", "")]),
        ("!? --", []),
    ],
)
def test_spans_point_at_what_was_written(text: str, expected: list[tuple[str, str, str]]) -> None:
    spans = LessonTokenizer().spans(text)
    assert [(s.token, text[s.start : s.end], s.dropped) for s in spans] == expected


# ---------------------------------------------------------------------------- NLTK 3.8, recorded


def test_lemmas_equal_those_recorded_from_nltk_3_8() -> None:
    recorded = json.loads(gzip.decompress(RECORDED.read_bytes()))
    assert recorded["nltk"] == "3.8.1"
    lemmas = recorded["lemmas"]
    assert len(lemmas) > 5_000
    assert {word: lemmatize(word, mode="nltk-3.8") for word in lemmas} == lemmas


@needs_shared
def test_every_reference_row_gives_the_notebooks_tokens() -> None:
    reference = json.loads(gzip.decompress((SHARED / "lesson_tokens.json.gz").read_bytes()))
    rows = reference_texts()
    tokenizer = LessonTokenizer(lemmas="nltk-3.8")
    tokens = [tokenizer(text) for text in rows]
    assert len(rows) == 7_613
    assert tokens == reference
    assert len({token for row in tokens for token in row}) == 19_999
    in_spans = [[s.token for s in tokenizer.spans(text) if not s.dropped] for text in rows]
    assert in_spans == reference


@needs_shared
def test_the_newer_rules_find_20030_distinct_tokens() -> None:
    tokenizer = LessonTokenizer(lemmas="nltk-3.9+")
    assert len({token for text in reference_texts() for token in tokenizer(text)}) == 20_030


def reference_texts() -> list[str]:
    with (SHARED / "tweets.csv").open(encoding="utf-8", newline="") as stream:
        return [row["text"] for row in csv.DictReader(stream)]


# ---------------------------------------------------------------------------- NLTK 3.9+, live


@settings(deadline=None, max_examples=500)
@given(texts)
def test_words_are_cut_where_nltk_cuts_them(text: str) -> None:
    word_tokenize = nltk_word_tokenize()
    cleaned = clean(text)
    # preserve_line leaves out the sentence splitter, whose model cannot be had offline; a cleaned
    # text has no character it could split at.
    assert tokenize(cleaned) == word_tokenize(cleaned)


def test_newer_lemmas_equal_nltks_on_mangled_words(nltk_lemmatize: Callable[[str], str]) -> None:
    words = mangled_words(seed=39, count=20_000)
    assert {w: lemmatize(w, mode="nltk-3.9+") for w in words} == {
        w: nltk_lemmatize(w) for w in words
    }


@needs_shared
def test_newer_lemmas_equal_nltks_on_every_reference_word(
    nltk_lemmatize: Callable[[str], str],
) -> None:
    words = {word for text in reference_texts() for word in tokenize(clean(text))}
    assert len(words) > 20_000
    assert {w: lemmatize(w, mode="nltk-3.9+") for w in words} == {
        w: nltk_lemmatize(w) for w in words
    }


def mangled_words(*, seed: int, count: int) -> set[str]:
    choices = random.Random(seed)
    tables = lesson._tables()
    irregular = {form for forms in tables.exceptions.values() for form in forms}
    known = sorted(tables.index.keys() | irregular)
    suffixes = [suffix for rules in lesson.SUFFIX_RULES.values() for suffix, _ in rules]
    words = set(irregular)
    while len(words) < count:
        word = choices.choice(known)
        for _ in range(choices.choice((0, 1, 1, 1, 2, 3))):
            word = word[: len(word) - choices.choice((0, 0, 0, 1, 2))] + choices.choice(suffixes)
        words.add(word)
    return {word for word in words if "_" not in word}


def nltk_word_tokenize() -> Callable[[str], list[str]]:
    module = nltk_module("nltk.tokenize")
    return lambda text: list(module.word_tokenize(text, preserve_line=True))


def nltk_module(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NLTK's own, at import
        return pytest.importorskip(name, reason="NLTK, a development dependency, is not installed")


@pytest.fixture(scope="module")
def nltk_lemmatize(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """NLTK's own lemmatiser in the lesson's passes, reading Debian's WordNet or our tables."""
    nltk = nltk_module("nltk")
    if tuple(map(int, nltk.__version__.split(".")[:2])) < (3, 9):
        pytest.skip(f"NLTK {nltk.__version__} has the lesson's rules, not the newer ones")
    nltk_data = tmp_path_factory.mktemp("nltk_data")
    folder = nltk_data / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    if (DEBIAN_WORDNET / "index.noun").exists():
        for name in ["data.adj", *(f"index.{x}" for x in FILE_OF_POS.values())]:
            shutil.copy(DEBIAN_WORDNET / name, folder)  # NLTK refuses links that lead elsewhere
        for name in FILE_OF_POS.values():
            shutil.copy(DEBIAN_WORDNET / f"{name}.exc", folder)
    else:
        write_wordnet_files(folder)
    for name in ("lexnames", "index.sense"):  # NLTK wants them; for lemmas they may be empty
        (folder / name).touch()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # NLTK's own, such as on the missing translations
        patch.setattr(nltk.data, "path", [str(nltk_data)])
        reader = nltk.corpus.reader.wordnet.WordNetCorpusReader(str(folder), None)
        patch.setattr(nltk.corpus, "wordnet", reader)
        lemmatizer = nltk.stem.WordNetLemmatizer()

        def lemmatize_in_passes(word: str) -> str:
            for pos in "vnars":
                word = lemmatizer.lemmatize(word, pos=pos)
            return word

        yield lemmatize_in_passes


def write_wordnet_files(folder: Path) -> None:
    """Write what NLTK's reader needs for lemmas out of our tables, one made-up sense a lemma."""
    tables = lesson._tables()
    for pos, name in FILE_OF_POS.items():
        lines = [f"{w} {pos} 1 0 1 0 00000001" for w, parts in tables.index.items() if pos in parts]
        (folder / f"index.{name}").write_text("\n".join(lines) + "\n")
        (folder / f"data.{name}").write_text("  1 WordNet 3.0 Copyright, none of its data\n")
        entries = [" ".join([form, *ls]) for form, ls in tables.exceptions[pos].items()]
        (folder / f"{name}.exc").write_text("\n".join(entries) + "\n")
