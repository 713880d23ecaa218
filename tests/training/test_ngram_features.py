"""The linear branch learns: what is folded answers as the features it was folded from."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from conftest import WORDS, made_up, small
from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.engine.ngrams import NgramBranch, character_runs
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.text.ids import flatten
from tidegate.training.ngrams import WEIGHT, Messages, fit_ngrams
from tidegate.training.train import label_shares, train

IDS = [[2, 3, 4], [4, 3], [2, 2], [5], [3, 5, 2], [4, 4, 3]]
TOKENS = ["<pad>", "<unk>", "fire", "near", "sea", "calm"]
TARGETS = np.eye(2, dtype=np.float32)[[1, 0, 1, 0, 1, 0]]


def messages(**changes: object) -> Messages:
    found = Messages(ids=IDS, words=TOKENS, n_vocabulary=len(TOKENS), n_special=2, pretrained=None)
    return replace(found, **changes)  # type: ignore[arg-type]


def explicit_features(ids: list[list[int]]) -> tuple[np.ndarray, list[object]]:
    """Return the features' values (n, F), each row divided by its norm, feature by feature."""
    rows = []
    for row in ids:
        around = ["begin", *row, "end"]
        runs = Counter(run for i in row for run in character_runs(TOKENS[i]))
        rows.append(Counter(row) + Counter(pairwise(around)) + runs)
    names: list[object] = sorted({name for row in rows for name in row}, key=str)
    in_rows = {name: sum(name in row for row in rows) for name in names}
    values = np.zeros((len(ids), len(names)))
    for r, row in enumerate(rows):
        for f, name in enumerate(names):
            idf = np.log((1 + len(ids)) / (1 + in_rows[name])) + 1
            heavy = isinstance(name, tuple) or name in range(len(TOKENS))
            values[r, f] = row[name] * idf * (WEIGHT if heavy else 1.0)
    return values, names


def test_the_folded_branch_answers_as_logistic_regression_on_its_features() -> None:
    from sklearn.linear_model import LogisticRegression

    values, _ = explicit_features(IDS)
    arrays = fit_ngrams(messages(), TARGETS, kind="binary")
    branch = NgramBranch(arrays, n_words=len(TOKENS), pieces="")
    table = branch.word_rows(np.arange(len(TOKENS)))
    found = branch.logits(flatten(IDS), table)[:, 0]
    # The norm counts a word's own features once for each time it occurs, and so do we here.
    norms = branch.norms(branch.sums(flatten(IDS), table))
    model = LogisticRegression(C=2.0, max_iter=5000).fit(values / norms, TARGETS[:, 1])
    wanted = model.decision_function(values / norms)
    np.testing.assert_allclose(found, wanted, atol=0.06)  # weights in 8 bits, and the solver's end


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_every_kind_of_label_is_learned_by_the_branch_alone(kind: str) -> None:
    config = small(epochs=1, ngram_share=0.99)
    data = made_up(kind)
    trained = train(data, config)
    predictor = Predictor(trained.bundle)
    chosen = predictor.choose(predictor.predict_proba(trained.test.texts))
    assert (chosen == trained.test.targets).mean() > 0.8


def test_the_same_rows_give_the_same_bytes() -> None:
    one, other = (fit_ngrams(messages(), TARGETS, kind="binary") for _ in range(2))
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_a_new_word_is_known_by_its_characters() -> None:
    data = made_up()
    predictor = Predictor(train(data, small(epochs=1, ngram_share=0.99)).bundle)
    p = predictor.predict_proba(["fires", "coffees"])[:, 1]
    assert p[0] > p[1]


def test_a_class_of_one_row_is_learned() -> None:
    targets = np.eye(3, dtype=np.float32)[[1, 0, 1, 0, 2, 0]]
    arrays = fit_ngrams(messages(), targets, kind="multiclass")
    branch = NgramBranch(arrays, n_words=len(TOKENS), pieces="")
    z = branch.logits(flatten(IDS), branch.word_rows(np.arange(len(TOKENS))))
    assert z[4].argmax() == 2


def test_weights_of_rows_count() -> None:
    weights = np.where(TARGETS[:, 1:] == 1, 100.0, 1e-3).astype(np.float32)
    arrays = fit_ngrams(messages(), TARGETS, kind="binary", weights=weights)
    branch = NgramBranch(arrays, n_words=len(TOKENS), pieces="")
    z = branch.logits(flatten(IDS), branch.word_rows(np.arange(len(TOKENS))))
    assert (z > 0).all()


def test_messages_that_say_nothing_teach_nothing() -> None:
    nothing = messages(ids=[[0]] * 6)
    arrays = fit_ngrams(nothing, TARGETS, kind="binary")
    branch = NgramBranch(arrays, n_words=len(TOKENS), pieces="")
    z = branch.logits(flatten([[0], [2]]), branch.word_rows(np.arange(len(TOKENS))))
    np.testing.assert_allclose(z, 0.0, atol=1e-3)


def test_many_classes_keep_the_bundle_small() -> None:
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(400)]
    texts = [" ".join(rng.choice(words, 8)) + f" topic{i % 60}" for i in range(600)]
    data = Dataset(
        texts=tuple(texts), targets=np.arange(600) % 60, labels=tuple(f"{k:02}" for k in range(60)),
        kind="multiclass", rows=tuple(range(600)), source="memory",
    )  # fmt: skip
    rows = np.arange(600)
    trained = train(data, small(epochs=1, vectors="wordllama"), rows=(rows, rows[:0]))
    branch = {k: a for k, a in trained.bundle.weights.items() if k.startswith("ngrams.")}
    assert branch["ngrams.piece_output"].shape == (48, 60)
    assert sum(a.nbytes for a in branch.values()) < 6e6
    p = Predictor(trained.bundle).predict_proba(texts[:100])
    assert (p.argmax(axis=1) == data.targets[:100]).mean() > 0.9


@pytest.mark.parametrize(
    "settings", [{"unknown": "drop"}, {"pooling": "padded_last"}], ids=["drop", "padded"]
)
def test_what_hides_words_from_the_branch_is_refused(settings: dict[str, str]) -> None:
    config: Config = small(epochs=1, **settings)
    with pytest.raises(ConfigError, match="choose ngrams=none"):
        train(made_up(), config)


def test_shares_of_labels_are_ones_and_zeros() -> None:
    data = made_up("multiclass")
    shares = label_shares(data, np.arange(5))
    assert shares.shape == (5, len(data.labels))
    assert (shares.sum(axis=1) == 1).all()
    assert set(WORDS) & set(" ".join(data.texts).split())
