"""Augmented texts: seeded, never a given or held-out one; and soft labels that leak nothing."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from conftest import rows
from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.data.splits import normalise
from tidegate.distillation.augmentation import augmented
from tidegate.distillation.labelling import SoftLabeller, TextsToLabel
from tidegate.distillation.neighbours import neighbours
from tidegate.distillation.student import learner_of, train_student
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.presets import fitted, preset, untaught
from tidegate.training.pretrained import Pretrained

TEXTS = [
    "fire near the old house on main street",
    "flood water in the river road again today",
    "my inbox is on fire, send coffee and help",
    "lovely sunset over the sea, best of the year",
]


def test_made_texts_are_new_distinct_and_seeded() -> None:
    made, sources = augmented(TEXTS, rounds=20, rng=np.random.default_rng(1))
    again, _ = augmented(TEXTS, rounds=20, rng=np.random.default_rng(1))
    assert made == again
    assert len(made) == len(sources) > 40
    names = [normalise(text) for text in made]
    assert len(set(names)) == len(names)
    assert not set(names) & set(map(normalise, TEXTS))
    vocabulary = {word for text in TEXTS for word in text.split()}
    assert all(set(text.split()) <= vocabulary for text in made)


def test_a_held_back_text_is_never_made() -> None:
    made, _ = augmented(TEXTS, rounds=40, rng=np.random.default_rng(1))
    held_back = [text.upper() + " !!" for text in made[:20]]
    others, _ = augmented(TEXTS, rounds=40, rng=np.random.default_rng(1), avoided=held_back)
    assert others[:5] != made[:5]
    assert not set(map(normalise, held_back)) & set(map(normalise, others))


def test_one_word_and_empty_texts_make_nothing_odd() -> None:
    made, _ = augmented(["", "fire", " \n"], rounds=5, rng=np.random.default_rng(0))
    assert all(normalise(text) for text in made)


def test_words_are_swapped_for_their_neighbours_in_case_and_punctuation() -> None:
    near = {"fire": ("blaze",), "house": ("home", "hut"), "sunset": ()}
    texts = ["Fire! near the (HOUSE), lovely sunset at http://fire.st @fire #fire"]
    made, _ = augmented(
        texts, rounds=60, rng=np.random.default_rng(2), neighbours=near, swap_share=1.0
    )
    words = {word for text in made for word in text.split()}
    assert {"Blaze!", "(HOME),", "(HUT),", "#blaze"} <= words
    assert not {"Fire!", "(HOUSE),", "#fire"} & words
    assert {"sunset", "lovely", "http://fire.st", "@fire"} <= words
    few, _ = augmented(
        TEXTS, rounds=60, rng=np.random.default_rng(2),
        neighbours={"fire": ("blaze",), "the": ("a",)}, swap_share=0.3,
    )  # fmt: skip
    counts = Counter(word for text in few for word in text.split())
    share = counts["blaze"] / (counts["blaze"] + counts["fire"])
    assert 0.2 < share < 0.4


def test_the_nearest_words_come_from_the_vectors_and_from_words_met_twice() -> None:
    table = np.array([[1, 0], [0.9, 0.1], [0.8, 0.3], [0, 1], [0, 0]], np.float32)
    listed = ["fire", "blaze", "Inferno", "lunch", "nothing"]
    known = Pretrained(table=table, pieces=json.dumps({"words": listed}))
    found = neighbours(["Fire, fire and lunch", "blazed nothing"], known)
    assert found == {"fire": ("blaze", "lunch"), "lunch": ("blaze", "fire")}


SMALL = {
    "vectors": "none", "embedding_size": 6, "hidden_size": 4, "epochs": 1, "teacher": "blend",
    "teacher_folds": 2, "teacher_models": 1, "augment": 2,
}  # fmt: skip


def config_of(kind: str) -> Config:
    labels = ("x", "y") if kind == "multilabel" else ("target",)
    taught = preset("default", n_label_columns=len(labels), teacher="blend")
    return taught.with_settings(label=labels, **SMALL)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_a_blend_teaches_every_kind_of_label(kind: str) -> None:
    data, config = rows(160, kind), config_of(kind)
    stages: list[str] = []
    learned, held = np.arange(120), np.arange(120, 160)
    distilled = train_student(data, config, rows=(learned, held), on_stage=stages.append)
    assert distilled.teacher.predict_proba(data.texts[:5]).shape == (5, len(data.labels))
    assert [line.split(",")[0] for line in stages[:2]] == ["teacher: blend"] * 2
    assert stages[-1] == "student: epoch 1 of 1, 0 s left"
    again = train_student(data, config, rows=(learned, held))
    ours, theirs = (
        Predictor(t.trained.bundle).predict_proba(data.texts).tobytes() for t in (distilled, again)
    )
    assert ours == theirs


def test_progress_counts_the_epochs_that_follow_from_the_data() -> None:
    """Not those that the config has before the data are known."""
    settings = {name: value for name, value in SMALL.items() if name != "epochs"}
    config = preset("default", teacher="blend").with_settings(**settings)
    data, stages = rows(40), list[str]()
    every = np.arange(40)
    trained = train_student(data, config, rows=(every, every[:0]), on_stage=stages.append).trained
    epochs = trained.prepared.config.training.epochs
    assert epochs != config.training.epochs
    assert stages[-1] == f"student: epoch {epochs} of {epochs}, 0 s left"


def test_no_member_of_a_blend_learned_from_what_it_labels() -> None:
    """Each row's and each made text's label comes from models of other rows than its own."""
    data, config = rows(90), config_of("binary")
    asked: list[tuple[set[str], list[str]]] = []

    class Spy:
        def __init__(self, learned: set[str]) -> None:
            self.learned = learned

        def predict_proba(self, texts: list[str]) -> np.ndarray:
            asked.append((self.learned, list(texts)))
            return np.full((len(texts), 2), 0.5)

    def learn(own: Dataset, config: Config, rows: np.ndarray) -> Spy:
        return Spy({own.texts[i] for i in rows})

    held_back = data.texts[60:]
    labeller = SoftLabeller(
        data.subset(np.arange(60)), config, avoided=held_back, unlabelled=["no label here"],
        say=lambda line: None,
    )  # fmt: skip
    found = labeller.label(learn).soft_labels
    assert found.texts[-1] == "no label here"
    assert len(found.texts) == len(found.targets) > 120
    assert not set(held_back) & set(found.texts)
    for learned, texts in asked:
        assert not learned & set(texts)
        assert not learned & set(held_back)
        numbers = {text.split()[-1] for text in learned}
        whole = [text for text in texts if text.split()[-1].isdigit()]
        assert not any(text.split()[-1] in numbers for text in whole if text in data.texts)


def test_made_texts_have_words_that_no_row_has_where_there_are_vectors() -> None:
    own = rows(60)
    known = {word for text in own.texts for word in text.split()}

    def new_words(**settings: object) -> set[str]:
        config = config_of("binary").with_settings(**settings)
        made = TextsToLabel.of(own, config, avoided=(), unlabelled=())
        assert len(made.texts) == len(made.folds) > 90
        return {word for text in made.texts for word in text.split()} - known

    assert new_words(vectors="wordllama")
    assert not new_words(vectors="wordllama", swap_share=0.0)
    assert not new_words(vectors="none")


def test_a_leaked_label_would_show() -> None:
    """Held-back rows with labels turned round change nothing: nobody has looked at them."""
    data, config = rows(120), config_of("binary")
    turned = Dataset(
        texts=data.texts, targets=np.where(np.arange(120) < 90, data.targets, 1 - data.targets),
        labels=data.labels, kind=data.kind, rows=data.rows, source=data.source,
    )  # fmt: skip
    split = (np.arange(90), np.arange(90, 120))
    one, other = (train_student(d, config, rows=split).trained.bundle for d in (data, turned))
    assert all(np.array_equal(one.weights[k], other.weights[k]) for k in one.weights)


def test_fewer_rows_have_more_made_texts_and_more_passes() -> None:
    taught = preset("best", teacher="an/encoder")
    sizes = {}
    for n in (500, 6000, 60_000):
        config = fitted(taught, rows=n, classes=2, words=15.0)
        sizes[n] = (config.distillation.augment, config.training.epochs)
        plain, default = (
            fitted(c, rows=n, classes=2, words=15.0)
            for c in (untaught(config, several=False), preset("default"))
        )
        assert plain == default
    assert sizes == {500: (32, 8), 6000: (8, 4), 60_000: (1, 4)}


def test_a_teacher_changes_a_preset_and_can_be_taken_away() -> None:
    blend = preset("default", teacher="blend")
    assert preset("best", teacher="blend") == blend
    assert untaught(blend, several=False) == preset("default")
    taught = preset("best", teacher="an/encoder")
    assert taught.network.ngrams == "none"
    assert untaught(taught, several=False) == preset("default")
    several = preset("best", n_label_columns=3)  # of several labels, it has a blend as its teacher
    assert several.distillation.teacher == "blend"
    assert untaught(several, several=True).distillation.teacher == "none"
    chosen = fitted(taught.with_settings(epochs=9), rows=500, classes=3, words=15.0)
    assert untaught(chosen, several=False).training.epochs == 9
    with pytest.raises(ConfigError, match="soft labels have none"):
        learner_of(rows(40), config_of("binary"), sample_weight=np.ones(40, np.float32))
