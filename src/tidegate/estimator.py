"""The scikit-learn surface: fit and predict on lists, arrays or data-frame columns of messages.

Takes texts and labels, gives an estimator that clones, pickles and searches as others do. Learning
goes through a `Learner`, answering through the one `Predictor`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, cast

# First: its door says which extra is missing, where scikit-learn's own import would not.
from tidegate.distillation.student import learner_of  # isort: skip

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.messages import as_messages
from tidegate.engine.predictor import Predictor
from tidegate.presets import check_taught, preset
from tidegate.training.learner import train_on_all
from tidegate.training.targets import read_targets, row_weights

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
    class_weight : None, "balanced" for weights inverse to the classes' frequency, or a dict of
        class → weight, in which a class that is not named counts 1
    settings : any further config fields by name
    random_state : seed; None means 0, so that the same data give the same model

    Attributes
    ----------
    classes_ : (C,) the labels; multi-label: the columns' names or numbers
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
        class_weight: str | Mapping[Any, float] | None = None,
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
        X : messages: a list, an array (n,), a series, or a data frame of one column
        y : labels (n,), or for several a message an array (n, L) of 0 and 1, dense or sparse; the
            columns of a data frame name the labels
        sample_weight : (n,) how much each message counts in the loss: numbers of 0 or more

        Raises
        ------
        DataError (ValueError)
            X is no column of texts; the lengths differ; a label is missing, y is continuous, or
            holds one class only; a weight is negative or not finite.
        """
        texts = _texts(X)
        targets = read_targets(y, n_rows=len(texts))
        by_class = self.class_weight if isinstance(self.class_weight, Mapping) else None
        weights = row_weights(sample_weight, by_class, targets=targets)
        dataset = Dataset(
            texts=tuple(texts),
            targets=targets.values,
            labels=targets.labels,
            kind=targets.kind,
            rows=tuple(range(1, len(texts) + 1)),
            source="memory",
        )
        config = self._config(targets.values.ndim)
        trained = train_on_all(learner_of(dataset, config, sample_weight=weights))
        self.classes_ = targets.classes
        self.bundle_ = trained.bundle
        self.history_ = trained.history
        self.__dict__.pop("_predictor", None)
        return self

    def _config(self, label_dimensions: int) -> Config:
        given = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _OWN and value is not None
        }
        if self.class_weight is not None and not isinstance(self.class_weight, Mapping):
            given["class_weights"] = self.class_weight
        seed = self.random_state
        if seed is not None and not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31)
        given.setdefault("calibrate", False)
        given |= self.settings or {}
        base = preset(
            self.preset, n_label_columns=label_dimensions, teacher=given.get("teacher", "none")
        )
        found = base.with_settings(**{"seed": int(seed or 0), **given})
        check_taught(found, given)
        return found

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
    if isinstance(X, np.ndarray) or (isinstance(X, (list, tuple)) and _are_rows_of_one(X)):
        array = np.asarray(X, dtype=object)
        if array.ndim == 2 and array.shape[1] == 1:
            warnings.warn(
                "A column-vector X was passed when a 1d array was expected: its one column is read",
                DataConversionWarning,
                stacklevel=3,
            )
        X = array
    return [str(text) for text in as_messages(X, name="X")]


def _are_rows_of_one(X: Any) -> bool:
    return bool(X) and all(isinstance(row, (list, tuple)) and len(row) == 1 for row in X)
