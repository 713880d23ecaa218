"""The embedded sample: large enough, balanced, and neither trivial nor hopeless."""

import re
from importlib.resources import files

import numpy as np
import pytest

from tidegate.data.dataset import Dataset, read_dataset
from tidegate.data.splits import grouped_folds, normalise
from tidegate.training.baseline import Baseline


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return read_dataset(str(files("tidegate") / "sample" / "messages.csv"))


def test_it_is_large_and_balanced(sample: Dataset) -> None:
    assert len(sample) >= 1500
    assert sample.labels == ("0", "1")
    assert 0.4 <= sample.targets.mean() <= 0.6


def test_no_two_messages_are_alike(sample: Dataset) -> None:
    assert len({normalise(text) for text in sample.texts}) == len(sample)
    words = [frozenset(re.findall(r"\w+", text.lower())) for text in sample.texts]
    for i, one in enumerate(words):
        for other in words[:i]:
            assert len(one & other) < 0.6 * len(one | other), (one, other)


def test_it_is_neither_trivial_nor_hopeless(sample: Dataset) -> None:
    folds = grouped_folds(sample, [0.2] * 5, seed=0)
    right = 0
    for fold in range(5):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = Baseline("binary", 2).fit([sample.texts[i] for i in train], sample.targets[train])
        guesses = model.predict_proba([sample.texts[i] for i in test]).argmax(axis=1)
        right += int((guesses == sample.targets[test]).sum())
    assert 0.75 <= right / len(sample) <= 0.93
