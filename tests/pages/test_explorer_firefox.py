"""The explorer in Firefox: another engine for JavaScript, another version of Unicode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conftest import HOSTILE, tiny_bundle, with_ngrams
from explorers import odd_texts
from firefox import Firefox, firefox
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.pages.explorer import explorer_page

TEXTS = [*(text for text in HOSTILE.values() if len(text) < 1000), *odd_texts(120)]
BUNDLES = {
    "tweet": lambda: with_ngrams(),
    "lesson": lambda: tiny_bundle(
        7, tokenizer="lesson", unknown="drop", pooling="padded_last", num_layers=2,
        bidirectional=False, head_size=3,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox") / "profile") as found:
        yield found


def opened(browser: Firefox, folder: Path, bundle: Bundle) -> str:
    path = folder / "explorer.html"
    path.write_text(explorer_page(bundle, title="model", exact=True).html, encoding="utf-8")
    browser.requests.clear()
    browser.open(path.as_uri())
    browser.wait_for("document.querySelector('#page').dataset.ready === 'true'")
    return path.as_uri()


@pytest.mark.parametrize("name", BUNDLES)
def test_firefox_answers_like_python(browser: Firefox, tmp_path: Path, name: str) -> None:
    bundle = BUNDLES[name]()
    address = opened(browser, tmp_path, bundle)
    assert "Self-test passed" in browser.evaluate("document.querySelector('.selftest').textContent")
    # JSON within JSON, so that half a surrogate pair arrives as it is.
    script = (
        f"JSON.parse({json.dumps(json.dumps(TEXTS))}).map((text) => tidegate.engine.trace(text))"
    )
    model = Predictor(bundle)
    for text, found in zip(TEXTS, browser.evaluate(script), strict=True):
        written = [t for t in found["tokens"] if t["dropped"] != "removed by cleaning"]
        spans = [[t["token"], t["start"], t["end"]] for t in written if t["start"] >= 0]
        assert spans == [[s.token, s.start, s.end] for s in model.encoder.tokenizer.spans(text)]
        answer = model.predict_proba([text])[0]
        np.testing.assert_allclose(found["probabilities"], answer, rtol=0, atol=1e-5)
    assert set(browser.requests) <= {address}
    assert browser.faults == []


def test_typing_answers_in_firefox(browser: Firefox, tmp_path: Path) -> None:
    bundle = BUNDLES["tweet"]()
    address = opened(browser, tmp_path, bundle)
    browser.evaluate("(document.querySelector('textarea').select(), null)")
    browser.press("fire near the river")
    browser.wait_for(
        "document.querySelector('.answers').dataset.text === 'fire near the river'"
        " && document.querySelector('.walk').dataset.text === 'fire near the river'"
    )
    shown = float(browser.evaluate("document.querySelector('.verdict .value').textContent"))
    answer = Predictor(bundle).predict_proba(["fire near the river"])[0, 1]
    assert shown == pytest.approx(answer, abs=5.1e-4)
    assert set(browser.requests) <= {address}
    assert browser.faults == []


def test_what_a_page_asks_for_is_heard(browser: Firefox, tmp_path: Path) -> None:
    """Or the tests above would say nothing about requests."""
    (tmp_path / "asks.html").write_text("<img src='http://127.0.0.1:47123/nothing'>")
    browser.requests.clear()
    browser.open((tmp_path / "asks.html").as_uri())
    assert "http://127.0.0.1:47123/nothing" in browser.requests
