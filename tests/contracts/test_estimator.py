"""TidegateClassifier behaves as scikit-learn's users expect."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import tidegate
from conftest import WORDS
from tidegate import TidegateClassifier

SMALL = {
    "vectors": "none", "epochs": 8, "hidden_size": 6, "embedding_size": 8, "learning_rate": 0.03,
    "batch_size": 16, "word_dropout": 0.0, "channel_dropout": 0.0, "dropout": 0.0,
}  # fmt: skip


def small(**changes: object) -> TidegateClassifier:
    return TidegateClassifier(**{**SMALL, **changes})


@pytest.fixture(scope="module")
def rows() -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(2)
    words = [rng.choice(WORDS, size=rng.integers(2, 8)).tolist() for _ in range(150)]
    labels = ["urgent" if {"fire", "flood", "storm"} & set(w) else "calm" for w in words]
    return [" ".join(w) for w in words], labels


def shout(texts: list[str]) -> list[str]:
    return [text.upper() for text in texts]


def test_scikit_learns_own_checks() -> None:
    # It knows no checks for estimators of text beyond the tags, and says so.
    with pytest.warns(SkipTestWarning, match="string=True"):
        check_estimator(small())


@pytest.mark.parametrize("container", [list, tuple, np.array, pd.Series])
def test_texts_and_labels_may_come_in_any_container(
    container: type, rows: tuple[list[str], list[str]]
) -> None:
    texts, labels = rows
    fitted = small().fit(container(texts), container(labels))
    assert fitted.classes_.tolist() == ["calm", "urgent"]
    assert fitted.score(container(texts), container(labels)) > 0.8
    objects = np.array(texts, dtype=object)
    assert (fitted.predict_proba(objects) == fitted.predict_proba(texts)).all()


def test_a_series_with_a_shuffled_index(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    index = np.random.default_rng(0).permutation(len(texts)) + 1000
    fitted = small().fit(pd.Series(texts, index=index), pd.Series(labels, index=index))
    again = small().fit(texts, labels)
    assert (fitted.predict_proba(texts) == again.predict_proba(texts)).all()


def test_probabilities_follow_classes(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    numbers = [{"urgent": -3, "calm": 7}[label] for label in labels]
    fitted = small().fit(texts, numbers)
    assert fitted.classes_.tolist() == [-3, 7]
    probabilities = fitted.predict_proba(texts)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(texts)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_multi_label_targets(rows: tuple[list[str], list[str]]) -> None:
    texts, _ = rows
    y = np.array([[word in text.split() for word in ("fire", "help")] for text in texts], dtype=int)
    fitted = small(epochs=12).fit(texts, y)
    assert fitted.predict(texts).shape == y.shape
    assert (fitted.predict(texts) == y).mean() > 0.8


def test_clone_and_pickle(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    original = small(random_state=3).fit(texts, labels)
    expected = original.predict_proba(texts)
    copy = clone(original)
    with pytest.raises(NotFittedError):
        copy.predict(texts)
    assert copy.get_params() == original.get_params()
    assert (copy.fit(texts, labels).predict_proba(texts) == expected).all()
    assert (pickle.loads(pickle.dumps(original)).predict_proba(texts) == expected).all()


def test_pipeline_grid_search_and_cross_validation(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    pipeline = make_pipeline(FunctionTransformer(shout), small())
    assert cross_val_score(pipeline, texts, labels, cv=2).shape == (2,)
    grid = {"hidden_size": [4, 6], "settings": [None, {"pooling": "max"}]}
    search = GridSearchCV(small(), grid, cv=2)
    search.fit(np.array(texts), labels)
    assert search.best_score_ > 0.6
    assert search.best_estimator_.bundle_.labels == ("calm", "urgent")


def test_calibrated_by_scikit_learn(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    calibrated = CalibratedClassifierCV(small(), cv=2).fit(np.array(texts), labels)
    assert calibrated.predict_proba(np.array(texts)).shape == (150, 2)


def test_sample_weight_and_class_weight(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    weights = [0.0 if label == "urgent" else 1.0 for label in labels]
    assert set(small().fit(texts, labels, sample_weight=weights).predict(texts)) == {"calm"}
    assert small(class_weight="balanced").fit(texts, labels).score(texts, labels) > 0.8
    with pytest.raises(ValueError, match=r"sample_weight: shape \(3,\) for 150 texts"):
        small().fit(texts, labels, sample_weight=[1, 2, 3])


def test_a_random_state_object_is_drawn_from(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    seeds = [np.random.RandomState(5), np.random.RandomState(5), np.random.RandomState(6)]
    a, b, c = (small(random_state=s).fit(texts, labels).predict_proba(texts) for s in seeds)
    assert (a == b).all()
    assert (a != c).any()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ("fire", ["a"], "X: found str 'fire'; give a list of texts"),
        (["fire", None], ["a", "b"], "X: row 2: found NoneType None; a message is text"),
        (["fire", "sea"], ["a"], "y: 1 labels for 2 texts; give one a text"),
        (["fire", "sea"], ["a", "a"], "y: found one class only"),
    ],
)
def test_bad_input_is_named(X: object, y: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(X, y)


def test_a_fitted_model_saves_and_answers_as_a_bundle(
    rows: tuple[list[str], list[str]], tmp_path: object
) -> None:
    texts, labels = rows
    fitted = small().fit(texts, labels)
    model = tidegate.Predictor.load(fitted.bundle_.save(f"{tmp_path}/model"))
    assert model.labels == ("calm", "urgent")
    assert (model.predict_proba(texts) == fitted.predict_proba(texts)).all()
    assert model.predict(texts) == fitted.predict(texts).tolist()


def test_threads_may_share_a_fitted_estimator(rows: tuple[list[str], list[str]]) -> None:
    texts, labels = rows
    fitted = small(epochs=1).fit(texts, labels)
    expected = pickle.loads(pickle.dumps(fitted)).predict_proba(texts)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fitted.predict_proba, [texts] * 16))
    assert max(np.abs(one - expected).max() for one in found) <= 1e-6
