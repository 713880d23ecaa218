"""Every row teaches, and no figure profits from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import made_up, small
from tidegate.cli import main
from tidegate.config import Config
from tidegate.data.dataset import Dataset, from_lists
from tidegate.data.splits import SMALL_ROWS, split
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.presets import AUTOMATIC, PRESETS, fitted, preset
from tidegate.report.card import model_card
from tidegate.training.held_out import calibrated, moved_thresholds
from tidegate.training.learner import Learner, train_and_score, train_on_all


def noise(n: int = 240) -> Dataset:
    """Return messages that share no word, with labels by chance: only a leak could be right."""
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(list("abcdefghij"), 12)) for _ in range(n)]
    return from_lists(texts, rng.integers(0, 2, n))


@pytest.mark.parametrize("way", ["split", "cv"])
def test_no_figure_profits_from_the_model_that_learned_from_all_rows(way: str) -> None:
    data = noise()
    config = small(score=way, folds=4, ngram_share=0.9, calibrate=True)
    scored = train_and_score(Learner(data, config))
    # The model that is shipped knows the rows that were held out by heart …
    test = scored.test
    shipped = Predictor(scored.bundle)
    learned = (shipped.choose(shipped.predict_proba(test.texts)) == test.targets).mean()
    assert learned > 0.9
    assert scored.shipped_rows == len(data)
    # … and no figure shows any of it.
    accuracy = scored.report.scores["accuracy"].value
    assert accuracy < 0.65
    assert scored.bundle.metrics["scores"]["accuracy"]["value"] == accuracy
    assert scored.to_dict()["model"]["scores"]["accuracy"]["value"] == accuracy
    assert f"{accuracy:.3f}" in model_card(scored, title="m")
    assert not any(f"{learned:.3f}" in line for line in scored.lines())
    assert max(row["probability"] for row in scored.doubtful() or [{"probability": 0}]) < 0.6


@pytest.mark.parametrize("way", ["split", "cv"])
def test_a_held_out_row_planted_among_the_others_is_held_out_with_them(way: str) -> None:
    data = noise(120)
    disguised = [
        f"@someone {text.upper()}!!! https://t.co/{i}" for i, text in enumerate(data.texts)
    ]
    planted = from_lists([*data.texts, *disguised], np.tile(data.targets, 2))
    config = small(score=way, folds=4, ngram_share=0.9)
    assert train_and_score(Learner(planted, config)).report.scores["accuracy"].value < 0.65


def test_a_temperature_is_not_fitted_on_the_rows_it_is_scored_on() -> None:
    """A held-out row's probability does not depend on its own label."""
    config = small(epochs=2, score="split", calibrate=False)
    held_out = train_and_score(Learner(made_up(n=800), config)).held_out
    once = calibrated(held_out)
    assert once.temperature != 1.0
    for row in range(4):
        targets = held_out.test.targets.copy()
        targets[row] = 1 - targets[row]
        turned = calibrated(replace(held_out, test=replace(held_out.test, targets=targets)))
        assert turned.temperature != once.temperature
        assert turned.ours.probabilities[row, 1] == once.ours.probabilities[row, 1]


def test_thresholds_move_with_the_temperature_so_that_no_decision_changes() -> None:
    config = small(score="split", threshold="f2", validation_share=0.25)
    plain = train_and_score(Learner(made_up(n=600), config.with_settings(calibrate=False)))
    softened = train_and_score(Learner(made_up(n=600), config.with_settings(calibrate=True)))
    assert softened.bundle.temperature != 1.0
    assert softened.report.confusion == plain.report.confusion
    assert softened.bundle.thresholds != plain.bundle.thresholds
    texts = made_up(n=600).texts
    assert Predictor(softened.bundle).predict(texts) == Predictor(plain.bundle).predict(texts)


def test_thresholds_at_the_ends_stay() -> None:
    assert moved_thresholds(np.array([0.0, 1.0, 1.5]), 2.0).tolist() == [0.0, 1.0, 1.5]


def test_small_data_are_cross_validated_and_large_are_split() -> None:
    config = preset("default")
    small_data = made_up(n=100)
    assert Learner(small_data, config).way == "cv"
    many = replace(
        small_data, texts=("a",) * SMALL_ROWS, targets=np.zeros(SMALL_ROWS, np.int64),
        rows=tuple(range(SMALL_ROWS)),
    )  # fmt: skip
    assert Learner(many, config).way == "split"
    assert Learner(many, config.with_settings(score="none")).way == "none"


def test_the_report_says_which_models_its_figures_are_of() -> None:
    data = made_up(n=200)
    by_split = train_and_score(Learner(data, small(epochs=1, score="split")))
    assert by_split.protocol() == (
        f"The figures are of a model that learned from {by_split.held_out.learned_rows} other rows."
        " The model that is shipped learned from all 200."
    )
    assert by_split.protocol() in model_card(by_split, title="m")
    alone = train_and_score(Learner(data, small(epochs=1, score="split", refit=False)))
    assert alone.protocol().endswith("That model is the one shipped.")
    assert alone.shipped_rows == alone.held_out.learned_rows < 200


def test_a_model_of_all_rows_is_that_of_no_score() -> None:
    data = made_up(n=200)
    config = small(epochs=2, calibrate=False)
    scored = train_and_score(Learner(data, config.with_settings(score="split")))
    unscored = train_on_all(Learner(data, config.with_settings(score="none")))
    for name, array in unscored.bundle.weights.items():
        np.testing.assert_array_equal(array, scored.bundle.weights[name])


def test_without_figures_thresholds_are_still_chosen_on_rows_kept_apart() -> None:
    trained = train_on_all(Learner(made_up(n=400), small(threshold="f2", calibrate=True)))
    assert trained.bundle.training_data["rows"] == 400
    assert trained.bundle.thresholds != (0.5,)


def test_what_cannot_be_shipped_is_refused() -> None:
    with pytest.raises(ConfigError, match="refit: found false with score=cv"):
        train_and_score(Learner(made_up(), small(score="cv", refit=False)))
    with pytest.raises(ConfigError, match="score: found 'none'"):
        train_and_score(Learner(made_up(), small(score="none")))


def test_the_verb_trains_without_figures(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = made_up(n=120)
    rows = "\n".join(f"{text},{y}" for text, y in zip(data.texts, data.targets, strict=True))
    (tmp_path / "d.csv").write_text(f"text,target\n{rows}\n")
    command = ["train", str(tmp_path / "d.csv"), "-o", str(tmp_path / "m"), "--vectors", "none"]
    assert main([*command, "--score", "none", "--epochs", "1"]) == 0
    bundle = Bundle.load(tmp_path / "m")
    assert dict(bundle.metrics) == {}
    assert bundle.training_data["rows"] == 120
    assert "nothing is known of how well it answers" in bundle.extra_files["README.md"].decode()
    assert "report.html" not in bundle.extra_files
    assert "report" not in capsys.readouterr().out


def test_the_lesson_ships_the_model_of_its_own_split() -> None:
    lesson = preset("lesson")
    assert (lesson.data.score, lesson.training.refit, lesson.network.ngrams) == (
        "split", False, "none"
    )  # fmt: skip
    assert lesson.automatic == frozenset()


def test_settings_follow_from_the_data_unless_they_are_chosen() -> None:
    default = preset("default")
    few = fitted(default, rows=400, classes=3, words=15.0)
    many = fitted(default, rows=14_400, classes=150, words=8.0)
    assert few.training.epochs > fitted(default, rows=6000, classes=2, words=15.0).training.epochs
    assert many.network.hidden_size == 64
    assert many.network.dropout < few.network.dropout
    assert many.automatic == frozenset()
    chosen = fitted(default.with_settings(epochs=6), rows=400, classes=3, words=15.0)
    assert chosen.training.epochs == 6
    assert chosen.network.word_dropout == few.network.word_dropout
    assert fitted(default, rows=300, classes=150, words=8.0).network.ngram_share == 0.9


def test_best_is_wider_and_leans_less_on_its_n_grams() -> None:
    best, default = (
        fitted(preset(name), rows=3000, classes=6, words=12.0) for name in ("best", "default")
    )
    assert (best.network.hidden_size, best.network.ngram_share) == (128, 0.5)
    assert (default.network.hidden_size, default.network.ngram_share) == (64, 0.6)
    assert best.training == default.training
    assert best.distillation.teacher == "none"
    many = [fitted(preset(n), rows=14_400, classes=150, words=8.0) for n in ("best", "default")]
    assert many[0] == many[1]  # its bundle would be too large
    chosen = preset("best").with_settings(hidden_size=32)
    assert fitted(chosen, rows=3000, classes=6, words=12.0).network.hidden_size == 32


def test_tf_idf_is_in_a_blend_with_two_classes_alone() -> None:
    blend = preset("default", teacher="blend")
    shares = [
        fitted(blend, rows=3000, classes=classes, words=12.0).distillation.tfidf_share
        for classes in (2, 3, 150)
    ]
    assert shares == [0.3, 0.0, 0.0]
    chosen = fitted(blend.with_settings(tfidf_share=0.2), rows=3000, classes=3, words=12.0)
    assert chosen.distillation.tfidf_share == 0.2
    assert chosen.distillation.kernel_share == 0.0


def test_every_automatic_setting_exists_and_the_manifest_names_its_value() -> None:
    for name in AUTOMATIC:
        PRESETS["default"].with_settings(**{name: _value(PRESETS["default"], name)})
    bundle = train_and_score(Learner(made_up(n=120), small(epochs=1, score="split"))).bundle
    assert Config.from_dict(bundle.config.to_dict()) == bundle.config


def _value(config: Config, name: str) -> object:
    found = {k: v for section in config.to_dict().values() for k, v in section.items()}
    return found[name]


def test_the_split_that_is_scored_is_the_configs() -> None:
    data = made_up(n=200)
    config = small(epochs=1, score="split", test_share=0.4)
    scored = train_and_score(Learner(data, config))
    assert scored.test.rows == data.subset(split(data, config.data)[1]).rows


def test_rows_that_repeat_one_another_choose_a_threshold_without_figures() -> None:
    """Six messages eight times: no tenth of a fold's rows can be kept apart."""
    texts = ["fire near", "flood storm", "calm sea", "my inbox", "storm fire", "coffee now"] * 8
    marks = [[1, 0], [1, 1], [0, 0], [0, 0], [1, 1], [0, 1]] * 8
    data = from_lists(texts, np.array(marks), labels=("a", "b"))
    trained = train_on_all(Learner(data, small(epochs=1, threshold="f1", calibrate=False)))
    assert len(trained.bundle.thresholds) == 2
    assert trained.bundle.training_data["rows"] == 48
