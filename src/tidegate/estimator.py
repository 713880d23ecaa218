"""The scikit-learn surface: fit and predict on lists, arrays or data-frame columns of messages.

Takes texts and labels, gives an estimator that clones, pickles and searches as others do. Learning
goes through a `Learner`, answering through the one `Predictor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

# First: its door says which extra is missing, where scikit-learn's own import would not.
from tidegate.distillation.student import learner_of  # isort: skip

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.engine.predictor import Predictor
from tidegate.errors import DataError
from tidegate.presets import preset
from tidegate.training.learner import train_on_all

_OWN = ("preset", "settings", "random_state", "class_weight")


class TidegateClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A compact LSTM classifier for short messages.

    Parameters
    ----------
    preset : settings to start from: `default` (with several labels a message: `multilabel`),
        `best` or `lesson`
    epochs, batch_size, learning_rate, hidden_size, num_layers, bidirectional, embedding_size,
    vectors, dropout, word_dropout, channel_dropout, label_smoothing, threshold, calibrate :
        config fields; None keeps the preset's value. `calibrate` fits a temperature, for which a
        second model is trained; here it is off unless it is asked for
    teacher : "blend", or a pretrained encoder's folder or hub name, to learn from too
    unlabelled : a file of texts without labels, for the teacher to label
    class_weight : None, or "balanced" for weights inverse to the classes' frequency
    settings : any further config fields by name
    random_state : seed; None means 0, so that the same data give the same model

    Attributes
    ----------
    classes_ : (C,) the labels; multi-label: column numbers
    bundle_ : the trained model, ready to `save`
    history_ : what happened in each epoch

    Examples
    --------
    >>> texts = ["fire on main street", "house ablaze", "lovely sunset", "my inbox is on fire"] * 4
    >>> labels = ["real", "real", "no", "no"] * 4
    >>> clf = TidegateClassifier(epochs=1, vectors="none").fit(texts, labels)
    >>> clf.classes_.tolist(), clf.predict_proba(["help, fire"]).shape
    (['no', 'real'], (1, 2))
    """

    def __init__(
        self,
        *,
        preset: str = "default",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        embedding_size: int | None = None,
        vectors: str | None = None,
        dropout: float | None = None,
        word_dropout: float | None = None,
        channel_dropout: float | None = None,
        label_smoothing: float | None = None,
        threshold: str | None = None,
        calibrate: bool | None = None,
        class_weight: str | None = None,
        teacher: str | None = None,
        unlabelled: str | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.preset = preset
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.embedding_size = embedding_size
        self.vectors = vectors
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.channel_dropout = channel_dropout
        self.label_smoothing = label_smoothing
        self.threshold = threshold
        self.calibrate = calibrate
        self.class_weight = class_weight
        self.teacher = teacher
        self.unlabelled = unlabelled
        self.settings = settings
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TidegateClassifier:
        """Train on messages X (n,) and labels y (n,), or (n, L) of 0 and 1.

        Parameters
        ----------
        sample_weight : (n,) how much each message counts in the loss

        Raises
        ------
        DataError (ValueError)
            X is not one-dimensional text, the lengths differ, or y holds one class only.
        """
        texts = _texts(X)
        dataset = self._dataset(texts, np.asarray(y))
        weights = None
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float32)
            if weights.shape != (len(texts),):
                raise DataError(
                    f"sample_weight: shape {weights.shape} for {len(texts)} texts; give one a text"
                )
        learner = learner_of(dataset, self._config(np.ndim(y)), sample_weight=weights)
        trained = train_on_all(learner)
        self.bundle_ = trained.bundle
        self.history_ = trained.history
        self.__dict__.pop("_predictor", None)
        return self

    def _dataset(self, texts: list[str], y: npt.NDArray[Any]) -> Dataset:
        """Return the rows as a dataset, and set `classes_` in scikit-learn's order."""
        if len(y) != len(texts):
            raise DataError(f"y: {len(y)} labels for {len(texts)} texts; give one a text")
        if y.ndim == 2:
            if not np.isin(y, (0, 1)).all():
                raise DataError("y: a multi-label array holds 0 and 1 only")
            self.classes_ = np.arange(y.shape[1])
            targets = y.astype(np.int64)
        else:
            self.classes_, targets = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise DataError(f"y: found one class only ({y[0] if len(y) else None!r}); give two")
        binary = y.ndim == 1 and len(self.classes_) == 2
        return Dataset(
            texts=tuple(texts),
            targets=targets.astype(np.int64),
            labels=tuple(str(label) for label in self.classes_),
            kind="multilabel" if y.ndim == 2 else "binary" if binary else "multiclass",
            rows=tuple(range(1, len(texts) + 1)),
            source="memory",
        )

    def _config(self, label_dimensions: int) -> Config:
        given = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _OWN and value is not None
        }
        if self.class_weight is not None:
            given["class_weights"] = self.class_weight
        seed = self.random_state
        if seed is not None and not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31)
        given.setdefault("calibrate", False)
        given |= self.settings or {}
        base = preset(
            self.preset, n_label_columns=label_dimensions, teacher=given.get("teacher", "none")
        )
        return base.with_settings(**{"seed": int(seed or 0), **given})

    @property
    def predictor_(self) -> Predictor:
        """The engine that answers, made when first asked for."""
        check_is_fitted(self, "bundle_")
        kept = self.__dict__
        if "_predictor" not in kept:  # of threads that get here together, one's is kept
            kept.setdefault("_predictor", Predictor(self.bundle_))
        return cast("Predictor", kept["_predictor"])

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class, (n, C), in the order of `classes_`."""
        return self.predictor_.predict_proba(_texts(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the label of each message (n,); multi-label: (n, L) of 0 and 1."""
        predictor = self.predictor_
        chosen = predictor.choose(predictor.predict_proba(_texts(X)))
        found: npt.NDArray[Any] = (
            chosen if predictor.kind == "multilabel" else self.classes_[chosen]
        )
        return found

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_predictor", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags


def _texts(X: Any) -> list[str]:
    """Return X as a list of messages, or say what it is instead."""
    if isinstance(X, str):
        raise DataError("X: found one text; give a list of texts")
    if np.ndim(X) != 1:
        raise DataError(f"X: found {np.ndim(X)} dimensions; give one text a row")
    texts = list(X)
    wrong = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        kind = type(texts[wrong]).__name__
        raise DataError(f"X: row {wrong + 1}: found {kind} {texts[wrong]!r}; a message is text")
    return [str(text) for text in texts]
