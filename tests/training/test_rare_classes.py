"""Classes of few rows: they train, and what cannot be chosen is said before any epoch."""

import numpy as np
import pytest

from conftest import small
from tidegate.data.dataset import Dataset, from_lists
from tidegate.engine.bundle import LAYOUT
from tidegate.errors import ConfigError
from tidegate.training.learner import Learner, train_and_score, train_on_all
from tidegate.training.loop import Epoch
from tidegate.training.losses import class_weights
from tidegate.training.train import train


def rare(n_rare: int, n: int = 80) -> Dataset:
    texts = [f"calm day {chr(97 + i % 26)} {'x' * (i // 26)}" for i in range(n)]
    texts[:n_rare] = [f"flood alarm {'x' * i}" for i in range(n_rare)]
    return from_lists(texts, ["1"] * n_rare + ["0"] * (n - n_rare))


@pytest.mark.parametrize("score", ["split", "cv", "none"])
@pytest.mark.parametrize("n_rare", [1, 2, 3])
def test_balanced_weights_come_from_the_rows_learned_from(n_rare: int, score: str) -> None:
    config = small(class_weights="balanced", epochs=2, score=score, ngrams="none")
    learner = Learner(rare(n_rare), config)
    bundle = train_on_all(learner).bundle if score == "none" else train_and_score(learner).bundle
    assert bundle.training_data["rows"] == 80


def test_the_watched_rows_are_weighed_as_the_rows_learned_from() -> None:
    seen: list[Epoch] = []
    data = rare(2)
    rows = (np.arange(2, 80), np.arange(0, 30))  # the rare class is watched and not learned from
    config = small(class_weights="balanced", epochs=1, ngrams="none")
    train(data, config, rows=rows, on_epoch=seen.append)
    train(data, config, rows=rows[::-1], on_epoch=seen.append)
    assert all(np.isfinite(epoch.test_loss) for epoch in seen)


def test_a_class_without_rows_has_the_weight_of_one_with_one_row() -> None:
    import torch

    from tidegate.training.loop import Encoded

    data = Encoded(
        token_ids=torch.zeros(4, 1), lengths=torch.ones(4), targets=torch.tensor([0, 0, 2, 0])
    )
    config = small(class_weights="balanced").training
    found = class_weights(data.targets, config, kind="multiclass", n_outputs=4)
    assert found is not None
    assert found.tolist() == pytest.approx([1 / 3, 1.0, 1.0, 1.0])


def test_few_rows_a_class_train_and_are_scored() -> None:
    rng = np.random.default_rng(0)
    names = [f"c{i % 40:02}" for i in range(120)]
    texts = [f"{name} {' '.join(rng.choice(list('abcdefgh'), 3))}" for name in names]
    for score in ("split", "cv"):
        scored = train_and_score(Learner(from_lists(texts, names), small(epochs=2, score=score)))
        assert scored.bundle.labels == tuple(sorted(set(names)))
        assert scored.report.n_rows == (24 if score == "split" else 120)


def test_a_class_of_one_text_is_learned_from_in_every_fold() -> None:
    data = rare(1)
    scored = train_and_score(Learner(data, small(epochs=2, score="cv", folds=4)))
    assert scored.report.n_rows == 79
    assert scored.test.rows == data.rows[1:]


@pytest.mark.parametrize(
    ("n_rare", "score"), [(1, "split"), (2, "cv"), (2, "none"), (1, "cv")]
)  # fmt: skip
@pytest.mark.parametrize("rule", ["f1", "precision:0.5"])
def test_a_rule_that_has_no_row_to_choose_on_is_refused_before_training(
    n_rare: int, score: str, rule: str
) -> None:
    def fail(epoch: Epoch) -> None:
        raise AssertionError("an epoch was trained")

    config = small(threshold=rule, score=score)
    learner = Learner(rare(n_rare), config, on_epoch=fail)
    with pytest.raises(ConfigError) as error:
        train_on_all(learner) if score == "none" else train_and_score(learner)
    assert str(error.value) == (
        f"threshold: {rule!r} is chosen on rows kept from training, and needs one with label '1' "
        f"there and another to learn from; of the 80 rows {n_rare} carry it: add some, or use "
        "--threshold half"
    )


@pytest.mark.parametrize(("n_rare", "score"), [(2, "split"), (3, "cv"), (3, "none")])
def test_a_rule_has_a_row_of_a_rare_class_to_choose_on(n_rare: int, score: str) -> None:
    learner = Learner(rare(n_rare), small(threshold="f1", score=score, epochs=2, folds=3))
    bundle = train_on_all(learner).bundle if score == "none" else train_and_score(learner).bundle
    assert 0.0 <= bundle.thresholds[0] <= 1.0


def test_a_rule_that_is_none_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match="threshold: found 'bogus', which is no rule; use one of"):
        train_and_score(Learner(rare(5), small(threshold="bogus")))


def test_a_bundle_knows_the_rows_it_learned_from() -> None:
    data = rare(5)
    trained = train(data, small(epochs=1), rows=(np.arange(60), np.arange(60, 80)))
    assert len(trained.bundle.extra_files[LAYOUT.learned]) == 4 * 60
