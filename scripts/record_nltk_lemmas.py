"""Records what NLTK 3.8.1's WordNetLemmatizer answers, for the tests to compare with.

Takes an nltk_data folder with WordNet 3.0 in it; writes `tests/data/nltk_3_8_lemmas.json.gz`.
Knows nothing of Tidegate: the answers are NLTK's alone. It needs an environment of its own:

    python -m venv recorder && recorder/bin/pip install nltk==3.8.1
    recorder/bin/python scripts/record_nltk_lemmas.py NLTK_DATA

`NLTK_DATA/corpora/wordnet` is a copy of the files of Debian's package `wordnet-base` (see
build_wordnet_tables.py), and a file `lexnames`, which the package lacks and NLTK wants; it may be
empty. The words are WordNet's own single words, mangled by a seeded generator: suffixes added,
stacked and cut, and every irregular form's neighbourhood.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "tests" / "data" / "nltk_3_8_lemmas.json.gz"
INFLECTIONS = ("s", "es", "ies", "ses", "ves", "xes", "zes", "ches", "shes", "men", "ed", "ing")
OTHERS = ("er", "est", "ings", "ers", "sed", "ingly", "x", "7")
SUFFIXES = INFLECTIONS + OTHERS
SEED = 38
N_WORDS = 5_000
N_IRREGULAR = 1_200
MAX_BYTES = 60_000


def mangle(word: str, *, choices: random.Random) -> str:
    """Return a word that may or may not be an inflected form of another one."""
    for _ in range(choices.choice((0, 1, 1, 1, 1, 1, 2, 2, 3))):
        cut = choices.choice((0, 0, 0, 0, 0, 1, 1, 2))
        word = word[: max(1, len(word) - cut)] + choices.choice(SUFFIXES)
    return word


def words_to_ask(index: list[str], irregular: list[str]) -> list[str]:
    """Return the sorted sample: most of it near the index, the rest near the irregular forms."""
    choices = random.Random(SEED)
    words = {mangle(word, choices=choices) for word in choices.sample(index, N_WORDS)}
    for form in choices.sample(irregular, N_IRREGULAR):
        words |= {form, mangle(form, choices=choices)}
    return sorted(words)


def ask(words: list[str]) -> dict[str, str]:
    """Return word → what the notebook's five passes make of it."""
    from nltk.stem import WordNetLemmatizer  # type: ignore[import-untyped]

    lemmatizer: Any = WordNetLemmatizer()
    answers = {}
    for word in words:
        lemma = word
        for pos in "vnars":
            lemma = lemmatizer.lemmatize(lemma, pos=pos)
        answers[word] = lemma
    return answers


def main() -> int:
    """Ask NLTK and write the answers."""
    parser = argparse.ArgumentParser(description="Record NLTK 3.8.1's lemmas for the tests.")
    parser.add_argument("nltk_data", type=Path)
    options = parser.parse_args()

    import nltk  # type: ignore[import-untyped]
    from nltk.corpus import wordnet  # type: ignore[import-untyped]

    if nltk.__version__ != "3.8.1":
        parser.error(f"this records NLTK 3.8.1; found {nltk.__version__}")
    nltk.data.path[:] = [str(options.nltk_data)]
    reader: Any = wordnet
    index = sorted(word for word in reader.all_lemma_names() if "_" not in word)
    irregular = sorted(
        {form for pos in "vnar" for form in reader._exception_map[pos] if "_" not in form}
    )
    answers = ask(words_to_ask(index, irregular))
    record = {"nltk": nltk.__version__, "seed": SEED, "lemmas": answers}

    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(json.dumps(record, separators=(",", ":")).encode("utf-8"))
    if len(buffer.getvalue()) > MAX_BYTES:
        parser.error(f"{len(buffer.getvalue())} bytes, more than the {MAX_BYTES} of a fixture")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(buffer.getvalue())
    changed = sum(word != lemma for word, lemma in answers.items())
    print(f"{TARGET.name}: {len(answers)} words, {changed} changed, {len(buffer.getvalue())} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
