"""The server's page in a real browser, against a real server."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import HOSTILE, WORDS, made_up, small, tiny_bundle
from servers import ADMIN, TOKEN, Server, Start
from tidegate.engine.predictor import Predictor
from tidegate.walking.walk import walk

MARKUP = "<img src=x onerror=alert(1)>"
LABELS = (MARKUP, "turned \u202e round", "c")
# Puts answers in disorder: the more texts have been asked for, the sooner the answer is there, and
# no request can be called back.
DISORDER = """(() => {
    const [send, waits] = [window.fetch, [500, 300, 120]];
    let n = 0;
    window.fetch = async (path, how) => {
        const answer = await send(path, { ...how, signal: undefined });
        if (path === "/v1/predict") await new Promise((done) => setTimeout(done, waits[n++] ?? 0));
        return answer;
    };
})()"""


@pytest.fixture(scope="module")
def crisis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model with its report."""
    from tidegate.report.card import with_report
    from tidegate.training.learner import Learner, train_and_score

    scored = train_and_score(Learner(made_up(), small(epochs=6, score="cv", folds=2)))
    return with_report(scored, title="crisis").save(tmp_path_factory.mktemp("page") / "crisis")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback") / "kept.csv"


@pytest.fixture(scope="module")
def site(
    start: Start, crisis: Path, kept: Path, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """A server of a trained model, and of one whose labels mean no good."""
    hostile = replace(tiny_bundle(kind="multilabel"), labels=LABELS)
    other = hostile.save(tmp_path_factory.mktemp("page") / "hostile")
    return start(f"crisis={crisis}", f"hostile={other}", "--feedback", kept)


@pytest.fixture
def page(page: Any) -> Iterator[Any]:
    """A page that asks its own server for things, and nobody else."""
    page.emulate_media(reduced_motion="reduce")
    yield page
    places = {re.match(r"(blob:)?https?://([^/]+)", url)[2] for url in page.heard["requests"]}
    assert len(places) == 1
    assert places.pop().startswith("127.0.0.1:")


def come(page: Any, site: Server, path: str = "/") -> None:
    page.goto(f"http://127.0.0.1:{site.port}{path}")


def answered(page: Any, text: str) -> None:
    """Wait until the answer and the walk are those of a message."""
    for place in (".answers", ".walk"):
        page.wait_for_function(
            "([place, text]) => document.querySelector(place)?.dataset.text === text",
            arg=[place, text],
        )


def probability(page: Any) -> float:
    return float(page.locator(".verdict .value").first.inner_text())


def test_the_answer_and_the_walk_follow_what_is_typed(
    page: Any, site: Server, crisis: Path
) -> None:
    come(page, site)
    box = page.get_by_label("Message", exact=True)
    box.fill("")
    box.press_sequentially("my house is on fire", delay=20)
    answered(page, "my house is on fire")
    model = Predictor.load(crisis)
    expected = model.predict_proba(["my house is on fire"])[0]
    assert probability(page) == pytest.approx(expected[1], abs=5.1e-4)
    label = page.locator(".verdict .label").inner_text()
    assert label == model.predict(["my house is on fire"])[0]
    assert page.locator(".chip").all_inner_texts() == ["my", "house", "is", "on", "fire"]
    assert "“fire”" in page.locator(".place").inner_text()  # the word that is being written
    assert page.evaluate("document.activeElement.id") == "message"
    assert page.evaluate("document.activeElement.selectionStart") == 19
    meaning = page.locator(".meaning").inner_text()
    assert re.search(r"Of the \d+ held-back messages whose likeliest label scored between", meaning)


def test_a_chosen_token_stays_chosen_while_typing(page: Any, site: Server) -> None:
    come(page, site)
    box = page.get_by_label("Message", exact=True)
    box.fill("fire near the river")
    answered(page, "fire near the river")
    page.locator(".chip", has_text="the").click()
    page.locator("select[name=unit]").select_option("3")
    box.fill("help fire near the river")
    answered(page, "help fire near the river")
    assert page.locator(".place").inner_text() == "token 4 of 5: “the”"
    assert page.locator("select[name=unit]").input_value() == "3"


def test_another_message_opens_where_its_answer_moved_most(
    page: Any, site: Server, crisis: Path
) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    come(page, site)
    text = "please help near the river now"
    page.locator("#message").fill(text)
    answered(page, text)
    moved = np.abs(walk(Predictor.load(crisis), text).contributions)
    k = int(moved[1:].argmax()) + 1
    assert f"token {k + 1} of 6" in page.locator(".place").inner_text()
    way = page.get_by_role("button", name="Step through the cell")
    box = way.bounding_box()
    assert box["y"] + box["height"] < 800
    before = page.url
    way.click()
    assert page.locator(".stage .cell").bounding_box()["y"] < 400
    page.keyboard.press("2")
    assert "lets in" in page.locator(".said").inner_text()
    assert page.url == before


def test_a_late_answer_never_takes_the_place_of_a_newer_one(page: Any, site: Server) -> None:
    page.add_init_script(DISORDER)
    come(page, site)
    seen = "new MutationObserver(() => window.seen.push(document.querySelector('.answers')"
    page.locator("#message").wait_for()
    page.evaluate(
        f"window.seen = []; {seen}.dataset.text)).observe(document.querySelector('.answers'), "
        "{attributes: true})"
    )
    for text in ("fire", "fire near", "fire near the", "fire near the sky", "flood"):
        page.locator("#message").fill(text)
        page.wait_for_timeout(80)
    answered(page, "flood")
    page.wait_for_timeout(700)
    seen = page.evaluate("window.seen")
    assert seen[-1] == "flood"
    order = ["fire", "fire near", "fire near the", "fire near the sky", "flood"]
    places = [order.index(text) for text in seen if text in order]
    assert places == sorted(places)
    assert page.locator(".chip").all_inner_texts() == ["flood"]


def test_three_tokens_by_keyboard_alone(page: Any, site: Server) -> None:
    come(page, site)
    page.locator("#message").fill("fire near the river")
    answered(page, "fire near the river")
    page.locator("#message").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('chip')"):
            break
    page.keyboard.press("Enter")
    for k, word in enumerate(("fire", "near", "the"), 1):
        assert page.locator(".place").inner_text() == f"token {k} of 4: “{word}”"
        page.keyboard.press("ArrowDown")
    page.keyboard.press("3")
    assert "adds the two" in page.locator(".said").inner_text()


def some_rows(n: int) -> list[list[str]]:
    rng = np.random.default_rng(3)
    words = [" ".join(rng.choice(WORDS, 5)) for _ in range(n)]
    return [[str(k), f'{word}, "{k}"', ("=1+1", "-5", "x")[k % 3]] for k, word in enumerate(words)]


def test_a_file_of_10000_rows_is_scored_sorted_and_saved(
    page: Any, site: Server, crisis: Path, tmp_path: Path
) -> None:
    rows = some_rows(10_000)
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "text", "note"], *rows])
    come(page, site)
    page.get_by_role("tab", name="A list or a file").click()
    page.locator("#file").set_input_files(tmp_path / "rows.csv")
    page.get_by_role("button", name="Score the file").click()
    page.locator(".results tbody tr").nth(49).wait_for()
    assert "Rows 1–50 of 10,000" in page.locator("#view-list").inner_text()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as CSV").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    expected = Predictor.load(crisis).predict_proba([row[1] for row in rows])
    assert [row["id"] for row in found] == [row[0] for row in rows]
    assert [row["text"] for row in found] == [row[1] for row in rows]
    assert [row["note"] for row in found[:3]] == ["'=1+1", "-5", "x"]
    given = np.array([float(row["probability_1"]) for row in found])
    assert np.abs(given - expected[:, 1]).max() < 5.1e-7
    page.get_by_role("button", name="P(1)").click()
    likeliest = float(page.locator(".results tbody tr td.n").nth(1).inner_text())
    assert likeliest == pytest.approx(expected[:, 1].max(), abs=5.1e-4)
    first = page.locator(".rowlink").first
    opened = first.inner_text()
    first.click()
    answered(page, opened)
    page.go_back()
    assert page.locator(".results").is_visible()


def test_a_pasted_list(page: Any, site: Server, crisis: Path) -> None:
    texts = [f"{a} {b}" for a in WORDS for b in WORDS[:12]]
    come(page, site)
    page.get_by_role("tab", name="A list or a file").click()
    page.get_by_label("Paste messages, one a line").fill("\n".join(texts) + "\n\n")
    page.get_by_role("button", name="Score the list").click()
    page.locator(".results tbody tr").first.wait_for()
    labels = Predictor.load(crisis).predict(texts)
    n = sum(label == "1" for label in labels)
    told = page.locator("#view-list .lede").inner_text()
    assert told.startswith(f"{len(texts)} rows: ")
    assert f"{n} labelled “1”" in told


def test_two_messages_are_compared(page: Any, site: Server) -> None:
    come(page, site)
    page.locator("#message").fill("house near fire")
    page.get_by_role("button", name="Compare with another message").click()
    page.get_by_label("Compare with", exact=True).fill("the sky is fire")
    page.locator(".compare tbody tr").first.wait_for()
    assert page.locator(".verdict").count() == 2
    assert page.locator(".card").count() == 2
    assert page.locator(".compare tbody th").all_inner_texts() == ["fire"]


def test_a_link_brings_the_same_view_back(page: Any, site: Server) -> None:
    come(page, site)
    page.locator("#which").select_option("hostile")
    page.locator("#message").fill("fire & flood #now, 100 %")
    page.get_by_role("button", name="Compare with another message").click()
    page.locator("#other").fill("the sea\nis calm")
    page.locator(".card").nth(1).wait_for()
    link, before = page.url, page.locator(".answers").inner_text()
    page.goto("about:blank")
    page.goto(link)
    page.locator(".card").nth(1).wait_for()
    assert page.locator("#message").input_value() == "fire & flood #now, 100 %"
    assert page.locator("#other").input_value() == "the sea\nis calm"
    assert page.locator("#which").input_value() == "hostile"
    assert page.locator(".answers").inner_text() == before


def test_the_theme_is_kept(page: Any, site: Server) -> None:
    come(page, site)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(ground) == light


def test_a_wrong_label_is_put_right(page: Any, site: Server, kept: Path) -> None:
    come(page, site)
    page.locator("#message").fill("fire at my house, really")
    answered(page, "fire at my house, really")
    decided = page.locator(".verdict .label").inner_text()
    page.get_by_text("Is the label wrong?").click()
    right = page.get_by_label("The right label is").input_value()
    assert {right, decided} == {"0", "1"}
    page.get_by_role("button", name="Send the right label").click()
    page.get_by_text("Thank you.").wait_for()
    with kept.open(encoding="utf-8", newline="") as stream:
        row = list(csv.DictReader(stream))[-1]
    assert (row["text"], row["label"], row["decided"]) == (
        "fire at my house, really", right, decided,
    )  # fmt: skip


def test_the_card_and_the_report(page: Any, site: Server) -> None:
    come(page, site)
    page.get_by_role("button", name="Card").click()
    assert "A binary classifier" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    with page.expect_popup() as waiting:
        page.get_by_role("link", name="Report").click()
    assert "crisis" in waiting.value.title()
    waiting.value.close()


def test_where_a_token_is_needed_it_is_asked_for(page: Any, start: Start, crisis: Path) -> None:
    locked = start(f"crisis={crisis}", env={"TIDEGATE_TOKENS": TOKEN}, token=TOKEN)
    come(page, locked)
    for given in ("not the right one", TOKEN):
        page.get_by_role("textbox", name="Token").fill(given)
        page.keyboard.press("Enter")
        if given != TOKEN:
            page.get_by_text("The token was not accepted.").wait_for()
    answered(page, "house on fire on 5th street")
    assert page.evaluate("sessionStorage.length") == 1
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"
    assert TOKEN not in page.url
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the report").click()
    assert b"<html" in Path(waiting.value.path()).read_bytes()
    assert page.get_by_text("Is the label wrong?").is_hidden()  # nobody keeps corrections here
    faults = page.heard["faults"]
    assert all("status of 401" in fault for fault in faults)
    faults.clear()


@pytest.mark.parametrize("case", ["markup", "NUL", "right to left", "surrogate", "nothing"])
def test_hostile_messages_and_labels_are_text(case: str, page: Any, site: Server) -> None:
    come(page, site, "/#model=hostile&text=fire")
    page.locator(".chip").first.wait_for()
    page.evaluate(
        "(text) => { const box = document.getElementById('message'); box.value = text; "
        "box.dispatchEvent(new Event('input')); }",
        HOSTILE[case],
    )
    page.wait_for_timeout(400)
    answer = page.locator(".answers").inner_text()
    assert MARKUP in answer
    assert "turned \\u202e round" in answer
    assert page.locator("main img").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()
    if case == "right to left":
        assert "\\u202eevil" in page.locator(".message").inner_text()
    if case == "markup":
        assert "<script>alert(1)</script>" in page.locator(".message").inner_text()
    assert page.evaluate("document.querySelectorAll('script').length") == 2


def test_faults_are_told_in_plain_words(page: Any, site: Server, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no Parquet at all")
    come(page, site)
    page.get_by_role("tab", name="A list or a file").click()
    page.locator("#file").set_input_files(tmp_path / "rows.parquet")
    page.get_by_role("button", name="Score the file").click()
    page.locator("#view-list [role=alert]").wait_for()
    assert "the upload" in page.locator("#view-list [role=alert]").inner_text().lower()
    assert not page.locator(".going").is_visible()
    page.heard["faults"].clear()  # the browser notes an answer of 422 as one


def test_a_busy_server_is_asked_again(page: Any, site: Server) -> None:
    refused: list[int] = []

    def busy(route: Any) -> None:
        if len(refused) < 2 and "bus" in (route.request.post_data or ""):
            refused.append(1)
            route.fulfill(status=429, headers={"retry-after": "1"}, body="{}")
        else:
            route.continue_()

    page.route("**/v1/predict", busy)
    come(page, site)
    page.get_by_role("tab", name="A list or a file").click()
    page.get_by_label("Paste messages, one a line").fill("the bus\nthe road")
    page.get_by_role("button", name="Score the list").click()
    page.get_by_text("The server is busy; trying again in 1 s").wait_for()
    page.locator(".results tbody tr").nth(1).wait_for()
    assert len(refused) == 2
    page.heard["faults"].clear()  # the browser notes an answer of 429 as one


def test_another_model_by_the_same_name_is_noticed(
    page: Any, start: Start, crisis: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    shutil.copytree(crisis, place)
    server = start(f"m={place}", env={"TIDEGATE_ADMIN_TOKENS": ADMIN})
    come(page, server)
    answered(page, "house on fire on 5th street")
    shutil.rmtree(place)
    replace(tiny_bundle(kind="multiclass"), labels=LABELS).save(place)
    sent = {"Authorization": f"Bearer {ADMIN}"}
    assert server.ask("POST", "/v1/models/m/reload", headers=sent).status == 200
    page.locator("#message").fill("fire")
    answered(page, "fire")
    assert page.locator(".bar").count() == 3
    assert "came without a report" in page.locator(".meaning").inner_text()


def test_the_api_is_drawn_from_its_document(page: Any, site: Server) -> None:
    come(page, site, "/docs")
    page.locator(".operation").first.wait_for()
    document = json.loads(site.ask("GET", "/openapi.json").data)
    assert page.locator(".operation").count() == sum(map(len, document["paths"].values()))
    command = page.locator(".operation pre").first.inner_text()
    assert f"http://127.0.0.1:{site.port}/v1/predict" in command
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
@pytest.mark.parametrize("width", [360, 1180])
def test_nothing_serious_stands_in_anyones_way(
    scheme: str, width: int, page: Any, site: Server
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": width, "height": 780})
    page.emulate_media(color_scheme=scheme)

    def looked_at() -> None:
        found = axe.Axe().run(page).response["violations"]
        serious = [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found
                   if v["impact"] in ("serious", "critical")]  # fmt: skip
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    come(page, site, "/#text=fire%20near%20zebra&with=the%20river")
    page.locator(".card").nth(1).wait_for()
    page.get_by_text("Is the label wrong?").click()
    looked_at()
    page.get_by_role("tab", name="A list or a file").click()
    page.get_by_label("Paste messages, one a line").fill("fire\nthe sky")
    page.get_by_role("button", name="Score the list").click()
    page.locator(".results tbody tr").first.wait_for()
    looked_at()
    come(page, site, "/docs")
    page.locator(".operation").first.wait_for()
    looked_at()
