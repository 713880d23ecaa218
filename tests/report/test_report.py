"""The report, the model card, and cross-validation: figures from rows no model has seen."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import made_up, small
from tidegate.config import DataConfig
from tidegate.data.dataset import from_lists
from tidegate.data.splits import grouped_folds, normalise, split
from tidegate.engine.bundle import Bundle
from tidegate.errors import ConfigError
from tidegate.report.card import model_card, unscored, with_report
from tidegate.report.page import report_page
from tidegate.training.folds import by_cross_validation
from tidegate.training.learner import Learner, train_and_score
from tidegate.training.prepare import prepare
from tidegate.training.score import Scored, score
from tidegate.training.train import train

NASTY = '<script>alert("x")</script> & \u202eright to left\u202c 👩‍🚒'


def scored(kind: str = "binary") -> Scored:
    data = made_up(kind)
    nasty = replace(data, texts=tuple(f"{text} {NASTY}{i}" for i, text in enumerate(data.texts)))
    return train_and_score(Learner(nasty, small(epochs=2, score="cv", folds=2)))


@pytest.fixture(scope="module", params=["binary", "multiclass", "multilabel"])
def any_scored(request: pytest.FixtureRequest) -> Scored:
    return scored(request.param)


def test_messages_never_reach_the_page_unescaped(any_scored: Scored) -> None:
    page = report_page(any_scored, title="<b>model</b>")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>model" not in page


def test_a_private_bundle_shows_no_message(any_scored: Scored) -> None:
    texts = [text for text in any_scored.test.texts if len(text) > 12]
    assert len(texts) > 20
    shown = with_report(any_scored, title="model").extra_files
    page = html.unescape(shown["report.html"].decode())
    assert any(text in page for text in texts)
    assert "tidegate train --private leaves them out" in re.sub("<[^>]+>", "", page)
    hidden = with_report(any_scored, title="model", private=True).extra_files
    for name, content in hidden.items():
        assert not any(
            text in html.unescape(content.decode("utf-8", "replace")) for text in texts
        ), name
    assert "No message of the data stands in this page" in hidden["report.html"].decode()
    assert "mistakes.html" in shown
    assert "mistakes.html" not in hidden
    assert "mistakes.html" not in hidden["report.html"].decode()
    assert hidden["report.json"] == shown["report.json"]
    assert ("learned.bin" in shown, "learned.bin" in hidden) == (True, False)
    alone = unscored(any_scored.bundle, title="model", private=True).extra_files
    assert list(alone) == ["README.md"]


def test_the_page_is_alone_and_small(any_scored: Scored) -> None:
    page = report_page(any_scored, title="model")
    page = re.sub(
        r'<a href="mistakes\.html#row-\d+">', "", page
    )  # followed by a reader's click alone
    assert not re.search(r"(src|href|url|@import)\s*[=(]", page)
    assert len(page.encode()) < 300_000
    assert page.count("<svg") == page.count("as a table")


def test_a_bundle_carries_its_report(any_scored: Scored, tmp_path: Path) -> None:
    bundle = with_report(any_scored, title="model")
    assert bundle.extra_files == with_report(any_scored, title="model").extra_files
    loaded = Bundle.load(bundle.save(tmp_path / "model"))
    report = json.loads(loaded.extra_files["report.json"])
    assert report["model"]["scores"] == any_scored.report.to_dict()["scores"]
    assert [rival["name"] for rival in report["rivals"]] == [r.name for r in any_scored.rivals]
    assert NASTY not in loaded.extra_files["report.json"].decode()
    assert loaded.metrics["scores"] == report["model"]["scores"]


def test_the_cards_head_is_metadata(any_scored: Scored) -> None:
    card = model_card(any_scored, title="model")
    head = json.loads(card.split("---\n")[1])
    (result,) = head["model-index"][0]["results"]
    accuracy = next(m["value"] for m in result["metrics"] if m["type"] == "accuracy")
    assert accuracy == round(any_scored.report.scores["accuracy"].value, 4)
    assert f"{any_scored.report.scores['accuracy'].value:.3f}" in card


def test_cross_validation_scores_every_row_and_names_the_doubtful() -> None:
    data = made_up()
    wrong = data.targets.copy()
    wrong[7] = 1 - wrong[7]
    config = small(score="cv", folds=4)
    found = train_and_score(Learner(replace(data, targets=wrong), config))
    assert found.report.n_rows == len(data)
    assert found.report.scores["accuracy"].value > 0.8
    assert 8 in [row["row"] for row in found.doubtful()]
    assert "ahead of" in found.lines()[-3]
    assert found.lines()[-1].startswith("The figures are of 4 models that each learned from about")
    with pytest.raises(ConfigError, match="folds: found 1; give 2 or more"):
        by_cross_validation(data, config, folds=1)


def test_a_planted_repeat_never_stands_on_both_sides() -> None:
    # Labels are noise here, and each message comes twice in disguise: only a leak could be right.
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(list("abcdefgh"), 12)) for _ in range(200)]
    labels = rng.integers(0, 2, 200)
    disguised = [f"@someone {text.upper()}!!! https://t.co/{i}" for i, text in enumerate(texts)]
    data = from_lists(texts + disguised, np.concatenate([labels, labels]))
    folds = grouped_folds(data, [0.25] * 4, seed=0)
    assert (folds[:200] == folds[200:]).all()
    learned, held = split(data, DataConfig())
    seen = {normalise(data.texts[i]) for i in learned}
    assert not seen & {normalise(data.texts[i]) for i in held}
    found = train_and_score(Learner(data, small(epochs=4, score="cv", folds=4)))
    assert found.report.scores["accuracy"].value < 0.62


def test_a_word_of_the_held_back_rows_teaches_nothing() -> None:
    data = made_up()
    rows = split(data, DataConfig())
    marked = list(data.texts)
    for i in rows[1]:
        marked[i] += f" secret{data.targets[i]}"
    prepared = prepare(replace(data, texts=tuple(marked)), small(), train=rows[0], test=rows[1])
    assert not [t for t in prepared.encoder.vocabulary.tokens if t.startswith("secret")]
    without = score(train(data, small(epochs=3), rows=rows))
    planted = score(train(replace(data, texts=tuple(marked)), small(epochs=3), rows=rows))
    for name, array in without.bundle.weights.items():
        assert (array == planted.bundle.weights[name]).all(), name


def test_thresholds_never_see_the_held_back_rows() -> None:
    data = made_up()
    rows = split(data, DataConfig())
    flipped = data.targets.copy()
    flipped[rows[1]] = 1 - flipped[rows[1]]
    config = small(epochs=3, threshold="f1", calibrate=True)
    one = train(data, config, rows=rows).bundle
    other = train(replace(data, targets=flipped), config, rows=rows).bundle
    assert (one.thresholds, one.temperature) == (other.thresholds, other.temperature)


def test_the_page_opens_in_a_browser_without_the_network(browser: object, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(scored(), title="model"), encoding="utf-8")
    page = browser.new_page()  # type: ignore[attr-defined]
    requests: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.goto(path.as_uri())
    assert requests == [path.as_uri()]
    assert faults == []
    assert page.locator("h1").inner_text() == "model"
    assert page.locator("figure svg").count() >= 5
