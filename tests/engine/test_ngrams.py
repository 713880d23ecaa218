"""The linear branch answers: worked by hand, alone and in company, and for words it never met."""

import numpy as np
import pytest

from conftest import WORDS, made_up, small, with_ngrams
from tidegate.engine.bundle import Bundle
from tidegate.engine.ngrams import (
    MAX_RUN_CHARACTERS,
    NgramBranch,
    character_runs,
    check_arrays,
    dequantised,
    quantised,
)
from tidegate.engine.predictor import Predictor
from tidegate.text.ids import flatten
from tidegate.training.train import train


def by_hand() -> dict[str, np.ndarray]:
    """Return a branch of four words, <pad>, <unk>, a and b, in which the pair (a, b) counts."""
    word_rows, word_scales = quantised(np.array([[0.0], [0.0], [1.0], [-2.0]]))
    pair_rows, pair_scales = quantised(np.array([[4.0]]))
    return {
        "ngrams.word_rows": word_rows, "ngrams.word_scales": word_scales,
        "ngrams.word_norms": np.array([0, 0, 9, 16], np.float32),
        "ngrams.pairs": np.array([[2, 3]], np.int32),
        "ngrams.pair_rows": pair_rows, "ngrams.pair_scales": pair_scales,
        "ngrams.pair_norms": np.array([24], np.float32),
        "ngrams.run_hashes": np.zeros(0, np.uint32), "ngrams.run_rows": np.zeros((0, 1), np.int8),
        "ngrams.run_scales": np.zeros(0, np.float16), "ngrams.run_norms": np.zeros(0, np.float32),
        "ngrams.bias": np.array([0.5], np.float32), "ngrams.floor": np.array([4], np.float32),
    }  # fmt: skip


def test_a_message_worked_by_hand() -> None:
    branch = NgramBranch(by_hand(), n_words=4, pieces="")
    table = branch.word_rows(np.arange(4))
    z = branch.logits(flatten([[2, 3], [3, 2], [2], [0]]), table)[:, 0]
    wanted = [
        (1 - 2 + 4) / np.sqrt(9 + 16 + 24) + 0.5,  # a b: both words and the pair
        (-2 + 1) / np.sqrt(16 + 9) + 0.5,  # b a: another pair, which is not known
        1 / np.sqrt(9) + 0.5,
        0.5,  # nothing is known of it: the bias
    ]
    np.testing.assert_allclose(z, wanted, rtol=2e-3)


def test_token_shares_add_up_to_the_answer() -> None:
    branch = NgramBranch(by_hand(), n_words=4, pieces="")
    table = branch.word_rows(np.arange(4))
    ids = np.array([2, 3, 2])
    shares = branch.token_shares(ids, table)
    z = branch.logits(flatten([ids.tolist()]), table)[0]
    np.testing.assert_allclose(shares.sum(axis=0) + branch.bias, z, rtol=1e-5)
    norm = np.sqrt(9 + 16 + 24 + 9)
    np.testing.assert_allclose(shares[:, 0], [3 / norm, 0 / norm, 1 / norm], atol=3e-3)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return train(made_up(), small(epochs=1, vectors="wordllama")).bundle


def test_a_message_has_the_same_answer_alone_and_in_company(bundle: Bundle) -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice([*WORDS, "zzq", "fires"], rng.integers(0, 12))) for _ in range(60)]
    together = Predictor(bundle).predict_proba(texts)
    alone = np.concatenate([Predictor(bundle).predict_proba([text]) for text in texts])
    assert (together == alone).all()  # to the last bit


def test_the_branch_survives_being_saved(bundle: Bundle, tmp_path: object) -> None:
    loaded = Predictor.load(bundle.save(f"{tmp_path}/model"))
    texts = ["fire near the sea", "wildfires", "", "🔥 überflutet"]
    np.testing.assert_array_equal(
        loaded.predict_proba(texts), Predictor(bundle).predict_proba(texts)
    )


def test_runs_have_marks_and_an_end() -> None:
    assert character_runs("a") == character_runs("a")
    assert len(character_runs("a")) == 3  # ^a, a$, ^a$
    assert character_runs("<user>") == []
    assert len(set(character_runs("\ud800"))) == 3
    long = character_runs("x" * 100_000)
    assert len(long) < 4 * (MAX_RUN_CHARACTERS + 2)


def test_eight_bits_are_a_127th_of_the_largest_value_apart() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 9))
    back = dequantised(*quantised(rows))
    largest = np.abs(rows).max(axis=1, keepdims=True)
    assert (np.abs(back - rows) <= largest * (0.5 / 127 + 1e-3)).all()
    assert dequantised(*quantised(np.zeros((2, 3)))).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "array", "fault"),
    [
        ("bias", np.zeros(2, np.float32), "bias"),
        ("word_rows", np.zeros((4, 1), np.float32), "word_rows"),
        ("pairs", np.array([[2, 9]], np.int32), "pairs"),
        ("pairs", np.array([[-1, 3]], np.int32), "pairs"),
        ("run_hashes", np.zeros(1, np.uint32), "run"),
        ("strange", np.zeros(1), "strange"),
    ],
)
def test_arrays_that_do_not_fit_are_named(name: str, array: np.ndarray, fault: str) -> None:
    arrays = by_hand()
    assert check_arrays(arrays, n_words=4, n_outputs=1, n_pieces=0) == ""
    arrays[f"ngrams.{name}"] = array
    assert fault in check_arrays(arrays, n_words=4, n_outputs=1, n_pieces=0)


def test_an_empty_message_is_the_same_by_its_text_and_by_its_ids() -> None:
    predictor = Predictor(with_ngrams())
    reader = predictor.reader()
    np.testing.assert_array_equal(
        reader.text_logits([""]), reader.logits([reader.encoder.encode("")])
    )
