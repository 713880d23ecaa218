"""Training on small made-up data: determinism, kinds of labels, thresholds, and the lesson."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import WORDS, made_up, small
from tidegate.data.dataset import read_dataset
from tidegate.data.splits import split
from tidegate.engine.predictor import Predictor
from tidegate.errors import ParityError
from tidegate.evaluation.thresholds import decide
from tidegate.presets import preset
from tidegate.training.export import check_parity
from tidegate.training.model import MessageNet
from tidegate.training.prepare import prepare
from tidegate.training.score import score
from tidegate.training.train import train


@pytest.mark.parametrize("vectors", ["none", "wordllama"])
def test_same_seed_same_bytes(tmp_path: Path, vectors: str) -> None:
    config = small(vectors=vectors, epochs=2, word_dropout=0.3, channel_dropout=0.5, dropout=0.5)
    for name in ("a", "b"):
        torch.rand(3)  # the caller's generator has no say
        score(train(made_up(), config)).bundle.save(tmp_path / name)
    other = config.with_settings(seed=1)
    score(train(made_up(), other)).bundle.save(tmp_path / "c")
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "b").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    weights = "weights.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() != (tmp_path / "c" / weights).read_bytes()


def test_training_leaves_the_callers_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(made_up(), small(epochs=1, dropout=0.5))
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_kind_of_label_is_learned(kind: str, cell: str) -> None:
    data = made_up(kind)
    trained = train(data, small(cell=cell))
    assert trained.bundle.kind == kind
    chosen = decide(Predictor(trained.bundle).predict_proba(trained.test.texts), kind=kind)
    assert (chosen == trained.test.targets).mean() > 0.8


def test_an_epoch_tells_what_happened() -> None:
    seen = []
    trained = train(made_up(), small(epochs=3), on_epoch=seen.append)
    assert seen == trained.history
    assert [epoch.number for epoch in seen] == [1, 2, 3]
    assert seen[2].loss < seen[0].loss


def test_thresholds_are_chosen_on_rows_kept_from_training() -> None:
    config = small(threshold="f2", validation_share=0.25)
    trained = train(made_up(), config)
    kept = 240 - len(trained.prepared.train_rows) - len(trained.prepared.test_rows)
    assert kept == pytest.approx(0.25 * 192, abs=4)
    assert 0 < trained.bundle.thresholds[0] < 0.6


def test_soft_words_out_of_vocabulary_still_have_a_vector() -> None:
    trained = train(made_up(), small(vectors="wordllama", epochs=1))
    probabilities = Predictor(trained.bundle).predict_proba(["wildfire", "cappuccino", "\ud800"])
    assert len({row[1] for row in probabilities.tolist()}) == 3


def test_vectors_can_come_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(len(WORDS), 7))
    lines = [
        f"{w} {' '.join(f'{x:.5f}' for x in row)}" for w, row in zip(WORDS, table, strict=True)
    ]
    text = tmp_path / "v.vec"
    text.write_text(f"{len(WORDS)} 7\n" + "\n".join(lines))
    np.save(tmp_path / "v.npy", table.round(5))
    (tmp_path / "v.txt").write_text("\n".join(WORDS))
    found = [
        Predictor(
            train(made_up(), small(vectors=str(path), vector_size=4, epochs=1)).bundle
        ).predict_proba(["fire near the sunset", "unheard"])
        for path in (text, tmp_path / "v.npy")
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_a_network_that_differs_from_the_engine_is_refused() -> None:
    trained = train(made_up(), small(epochs=1))
    other = MessageNet(small().network, n_words=len(trained.bundle.tokens), n_outputs=1)
    with pytest.raises(ParityError, match=r"differ by .* no bundle was written"):
        check_parity(other, Predictor(trained.bundle), trained.prepared)


def test_sample_weights_count() -> None:
    data = made_up()
    nothing = np.where(data.targets == 1, 0.0, 1.0).astype(np.float32)
    trained = train(data, small(), sample_weight=nothing)
    assert Predictor(trained.bundle).predict_proba(data.texts)[:, 1].max() < 0.5


def test_random_initial_states_are_counted() -> None:
    trained = train(made_up(), small(initial_state="xavier", pooling="padded_last", ngrams="none"))
    assert trained.state_changes is not None
    assert "random initial states change the label of" in score(trained).lines()[-3]


def test_the_lessons_figures(tweets: Path) -> None:
    data, config = read_dataset(tweets), preset("lesson")
    train_rows, test_rows = split(data, config.data)
    prepared = prepare(data, config, train=train_rows, test=test_rows)
    assert prepared.figures() == [
        "input length: 7613",
        "total number of tokens: 76462",
        "total number of unique tokens: 19999",
        "length of vocabulary: 9300",
        "max number of tokens per row: 25",
        "X_train shape: (6090, 25)",
        "X_test shape: (1523, 25)",
        "y_train shape: (6090,)",
        "y_test shape: (1523,)",
        "batch_size: 128",
        "y_train: (quotient, remainder) = (47, 74)",
        "         128 x 47 + 74 = 6090",
        "y_test: (quotient, remainder) = (11, 115)",
        "         128 x 11 + 115 = 1523",
    ]


@pytest.mark.slow
def test_the_lessons_network_learns_and_answers_without_torch(tweets: Path) -> None:
    trained = train(read_dataset(tweets), preset("lesson").with_settings(epochs=3))
    assert max(epoch.test_accuracy for epoch in trained.history) > 0.72
    assert trained.bundle.weights["lstm.weight_hh_l1"].shape == (1024, 256)
