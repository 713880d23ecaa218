"""What the explorer teaches with: gates held, how far words reach, the tour, the questions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from conftest import WORDS, tiny_bundle, with_ngrams
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.experiments.gradients import gradient_norms
from tidegate.pages.explorer import explorer_page
from tidegate.walking.holding import held
from tidegate.walking.walk import walk

TEXT = "fire near the river please help now"
RNN = {"f": 0.0, "i": 1.0, "o": 1.0}


def opened(page: Any, folder: Path, bundle: Bundle, text: str = TEXT) -> Bundle:
    path = folder / "explorer.html"
    path.write_text(explorer_page(bundle, title="model", exact=True).html, encoding="utf-8")
    page.emulate_media(reduced_motion="reduce")
    page.goto(path.as_uri())
    page.locator("#page[data-ready]").wait_for()
    page.get_by_label("Message", exact=True).fill(text)
    page.locator(f".walk[data-text={json.dumps(text, ensure_ascii=False)}]").wait_for()
    return bundle


def cell_of(bundle: Bundle) -> tuple[nn.LSTM, torch.Tensor]:
    """Return the first layer's forward direction as torch has it, and what it reads of TEXT."""
    network = bundle.config.network
    cell = nn.LSTM(network.embedding_size, network.hidden_size, batch_first=True)
    cell.load_state_dict(
        {
            name: torch.from_numpy(np.asarray(bundle.weights[f"lstm.{name}"]))
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        }
    )
    ids = [bundle.tokens.index(word) for word in TEXT.split()]
    return cell, torch.from_numpy(bundle.weights["embedding.weight"][ids])[None]


@pytest.mark.parametrize("hold", [None, RNN, {"f": 0.0}, {"i": 0.5}], ids=str)
def test_gradients_are_those_of_torch(page: Any, tmp_path: Path, hold: dict[str, float]) -> None:
    bundle = opened(page, tmp_path, tiny_bundle(3))
    found = page.evaluate(
        "([text, hold]) => { const r = tidegate.engine.reaches(text, { hold: hold ?? undefined });"
        " return { h: r.h, c: r.c }; }",
        [TEXT, hold],
    )
    expected = gradient_norms(*cell_of(held(bundle, hold) if hold else bundle))
    for name in ("h", "c"):
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-3, atol=1e-6)


def test_words_that_open_a_forget_gate(page: Any, tmp_path: Path) -> None:
    bundle = opened(page, tmp_path, tiny_bundle(3))
    w, units, unit = bundle.weights, bundle.config.network.hidden_size, 2
    row = units + unit  # the forget gates stand second
    z = w["embedding.weight"] @ w["lstm.weight_ih_l0"][row]
    z += w["lstm.bias_ih_l0"][row] + w["lstm.bias_hh_l0"][row]
    order = [bundle.tokens[k] for k in np.argsort(-z) if k > 1]
    found = page.evaluate("(unit) => tidegate.engine.openers(0, unit)", unit)
    assert [word["token"] for word in found["open"]] == order[:6]
    assert [word["token"] for word in found["shut"]] == order[::-1][:6]
    assert found["open"][0]["value"] == pytest.approx(1 / (1 + np.exp(-np.sort(z[2:])[-1])))
    page.locator("select[name=unit]").select_option(str(unit))
    assert f"the forget gate of unit {unit} most: {order[0]}" in page.locator(".about").inner_text()


def probability(page: Any) -> float:
    return float(page.locator(".verdict .value").first.inner_text())


def test_ready_settings_hold_several_gates(page: Any, tmp_path: Path) -> None:
    bundle = opened(page, tmp_path, with_ngrams())
    page.get_by_role("button", name="Make it a traditional RNN").click()
    expected = walk(bundle, TEXT, hold=RNN).probabilities[1]
    assert probability(page) == pytest.approx(expected, abs=5.1e-4)
    assert "as in a traditional RNN" in page.locator(".effect").first.inner_text()
    page.get_by_role("slider", name="Output gate").fill("0.5")
    expected = walk(bundle, TEXT, hold={**RNN, "o": 0.5}).probabilities[1]
    assert probability(page) == pytest.approx(expected, abs=5.1e-4)
    assert "every output gate held at 0.50" in page.locator(".effect").first.inner_text()
    # A line of the held network beside the others, when the walk is there.
    page.wait_for_function("() => document.querySelectorAll('.key li').length === 4")
    page.get_by_role("button", name="Let all run free").click()
    free = Predictor(bundle).predict_proba([TEXT])[0, 1]
    assert probability(page) == pytest.approx(free, abs=5.1e-4)
    page.wait_for_function("() => document.querySelectorAll('.key li').length === 3")


def test_a_word_is_replaced_where_it_stands(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path, tiny_bundle(), "🔥 Fire near the river")
    page.locator(".words .chip", has_text="fire").click()
    page.get_by_label("or put in its place").fill("a flood")
    page.get_by_role("button", name="Replace").click()
    assert page.get_by_label("Message", exact=True).input_value() == "🔥 a flood near the river"


def test_the_tour_leads_through_the_steps_and_back(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path, with_ngrams())
    page.locator("select[name=unit]").select_option("3")
    chosen = "[tidegate_at(), scrollY]"
    page.evaluate(
        "() => { globalThis.tidegate_at = () => document.querySelector('.place').textContent"
        " + document.querySelector('select[name=unit]').value; scrollTo(0, 150); }"
    )
    before = page.evaluate(chosen)
    # By an event: a click of the driver would scroll to the button first.
    page.get_by_role("button", name="Take the tour").dispatch_event("click")
    card = page.get_by_role("dialog", name="Guided tour")
    titles = []
    while True:
        titles.append(card.get_by_role("heading").inner_text())
        step = page.locator(".steps [aria-pressed=true] b").inner_text()
        if titles[-1].startswith("Step"):
            assert titles[-1].startswith(f"Step {step}:")
            assert page.locator(".walk .said").inner_text() in card.inner_text()
        if card.get_by_role("button", name="Finish").count():
            break
        card.get_by_role("button", name="Next").click()
    assert len(titles) == 8
    page.keyboard.press("Escape")
    assert card.count() == 0
    assert page.evaluate(chosen) == before
    assert page.evaluate("document.activeElement.textContent") == "Take the tour"


def test_five_questions_from_ones_own_message(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path, with_ngrams())
    page.get_by_role("button", name="Five questions").click()
    quiz = page.get_by_role("dialog", name="Five questions about your message")
    asked = []
    for number in range(5):
        asked.append(quiz.locator("legend").inner_text())
        answers = quiz.get_by_role("radio")
        assert 2 <= answers.count() <= 4
        answers.nth(0).check()
        quiz.get_by_role("button", name="Check").click()
        told = quiz.get_by_role("status").inner_text()
        right = quiz.locator(".choice.right span").inner_text()
        assert quiz.locator(".choice.right").count() == 1
        assert told.startswith("Right." if right == answer_text(quiz, 0) else "Not quite")
        quiz.get_by_role("button", name="Next question" if number < 4 else "How did I do?").click()
    assert len(set(asked)) == 5
    assert quiz.locator(".label").inner_text().endswith("of 5")
    quiz.get_by_role("button", name="Once more").click()
    assert quiz.locator("legend").inner_text() == asked[0]
    page.keyboard.press("Escape")
    page.get_by_label("Message", exact=True).fill("fire")
    page.locator(".walk[data-text=fire]").wait_for()
    page.get_by_role("button", name="Five questions").click()
    assert "at least 3 words" in quiz.inner_text()


def answer_text(quiz: Any, n: int) -> str:
    return str(quiz.locator(".choice span").nth(n).inner_text())


def test_the_speakers_view_is_large_and_listens_everywhere(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path, with_ngrams())
    size = "() => parseFloat(getComputedStyle(document.querySelector('.walk .said')).fontSize)"
    before = page.evaluate(size)
    button = page.get_by_role("button", name="Speaker view")
    button.click()
    assert page.evaluate(size) > 1.25 * before
    button.focus()
    page.keyboard.press("3")
    assert page.locator(".steps [aria-pressed=true] b").inner_text() == "3"
    page.keyboard.press("Escape")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.evaluate(size) == before


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_off_the_page(page: Any, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, tmp_path, with_ngrams())
    assert page.evaluate("document.documentElement.scrollWidth") <= width


EARLY = """async (text) => {
    let early = null;
    const told = (walk) => { early = walk; };
    const whole = await tidegate.engine.walkInTurns(text, {}, undefined, told);
    return [early, whole];
}"""


@pytest.mark.slow
def test_a_slow_walk_is_drawn_with_estimates_first(page: Any, tmp_path: Path) -> None:
    text = " ".join(WORDS[:6])
    bundle = tiny_bundle(1, hidden_size=256)
    opened(page, tmp_path, bundle, "fire")
    early, whole = page.evaluate(EARLY, text)
    assert early["estimated"]
    assert "estimated" not in whole
    for name in ("tokens", "read", "probabilities", "decided", "baseline"):
        assert early[name] == whole[name], name
    first, exact = early["directions"][0], whole["directions"][0]
    assert first["f"][0] == exact["f"][0]
    p = early["probabilities"][early["label"]]
    missed = sum(early["contributions"]) - (p - early["baseline"])
    assert missed == pytest.approx(early["completeness_error"], abs=1e-9)
    assert abs(whole["completeness_error"]) < 1e-3
    assert page.locator("text=First estimates").count() == 0
