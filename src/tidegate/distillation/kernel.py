"""A model of meanings alone: mean pretrained word vectors, a kernel and logistic regression.

Takes texts and targets, gives probabilities in the same shape as a `Predictor`'s. It reads neither
word order nor spelling, so it errs elsewhere than an LSTM and TF-IDF do, and that is its use: as a
third opinion in a blend.

    k(x, y) = exp(−‖x − y‖² · 0.3 / D)      of means scaled to a standard deviation of 1

The kernel is approximated by 1,000 random Fourier features (Rahimi & Recht 2007), and logistic
regression learns from these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.kernel_approximation import RBFSampler
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from tidegate.config import Kind, TextConfig
from tidegate.text.tokenizers import make_tokenizer
from tidegate.training.baseline import Probabilities, Shallow
from tidegate.training.pretrained import Floats, Pretrained

_WIDTH = 0.3  # of the kernel: gamma · D
_FEATURES = 1000
_BLOCK = 8192  # messages answered at a time: what bounds memory


class KernelModel(Shallow):
    """Mean word vectors, an approximated kernel, and logistic regression.

    Parameters
    ----------
    kind, n_labels : of the labels, as in a `Dataset`
    text : how a message is read
    pretrained : the vectors of words
    seed : of the random features
    """

    def __init__(
        self, kind: Kind, n_labels: int, *, text: TextConfig, pretrained: Pretrained, seed: int
    ) -> None:
        tokenizer = make_tokenizer(text)

        def words_of(message: str) -> list[str]:
            return tokenizer(message)[: text.max_tokens or None]

        def means(messages: Sequence[str]) -> Floats:
            return mean_vectors([words_of(message) for message in messages], pretrained)

        self._pretrained = pretrained
        size = pretrained.table.shape[1]
        kernel = RBFSampler(gamma=_WIDTH / size, n_components=_FEATURES, random_state=seed)
        features: Any = make_pipeline(FunctionTransformer(means), StandardScaler(), kernel)
        super().__init__(kind, n_labels, features=features, words_of=words_of)

    def fit(self, texts: Sequence[str], targets: npt.NDArray[np.int64]) -> KernelModel:
        """Learn from texts and their targets."""
        with threadpool_limits(limits=1):  # else the bytes depend on how many cores there are
            return super().fit(texts, targets)

    @property
    def n_parameters(self) -> int:
        """How many weights it has, the vectors of words aside: they are not its own."""
        size: int = self._pretrained.table.shape[1]
        return super().n_parameters + (size + 1) * _FEATURES

    @property
    def size_bytes(self) -> int:
        """What it would weigh on disk in single precision without the vectors of words."""
        return 4 * self.n_parameters

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        answer = super().predict_proba
        starts = range(0, max(len(texts), 1), _BLOCK)
        with threadpool_limits(limits=1):
            return np.concatenate([answer(texts[i : i + _BLOCK]) for i in starts])


def mean_vectors(messages: Sequence[Sequence[str]], pretrained: Pretrained) -> Floats:
    """Return the mean vector (n, D) of the words of each message that have one, zeros if none has.

    Examples
    --------
    >>> table = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    >>> known = Pretrained(table=table, pieces='{"words": ["fire", "lunch"]}')
    >>> mean_vectors([["fire", "lunch", "zzz"], []], known).tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    places: dict[str, int] = {}
    for message in messages:
        for word in message:
            places.setdefault(word, len(places))
    vectors = pretrained.rows(list(places))  # (V, D)
    known = np.abs(vectors).sum(axis=1) > 0
    found = np.zeros((len(messages), pretrained.table.shape[1]), np.float32)
    for i, message in enumerate(messages):
        rows = [place for word in message if known[place := places[word]]]
        if rows:
            found[i] = vectors[rows].mean(axis=0)
    return found
