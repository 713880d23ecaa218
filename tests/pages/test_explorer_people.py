"""The explorer for whoever opens it: on a phone, by keyboard, with a screen reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import tiny_bundle, with_ngrams
from explorers import opened
from tidegate.engine.predictor import Predictor

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def page(page: Any) -> Iterator[Any]:
    page.emulate_media(reduced_motion="reduce")
    yield page
    assert all(url.startswith("file:") for url in page.heard["requests"])


def walk_of(page: Any, text: str) -> None:
    page.wait_for_function(
        "(text) => document.querySelector('.walk')?.dataset.text === text", arg=text
    )


def test_on_a_phone_everything_is_within_reach(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size(PHONE)
    bundle = opened(page, tmp_path, with_ngrams())
    text = "fire near the river road, people lost in the storm, please help now"
    page.get_by_label("Message", exact=True).fill(text)
    walk_of(page, text)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown = float(page.locator(".verdict .value").first.inner_text())
    assert shown == pytest.approx(Predictor(bundle).predict_proba([text])[0, 1], abs=5.1e-4)
    for button in page.locator("button:visible, select:visible, input:visible").all():
        box = button.bounding_box()
        clipped = button.evaluate("(node) => Boolean(node.closest('.wide, .scroll'))")
        assert clipped or (box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] + 1)


def tab_to(page: Any, wanted: str, most: int = 80) -> None:
    """Press Tab until the focus is on what matches a selector."""
    for _ in range(most):
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} times Tab does not reach {wanted}")


def test_by_keyboard_alone(page: Any, tmp_path: Path) -> None:
    bundle = opened(page, tmp_path, with_ngrams())
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("fire near the river")
    walk_of(page, "fire near the river")
    tab_to(page, ".words .chip")
    page.keyboard.press("Space")
    assert page.locator(".words .chip").first.get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.textContent") == "Leave it out"
    page.keyboard.press("Space")
    without = Predictor(bundle).predict_proba(["near the river"])[0, 1]
    shown = float(page.locator(".verdict .value").first.inner_text())
    assert shown == pytest.approx(without, abs=5.1e-4)
    tab_to(page, "#hold-f")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.locator("output[for=hold-f]").inner_text() == "0.47"
    tab_to(page, "#which-units")


def test_a_screen_reader_finds_names_and_hears_answers(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path, with_ngrams())
    walk_of(page, page.get_by_label("Message", exact=True).input_value())
    tree = page.locator("body").aria_snapshot()
    parts = (
        "banner", "main", 'heading "Explore the model"', 'textbox "Message"',
        'slider "Forget gate"', 'group "Words of the message"', "status",
    )  # fmt: skip
    for part in parts:
        assert re.search(rf"- {re.escape(part)}", tree), f"{part} is not in:\n{tree}"
    page.get_by_label("Message", exact=True).fill("fire near the river")
    page.wait_for_function("() => document.querySelector('[role=status]').textContent.length > 5")


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
@pytest.mark.parametrize("width", [360, 1180])
def test_axe_finds_nothing(scheme: str, width: int, page: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    labels = ("fire, flood or storm", "a lovely day", "neither")
    opened(page, tmp_path, replace(tiny_bundle(2, kind="multilabel"), labels=labels))
    text = "fire near the river, please help"
    page.get_by_label("Message", exact=True).fill(text)
    walk_of(page, text)
    page.locator(".words .chip").nth(1).click()
    page.get_by_role("slider", name="Forget gate").fill("0.4")
    for summary in page.locator("summary").all():
        summary.click()
    found = axe.Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"][:90] for n in v["nodes"]][:3]) for v in found] == []
