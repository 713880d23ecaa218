"""Pretrained word vectors at prediction time: a word's vector is the mean of its pieces'.

Takes a table of piece vectors and what cuts words into pieces, gives a vector for any word, seen in
training or not. Knows nothing of where the table came from, nor of the network that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.errors import BundleError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Piece vectors and the rule that cuts a word into pieces.

    Attributes
    ----------
    table : (P, D) a vector for each piece, in half or single precision
    pieces : JSON text: `{"words": […]}`, where each word is one piece of its own and any other has
        no vector; or a `tokenizers` file
    """

    table: npt.NDArray[np.floating[Any]]
    pieces: str
    _cut: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def rows(self, words: Sequence[str]) -> Floats:
        """Return (len(words), D): the mean of each word's piece vectors, zeros if it has none."""
        piece_ids = self.piece_ids(words)
        found = np.zeros((len(words), self.table.shape[1]), np.float32)
        lengths = np.fromiter(map(len, piece_ids), np.int64, count=len(words))
        some = lengths > 0
        if some.any():
            flat = np.fromiter(chain.from_iterable(piece_ids), np.int64, count=int(lengths.sum()))
            starts = (np.cumsum(lengths) - lengths)[some]
            sums = np.add.reduceat(self.table[flat].astype(np.float32), starts, axis=0)
            found[some] = sums / lengths[some, None].astype(np.float32)
        return found

    def piece_ids(self, words: Sequence[str]) -> list[list[int]]:
        """Return each word's rows of `table`."""
        if not self._cut:
            self._cut.append(_cutter(self.pieces))
        found: list[list[int]] = self._cut[0](words)
        return found


def _cutter(pieces: str) -> Any:
    """Return the function words → lists of piece ids; made once, when first needed."""
    try:
        listed = json.loads(pieces) if pieces.startswith('{"words"') else None
    except ValueError as error:
        raise BundleError(f"the word list of the vectors is broken ({error})") from None
    if listed is not None:
        index = {word: i for i, word in enumerate(listed["words"])}
        return lambda words: [[index[w]] if w in index else [] for w in words]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(pieces)

    def cut(words: Sequence[str]) -> list[list[int]]:
        # A lone surrogate is no valid Unicode, which the tokeniser insists on.
        safe = [word.encode("utf-8", "replace").decode("utf-8") for word in words]
        found = tokenizer.encode_batch(safe, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    return cut
