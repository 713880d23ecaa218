"""Pretrained word vectors at prediction time: a word's own vector, or the mean of its pieces'.

Takes a table of piece vectors and what cuts words into pieces, gives a vector for any word, seen in
training or not. Knows nothing of where the table came from, nor of the network that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.engine.files import parse_json
from tidegate.errors import BundleError

Floats = npt.NDArray[np.float32]

_REMEMBERED = 64  # characters of a word whose pieces are kept; longer ones could fill the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class WordVectors:
    """Piece vectors and the rule that cuts a word into pieces.

    Attributes
    ----------
    table : (P, D) a vector for each piece, in half or single precision
    pieces : JSON text: `{"pieces": […]}`, byte-pair pieces in id order; `{"words": […]}`, where
        each word is one piece of its own and any other has no vector; or both: the words' rows
        come behind the pieces', and a word that is listed is not cut
    words, word_table : words whose vectors (n, D) are at hand, so that a message of such words
        cuts nothing
    """

    table: npt.NDArray[np.floating[Any]]
    pieces: str
    words: tuple[str, ...] = ()
    word_table: npt.NDArray[np.floating[Any]] | None = None
    _index: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._index.update({word: i for i, word in enumerate(self.words)})

    def rows(self, words: Sequence[str]) -> Floats:
        """Return (len(words), D): the mean of each word's piece vectors, zeros if it has none."""
        found = np.zeros((len(words), self.table.shape[1]), np.float32)
        known = np.array([self._index.get(word, -1) for word in words], dtype=np.int64)
        if self.word_table is not None:
            found[known >= 0] = self.word_table[known[known >= 0]]
        missing = np.flatnonzero(known < 0)
        if len(missing):
            found[missing] = self._from_pieces([words[int(i)] for i in missing])
        return found

    def _from_pieces(self, words: Sequence[str]) -> Floats:
        width = self.table.shape[1]
        return piece_means(
            self.piece_ids(words), lambda ids: self.table[ids].astype(np.float32), width=width
        )

    def piece_ids(self, words: Sequence[str]) -> list[list[int]]:
        """Return each word's rows of `table`."""
        return cut_words(words, self.pieces)


def cut_words(words: Sequence[str], pieces: str) -> list[list[int]]:
    """Return the piece ids of each word, by the rule that `pieces` holds."""
    cut = _cutter(pieces)
    return [cut(word) for word in words]


def piece_means(
    piece_ids: Sequence[Sequence[int]],
    rows_of: Callable[[npt.NDArray[np.int64]], Floats],
    *,
    width: int,
) -> Floats:
    """Return the mean row (n, width) of each word's pieces, zeros for a word without any.

    Parameters
    ----------
    piece_ids : of each word
    rows_of : ids (m,) → rows (m, width)
    """
    found = np.zeros((len(piece_ids), width), np.float32)
    lengths = np.fromiter(map(len, piece_ids), np.int64, count=len(piece_ids))
    some = lengths > 0
    if some.any():
        flat = np.fromiter(chain.from_iterable(piece_ids), np.int64, count=int(lengths.sum()))
        starts = (np.cumsum(lengths) - lengths)[some]
        sums = np.add.reduceat(rows_of(flat), starts, axis=0)
        found[some] = sums / lengths[some, None].astype(np.float32)
    return found


def whole_words(pieces: str) -> list[str]:
    """Return the words that are one piece each, in the table's order.

    Examples
    --------
    >>> whole_words('{"pieces": ["▁fire", "fire", "▁a"]}')
    ['fire', 'a']
    """
    cut, whole = _listed(pieces)
    return [*(piece[1:] for piece in cut if piece.startswith("▁")), *whole]


def n_pieces(pieces: str) -> int:
    """Return how many pieces there are, each with a row of the table.

    Raises
    ------
    BundleError
        The pieces are no such JSON text as `WordVectors` takes.
    """
    return sum(map(len, _listed(pieces)))


@lru_cache(maxsize=4)
def _listed(pieces: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the byte-pair pieces and the whole words; read once, and shared."""
    try:
        found = dict(parse_json(pieces.encode()).items())
        if not found or not set(found) <= {"words", "pieces"}:
            raise ValueError("neither words nor pieces")
        for listed in found.values():
            if not isinstance(listed, list) or not set(map(type, listed)) <= {str}:
                raise ValueError("found something other than texts")
    except (ValueError, AttributeError, TypeError) as error:
        raise BundleError(f"the pieces of the vectors are broken ({error})") from None
    return tuple(found.get("pieces", ())), tuple(found.get("words", ()))


@lru_cache(maxsize=4)
def _cutter(pieces: str) -> Callable[[str], list[int]]:
    """Return the function word → piece ids; made when first needed, and shared."""
    parts, listed = _listed(pieces)
    index = {piece: i for i, piece in enumerate(parts)}
    whole = {word: [i] for i, word in enumerate(listed, len(parts))}
    if not parts:
        return lambda word: whole.get(word, [])
    remembered = lru_cache(maxsize=65_536)(lambda word: byte_pairs(word, index))

    def cut(word: str) -> list[int]:
        own = whole.get(word)
        if own is not None:
            return own
        return remembered(word) if len(word) <= _REMEMBERED else byte_pairs(word, index)

    return cut


def byte_pairs(word: str, index: Mapping[str, int]) -> list[int]:
    """Cut a word into byte-pair pieces: Sennrich, Haddow & Birch 2016, in SentencePiece's form.

    The word starts as its characters behind the word mark ▁. The two neighbours that together make
    the piece of lowest id (the one learned first) are joined, the leftmost of equals, until no two
    make a piece. A character that is no piece becomes the pieces of its UTF-8 bytes. The time is
    n log n in the word's length.

    Examples
    --------
    >>> byte_pairs("aab", {"▁": 0, "a": 1, "b": 2, "ab": 3, "aa": 4})
    [0, 1, 3]
    """
    ids: list[int] = []
    for part in _joined(["▁", *word], index):
        if part in index:
            ids.append(index[part])
        else:
            spelled = part.encode("utf-8", "replace")
            ids += [index[f"<0x{byte:02X}>"] for byte in spelled if f"<0x{byte:02X}>" in index]
    return ids


def _joined(parts: list[str], index: Mapping[str, int]) -> list[str]:
    """Join neighbours, the piece of lowest id first, until no two make a piece.

    Pairs wait in a heap by id and place. A part that is joined to the one before it becomes empty,
    and a pair is only joined if it is still what it was when it was put there.
    """
    n = len(parts)
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))
    waiting = [
        (number, left)
        for left, (a, b) in enumerate(pairwise(parts))
        if (number := index.get(a + b)) is not None
    ]
    heapify(waiting)
    while waiting:
        number, left = heappop(waiting)
        right = after[left]
        if not parts[left] or right == n or index.get(parts[left] + parts[right]) != number:
            continue
        parts[left] += parts[right]
        parts[right] = ""
        end = after[left] = after[right]
        if end < n:
            before[end] = left
        for place in (before[left], left):
            if place >= 0 and after[place] < n:
                made = index.get(parts[place] + parts[after[place]])
                if made is not None:
                    heappush(waiting, (made, place))
    return [part for part in parts if part]
