"""The walk's page in a real browser: by keyboard, without a network, for everyone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import tiny_bundle
from test_walk import HOSTILE
from tidegate.cli import main
from tidegate.pages import MODULES, asset, walk_page
from tidegate.walk import walk

TEXT = "fire near the river, zebra please help"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that writes down its requests, its faults and the dialogs it opens."""
    found = browser.new_page(viewport={"width": 1180, "height": 900})
    found.heard = {"requests": [], "faults": [], "dialogs": []}
    found.on("request", lambda request: found.heard["requests"].append(request.url))
    found.on("pageerror", lambda fault: found.heard["faults"].append(str(fault)))
    found.on("console", lambda message: found.heard["faults"].append(message.text))
    found.on("dialog", lambda dialog: found.heard["dialogs"].append(dialog.message))
    yield found
    assert found.heard["faults"] == []
    assert found.heard["dialogs"] == []


def opened(page: Any, path: Path, *texts: str, **settings: Any) -> dict[str, Any]:
    """Write a page of a tiny model's walks, open it, and return the data it holds."""
    bundle = tiny_bundle(1, **settings)
    html = walk_page([walk(bundle, text) for text in texts], title="model")
    path.write_text(html, encoding="utf-8")
    assert len(html.encode("utf-8")) < 1_000_000
    page.goto(path.as_uri())
    assert page.heard["requests"] == [path.as_uri()]
    return json.loads(page.locator("#data").text_content())


def wire(page: Any, name: str) -> float:
    found = page.locator(f"[data-value={name}]").text_content()
    return float(found.replace("−", "-"))


def test_the_four_steps_of_three_tokens_by_keyboard(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT)["walks"]
    d = data["directions"][0]
    for k in range(3):
        unit = d["changed_units"][k][0]
        for step, sentence in enumerate(data["steps"], 1):
            pressed = page.locator(".step[aria-pressed=true]")
            assert pressed.inner_text() == f"{step} {sentence}"
            token = data["tokens"][data["read"][k]]["token"]
            assert page.locator(".place").inner_text() == (
                f"token {k + 1} of {len(data['read'])}: “{token}”"
            )
            for name in ("f", "i", "g", "o", "c_before", "c", "h"):
                assert wire(page, name) == pytest.approx(d[name][k][unit], abs=5.1e-4)
            assert f"unit {unit} " in page.locator(".said").inner_text()
            lit = page.locator(".layer[data-on=now]").count()
            assert lit == {1: 1, 2: 2, 3: 0, 4: 1}[step]
            page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("3")
    assert "adds the two" in page.locator(".said").inner_text()
    page.keyboard.press("ArrowLeft")
    assert "lets in" in page.locator(".said").inner_text()


def test_layers_units_and_strips_are_linked(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT, num_layers=2, hidden_size=6)["walks"]
    page.select_option("select[name=direction]", "3")
    page.select_option("select[name=unit]", "4")
    d = data["directions"][3]
    assert d["layer"] == 1
    assert d["reverse"]
    assert wire(page, "f") == pytest.approx(d["f"][0][4], abs=5.1e-4)
    page.select_option("select[name=unit]", "mean")
    assert wire(page, "c") == pytest.approx(sum(d["c"][0]) / 6, abs=6e-4)
    strip = page.locator(".strip").nth(4)
    box = strip.bounding_box()
    strip.hover(position={"x": box["width"] - 2, "y": 2})
    busiest = max(range(6), key=lambda u: sum(
        abs(c[u] - b[u]) for c, b in zip(d["c"], d["c_before"], strict=True)))  # fmt: skip
    value = f"{d['c'][-1][busiest]:.3f}".replace("-", "−")
    assert (
        page.locator(".readout").inner_text() == f"unit {busiest} at “help”: cell state c {value}"
    )
    strip.click(position={"x": box["width"] - 2, "y": 2})
    assert "“help”" in page.locator(".place").inner_text()
    assert f"unit {busiest} " in page.locator(".said").inner_text()
    twin = page.locator("details").last
    twin.locator("summary").click()
    twin.locator("tbody tr").nth(5).wait_for()
    assert twin.locator("tbody tr").count() == 6


def test_it_plays(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "walk.html", TEXT)
    page.clock.install()
    page.keyboard.press(" ")
    page.clock.run_for(1500)
    assert page.locator(".step[aria-pressed=true] b").inner_text() == "2"
    page.keyboard.press(" ")
    page.clock.run_for(5000)
    assert page.locator(".step[aria-pressed=true] b").inner_text() == "2"


def test_two_messages_side_by_side(page: Any, tmp_path: Path) -> None:
    both = opened(page, tmp_path / "walk.html", "the sky is fire", "house near fire")["walks"]
    rows = page.locator(".compare tbody tr")
    assert rows.count() == 1
    cells = rows.first.locator("td").all_inner_texts()
    gaps = [
        abs(a - b)
        for a, b in zip(both[0]["directions"][0]["f"][3], both[1]["directions"][0]["f"][2],
                        strict=True)
    ]  # fmt: skip
    assert float(cells[3]) == pytest.approx(sum(gaps) / len(gaps), abs=6e-4)
    page.locator("button", has_text="2. house").click()
    assert "house" in page.locator(".place").inner_text()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_shown_as_text(case: str, page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "walk.html", HOSTILE[case], max_tokens=0)
    assert page.locator("script").count() == 2
    shown = page.locator(".message").inner_text()
    if case == "markup":
        assert "<script>alert(1)</script>" in shown
    if case in ("2,000 tokens", "100,000 characters"):
        assert "of them are shown" in page.locator("footer").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1180])
def test_nothing_serious_stands_in_anyones_way(
    scheme: str, width: int, page: Any, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened(page, tmp_path / "walk.html", TEXT, "fire, please")
    for summary in page.locator("summary").all():
        summary.click()
    found = axe.Axe().run(page).response["violations"]
    serious = [(v["id"], [n["html"][:90] for n in v["nodes"]][:3]) for v in found
               if v["impact"] in ("serious", "critical")]  # fmt: skip
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    model = str(tiny_bundle().save(tmp_path / "model"))
    target = tmp_path / "walk.html"
    assert main(["walk", model, TEXT, "--html", str(target), "--beside", "fire"]) == 0
    html = target.read_text(encoding="utf-8")
    data = re.search(r'id="data">(.*?)</script>', html, re.S)
    assert data is not None
    assert [one["text"] for one in json.loads(data[1])["walks"]] == [TEXT, "fire"]
    assert not list(tmp_path.glob(".walk*"))


def test_the_modules_need_only_one_another() -> None:
    """Each names what it needs, so that a server can hand them out as they are."""
    for place, name in enumerate(MODULES):
        needed = re.findall(r'^import .* from "\./(\w+)\.js";$', asset(f"{name}.js"), re.M)
        assert set(needed) <= set(MODULES[:place])
        assert "innerHTML" not in asset(f"{name}.js")
