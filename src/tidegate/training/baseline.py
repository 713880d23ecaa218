"""What people would use instead, trained on the same rows: TF-IDF with logistic regression.

Takes texts and targets, gives probabilities in the same shape as a `Predictor`'s. An LSTM that does
not beat this has no reason to exist, so every report shows it beside. `Shallow` is what it shares
with other models of features and logistic regression.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from tidegate.config import Kind

Probabilities = npt.NDArray[np.float64]


def majority(targets: npt.NDArray[np.int64], n_rows: int, *, kind: Kind, n_labels: int) -> Any:
    """Return the training rows' label shares, (n_rows, n_labels), as everyone's probability."""
    if kind == "multilabel":
        shares = targets.mean(axis=0)
    else:
        shares = np.bincount(targets, minlength=n_labels) / len(targets)
    return np.tile(shares, (n_rows, 1))


class Shallow:
    """Features of texts and logistic regression.

    A label that all rows have, or none, keeps its share; so do all labels if no row has a word.

    Parameters
    ----------
    kind, n_labels : of the labels, as in a `Dataset`
    features : scikit-learn's: from texts to an array
    words_of : the words it knows of a text
    """

    def __init__(
        self,
        kind: Kind,
        n_labels: int,
        *,
        features: Any,
        words_of: Callable[[str], Sequence[str]],
    ) -> None:
        self.kind = kind
        self.n_labels = n_labels
        self._words_of = words_of
        model: Any = LogisticRegression(C=3.0, max_iter=1000)
        if kind == "multilabel":
            model = OneVsRestClassifier(LogisticRegression(C=3.0, max_iter=1000))
        self.pipeline: Pipeline = make_pipeline(features, model)
        self._columns = np.arange(n_labels)

    def fit(self, texts: Sequence[str], targets: npt.NDArray[np.int64]) -> Self:
        """Learn from texts and their targets."""
        self._shares = majority(targets, 1, kind=self.kind, n_labels=self.n_labels)[0]
        learned = (self._shares > 0) & (self._shares < 1)
        if not any(self._words_of(text) for text in texts):
            learned[:] = False
        self._columns = np.flatnonzero(learned)
        if len(self._columns):
            several = self.kind == "multilabel"
            self.pipeline.fit(texts, targets[:, self._columns] if several else targets)
        return self

    @property
    def n_parameters(self) -> int:
        """How many weights it has."""
        if not len(self._columns):
            return self.n_labels
        model = self.pipeline[-1]
        models = model.estimators_ if isinstance(model, OneVsRestClassifier) else [model]
        return sum(m.coef_.size + m.intercept_.size for m in models)

    @property
    def size_bytes(self) -> int:
        """What it would weigh on disk, pickled as people keep such models."""
        return len(pickle.dumps(self.pipeline if len(self._columns) else self._shares))

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each label, (n_texts, n_labels)."""
        found = np.tile(self._shares.astype(np.float64), (len(texts), 1))
        if len(self._columns) and len(texts):
            # Of one label alone scikit-learn gives two columns, as of two classes: the last is its.
            answers = self.pipeline.predict_proba(texts)
            found[:, self._columns] = answers[:, -len(self._columns) :]
        return found


class Baseline(Shallow):
    """TF-IDF and logistic regression.

    Parameters
    ----------
    kind, n_labels : of the labels, as in a `Dataset`
    characters : beside words and pairs of words, also runs of 2 to 5 characters: slower, better
    """

    def __init__(self, kind: Kind, n_labels: int, *, characters: bool = False) -> None:
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        features: Any = words
        if characters:
            runs = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
            features = FeatureUnion([("words", words), ("characters", runs)])
        super().__init__(kind, n_labels, features=features, words_of=words.build_analyzer())
