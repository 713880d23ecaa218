"""What the tests share: the reference data where it is present, and tiny real models."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

import servers
from tidegate.config import Config
from tidegate.data.dataset import Dataset, from_lists
from tidegate.engine.bundle import Bundle
from tidegate.engine.network import weight_shapes
from tidegate.engine.ngrams import character_runs, quantised
from tidegate.engine.vectors import n_pieces
from tidegate.presets import preset

# A case may take long because something else runs on the machine: no test is timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

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
HOSTILE = {
    "nothing": "",
    "white space": " \n\t ",
    "emoji": "🔥🔥👩‍👩‍👧🇫🇷",
    "markup": "<script>alert(1)</script> \"quoted\" 'fire' </script><!--",
    "NUL": "fire\x00flood \x1b[31mred",
    "surrogate": "fire \ud800 flood",
    "right to left": "حريق في المنزل fire \u202eevil",
    "2,000 tokens": " ".join(WORDS[k % len(WORDS)] for k in range(2000)),
    "100,000 characters": "fire " * 20_000,
    "one word": "x" * 100_000,
}


NOT_FAST = "" if importlib.util.find_spec("tidegate_fast") else "tidegate-fast is not installed"
ENGINES = ["numpy", pytest.param("fast", marks=pytest.mark.skipif(bool(NOT_FAST), reason=NOT_FAST))]


def some_slow(names: Iterable[str], slow: Container[str]) -> list[object]:
    """Return cases for `parametrize`, some of them left to the slow tests."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


def tiny_bundle(seed: int = 0, kind: str = "binary", **settings: object) -> Bundle:
    """Return an untrained model of a thirty-word vocabulary, its weights drawn from `seed`."""
    chosen = {
        "vectors": "none", "embedding_size": 5, "hidden_size": 4, "ngrams": "none", **settings
    }  # fmt: skip
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


PIECES = json.dumps(
    {
        "pieces": ["▁", "f", "i", "r", "e", "▁f", "re", *"abcdghlmnopstuvxyz"],
        "words": ["zebra", "ocean"],  # of no vocabulary
    }
)


def with_vectors(seed: int = 0) -> Bundle:
    """Return a model that reads words out of vocabulary by their pieces."""
    bundle = tiny_bundle(seed, vectors="wordllama", vector_size=6)
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_pieces(PIECES), 6)).astype(np.float16)
    words = rng.normal(size=(len(bundle.tokens), 6)).astype(np.float16)
    weights = {**bundle.weights, "vectors.weight": vectors, "words.weight": words}
    return replace(bundle, weights=weights, pieces=PIECES)


def with_ngrams(seed: int = 0) -> Bundle:
    """Return a model with an n-gram branch beside its LSTM, its pairs and runs those of WORDS."""
    bundle = with_vectors(seed)
    config = bundle.config.with_settings(ngrams="linear", ngram_share=0.6)
    rng = np.random.default_rng(seed)
    n, n_cut = len(bundle.tokens), n_pieces(PIECES)
    pairs = np.array([[i, j] for i in range(2, n + 1) for j in (3, 9, n + 1)], np.int32)
    runs = np.array(sorted({run for word in WORDS for run in character_runs(word)}), np.uint32)
    arrays: dict[str, np.ndarray] = {"pairs": pairs, "run_hashes": runs}
    for name, count in (("word", n), ("pair", len(pairs)), ("run", len(runs)), ("piece", n_cut)):
        arrays[f"{name}_rows"], arrays[f"{name}_scales"] = quantised(rng.normal(size=(count, 1)))
        arrays[f"{name}_norms"] = rng.uniform(1, 9, count).astype(np.float32)
    del arrays["piece_norms"]
    arrays |= {"bias": np.array([0.1], np.float32), "floor": np.array([2], np.float32)}
    own = {f"ngrams.{name}": array for name, array in arrays.items()}
    return replace(bundle, config=config, weights={**bundle.weights, **own})


def made_up(kind: str = "binary", n: int = 240) -> Dataset:
    """Return messages whose label is the presence of some words."""
    rng = np.random.default_rng(5)
    words = [rng.choice(WORDS, size=rng.integers(2, 9)).tolist() for _ in range(n)]
    texts = [" ".join(w) for w in words]
    marks = np.array([[m in w for m in ("fire", "flood", "storm")] for w in words], dtype=int)
    if kind == "multilabel":
        return from_lists(texts, marks, labels=("fire", "flood", "storm"))
    if kind == "multiclass":
        return from_lists(texts, ["none" if not m.any() else "fbs"[int(m.argmax())] for m in marks])
    return from_lists(texts, marks.any(axis=1).astype(int))


def small(**settings: object) -> Config:
    return preset("default").with_settings(
        **{
            "vectors": "none", "embedding_size": 8, "hidden_size": 6, "epochs": 14, "min_count": 1,
            "batch_size": 16, "learning_rate": 0.02, "word_dropout": 0, "channel_dropout": 0,
            "dropout": 0, **settings,
        }
    )  # fmt: skip


def rows(n: int, kind: str = "binary") -> Dataset:
    """Return n short messages; those that name a disaster carry the label."""
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(WORDS, size=6)) + f" {k}" for k in range(n)]
    shocking = np.array([any(w in t for w in ("fire", "flood", "storm", "crash")) for t in texts])
    urgent = np.array(["help" in t or "please" in t for t in texts])
    targets = {
        "binary": shocking.astype(np.int64),
        "multiclass": shocking + 2 * urgent * ~shocking,
        "multilabel": np.stack([shocking, urgent], axis=1).astype(np.int64),
    }[kind]
    labels = {"binary": ("0", "1"), "multiclass": ("a", "b", "c"), "multilabel": ("x", "y")}[kind]
    return Dataset(
        texts=tuple(texts), targets=targets, labels=labels, kind=kind,
        rows=tuple(range(1, n + 1)), source="memory",
    )  # fmt: skip


@pytest.fixture
def messages() -> Iterator[list[str]]:
    rng = np.random.default_rng(7)
    yield [" ".join(rng.choice(WORDS, size=rng.integers(0, 20))) for _ in range(200)]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Debian's chromium, driven by Playwright; a file's tests share it, each on its own page."""
    playwright = pytest.importorskip("playwright.sync_api")
    # The shell is the same browser without a window, which takes half of the time of a page.
    names = ("chromium-headless-shell", "chromium")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=flags)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that writes down its requests, faults and dialogs; a policy broken is a fault, too."""
    found = browser.new_page(viewport={"width": 1180, "height": 900})
    found.heard = {"requests": [], "faults": [], "dialogs": []}
    found.on("request", lambda request: found.heard["requests"].append(request.url))
    found.on("pageerror", lambda fault: found.heard["faults"].append(str(fault)))
    found.on("console", lambda message: found.heard["faults"].append(message.text))
    found.on("dialog", lambda dialog: found.heard["dialogs"].append(dialog.message))
    yield found
    found.close()
    assert found.heard["faults"] == []
    assert found.heard["dialogs"] == []


@pytest.fixture(scope="session")
def served_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_ngrams().save(tmp_path_factory.mktemp("served") / "crisis")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_ngrams(9).save(tmp_path_factory.mktemp("served") / "other")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Start]:
    """Start servers; they end with the tests of a file."""
    running: list[servers.Server] = []

    def begin(*words: str | Path, **more: object) -> servers.Server:
        running.append(servers.begin(tmp_path_factory.mktemp("log") / "log", *words, **more))
        return running[-1]

    yield begin
    for one in running:
        one.process.kill()
        one.process.wait()


@pytest.fixture(scope="module")
def server(start: servers.Start, served_model: Path, other_model: Path) -> servers.Server:
    """A server of two models."""
    return start(f"crisis={served_model}", f"other={other_model}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its argument: zipped ones hold the time, and differ by process."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[Any]:
    """A Ray cluster of a head without cores and two nodes with one each."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
    import clusters

    found = clusters.begin()
    yield found
    found.shutdown()
