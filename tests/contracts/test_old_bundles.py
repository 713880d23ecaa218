"""A bundle written by any version since format 1 loads for ever, and gives the same answers.

The bundles under `tests/data/bundles` were written when the format they are named after was new. A
change of the format adds one; none is ever dropped or written anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tidegate import Predictor

BUNDLES = Path(__file__).parents[1] / "data" / "bundles"
NAMES = sorted(path.name for path in BUNDLES.iterdir() if path.is_dir())


def test_both_bundles_of_the_first_format_are_there() -> None:
    assert {"format-1-default", "format-1-lesson"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_old_bundle_gives_the_answers_it_gave_when_it_was_written(name: str) -> None:
    expected = json.loads((BUNDLES / f"{name}.json").read_text(encoding="utf-8"))
    predictor = Predictor.load(BUNDLES / name)
    assert list(predictor.labels) == expected["labels"]
    found = predictor.predict_proba(expected["messages"])
    np.testing.assert_allclose(found, expected["probabilities"], rtol=0, atol=1e-7)
