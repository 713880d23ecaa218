"""What the tests share: the reference data where it is present, and tiny real models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tidegate.config import Config, preset
from tidegate.engine.bundle import Bundle
from tidegate.engine.network import weight_shapes

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_file(name: str) -> Path:
    """Return a file of the reference data, or skip the test."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the reference data ({name}) is not on this machine")
    return path


@pytest.fixture(scope="session")
def tweets() -> Path:
    return shared_file("tweets.csv")


# fmt: off
WORDS = [
    "fire", "flood", "storm", "near", "the", "a", "house", "river", "my", "inbox",
    "is", "on", "help", "please", "sky", "sunset", "of", "year", "game", "team",
    "lost", "crash", "road", "bus", "people", "safe", "now", "!", "coffee",
]
# fmt: on


def tiny_bundle(seed: int = 0, kind: str = "binary", **settings: object) -> Bundle:
    """Return an untrained model of a thirty-word vocabulary, its weights drawn from `seed`."""
    chosen = {"vectors": "none", "embedding_size": 5, "hidden_size": 4, **settings}
    config: Config = preset("default").with_settings(**chosen)
    labels = ("0", "1") if kind == "binary" else ("a", "b", "c")
    special = ("<pad>", "<unk>") if config.text.unknown == "unk" else ("<pad>",)
    tokens = (*special, *WORDS)
    outputs = 1 if kind == "binary" else len(labels)
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(0, 0.7, shape).astype(np.float32)
        for name, shape in weight_shapes(
            config.network, n_words=len(tokens), n_outputs=outputs
        ).items()
    }
    weights["embedding.weight"][0] = 0.0
    length = 12 if config.network.pooling == "padded_last" else config.text.max_tokens
    return Bundle(
        config=config, kind=kind, labels=labels, tokens=tokens, sequence_length=length,
        weights=weights,
    )  # fmt: skip


@pytest.fixture
def messages() -> Iterator[list[str]]:
    rng = np.random.default_rng(7)
    yield [" ".join(rng.choice(WORDS, size=rng.integers(0, 20))) for _ in range(200)]


@pytest.fixture
def browser() -> Iterator[object]:
    """Debian's chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("no chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=str(chromium), args=flags)
        yield found
        found.close()
