"""One scorer for batches of every kind: the predictor's answers beside the batch's own columns."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import tiny_bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError, DataError
from tidegate.scoring.batches import BatchScorer

TEXTS = ["fire near the river", "a sunset", "", "help please", "fire near the river"]


def batches(texts: list[Any]) -> dict[str, Any]:
    """Return the same rows as every library has them."""
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    numbers = list(range(len(texts)))
    return {
        "pandas": pandas.DataFrame({"id": numbers, "text": texts}),
        "arrow": arrow.table({"id": numbers, "text": texts}),
        "record batch": arrow.RecordBatch.from_pydict({"id": numbers, "text": texts}),
        "arrays": {"id": np.array(numbers), "text": np.array(texts, object)},
    }


def columns_of(batch: Any) -> dict[str, list[Any]]:
    if isinstance(batch, dict):
        return {name: values.tolist() for name, values in batch.items()}
    return batch.to_pydict() if hasattr(batch, "to_pydict") else batch.to_dict("list")


@pytest.mark.parametrize("kind", ["pandas", "arrow", "record batch", "arrays"])
@pytest.mark.parametrize("labels", ["binary", "multilabel"])
def test_answers_are_the_predictors_whatever_the_batch(kind: str, labels: str) -> None:
    predictor = Predictor(tiny_bundle(kind=labels))
    batch = batches(TEXTS)[kind]
    score = pickle.loads(pickle.dumps(BatchScorer(predictor.bundle, prefix="our_")))
    found = columns_of(score(batch))
    expected = predictor.predict_proba(TEXTS)
    decided = [list(d) if isinstance(d, tuple) else d for d in predictor.decide(expected)]
    assert list(found)[:3] == ["id", "text", "our_predicted_label"]
    assert found["our_predicted_label"] == decided
    for name, column in zip(predictor.labels, expected.T, strict=True):
        assert found[f"our_probability_{name}"] == column.tolist()
    assert columns_of(batch).keys() == {"id", "text"}, "the batch itself stays as it is"


@pytest.mark.parametrize("kind", ["pandas", "arrow", "record batch", "arrays"])
def test_rows_without_a_message(kind: str) -> None:
    batch, bundle = batches(["fire", None, "help"])[kind], tiny_bundle()
    with pytest.raises(DataError, match="batch: row 2, column 'text': found nothing"):
        BatchScorer(bundle)(batch)
    left = columns_of(BatchScorer(bundle, on_error="skip")(batch))
    kept = columns_of(BatchScorer(bundle, on_error="null")(batch))
    alone = Predictor(bundle).predict_proba(["fire", "help"])[:, 1].tolist()
    assert left["id"] == [0, 2]
    assert left["probability_1"] == alone
    assert kept["probability_1"][::2] == alone
    for gap in (kept["predicted_label"][1], kept["probability_1"][1]):  # pandas knows no None
        assert gap is None or str(gap) in ("nan", "<NA>")


@pytest.mark.parametrize("kind", ["pandas", "arrow", "arrays"])
def test_an_empty_batch_has_the_columns(kind: str) -> None:
    found = columns_of(BatchScorer(tiny_bundle())(batches([])[kind]))
    assert found == {
        "id": [], "text": [], "predicted_label": [], "probability_0": [], "probability_1": []
    }  # fmt: skip


def test_extra_columns_are_joined_in(tmp_path: Path) -> None:
    bundle = tiny_bundle(extra=["keyword"])
    score = BatchScorer(bundle.save(tmp_path / "model"))
    batch = {
        "text": np.array(["near", "river"], object), "keyword": np.array(["fire", None], object)
    }  # fmt: skip
    expected = Predictor(bundle).predict_proba(["fire near", "river"])[:, 1]
    assert score(batch)["probability_1"].tolist() == expected.tolist()


def test_what_is_no_batch_or_has_other_columns_is_told() -> None:
    score = BatchScorer(tiny_bundle())
    with pytest.raises(ConfigError, match="batch: found a list; give a pyarrow table"):
        score(["fire"])
    with pytest.raises(DataError, match="batch: no column 'text'; it has 'body'"):
        score({"body": np.array(["fire"])})
    with pytest.raises(DataError, match="it has a column 'predicted_label' already"):
        score({"text": np.array(["fire"]), "predicted_label": np.array(["1"])})
    with pytest.raises(DataError, match=r"row 1, column 'text': found int 5"):
        score({"text": np.array([5], object)})
