"""The explorer in Chromium: the file's size, the time to open, the time a key, and the differences.

    python -m benchmarks.bench_explorer MODEL [LESSON]

MODEL and LESSON are bundles, of the default preset and of the lesson's. A key is a character typed
at the end of a message of 25 tokens: until label, probability and effects are drawn, layout
included; until its gates are drawn; and until its whole walk is, contributions included. The
differences are from Python's answers to 2,000 messages of the reference data and 2,000 altered
ones. Needs Debian's chromium and Playwright.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_file import DATA, write
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.pages.explorer import explorer_page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
OPENINGS = 7
WALKS = 5
TOKENS = 25
TYPED = " evacuation"  # the last token, key by key
N = 2000
# Notes when the page says that it is ready, in milliseconds since the navigation began.
WATCH = """new MutationObserver((_, watcher) => {
    if (document.querySelector("#page")?.dataset.ready) {
        window.openedAt = performance.now();
        watcher.disconnect();
    }
}).observe(document, { subtree: true, attributes: true, childList: true })"""
# Types texts one after the other; gives the milliseconds of each until it is answered and laid out.
KEYS = """async (texts) => {
    const box = document.querySelector("textarea");
    const spent = [];
    for (const text of texts) {
        const start = performance.now();
        box.value = text;
        box.dispatchEvent(new Event("input", { bubbles: true }));
        for (let turn = 0; document.querySelector(".answers").dataset.text !== text; turn += 1) {
            if (turn > 1000) throw new Error("the page did not answer at once");
            await null;
        }
        document.body.getBoundingClientRect();
        spent.push(performance.now() - start);
        await new Promise((done) => setTimeout(done, 30));
    }
    return spent;
}"""
WALK = """async ([text, exact]) => {
    const { dataset } = document.querySelector(".walk");
    const box = document.querySelector("textarea");
    const start = performance.now();
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    while (dataset.text !== text && (exact || dataset.early !== text))
        await new Promise((done) => setTimeout(done, 2));
    document.body.getBoundingClientRect();
    return performance.now() - start;
}"""
ANSWERS = """(texts) => JSON.parse(texts).map((text) => {
    const { values, label } = tidegate.engine.predict(text);
    return [values, label];
})"""


def messages() -> list[str]:
    """Return N messages of the reference data, and N with some of their characters changed."""
    with (DATA / "tweets.csv").open(encoding="utf-8", newline="") as file:
        texts = list(dict.fromkeys(row["text"] for row in csv.DictReader(file)))
    draw = random.Random(11)
    altered = []
    for text in draw.sample(texts, N):
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(text) + 1)
            new = draw.choice(
                ["", "é", "🔥", " ", "#", "&amp;", text[at : at + 3] * 2, "Σ", "’s", "7"]
            )
            text = text[:at] + new + text[at + draw.randint(0, 3) :]
        altered.append(text)
    return texts[:N] + altered


def typed_texts(model: Predictor) -> list[str]:
    """Return messages that grow by a key, up to 25 tokens the model knows or reads by spelling."""
    read = model.encoder.tokenizer
    words = [t for t in model.bundle.tokens if t.isalpha() and t.isascii() and read(t) == [t]]
    start = " ".join(words[:: max(len(words) // TOKENS, 1)][: TOKENS - 1])
    return [start + TYPED[:k] for k in range(2, len(TYPED) + 1)]


def opened(browser: Any, path: Path) -> tuple[Any, float]:
    """Return a page and the milliseconds from the beginning of its navigation to ready."""
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    page.add_init_script(WATCH)
    page.goto(path.as_uri())
    page.wait_for_function("() => window.openedAt !== undefined", timeout=120_000)
    return page, page.evaluate("window.openedAt")


def differences(page: Any, model: Predictor, texts: list[str]) -> dict[str, float]:
    """Return how far the page's answers are from Python's."""
    found = page.evaluate(ANSWERS, json.dumps(texts))
    answers = model.predict_proba(texts)
    gaps = np.abs(np.array([values for values, _ in found]) - answers).max()
    same = [label == mine for (_, label), mine in zip(found, model.decide(answers), strict=True)]
    return {"messages": len(texts), "largest": float(gaps), "same_decision": float(np.mean(same))}


def measured(browser: Any, bundle: Bundle, texts: list[str], folder: Path) -> dict[str, Any]:
    """Return a model's figures."""
    model = Predictor(bundle)
    figures: dict[str, Any] = {"parameters": sum(a.size for a in bundle.weights.values())}
    figures["words"] = len(bundle.tokens)
    for name, exact in (("exact", True), ("shipped", False)):
        path = folder / f"{name}.html"
        path.write_text(explorer_page(bundle, title="model", exact=exact).html, encoding="utf-8")
        page, _ = opened(browser, path)
        figures[name] = {"bytes": path.stat().st_size} | differences(page, model, texts)
        page.close()
    openings = []
    for _ in range(OPENINGS):
        page, took = opened(browser, folder / "shipped.html")
        openings.append(took)
        page.close()
    figures["open_ms"] = float(np.median(openings))
    page, _ = opened(browser, folder / "shipped.html")
    keys = typed_texts(model)
    page.evaluate(KEYS, keys)  # a warm-up
    spent = page.evaluate(KEYS, [*keys[::-1], *keys])
    gates = [page.evaluate(WALK, [keys[-1 - (k % 2)], False]) for k in range(WALKS + 1)][1:]
    page.evaluate(WALK, [keys[-3], True])
    walks = [page.evaluate(WALK, [keys[-1 - (k % 2)], True]) for k in range(WALKS + 1)][1:]
    figures |= {
        "key_ms": float(np.median(spent)), "key_p95_ms": float(np.percentile(spent, 95)),
        "gates_ms": float(np.median(gates)), "walk_ms": float(np.median(walks)),
    }  # fmt: skip
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("lesson", nargs="?")
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SystemExit(
            "the explorer is measured with Playwright, which is not installed"
        ) from None
    if not CHROMIUM.exists():
        raise SystemExit(f"the explorer is measured in {CHROMIUM}, which is not on this machine")
    texts = messages()
    figures: dict[str, Any] = {}
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        figures["browser"] = f"Chromium {browser.version}"
        for name, place in (("default", options.model), ("lesson", options.lesson)):
            if place is None:
                continue
            one = figures[name] = measured(browser, Bundle.load(place), texts, Path(folder))
            shipped, exact = one["shipped"], one["exact"]
            print(
                f"{name:8} {shipped['bytes'] / 1e6:.2f} MB ({exact['bytes'] / 1e6:.2f} exact), "
                f"opens in {one['open_ms']:.0f} ms, a key {one['key_ms']:.1f} ms "
                f"(95 %: {one['key_p95_ms']:.1f}), its gates {one['gates_ms']:.0f} ms, "
                f"its whole walk {one['walk_ms']:.0f} ms\n"
                f"{'':8} from Python: {exact['largest']:.1e} exact, {shipped['largest']:.1e} "
                f"shipped, the same decision {shipped['same_decision']:.2%}"
            )
        browser.close()
    command = "python -m benchmarks.bench_explorer MODEL LESSON"
    print(write("explorer", figures, command=command))


if __name__ == "__main__":
    main()
