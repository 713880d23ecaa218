"""What a notebook shows of a model and of a walk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import HOSTILE, tiny_bundle, with_ngrams
from tidegate import Predictor, walk

HOLDER = "<!doctype html><html lang='en'><title>notebook</title><body>{}</body></html>"


def test_a_walk_is_a_page_in_a_frame_that_reaches_nothing(page: Any, tmp_path: Path) -> None:
    shown = walk(tiny_bundle(), "fire near the river")._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(HOLDER.format(shown), encoding="utf-8")
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    assert frame.locator(".chip").all_inner_texts() == ["fire", "near", "the", "river"]
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts"
    inner = page.frames[1]
    # An origin of its own: neither the notebook nor what it keeps can be read.
    assert (
        inner.evaluate("() => { try { return parent.document.title; } catch { return 'shut'; } }")
        == "shut"
    )
    assert inner.evaluate("() => origin") == "null"


def test_a_hostile_message_stays_in_its_frame(page: Any, tmp_path: Path) -> None:
    model = Predictor(with_ngrams())
    shown = "".join(
        str(walk(model, HOSTILE[name])._repr_html_()) for name in ("markup", "surrogate")
    )
    path = tmp_path / "notebook.html"
    path.write_text(HOLDER.format(shown), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator("body > *").count() == 2
    frame = page.frame_locator("iframe").first
    assert "<script>alert(1)</script>" in frame.locator(".message").inner_text()


def test_a_predictor_is_a_table(page: Any, tmp_path: Path) -> None:
    labels = ("<b>a</b>", "turned \u202e round", *"cdefghij")
    bundle = tiny_bundle(kind="multiclass")
    outputs = {n: a for n, a in bundle.weights.items() if n.startswith("output")}
    wide = {n: a.repeat(4, axis=0)[: len(labels)] for n, a in outputs.items()}
    many = replace(bundle, labels=labels, weights={**bundle.weights, **wide})
    path = tmp_path / "notebook.html"
    path.write_text(HOLDER.format(Predictor(many)._repr_html_()), encoding="utf-8")
    page.goto(path.as_uri())
    rows = dict(row.split("\t", 1) for row in page.locator("tr").all_inner_texts())
    assert rows["labels"] == "<b>a</b>, turned \\u202e round, c, d, e, f, g, h and 2 more"
    assert rows["vocabulary"] == "31 words"
    assert rows["reads"] == "the first 40 tokens of a message"
    assert rows["network"] == "LSTM, 1 layer of 4 units, both directions"
    assert rows["size"].endswith(" MB")
    assert page.locator("b").count() == 0


def test_without_the_pages_a_walk_is_plain() -> None:
    code = (
        "from tidegate.walking.record import Walk\n"
        "import sys\n"
        "assert 'tidegate.pages' not in sys.modules\n"
        "assert Walk._repr_html_(None) is None\n"
        "from tidegate import walk\n"
        "assert 'tidegate.pages' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
