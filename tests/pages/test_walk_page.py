"""The walk's page in a real browser: by keyboard, without a network, for everyone."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import HOSTILE, WORDS, some_slow, tiny_bundle, with_ngrams
from tidegate.cli import main
from tidegate.engine.predictor import Predictor
from tidegate.pages import MODULES, asset, walk_page
from tidegate.walking.walk import walk

TEXT = "fire near the river, zebra please help"


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


def most_changing(d: dict[str, Any]) -> int:
    """Return the unit whose cell state changes most over the whole message."""
    return max(range(d["units"]), key=lambda u: sum(
        abs(c[u] - b[u]) for c, b in zip(d["c"], d["c_before"], strict=True)))  # fmt: skip


def test_the_four_steps_of_three_tokens_by_keyboard(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT)["walks"]
    d = data["directions"][0]
    unit = most_changing(d)
    page.locator(".chip").first.click()
    for k in range(3):
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
    page.locator(".chip").first.click()
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
    busiest = most_changing(d)
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


def test_one_unit_is_kept_and_its_cell_state_goes_on(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT)["walks"]
    d = data["directions"][0]
    unit = most_changing(d)
    chosen = page.locator("select[name=unit] option:checked").inner_text()
    assert chosen == f"{unit} (changes most over the message)"
    page.locator(".chip").first.click()
    before = wire(page, "c")
    for _ in range(len(data["read"]) - 1):
        page.keyboard.press("ArrowDown")
        assert f"unit {unit} " in page.locator(".said").inner_text()
        assert wire(page, "c_before") == before
        before = wire(page, "c")
    page.select_option("select[name=unit]", "busiest")
    for k in (0, 2):
        page.locator(".chip").nth(k).click()
        assert f"unit {d['changed_units'][k][0]} " in page.locator(".said").inner_text()


def test_it_opens_where_the_answer_moved_most(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT)["walks"]
    moved = [abs(value) for value in data["contributions"]]
    k = moved.index(max(moved[1:]))  # nothing can be forgotten at the first
    assert f"token {k + 1} of {len(moved)}:" in page.locator(".place").inner_text()
    page.locator(".chip").first.click()
    told = page.locator(".stage").inner_text()
    assert "nothing to forget yet" in page.locator(".said").inner_text()
    assert told.count("nothing to forget yet") == 2
    assert "%" not in told
    page.get_by_text("The same as a table").click()
    assert page.locator(".card tbody tr").first.locator("td").nth(3).inner_text() == "–"
    page.select_option("select[name=direction]", "1")
    assert "nothing to forget" not in page.locator(".stage").inner_text()
    page.locator(".chip").last.click()
    assert "nothing to forget yet" in page.locator(".said").inner_text()


def test_numbers_come_with_their_step(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "walk.html", TEXT)
    seen = {1: {"c_before", "h_before", "f"}, 2: {"i", "g"}, 3: {"kept", "new", "c"},
            4: {"squashed", "o", "h"}}  # fmt: skip
    names = set[str]()
    for step, more in seen.items():
        page.keyboard.press(str(step))
        names |= more
        for one in page.locator("[data-value]").all():
            assert one.is_visible() == (one.get_attribute("data-value") in names)
    page.keyboard.press("2")
    place = page.locator(".place").inner_text()
    page.keyboard.press("ArrowUp")
    assert page.locator(".place").inner_text() != place
    assert page.locator(".step[aria-pressed=true] b").inner_text() == "2"
    page.get_by_role("button", name="Next token").click()
    assert page.locator(".step[aria-pressed=true] b").inner_text() == "2"
    assert page.locator(".place").inner_text() == place


def test_a_gate_shows_its_inside(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT)["walks"]
    d = data["directions"][0]
    exact = walk(tiny_bundle(1), TEXT).directions[0]
    page.locator(".chip").nth(2).click()
    unit = most_changing(d)
    inside = page.locator(".inside")
    for key, name, curve in (("o", "o", "σ"), ("c", "g", "tanh"), ("i", "i", "σ"), ("f", "f", "σ")):
        page.keyboard.press(key)
        said = inside.locator(".curve").get_attribute("aria-label")
        z, value = (float(one.replace("−", "-")) for one in re.findall(r"= (−?\d+\.\d+)", said))
        assert f"and {curve}(z)" in said
        assert z == pytest.approx(exact.z[name][2, unit], abs=0.02)
        assert value == pytest.approx(d[name][2][unit], abs=5.1e-4)
        assert f"= {z:.2f}".replace("-", "−") in inside.locator(".sum").inner_text()
        assert inside.locator(".curve .faint").count() == d["units"]
        assert inside.locator("canvas").get_attribute("aria-label").endswith("values of 4 units")
    page.locator("[data-gate=o]").hover()
    assert "output gate of unit" in inside.locator(".curve").get_attribute("aria-label")
    inside.get_by_role("button", name="candidates").focus()
    assert "candidates of unit" in inside.locator(".curve").get_attribute("aria-label")
    page.keyboard.press("2")
    page.keyboard.press("1")
    assert "forget gate of unit" in inside.locator(".curve").get_attribute("aria-label")
    page.select_option("select[name=unit]", "mean")
    assert inside.locator(".curve .now").count() == 0


@pytest.mark.parametrize(
    "settings",
    [{}, {"pooling": "last"}, {"pooling": "max", "head_size": 3}, {"kind": "multiclass"}],
)
def test_the_way_to_the_answer_is_drawn(
    settings: dict[str, Any], page: Any, tmp_path: Path
) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT, **settings)["walks"]
    drawn = page.locator(".outcome")
    numbers = drawn.locator(".number").all_text_contents()
    logit, p = (float(one.replace("−", "-")) for one in numbers)
    one = data["label"] if data["kind"] == "multiclass" else 0
    assert logit == pytest.approx(data["head"]["logits"][one], abs=5.1e-4)
    assert p == pytest.approx(data["probabilities"][data["label"]], abs=5.1e-4)
    text = drawn.text_content()
    assert ("mean over tokens" in text) == ("pooling" not in settings)
    assert ("3 ReLU" in text) == ("head_size" in settings)
    assert ("softmax" in text) == (data["kind"] == "multiclass")


def test_the_linear_branch_has_its_share_of_the_answer(page: Any, tmp_path: Path) -> None:
    (tmp_path / "walk.html").write_text(walk_page([walk(with_ngrams(), TEXT)], title="m"), "utf-8")
    page.goto((tmp_path / "walk.html").as_uri())
    data = json.loads(page.locator("#data").text_content())["walks"][0]
    found = [float(n.removeprefix("= ").split()[0].replace("−", "-"))
             for n in page.locator(".outcome .number").all_text_contents()]  # fmt: skip
    lstm, ngram, total, p = found
    assert lstm == pytest.approx(data["head"]["logits"][0], abs=5.1e-4)
    assert ngram == pytest.approx(data["ngrams"]["ngram_logits"][0], abs=5.1e-4)
    assert total == pytest.approx(0.4 * lstm + 0.6 * ngram, abs=2e-3)
    assert p == pytest.approx(1 / (1 + np.exp(-total / data["head"]["temperature"])), abs=1e-3)


def test_special_tokens_and_signs_are_explained(page: Any, tmp_path: Path) -> None:
    words = "fire on 5th street @ann http://a.bc 7"
    bundle = tiny_bundle(1)
    tokens = (*bundle.tokens, "<num>", "<url>", "<user>")
    weights = dict(bundle.weights)
    more = np.zeros((3, weights["embedding.weight"].shape[1]), np.float32)
    weights["embedding.weight"] = np.concatenate([weights["embedding.weight"], more])
    bundle = replace(bundle, tokens=tokens, weights=weights)
    (tmp_path / "walk.html").write_text(walk_page([walk(bundle, words)], title="m"), "utf-8")
    page.goto((tmp_path / "walk.html").as_uri())
    told = page.locator(".special").inner_text()
    assert "<num> is a number (here “5th”)" in told
    assert "<user> is a user’s name (here “@ann”)" in told
    assert "<url> is a link (here “http://a.bc”)" in told
    page.heard["requests"].clear()
    opened(page, tmp_path / "plain.html", "fire near the river")
    assert page.locator(".special").count() == 0
    signs = page.locator(".legend").inner_text()
    for one in ("Learned layer", "Pointwise product", "Pointwise sum", "merge", "split", "cross"):
        assert one in signs


def test_names_keep_apart_and_charts_are_of_one_size(page: Any, tmp_path: Path) -> None:
    long = "house ablaze downtown evacuation everywhere immediately firefighters"
    opened(page, tmp_path / "walk.html", long, "fire, please")
    charts = page.locator(".card figure svg")
    sizes = [one.bounding_box() for one in charts.all()]
    assert sizes[0]["width"] == sizes[1]["width"]
    assert sizes[0]["height"] == sizes[1]["height"]
    assert charts.nth(0).get_attribute("viewBox") == charts.nth(1).get_attribute("viewBox")
    boxes = [one.bounding_box() for one in page.locator(".names").first.locator("span").all()]
    assert len(boxes) == 7
    for one, after in itertools.pairwise(boxes):
        assert one["x"] + one["width"] <= after["x"] + 0.5
    for one in page.locator(".names").first.locator("span").all():
        assert one.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")


def test_on_a_phone_what_scrolls_shows_it(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(reduced_motion="reduce")
    opened(page, tmp_path / "walk.html", TEXT)
    chain = page.locator(".wide:has(.chain)")
    chain.evaluate("(node) => { node.scrollLeft = 0; }")
    for place, more in ((0, "after"), (100, "before after"), (99_999, "before")):
        chain.evaluate(f"(node) => {{ node.scrollLeft = {place}; }}")
        page.wait_for_timeout(80)
        assert chain.get_attribute("data-more") == more
        assert chain.evaluate("(node) => getComputedStyle(node).maskImage") != "none"


def test_the_first_screen_leads_to_the_cell(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    opened(page, tmp_path / "walk.html", TEXT)
    way = page.get_by_role("button", name="Step through the cell")
    box = way.bounding_box()
    assert box["y"] + box["height"] < 800
    way.click()
    page.wait_for_timeout(300)
    assert page.locator(".stage .cell").bounding_box()["y"] < 400
    page.keyboard.press("2")
    assert "lets in" in page.locator(".said").inner_text()


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
    assert "part most at “fire”" in page.locator(".compare p").first.inner_text()
    assert page.locator(".parting canvas").count() == 6
    cards = page.locator(".card")
    assert cards.count() == 2
    assert cards.nth(0).get_attribute("class") == "card current"
    cards.nth(1).locator(".chip", has_text="near").click()
    assert "“near”" in page.locator(".place").inner_text()
    page.locator("button", has_text="Message 2").click()
    moved = [abs(value) for value in both[1]["contributions"]]
    most = both[1]["tokens"][both[1]["read"][moved.index(max(moved[1:]))]]["token"]
    assert f"“{most}”" in page.locator(".place").inner_text()
    assert page.locator(".card").nth(1).get_attribute("class") == "card current"


def test_side_by_side_follows_the_direction_and_the_word(page: Any, tmp_path: Path) -> None:
    texts = ("the sky near fire", "the house near fire")
    both = opened(page, tmp_path / "walk.html", *texts)["walks"]
    page.select_option("select[name=direction]", "1")
    rows = page.locator(".compare tbody tr")
    assert rows.locator("th").all_inner_texts() == ["the", "near", "fire"]
    d = [one["directions"][1] for one in both]
    gaps = [abs(a - b) for a, b in zip(d[0]["c"][0], d[1]["c"][0], strict=True)]
    cells = rows.first.locator("td").all_inner_texts()
    assert float(cells[6]) == pytest.approx(sum(gaps) / len(gaps), abs=6e-4)
    assert "what was read after it" in page.locator(".compare p").first.inner_text()
    rows.nth(2).locator("button").click()
    assert page.locator(".compare h3").inner_text() == "Unit by unit at “fire”"


def test_each_step_has_its_equation_and_a_table_of_its_numbers(page: Any, tmp_path: Path) -> None:
    (data,) = opened(page, tmp_path / "walk.html", TEXT)["walks"]
    assert page.locator(".equation").text_content() == "ft = σ(Wf xt + Uf ht−1 + bf)"
    twin = page.locator("details", has_text="The numbers on the wires")
    twin.locator("summary").click()
    twin.locator("tbody tr").nth(10).wait_for()
    page.locator(".chip").nth(1).click()
    page.keyboard.press("3")
    assert page.locator(".equation").text_content() == "ct = ft ⊙ ct−1 + it ⊙ C̃t"
    d = data["directions"][0]
    unit = most_changing(d)
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in twin.locator("tbody tr").all()
    }
    assert rows["forget gate"] == [f"{d['f'][1][unit]:.3f}", "1"]
    assert float(rows["new cell state"][0].replace("−", "-")) == pytest.approx(
        d["c"][1][unit], abs=5.1e-4
    )
    p = page.locator(".card .wide text.number").first.text_content()
    assert float(p) == pytest.approx(data["path"][2][data["label"]], abs=5.1e-4)


def test_the_page_explains_the_marks_it_makes_and_no_others(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "walk.html", TEXT, "fire near the river")
    first, second = (page.locator(".answer").nth(k).inner_text() for k in (0, 1))
    assert "Struck out: not read." in first
    assert "Dotted: not in the vocabulary." in first
    assert "Struck out" not in second
    assert "Dotted" not in second


def test_choosing_leaves_the_keyboard_where_it_was(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "walk.html", TEXT)
    for name, value in (("unit", "mean"), ("direction", "1"), ("order", "number")):
        page.locator(f"select[name={name}]").focus()
        page.select_option(f"select[name={name}]", value)
        assert page.evaluate("document.activeElement.name") == name


def test_on_a_phone_the_step_shown_is_in_view(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(reduced_motion="reduce")
    opened(page, tmp_path / "walk.html", TEXT)
    view = page.locator(".stage .scroll").bounding_box()
    for step, name in ((1, "f"), (2, "i"), (3, "new"), (4, "o")):
        page.keyboard.press(str(step))
        number = page.locator(f"[data-value={name}]").bounding_box()
        assert view["x"] <= number["x"]
        assert number["x"] + number["width"] <= view["x"] + view["width"]


def test_a_long_message_stays_legible(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path / "walk.html", "fire near the river " * 300, max_tokens=0)
    assert page.locator(".message").bounding_box()["height"] < 420
    assert "not marked word by word" in page.locator(".card").inner_text()
    assert page.locator(".chain .box").first.bounding_box()["width"] > 150
    page.keyboard.press("ArrowDown")
    view, now = (page.locator(f".wide:has(.chain){one}") for one in ("", " .box.now"))
    page.wait_for_timeout(600)
    assert now.bounding_box()["x"] >= view.bounding_box()["x"]


def test_paper_shows_all_of_it(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 700, "height": 900})
    opened(page, tmp_path / "walk.html", TEXT, "fire near the road now")
    page.emulate_media(media="print")
    assert not page.locator(".controls").first.is_visible()
    for box in page.locator(".wide:visible, .scroll:visible").all():
        assert box.evaluate("(node) => node.scrollWidth <= node.clientWidth + 1")


@pytest.mark.parametrize("case", some_slow(HOSTILE, slow=("100,000 characters",)))
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


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
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
    assert "landmark-unique" not in [v["id"] for v in found]
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


def test_both_messages_are_read_for_the_label_of_the_first(tmp_path: Path) -> None:
    bundle = tiny_bundle(kind="multilabel")
    answers = Predictor(bundle).predict_proba(WORDS).argmax(axis=1)
    first, other = WORDS[0], WORDS[int(np.flatnonzero(answers != answers[0])[0])]
    words = ["walk", str(bundle.save(tmp_path / "model")), first, "--beside", other]
    assert main([*words, "--html", str(tmp_path / "walk.html")]) == 0
    data = re.search(
        r'id="data">(.*?)</script>', (tmp_path / "walk.html").read_text(encoding="utf-8"), re.S
    )
    assert data is not None
    assert [one["label"] for one in json.loads(data[1])["walks"]] == [answers[0]] * 2


def test_the_modules_need_only_one_another() -> None:
    """Each names what it needs, so that a server can hand them out as they are."""
    for place, name in enumerate(MODULES):
        needed = re.findall(r'^import .* from "\./(\w+)\.js";$', asset(f"{name}.js"), re.M)
        assert set(needed) <= set(MODULES[:place])
        assert "innerHTML" not in asset(f"{name}.js")


def test_the_modules_names_do_not_clash_in_one_file() -> None:
    names = [
        name
        for module in MODULES
        for name in re.findall(
            r"^(?:export )?(?:const|let|function) (\w+)", asset(f"{module}.js"), re.M
        )
    ]
    assert sorted(names) == sorted(set(names))


def test_the_terms_of_a_gate_add_up(page: Any, tmp_path: Path) -> None:
    walks = [walk(tiny_bundle(3), "fire near the river")]
    forward = walks[0].directions[0]
    path = tmp_path / "walk.html"
    path.write_text(walk_page(walks, title="m"), encoding="utf-8")
    page.goto(path.as_uri())
    page.locator("select[name=unit]").select_option("1")
    row = page.locator(".place").inner_text().split()[1]
    t, units, unit = int(row) - 1, forward.h.shape[1], 1
    page.locator(".inside button").first.click()
    told = page.locator(".terms").inner_text().replace("−", "-")
    x, h, *_, bias = map(float, re.findall(r"[+-]\d+\.\d+", told))
    from_h = forward.recurrent[units + unit] @ forward.h[t - 1]  # the forget gates stand second
    assert h == pytest.approx(from_h, abs=6e-3)
    assert bias == pytest.approx(forward.bias[units + unit], abs=6e-3)
    assert x + h + bias == pytest.approx(forward.z["f"][t, unit], abs=2e-2)
