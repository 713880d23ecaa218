"""Pretrained word vectors: from the wordllama package, with whole words of ours, or from a file.

Takes the config's `vectors` setting, gives `Pretrained`: a table of piece vectors and what cuts
words into pieces. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import safe_open

from tidegate.engine.ngrams import dequantised
from tidegate.engine.vectors import WordVectors, cut_words, piece_means, whole_words
from tidegate.errors import DataError, MissingExtraError

Floats = npt.NDArray[np.float32]
MAX_FILE_WORDS = 50_000
WORDS = Path(__file__).with_name("word_vectors.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """A table (P, D) of piece vectors with standard deviation 1, and their rule (see `vectors`)."""

    table: Floats
    pieces: str

    def projected(self, projection: Floats) -> npt.NDArray[np.float16]:
        """Return the table (P, H) after the learned projection (H, D), in half precision.

        A mean of projected pieces is the projection of their mean, so the bundle needs only this.
        """
        return (self.table @ projection.T).astype(np.float16)

    def rows(self, words: list[str]) -> Floats:
        """Return the vectors (n, D) of words."""
        return WordVectors(table=self.table, pieces=self.pieces).rows(words)

    def whole_words(self) -> list[str]:
        """Return the words that are one piece each, in the table's order."""
        return whole_words(self.pieces)


def load_pretrained(source: str) -> Pretrained | None:
    """Load the vectors a config names: `words`, `wordllama`, `none`, or a path.

    `wordllama` is a table of word pieces. `words` adds 64 values to it, which some 22,000 English
    words have: `scripts/build_word_vectors.py` made them. A path is a word2vec text file (one word
    and its values a line), or an .npy array with a .txt file of the same name beside it, one word a
    line. The first 50,000 words are kept.

    Raises
    ------
    DataError
        The file is missing or is neither.
    MissingExtraError
        wordllama is not installed.
    """
    if source == "none":
        return None
    if source in ("wordllama", "words"):
        return _packaged(source)
    path = Path(source)
    if not path.is_file():
        raise DataError(f"vectors: {source!r}: no such file; give words, wordllama, none or a file")
    words, table = _npy(path) if path.suffix == ".npy" else _word2vec(path)
    return Pretrained(table=_scaled(table), pieces=_as_json({"words": words}))


@lru_cache(maxsize=1)  # each fold and each member of a blend asks for it
def _packaged(source: str) -> Pretrained:
    """Return the vectors that come with packages; nobody may change the table."""
    found = _wordllama() if source == "wordllama" else _with_words(_wordllama())
    found.table.flags.writeable = False
    return found


def _with_words(base: Pretrained) -> Pretrained:
    """Return pieces with whole words' vectors beside theirs; the words that are no piece follow."""
    with safe_open(WORDS, framework="numpy") as stream:
        facts = stream.metadata()
        words = facts["words"].split("\n")
        rows = dequantised(stream.get_tensor("rows"), stream.get_tensor("scales"))
        cuts = np.split(stream.get_tensor("cuts"), np.cumsum(stream.get_tensor("cut_lengths"))[:-1])
    pieces: list[str] = json.loads(base.pieces)["pieces"]
    place = {piece[1:]: i for i, piece in enumerate(pieces) if piece.startswith("▁")}
    beside = np.zeros((len(pieces), rows.shape[1]), np.float32)
    known = [(n, place[word]) for n, word in enumerate(words) if word in place]
    beside[[i for _, i in known]] = rows[[n for n, _ in known]]
    new = [n for n, word in enumerate(words) if word not in place]
    listed = [words[n] for n in new]
    # The words were cut when the table was made; another release of WordLlama may cut otherwise.
    same = facts["pieces_sha256"] == pieces_hash(base.pieces)
    ids = [cuts[n].tolist() for n in new] if same else cut_words(listed, base.pieces)
    means = piece_means(ids, lambda rows_of: base.table[rows_of], width=base.table.shape[1])
    table = np.vstack([np.hstack([base.table, beside]), np.hstack([means, rows[new]])])
    return Pretrained(table=table, pieces=_as_json({"pieces": pieces, "words": listed}))


def pieces_hash(pieces: str) -> str:
    """Return what tells one list of pieces from another."""
    return hashlib.sha256(pieces.encode()).hexdigest()


def _wordllama() -> Pretrained:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            needed_for="the setting vectors=wordllama", missing="wordllama", extra="train"
        )
    # Its own loader looks for the tokeniser in a folder the wheel does not have, then downloads it.
    folder = Path(spec.submodule_search_locations[0])
    weights = safetensors.numpy.load_file(folder / "weights" / "l2_supercat_256.safetensors")
    rules = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
    return Pretrained(
        table=_scaled(weights["embedding.weight"]),
        pieces=_listed(json.loads(rules.read_text(encoding="utf-8"))["model"]["vocab"]),
    )


def _listed(ids: dict[str, int]) -> str:
    """Return the pieces in id order: all that cutting needs, as merges are ranked by their id."""
    pieces = sorted(ids, key=ids.__getitem__)
    return _as_json({"pieces": pieces})


def _as_json(listed: dict[str, list[str]]) -> str:
    return json.dumps(listed, separators=(",", ":"), ensure_ascii=False)


def _scaled(table: npt.NDArray[np.floating]) -> Floats:
    wide = np.asarray(table, np.float32)
    return wide / (wide.std() or np.float32(1.0))


def _text(line: bytes, *, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path}: line {number}: not UTF-8; save it as UTF-8 text") from None


def _npy(path: Path) -> tuple[list[str], Floats]:
    names = path.with_suffix(".txt")
    if not names.is_file():
        raise DataError(f"{path}: its words are missing; write them to {names}, one a line")
    try:
        table = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{path}: not an array of numbers ({error})") from None
    lines = enumerate(names.read_bytes().splitlines(), 1)
    words = [_text(line, path=names, number=number) for number, line in lines]
    if table.ndim != 2 or len(table) != len(words):
        raise DataError(f"{path}: shape {table.shape} for {len(words)} words; give one row a word")
    return words[:MAX_FILE_WORDS], table[:MAX_FILE_WORDS]


def _word2vec(path: Path) -> tuple[list[str], Floats]:
    words: list[str] = []
    rows: list[Floats] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            word, *values = _text(line, path=path, number=number).rstrip().split(" ")
            if number == 1 and len(values) == 1:
                continue  # the header of the word2vec format: number of words, width
            try:
                row = np.array(values, dtype=np.float32)
            except ValueError:
                row = np.empty(0, np.float32)
            if not len(row) or (rows and len(row) != len(rows[0])):
                raise DataError(
                    f"{path}: line {number}: found {len(values)} values; "
                    "give a word and its numbers, as many on each line"
                )
            words.append(word)
            rows.append(row)
            if len(words) == MAX_FILE_WORDS:
                break
    if not rows:
        raise DataError(f"{path}: no vectors in it; give a word and its numbers a line")
    return words, np.stack(rows)
