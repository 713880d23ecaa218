"""Words of like meaning: those whose pretrained vectors lie nearest.

Takes texts and `Pretrained`, gives each of their words a few others that may stand in its place in
a made text. Knows nothing of teachers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from tidegate.distillation.augmentation import bare_word
from tidegate.training.pretrained import Pretrained

NEAREST = 12
_OFTEN = 2  # a word met once may be a slip of the pen
_BLOCK = 512  # words compared at a time: what bounds memory


def neighbours(texts: Sequence[str], pretrained: Pretrained) -> dict[str, tuple[str, ...]]:
    """Return for each word of texts, in lower case, the 12 nearest others by the cosine.

    They are chosen among the words that the table itself knows and those met twice in the texts. A
    word that has no vector has none.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]], np.float32)
    >>> known = Pretrained(table=table, pieces='{"words": ["fire", "blaze", "lunch"]}')
    >>> neighbours(["Fire!"], known)
    {'fire': ('blaze', 'lunch')}
    """
    met = Counter(bare for text in texts for word in text.split() if (bare := bare_word(word)))
    often = {word for word, count in met.items() if count >= _OFTEN}
    whole = {word for word in pretrained.whole_words() if word == bare_word(word)}
    others, targets = _directions(pretrained, sorted(often | whole))
    words, vectors = _directions(pretrained, sorted(met))
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(words), _BLOCK):
        near = vectors[start : start + _BLOCK] @ targets.T
        best = torch.topk(near, min(NEAREST + 1, len(others))).indices.tolist()
        for word, row in zip(words[start : start + _BLOCK], best, strict=True):
            found[word] = tuple([others[i] for i in row if others[i] != word][:NEAREST])
    return found


def _directions(pretrained: Pretrained, words: list[str]) -> tuple[list[str], torch.Tensor]:
    """Return the words that have a vector, and their vectors (n, D) scaled to length 1."""
    rows = torch.from_numpy(pretrained.rows(words))
    lengths = rows.norm(dim=1)
    some = lengths > 0
    kept = [word for word, known in zip(words, some.tolist(), strict=True) if known]
    return kept, rows[some] / lengths[some, None]
