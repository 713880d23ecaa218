"""A report's hardest mistakes in a real browser: a link a row leads to the walk of its message."""

from pathlib import Path
from typing import Any

import pytest

from conftest import HOSTILE, made_up, small, tiny_bundle
from tidegate.pages.mistakes import mistakes_page
from tidegate.report.card import with_report
from tidegate.report.mistakes import hardest
from tidegate.training.learner import Learner, train_and_score
from tidegate.walking.walk import walk


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_each_mistake_leads_to_its_walk(page: Any, tmp_path: Path, kind: str) -> None:
    scored = train_and_score(Learner(made_up(kind), small(epochs=1, score="cv", folds=2)))
    found = hardest(scored)
    assert len(found) > 2
    bundle = with_report(scored, title="crisis")
    saved = bundle.save(tmp_path / "m")
    assert with_report(scored, title="crisis").extra_files == bundle.extra_files
    page.goto((saved / "report.html").as_uri())
    for i in (found[2], found[0]):
        row = int(scored.test.rows[i])
        page.locator(f'a[href="mistakes.html#row-{row}"]').click()
        page.locator(".cards").wait_for()
        text = " ".join(page.locator("select[name=mistake] option:checked").inner_text().split())
        assert text.startswith(f"row {row}: ")
        expected = walk(bundle, scored.test.texts[i])
        chips = page.locator(".chip").all_inner_texts()
        assert len(chips) == len(expected.read)
        assert page.locator("h1").inner_text() == "Mistakes of crisis"
        page.go_back()
    assert all(one.startswith("file://") for one in page.heard["requests"])


def test_another_mistake_is_chosen_in_the_page(page: Any, tmp_path: Path) -> None:
    bundle, texts = tiny_bundle(1), ["fire near the river", "help"]
    cases = [{"row": 5 * n, "said": f"Said {n}.", "text": text} for n, text in enumerate(texts)]
    path = tmp_path / "mistakes.html"
    html = mistakes_page(cases, [walk(bundle, text) for text in texts], title="m")
    path.write_text(html, encoding="utf-8")
    page.goto(path.as_uri())
    page.locator(".chip").first.wait_for()
    assert page.locator(".chip").count() == 4
    page.select_option("select[name=mistake]", "1")
    page.get_by_text("Said 1.").wait_for()
    assert page.locator(".chip").count() == 1
    assert page.url.endswith("#row-5")


def test_hostile_mistakes_are_shown_as_text(page: Any, tmp_path: Path) -> None:
    bundle = tiny_bundle(1)
    cases = [{"row": n, "said": text, "text": text} for n, text in enumerate(HOSTILE)]
    path = tmp_path / "mistakes.html"
    html = mistakes_page(cases, [walk(bundle, text) for text in HOSTILE], title="<b>m</b>")
    path.write_text(html, encoding="utf-8", errors="backslashreplace")
    page.goto(path.as_uri())
    page.locator("h1").wait_for()
    assert page.locator("h1").inner_text() == "Mistakes of <b>m</b>"
    assert page.locator("select[name=mistake] option").count() == len(HOSTILE)
