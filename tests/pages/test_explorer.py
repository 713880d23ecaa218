"""The explorer in a real browser: the model in the page answers like the one in Python."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import HOSTILE, some_slow, tiny_bundle, with_ngrams, with_vectors
from explorers import odd_texts, opened, walked
from tidegate.cli import main
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.pages.explorer import SELF_TEST, explorer_page
from tidegate.pages.packing import as_text, from_text
from tidegate.walking.walk import Walk, walk

LABELS = ("<img src=x onerror=alert(1)>", "</script><b>b", "\u202eevil")
BUNDLES = {
    "binary": lambda: tiny_bundle(),
    "multiclass": lambda: replace(tiny_bundle(1, kind="multiclass"), temperature=0.6),
    "multilabel": lambda: replace(tiny_bundle(2, kind="multilabel"), thresholds=(0.3, 0.5, 0.7)),
    "two layers forward": lambda: tiny_bundle(3, num_layers=2, bidirectional=False, pooling="last"),
    "two layers and a head": lambda: tiny_bundle(4, num_layers=2, head_size=3, pooling="max"),
    "unknown words dropped": lambda: tiny_bundle(5, unknown="drop", pooling="mean"),
    "padded": lambda: tiny_bundle(6, pooling="padded_last"),
    "lesson": lambda: tiny_bundle(
        7, tokenizer="lesson", unknown="drop", pooling="padded_last", num_layers=2,
        bidirectional=False, head_size=3,
    ),
    "lesson, multiclass": lambda: tiny_bundle(
        8, kind="multiclass", tokenizer="lesson", lemmas="nltk-3.9+"
    ),
    "vectors": lambda: with_vectors(),
    "n-grams": lambda: with_ngrams(),
}  # fmt: skip
TEXTS = [
    *(t for t in HOSTILE.values() if len(t) < 1000), *SELF_TEST, *odd_texts(90),
    "The geese were RUNNING; we cannot, I'm gonna: better houses' roads",
    "ΟΔΟΣ ΑΣ' ΣΑΣ.Α İsım flooded",
]  # fmt: skip


@pytest.fixture
def page(page: Any) -> Iterator[Any]:
    """A page that asks for its own file, and for nothing else."""
    page.emulate_media(reduced_motion="reduce")
    yield page
    assert all(url.startswith("file:") for url in page.heard["requests"])
    assert len(page.heard["requests"]) == 1


def near(found: Any, expected: Any, name: str) -> None:
    # Contributions are integrals whose points are chosen by comparing errors of 5e-4 with a limit:
    # the last bit may decide that one side takes more points than the other.
    gap = 2e-3 if name == "contributions" else 1e-5
    values = np.array(found, np.float64)  # None, for what was not worked out, becomes NaN
    np.testing.assert_allclose(values, expected, rtol=0, atol=gap, err_msg=name)


def agree(found: dict[str, Any], expected: Walk) -> None:
    tokens = [(t["token"], t["start"], t["end"], t["known"], t["dropped"]) for t in found["tokens"]]
    assert tokens == [(t.token, t.start, t.end, t.known, t.dropped) for t in expected.tokens]
    assert found["read"] == expected.read.tolist()
    decided = expected.decided if isinstance(expected.decided, str) else list(expected.decided)
    assert (found["label"], found["decided"]) == (expected.label, decided)
    for name in ("probabilities", "path", "contributions", "left_out", "baseline"):
        near(found[name], getattr(expected, name), name)
    for d, e in zip(found["directions"], expected.directions, strict=True):
        assert (d["layer"], d["reverse"]) == (e.layer, e.reverse)
        for name in ("f", "i", "g", "o", "c_before", "c", "h", "kept", "written", "saturated"):
            near(d[name], getattr(e, name), name)
    head = expected.head.to_dict()
    near(found["head"].pop("logits"), head.pop("logits"), "head")
    assert found["head"] == head
    if expected.ngrams is not None:
        for name in ("lstm_logits", "ngram_logits", "bias", "token_logits", "contributions"):
            near(found["ngrams"][name], getattr(expected.ngrams, name), name)


@pytest.mark.parametrize(
    "name",
    some_slow(
        BUNDLES,
        slow=(
            "two layers forward",
            "two layers and a head",
            "unknown words dropped",
            "vectors",
            "binary",
            "multiclass",
            "multilabel",
            "lesson, multiclass",
        ),
    ),
)
def test_tokens_gates_and_answers_are_pythons(page: Any, tmp_path: Path, name: str) -> None:
    bundle = opened(page, tmp_path, BUNDLES[name]())
    model = Predictor(bundle)
    for text, found in zip(TEXTS, walked(page, TEXTS), strict=True):
        agree(found, walk(model, text))


def test_long_and_hostile_messages_are_answered_alike(page: Any, tmp_path: Path) -> None:
    bundle = opened(page, tmp_path, with_ngrams())
    texts = [*HOSTILE.values(), *odd_texts(300)]
    found = page.evaluate(
        "(texts) => JSON.parse(texts).map((text) => tidegate.engine.predict(text).values)",
        json.dumps(texts),
    )
    np.testing.assert_allclose(found, Predictor(bundle).predict_proba(texts), atol=1e-5)


def test_with_rounded_vectors_answers_are_close(page: Any, tmp_path: Path) -> None:
    bundle = opened(page, tmp_path, with_ngrams(), exact=False)
    assert "passed" in page.locator(".selftest").inner_text()
    found = [w["probabilities"] for w in walked(page, TEXTS)]
    gaps = np.abs(np.array(found) - Predictor(bundle).predict_proba(TEXTS))
    assert 0 < gaps.max() < 2e-3


@pytest.mark.parametrize(
    "hold",
    [
        pytest.param({"f": 0}, marks=pytest.mark.slow),
        pytest.param({"f": 1}, marks=pytest.mark.slow),
        pytest.param({"f": 0.35}, marks=pytest.mark.slow),
        {"f": {1: 0.2, 3: 1}},
        {"i": 0.5, "o": 1, "g": -1},
    ],
)
def test_held_gates_are_pythons(page: Any, tmp_path: Path, hold: dict[str, Any]) -> None:
    bundle = opened(page, tmp_path, with_ngrams())
    texts = TEXTS[:25]
    for text, found in zip(texts, walked(page, texts, {"hold": hold}), strict=True):
        agree(found, walk(bundle, text, hold=hold))


def probability(page: Any) -> float:
    return float(page.locator(".verdict .value").first.inner_text())


def test_answer_and_walk_follow_what_is_typed_dropped_and_held(page: Any, tmp_path: Path) -> None:
    bundle = opened(page, tmp_path, with_ngrams())
    model = Predictor(bundle)
    box = page.get_by_label("Message", exact=True)
    box.fill("")
    box.press_sequentially("fire near the river")
    assert probability(page) == pytest.approx(
        model.predict_proba(["fire near the river"])[0, 1], abs=5.1e-4
    )
    page.wait_for_function("document.querySelector('.walk').dataset.text === 'fire near the river'")
    assert page.locator(".walk .chip").all_inner_texts() == ["fire", "near", "the", "river"]
    page.locator(".words .chip", has_text="fire").click()
    page.get_by_role("button", name="Leave it out").click()
    assert page.locator(".words .chip").first.get_attribute("aria-label") == "fire, left out"
    without = model.predict_proba(["near the river"])[0, 1]
    assert probability(page) == pytest.approx(without, abs=5.1e-4)
    page.locator(".walk s", has_text="fire").wait_for()
    page.get_by_role("button", name="Put it back").click()
    slider = page.get_by_role("slider", name="Forget gate")
    slider.fill("0")
    held = walk(bundle, "fire near the river", hold={"f": 0.0})
    assert probability(page) == pytest.approx(held.probabilities[1], abs=5.1e-4)
    assert "nothing is known of how often it is right" in page.locator(".meaning").inner_text()
    assert "every forget gate held at 0.00" in page.locator(".effect").first.inner_text()
    page.wait_for_function("document.querySelector('[data-value=f]')?.textContent === '0.000'")
    page.locator("select[name=unit]").select_option("2")
    page.locator("#which-units").select_option("shown")
    held = walk(bundle, "fire near the river", hold={"f": {2: 0.0}})
    assert probability(page) == pytest.approx(held.probabilities[1], abs=5.1e-4)
    page.get_by_role("button", name="Let all run free").click()
    assert "The gates run free" in page.locator(".effect").first.inner_text()
    box.fill("")
    assert "no word to leave out" in page.locator(".words").inner_text()


def test_labels_and_names_are_shown_as_text(page: Any, tmp_path: Path) -> None:
    opened(page, tmp_path, replace(tiny_bundle(2, kind="multilabel"), labels=LABELS))
    page.get_by_label("Message", exact=True).fill(HOSTILE["markup"])
    names = page.locator(".bar .name").all_inner_texts()
    assert sorted(names) == sorted([*LABELS[:2], "\\u202eevil"])
    assert page.locator("main img, main b b").count() == 0


def altered(html: str) -> str:
    """Return a page in whose model one weight of the last layer was changed, all else intact."""
    start = html.index('id="model">') + len('id="model">')
    end = html.index("</script>", start)
    raw = bytearray(gzip.decompress(from_text(html[start:end])))
    size = int.from_bytes(raw[:4], "little")
    entry = next(e for e in json.loads(raw[4 : 4 + size])["arrays"] if e["name"] == "output.weight")
    first, n = 4 + size + entry["at"], int(np.prod(entry["shape"]))
    place = slice(first, first + 4 * n)  # all first bytes, then all second ones, and so on
    values = np.frombuffer(bytes(raw[place]), np.uint8).reshape(4, n).T.copy().view("<f4")
    values[0] += np.float32(0.01)
    raw[place] = values.view(np.uint8).reshape(n, 4).T.tobytes()
    return html[:start] + as_text(gzip.compress(bytes(raw))) + html[end:]


def test_the_self_test_passes_and_fails_where_it_should(page: Any, tmp_path: Path) -> None:
    html = explorer_page(with_ngrams(), title="model").html
    path = tmp_path / "altered.html"
    path.write_text(altered(html), encoding="utf-8")
    page.goto(path.as_uri())
    page.locator("#page[data-ready]").wait_for()
    told = page.get_by_role("alert").filter(has_text="Self-test failed")
    assert told.is_visible()
    assert "Do not trust this page" in told.inner_text()


def test_a_broken_file_says_so(page: Any, tmp_path: Path) -> None:
    html = explorer_page(tiny_bundle(), title="model").html
    middle = html.index('id="model">') + 5000
    path = tmp_path / "broken.html"
    path.write_text(html[:middle] + "AAAA" + html[middle + 4 :], encoding="utf-8")
    page.goto(path.as_uri())
    page.get_by_text("could not be opened").wait_for()


def test_the_same_model_gives_the_same_page() -> None:
    pages = {explorer_page(with_ngrams(), title="model").html for _ in range(2)}
    assert len(pages) == 1
    html = pages.pop()
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg|t\.co)[^\s\"']+", html) == []


def test_what_the_page_cannot_run_is_told() -> None:
    with pytest.raises(ConfigError, match="explore: the model's cell is 'gru'"):
        explorer_page(tiny_bundle(cell="gru"), title="model")


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explore"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "there is no demo/model, which make demo writes" in told
    with_ngrams().save(tmp_path / "model")
    assert main(["explore", "model", "-o", "page.html"]) == 0
    first = (tmp_path / "page.html").read_bytes()
    assert "page.html: 0." in capsys.readouterr().err
    assert main(["explore", "model", "-o", "page.html", "--no-clobber"]) == 2
    (tmp_path / "demo").mkdir()
    (tmp_path / "model").rename(tmp_path / "demo" / "model")
    assert main(["explore"]) == 0
    assert (tmp_path / "explorer.html").read_bytes() == first
