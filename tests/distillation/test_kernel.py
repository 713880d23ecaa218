"""The kernel model of mean word vectors: what it learns, and what it leaves alone."""

import json

import numpy as np
import pytest

from tidegate.config import Kind
from tidegate.data.dataset import Dataset, from_lists
from tidegate.distillation.blend import BlendTeacher
from tidegate.distillation.kernel import KernelModel
from tidegate.distillation.labelling import Calibrated
from tidegate.distillation.student import train_student
from tidegate.presets import preset
from tidegate.training.pretrained import Pretrained

WORDS = ["fire", "flood", "blaze", "storm", "lunch", "coffee", "song", "party"]
TABLE = 0.3 * np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
TABLE[:4] += 2.0  # what the first four have in common
VECTORS = Pretrained(table=TABLE, pieces=json.dumps({"words": WORDS}))
TEXT = preset("default").text


def model(kind: Kind = "binary", n_labels: int = 2, seed: int = 0) -> KernelModel:
    return KernelModel(kind, n_labels, text=TEXT, pretrained=VECTORS, seed=seed)


def test_it_knows_by_its_vector_a_word_that_no_row_has() -> None:
    texts = ["Fire!", "flood", "fire flood", "storm", "lunch", "coffee", "lunch coffee", "song"] * 5
    found = model().fit(texts, np.tile([1, 1, 1, 1, 0, 0, 0, 0], 5))
    p = found.predict_proba(["blaze", "party"])
    assert p[0, 1] > 0.5 > p[1, 1]
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert found.predict_proba([]).shape == (0, 2)
    assert found.n_parameters > 1000
    assert found.size_bytes > 0


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_it_answers_for_every_label(kind: Kind) -> None:
    targets = np.arange(24) % 3
    if kind == "multilabel":
        targets = np.eye(3, dtype=np.int64)[targets]
    found = model(kind, 4 if kind == "multiclass" else 3).fit(WORDS * 3, targets)
    p = found.predict_proba(["fire", "zzz", ""])
    assert p.shape == (3, 4 if kind == "multiclass" else 3)
    assert np.isfinite(p).all()
    np.testing.assert_array_equal(p[1], p[2])  # no word has a vector in either


@pytest.mark.parametrize("texts", [["", "", "", ""], ["fire", "flood", "", "song"]])
def test_rows_that_teach_nothing_leave_the_shares(texts: list[str]) -> None:
    targets = np.array([1, 1, 1, 1]) if texts[0] else np.array([1, 0, 0, 0])
    found = model().fit(texts, targets)
    np.testing.assert_array_equal(
        found.predict_proba(["fire"]), [[1 - targets.mean(), targets.mean()]]
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    targets = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    first, second = (model(seed=3).fit(WORDS, targets).predict_proba(WORDS) for _ in range(2))
    assert first.tobytes() == second.tobytes()


SMALL = {"hidden_size": 4, "epochs": 1, "teacher_folds": 2, "teacher_models": 1, "augment": 0}


def rows_of_two_kinds() -> tuple[Dataset, np.ndarray]:
    texts = [f"{a} near the {b}" for a in WORDS for b in ("river", "bridge", "house")]
    data = from_lists(texts, [int(text.split()[0] in WORDS[:4]) for text in texts])
    return data, np.arange(len(data))


def test_a_blend_that_asks_for_it_has_one_in_each_fold_where_words_have_vectors() -> None:
    data, rows = rows_of_two_kinds()
    for vectors, named in (("wordllama", True), ("none", False)):
        config = preset("default", teacher="blend").with_settings(
            vectors=vectors, kernel_share=0.3, **SMALL
        )
        teacher = train_student(data, config, rows=(rows, rows[:0])).teacher
        assert teacher.name == f"2 LSTMs and {'4 shallow' if named else '2 TF-IDF'} models"


def test_its_share_of_a_blend_is_what_the_config_says() -> None:
    data, rows = rows_of_two_kinds()
    config = preset("default", teacher="blend").with_settings(
        tfidf_share=0.2, kernel_share=0.25, **SMALL
    )
    teacher = train_student(data, config, rows=(rows, rows[:0])).teacher
    assert isinstance(teacher, Calibrated)
    assert isinstance(teacher.teacher, BlendTeacher)
    blend = teacher.teacher.blends[0]
    (of_kernel, one), (of_tfidf, other) = blend.others
    kernel, tfidf = one.model, other.model
    assert isinstance(kernel, KernelModel)
    assert (of_kernel, of_tfidf) == pytest.approx((0.25, 0.15))
    p = [m.predict_proba(data.texts) for m in (kernel, tfidf, blend.lstms[0])]
    np.testing.assert_allclose(
        blend.predict_proba(data.texts), 0.25 * p[0] + 0.15 * p[1] + 0.6 * p[2]
    )
