"""Rows held back: every class is learned from, however few its rows are."""

import numpy as np
import pytest

from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, from_lists
from tidegate.data.splits import (
    cross_folds,
    grouped_folds,
    known_rows,
    label_counts,
    row_hashes,
    split,
    two_sides,
    untested,
    way_to_score,
)
from tidegate.errors import DataError


def messages(labels: list[str]) -> Dataset:
    return from_lists(
        [f"message {chr(97 + i % 26) * (1 + i // 26)}" for i in range(len(labels))], labels
    )


def test_many_classes_of_few_rows_are_split() -> None:
    data = messages([f"c{i % 150:03}" for i in range(450)])
    train, test = split(data, DataConfig())
    assert len(test) == 90
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(450))
    counts = label_counts(data.subset(train))
    assert counts.min() >= 1
    assert label_counts(data.subset(test)).max() == 1
    note = untested(data, data.subset(test))
    assert "60 of 150 labels have no test row" in note
    assert "and 50 more" in note
    again = split(data, DataConfig())
    assert test.tolist() == again[1].tolist()
    assert test.tolist() != split(data, DataConfig(split_seed=1))[1].tolist()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("how", ["grouped", "random"])
def test_a_class_however_rare_is_learned_from(n: int, how: str) -> None:
    for seed in range(12):
        data = messages(["rare"] * n + ["usual"] * 60)
        train, test = split(data, DataConfig(split=how, split_seed=seed))
        assert label_counts(data.subset(train)).min() >= 1
        assert len(train) + len(test) == len(data)


def test_a_class_of_one_text_is_learned_from_and_not_tested() -> None:
    data = from_lists(
        ["fire!", "FIRE", *(f"rain {'x' * i}" for i in range(30))], ["a"] * 2 + ["b"] * 30
    )
    train, test = split(data, DataConfig())
    assert {0, 1} <= set(train.tolist())
    assert untested(data, data.subset(test)).endswith("their rows: 'a' 2")
    folds = cross_folds(data, 5, seed=0)
    assert folds[:2].tolist() == [-1, -1]
    assert sorted(set(folds[2:].tolist())) == [0, 1, 2, 3, 4]


def test_rows_that_all_repeat_one_another_are_told() -> None:
    data = from_lists(["win now", "see you"] * 20, ["yes", "no"] * 20)
    why = r"40 rows repeat 2 messages, too few .* rows a class: 'no' 20, 'yes' 20; add other"
    with pytest.raises(DataError, match=why):
        split(data, DataConfig())
    with pytest.raises(DataError, match=why):
        cross_folds(data, 5, seed=0)


def test_every_fold_leaves_every_class_to_learn_from() -> None:
    rng = np.random.default_rng(3)
    data = messages([f"c{k}" for k in rng.integers(0, 60, 160)])
    folds = cross_folds(data, 5, seed=1)
    for fold in range(5):
        assert label_counts(data.subset(np.flatnonzero(folds != fold))).min() >= 1


def test_usual_data_are_split_as_grouped_folds_deals_them() -> None:
    data = messages([str(i % 3) for i in range(300)])
    folds = grouped_folds(data, (0.2, 0.8), seed=7)
    kept, held = two_sides(data, 0.2, seed=7)
    assert held.tolist() == np.flatnonzero(folds == 0).tolist()
    assert kept.tolist() == np.flatnonzero(folds == 1).tolist()
    folds = grouped_folds(data, [0.2] * 5, seed=7)
    assert folds.tolist() == cross_folds(data, 5, seed=7).tolist()


def test_a_label_that_is_needed_on_both_sides_is_there() -> None:
    data = messages(["b"] * 3 + ["a"] * 70)
    for seed in range(8):
        kept, held = two_sides(data, 0.1, seed=seed, needed=(1,))
        assert label_counts(data.subset(held))[1] >= 1
        assert label_counts(data.subset(kept))[1] >= 1


def test_labels_of_several_a_row_are_all_learned_from() -> None:
    targets = np.zeros((80, 4), dtype=int)
    targets[::2, 0], targets[5, 1], targets[[7, 8], 2] = 1, 1, 1  # nothing carries the last
    data = from_lists([f"m {'x' * i}" for i in range(80)], targets, labels=("a", "b", "c", "d"))
    for seed in range(8):
        train, _ = split(data, DataConfig(split_seed=seed))
        assert (label_counts(data.subset(train))[:3] >= 1).all()


def test_small_data_are_cross_validated_unless_somebody_chooses() -> None:
    small, large = messages(["a", "b"] * 20), messages(["a", "b"] * 1000)
    assert way_to_score(small, DataConfig()) == "cv"
    assert way_to_score(large, DataConfig()) == "split"
    assert way_to_score(small, DataConfig(split="random")) == "split"
    assert way_to_score(large, DataConfig(score="none")) == "none"


def test_rows_that_were_hashed_are_known_again() -> None:
    texts = [f"message {i} {'xyz'[i % 3]}" for i in range(2000)]
    hashes = row_hashes([*texts, "!?", ""])
    assert len(hashes) <= 4 * len(texts)
    assert hashes == row_hashes(texts[::-1])
    known = known_rows(
        [texts[5].upper(), f"@you {texts[7]}!", "another one", "", "!!", *texts], hashes
    )
    assert known[:5].tolist() == [True, True, False, False, False]
    assert known[5:].all()
    others = known_rows([f"other {i}" for i in range(20_000)], hashes)
    assert others.mean() < 1e-3
    assert not known_rows(["a", "b"], b"").any()
    assert not known_rows([], hashes).any()
    assert known_rows([texts[0]], hashes + b"x").all()  # a file that is cut off does no harm
