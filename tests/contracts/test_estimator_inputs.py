"""What people hand to TidegateClassifier and Predictor is understood, or refused in one line."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from conftest import WORDS, tiny_bundle
from tidegate import Predictor, TidegateClassifier

rng = np.random.default_rng(4)
TEXTS = [" ".join(rng.choice(WORDS, size=5)) for _ in range(40)]
LABELS = ["hot" if "fire" in text or "storm" in text else "cold" for text in TEXTS]
NUMBERS = [int(label == "hot") for label in LABELS]
SEVERAL = np.array([["fire" in text, "storm" in text] for text in TEXTS], dtype=int)


def small(**changes: Any) -> TidegateClassifier:
    settings = {"vectors": "none", "epochs": 1, "hidden_size": 4, "embedding_size": 5, **changes}
    return TidegateClassifier(settings={"ngrams": "none"}, **settings)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return small().fit(TEXTS, LABELS).predict_proba(TEXTS)


def column(values: Any) -> np.ndarray:
    return np.array(values, dtype=object)[:, None]


@pytest.mark.parametrize("make", [
    pd.Series, lambda t: pd.DataFrame({"text": t}), lambda t: pd.DataFrame({0: t}), tuple, np.array,
    lambda t: pd.DataFrame({"text": t}, index=range(500, 500 + len(t))), lambda t: iter(list(t)),
    lambda t: pd.Series(t, dtype="string"), lambda t: pd.Series(t, dtype="category"),
    lambda t: pa.table({"text": t}), pa.array, lambda t: pa.chunked_array([t]),
])  # fmt: skip
def test_one_column_of_texts_is_taken(
    make: Callable[[list[str]], Any], expected: np.ndarray
) -> None:
    fitted = small().fit(make(TEXTS), LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(make(TEXTS)), expected)
    answers = fitted.predictor_.predict(make(TEXTS))
    assert answers == fitted.predict(TEXTS).tolist()


@pytest.mark.parametrize("make", [column, lambda texts: [[text] for text in texts]])
def test_a_column_vector_of_texts_is_ravelled_with_the_usual_warning(
    make: Callable[[list[str]], Any], expected: np.ndarray
) -> None:
    with pytest.warns(DataConversionWarning, match="A column-vector X was passed"):
        fitted = small().fit(make(TEXTS), LABELS)
    with pytest.warns(DataConversionWarning, match="A column-vector X was passed"):
        np.testing.assert_array_equal(fitted.predict_proba(make(TEXTS)), expected)


FRAME = pd.DataFrame({"id": range(3), "text": TEXTS[:3], "source": "web"})
NO_COLUMN = [
    (FRAME, r"found a table of 3 columns \(id, text, source\); give the one of the messages"),
    (FRAME[[]], "found a table of 0 columns"),
    (pa.table({"a": ["x"], "b": ["y"]}), r"found a table of 2 columns \(a, b\)"),
    ({"text": TEXTS}, "found a dict with the keys 'text'; give a list of texts"),
    (None, "found NoneType None; give a list of texts"),
    (5, "found int 5; give a list of texts"),
    (b"fire", "found bytes b'fire'; give a list of texts"),
    ({"fire"}, "found set {'fire'}; give a list of texts"),
    (np.array("fire"), r"found an array of shape \(\); give one text a row"),
    (np.array([["a", "b"]]), r"found an array of shape \(1, 2\); give one text a row"),
    (sparse.csr_matrix(np.eye(3)), "found a csr_matrix of 2 dimensions"),
    ([["house", "on", "fire"]], "row 1: found list .*; join its words with spaces"),
    (["fire", ["a", "b"]], r"row 2: found list \['a', 'b'\]; join its words with spaces"),
    (["fire", np.nan], "row 2: found float nan; a message is text"),
    (pd.Series(["fire", None], dtype="string"), "row 2: found NAType <NA>; a message is text"),
    (["fire", ["x" * 10**6, 1]], r"row 2: found list \['x{70,80}…; a message is text"),
]


@pytest.mark.parametrize(("given", "message"), NO_COLUMN)
def test_what_is_no_column_of_texts_is_named(given: Any, message: str) -> None:
    predictor = Predictor(tiny_bundle())
    with pytest.raises(ValueError, match=f"^texts: {message}"):
        predictor.predict_proba(given)
    with pytest.raises(ValueError, match=f"^texts: {message}"):
        predictor.predict(given)
    with pytest.raises(ValueError, match=f"^X: {message}"):
        small().fit(given, ["a", "b"])


def test_a_predictor_reads_a_single_text_as_a_list_of_one() -> None:
    predictor = Predictor(tiny_bundle())
    assert predictor.predict("fire near the house") == predictor.predict(["fire near the house"])
    assert predictor.predict([]) == []


@pytest.mark.parametrize("make", [
    np.array, tuple, pd.Series, lambda y: pd.Series(y, index=range(9, 9 + len(y))),
    lambda y: pd.Series(y, dtype="category"), lambda y: pd.Series(y, dtype="string"),
    lambda y: np.array(y, dtype=object),
])  # fmt: skip
def test_labels_in_any_container_are_the_same_labels(
    make: Callable[[list[str]], Any], expected: np.ndarray
) -> None:
    fitted = small().fit(TEXTS, make(LABELS))
    assert list(fitted.classes_) == ["cold", "hot"]
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("make", [
    list, np.array, lambda y: np.array(y, dtype=float), lambda y: np.array(y, dtype=bool),
    lambda y: pd.Series(y, dtype="Int64"), lambda y: pd.Series(y, dtype="boolean"),
    lambda y: np.array(y, dtype=object), lambda y: [float(v) for v in y],
])  # fmt: skip
def test_numbers_are_labels(make: Callable[[list[int]], Any], expected: np.ndarray) -> None:
    fitted = small().fit(TEXTS, make(NUMBERS))
    assert fitted.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("make", [
    lambda y: np.array(y)[:, None], lambda y: pd.DataFrame({"is": y}), lambda y: [[v] for v in y]
])  # fmt: skip
@pytest.mark.parametrize("labels", [LABELS, NUMBERS])
def test_a_column_vector_of_labels_is_ravelled_with_the_usual_warning(
    make: Callable[[Any], Any], labels: list[Any], expected: np.ndarray
) -> None:
    if labels is LABELS and isinstance(make(labels), list):
        return  # a list of lists of text is refused: it may mean several labels
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        fitted = small().fit(TEXTS, make(labels))
    assert fitted.bundle_.kind == "binary"
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("make", [
    np.array, sparse.csr_matrix, sparse.coo_array, lambda y: y.astype(bool), lambda y: y.tolist(),
    lambda y: y.astype(float), lambda y: pd.DataFrame(y, columns=["burning", "blowing"]),
])  # fmt: skip
def test_an_indicator_of_several_labels(make: Callable[[np.ndarray], Any]) -> None:
    fitted = small().fit(TEXTS, make(SEVERAL))
    named = hasattr(make(SEVERAL), "columns")
    assert fitted.bundle_.kind == "multilabel"
    assert fitted.bundle_.labels == (("burning", "blowing") if named else ("0", "1"))
    assert fitted.classes_.tolist() == (["burning", "blowing"] if named else [0, 1])
    assert fitted.predict(TEXTS).shape == SEVERAL.shape


def but(row: int, value: Any, of: Any = NUMBERS, dtype: Any = None) -> Any:
    changed = list(of)
    changed[row] = value
    return changed if dtype is None else np.array(changed, dtype=dtype)


Y = [
    (
        but(3, np.nan, dtype=float),
        "row 4: found nan; give every text a label, or leave the row out",
    ),
    (but(3, np.inf, dtype=float), "row 4: found inf"),
    (but(3, None, LABELS), "row 4: found None; give every text a label"),
    (but(3, np.nan, LABELS), "row 4: found nan; give every text a label"),
    (but(3, np.nan, LABELS, object), "row 4: found nan; give every text a label"),
    (but(3, None), "row 4: found None; give every text a label"),
    (pd.Series(but(3, None), dtype="Int64"), "row 4: found (nan|<NA>); give every text a label"),
    (pd.Series(but(3, None, LABELS), dtype="string"), "row 4: found"),
    (pd.Series(but(3, None, LABELS), dtype="category"), "row 4: found nan; give every text"),
    (np.where(np.arange(80).reshape(40, 2) == 7, np.nan, 0.0), "row 4: found"),
    (np.linspace(0, 1, 40), "Unknown label type: continuous"),
    (np.linspace(0, 1, 80).reshape(40, 2), "a multi-label array holds 0 and 1 only"),
    (SEVERAL * 2, "a multi-label array holds 0 and 1 only"),
    (SEVERAL[:, :, None], "found 3 dimensions; several labels a text are an array"),
    (sparse.csr_matrix(SEVERAL * 3.5), "a multi-label array holds 0 and 1 only"),
    ([["a", "b"], ["c"]] * 20, r"row 1: found \['a', 'b'\]; several labels a text are an array"),
    ([("a", "b")] * 40, r"row 1: found \('a', 'b'\); several labels a text are"),
    ([{"a"}] * 40, "row 1: found {'a'}; several labels a text are"),
    ([[0, 1], [1]] * 20, r"row 1: found \[0, 1\]; several labels a text are"),
    (["a", *[[1, 0]] * 39], r"row 2: found \[1, 0\]; several labels a text are"),
    (but(0, 1, LABELS), r"found labels of several types \(number and text\); give them one type"),
    ([b"a", b"b"] * 20, "found|bytes"),
    ("a" * 40, "found str 'a.*; give a list of labels"),
    (5, "found int 5; give a list of labels"),
    (None, "found None; this estimator requires y to be passed"),
    ({"a": 1}, "found dict .*; give a list of labels"),
    (["a"] * 40, r"found one class only \(\['a'\]\); give two"),
    (LABELS[:-1], "39 labels for 40 texts; give one a text"),
    (pd.DataFrame(SEVERAL, columns=["a", "a"]), "a column name stands twice"),
]


@pytest.mark.parametrize(("y", "message"), Y)
def test_labels_that_are_none_are_named(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^y: .*{message}") as found:
        small().fit(TEXTS, y)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400


@pytest.mark.parametrize(("weights", "message"), [
    (-np.ones(40), "row 1: found -1; give finite numbers of 0 or more"),
    (but(7, -0.5, [1.0] * 40), "row 8: found -0.5"),
    (but(7, np.nan, [1.0] * 40), "row 8: found nan"),
    (but(7, np.inf, [1.0] * 40), "row 8: found inf"),
    (but(7, 1e300, [1.0] * 40), r"row 8: found 1e\+300"),
    (np.zeros(40), "all are 0|zero"),
    (np.ones(3), r"shape \(3,\) for 40 texts; give one a text"),
    (np.ones((40, 1)), r"shape \(40, 1\) for 40 texts; give one a text"),
    (["heavy"] * 40, "could not convert"),
])  # fmt: skip
def test_weights_that_are_none_are_named(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^sample_weight: .*{message}") as found:
        small().fit(TEXTS, LABELS, sample_weight=weights)
    assert "\n" not in str(found.value)


def test_a_series_of_weights_with_another_index_counts_row_by_row() -> None:
    weights = rng.uniform(0, 2, 40)
    odd = pd.Series(weights, index=range(500, 540))
    found = small().fit(TEXTS, LABELS, sample_weight=odd).predict_proba(TEXTS)
    wanted = small().fit(TEXTS, LABELS, sample_weight=weights).predict_proba(TEXTS)
    np.testing.assert_array_equal(found, wanted)


def test_a_setting_of_a_teacher_needs_one() -> None:
    for given in ({"unlabelled": "more.csv"}, {"settings": {"augment": 2}}):
        with pytest.raises(ValueError, match="but there is no teacher; give one or"):
            TidegateClassifier(**given).fit(TEXTS, LABELS)


def test_class_weights_weigh_the_rows_of_each_class() -> None:
    by_class = small(class_weight={"hot": 5.0}).fit(TEXTS, LABELS).predict_proba(TEXTS)
    rows = [5.0 if label == "hot" else 1.0 for label in LABELS]
    by_row = small().fit(TEXTS, LABELS, sample_weight=rows).predict_proba(TEXTS)
    np.testing.assert_array_equal(by_class, by_row)
    both = small(class_weight={"hot": 5, "cold": 1})
    twice = both.fit(TEXTS, LABELS, sample_weight=np.full(40, 1.0)).predict_proba(TEXTS)
    np.testing.assert_array_equal(twice, by_row)


@pytest.mark.parametrize(("given", "message"), [
    ({"warm": 1.0}, r"^class_weight: 'warm' is no class of y; they are \['cold', 'hot'\]"),
    ({"hot": -1}, "^class_weight: 'hot': found -1; give a number of 0 or more"),
    ({"hot": np.nan}, "^class_weight: 'hot': found nan"),
    ({"hot": "much"}, "^class_weight: 'hot': found 'much'"),
    ({"hot": 0, "cold": 0}, "^class_weight: no row counts more than 0"),
    ("heavy", "class_weights: found 'heavy'"),
])  # fmt: skip
def test_class_weights_that_are_none_are_named(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(class_weight=given).fit(TEXTS, LABELS)


def test_class_weights_by_number() -> None:
    fitted = small(class_weight={0: 1.0, 1: 3.0}).fit(TEXTS, NUMBERS)
    assert fitted.classes_.tolist() == [0, 1]
    with pytest.raises(ValueError, match="class_weight: of several labels a text, weigh rows by"):
        small(class_weight={0: 2.0}).fit(TEXTS, SEVERAL)


def test_clean_input_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().fit(TEXTS, LABELS).predict(TEXTS)
