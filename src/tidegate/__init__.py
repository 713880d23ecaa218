"""Tidegate: compact LSTM classifiers for short messages, with every gate shown.

    clf = TidegateClassifier().fit(texts, labels)      # torch, once
    clf.bundle_.save("model")
    model = Predictor.load("model")                    # NumPy from here on
    model.predict_proba(["house on fire on 5th street"])

The names are found when first used, so that importing the package costs nothing and answering
never loads what only learning needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tidegate.version import VERSION

if TYPE_CHECKING:
    from tidegate.data.dataset import Dataset, read_dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.engine.predictor import Predictor
    from tidegate.estimator import TidegateClassifier
    from tidegate.evaluation.scores import Report
    from tidegate.walking.walk import Walk, walk

__version__ = VERSION

__all__ = [
    "Bundle",
    "Dataset",
    "Predictor",
    "Report",
    "TidegateClassifier",
    "Walk",
    "__version__",
    "read_dataset",
    "walk",
]

_HOMES = {
    "Bundle": "tidegate.engine.bundle",
    "Dataset": "tidegate.data.dataset",
    "Predictor": "tidegate.engine.predictor",
    "Report": "tidegate.evaluation.scores",
    "TidegateClassifier": "tidegate.estimator",
    "Walk": "tidegate.walking.walk",
    "read_dataset": "tidegate.data.dataset",
    "walk": "tidegate.walking.walk",
}

# What a notebook shows of a walk is a page; loading the pages says so.
_SHOWN_BY = {"Walk": "tidegate.pages", "walk": "tidegate.pages"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tidegate' has no attribute {name!r}")
    if name in _SHOWN_BY:
        import_module(_SHOWN_BY[name])
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
