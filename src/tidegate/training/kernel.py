"""A model of meanings alone: the mean of a message's pretrained word vectors, and a kernel machine.

Takes texts and targets, gives probabilities in the same shape as a `Predictor`'s. It reads neither
word order nor spelling, so it errs elsewhere than an LSTM and TF-IDF do, and that is its use: as a
third opinion in a blend.

    k(x, y) = exp(−‖x − y‖² · 0.3 / D)      of means scaled to a standard deviation of 1

The kernel is approximated by its values at no more than 1,000 of the rows (Nyström's method,
Williams & Seeger 2001), and logistic regression learns from these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from tidegate.calibration import Kind
from tidegate.config import TextConfig
from tidegate.preprocessing import make_tokenizer
from tidegate.training.baseline import Probabilities, Shallow
from tidegate.training.pretrained import Floats, Pretrained

_WIDTH = 0.3  # of the kernel: gamma · D
_LANDMARKS = 1000


class KernelModel(Shallow):
    """Mean word vectors, an approximated kernel, and logistic regression.

    Parameters
    ----------
    kind, n_labels : of the labels, as in a `Dataset`
    text : how a message is read
    pretrained : the vectors of words
    seed : of the rows chosen for the approximation
    """

    def __init__(
        self, kind: Kind, n_labels: int, *, text: TextConfig, pretrained: Pretrained, seed: int
    ) -> None:
        tokenizer = make_tokenizer(text)

        def words_of(message: str) -> list[str]:
            return tokenizer(message)[: text.max_tokens or None]

        def means(messages: Sequence[str]) -> Floats:
            return mean_vectors([words_of(message) for message in messages], pretrained)

        size = pretrained.table.shape[1]
        self._kernel = Nystroem(gamma=_WIDTH / size, random_state=seed)
        features: Any = make_pipeline(FunctionTransformer(means), StandardScaler(), self._kernel)
        super().__init__(kind, n_labels, features=features, words_of=words_of)

    def fit(self, texts: Sequence[str], targets: npt.NDArray[np.int64]) -> KernelModel:
        """Learn from texts and their targets."""
        self._kernel.set_params(n_components=min(_LANDMARKS, len(texts)))
        with threadpool_limits(limits=1):  # sums of other lengths would be other bytes
            return super().fit(texts, targets)

    @property
    def n_parameters(self) -> int:
        """How many weights it has, the vectors of words aside: they are not its own."""
        return super().n_parameters + sum(a.size for a in self._arrays())

    @property
    def size_bytes(self) -> int:
        """What it would weigh on disk without the vectors of words."""
        return 8 * super().n_parameters + sum(a.nbytes for a in self._arrays())

    def _arrays(self) -> list[npt.NDArray[np.floating]]:
        found = [getattr(self._kernel, name, None) for name in ("components_", "normalization_")]
        return [array for array in found if array is not None]

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        with threadpool_limits(limits=1):
            return super().predict_proba(texts)


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
