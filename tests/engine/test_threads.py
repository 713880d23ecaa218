"""One predictor in threads, after a fork and through a pickle gives a fresh one's answers."""

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conftest import ENGINES, WORDS, tiny_bundle, with_ngrams
from tidegate.engine import blas
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.engine.words import WordTables
from tidegate.engine.workers import Workers
from tidegate.walking.walk import walk

THREADS = 16


@pytest.fixture(autouse=True)
def hurried() -> Iterator[None]:
    """Change threads as often as Python can, so that what may go wrong between two does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def new_word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("abcdefghilmnoprstuvxyz"), size=9))


def new_texts(rng: np.random.Generator, n: int) -> list[str]:
    """Return messages half of whose words no vocabulary has."""
    return [
        " ".join([*rng.choice(WORDS, size=rng.integers(1, 9)), *(new_word(rng) for _ in range(3))])
        for _ in range(n)
    ]


def in_threads(work: Callable[[int], float], n: int = THREADS) -> float:
    """Return the largest of what a work gives in threads that begin together."""
    together = threading.Barrier(n)

    def begin(number: int) -> float:
        together.wait()
        return work(number)

    with ThreadPoolExecutor(n) as pool:
        return max(pool.map(begin, range(n)))


def worst_of(
    bundle: Bundle, *, calls: int, a_call: int = 2, shared: int = 0, engine: str = "numpy"
) -> float:
    """Return how far threads' answers, of one predictor, lie from those of a fresh one.

    `shared` of a call's messages are met by all threads at the same time.
    """
    predictor = Predictor(bundle, engine=engine)

    def work(number: int) -> float:
        own, common = np.random.default_rng(number), np.random.default_rng(999)
        batches = [new_texts(own, a_call) + new_texts(common, shared) for _ in range(calls)]
        found = [predictor.predict_proba(texts) for texts in batches]
        flat = [text for texts in batches for text in texts]
        fresh = Predictor(bundle, engine=engine).predict_proba(flat)
        return float(np.abs(np.concatenate(found) - fresh).max())

    return in_threads(work)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("remembered", [20, 100_000])
def test_threads_with_ever_new_words_get_a_fresh_predictors_answers(
    engine: str, remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.engine.reader.MAX_OPEN_WORDS", remembered)
    assert worst_of(with_ngrams(), calls=12, shared=1, engine=engine) <= 1e-6


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.slow
@pytest.mark.parametrize("remembered", [2_000, 100_000])
def test_16_threads_by_2000_calls_get_a_fresh_predictors_answers(
    engine: str, remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.engine.reader.MAX_OPEN_WORDS", remembered)
    assert worst_of(with_ngrams(), calls=2000, engine=engine) <= 1e-6


@pytest.mark.parametrize("settings", [{}, {"tokenizer": "lesson", "unknown": "drop"}])
def test_threads_may_share_a_model_without_vectors(settings: dict[str, object]) -> None:
    assert worst_of(tiny_bundle(**settings), calls=8, shared=1) <= 1e-6


def test_walks_in_threads_are_those_of_a_fresh_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.engine.reader.MAX_OPEN_WORDS", 20)
    predictor, bundle = Predictor(with_ngrams()), with_ngrams()

    def work(number: int) -> float:
        worst = 0.0
        for text in new_texts(np.random.default_rng(number), 3):
            found, fresh = walk(predictor, text), walk(bundle, text)
            assert [t.token for t in found.tokens] == [t.token for t in fresh.tokens]
            gaps = (found.contributions - fresh.contributions, found.path - fresh.path)
            worst = max(worst, found.residual, *(float(np.abs(gap).max()) for gap in gaps))
        return worst

    assert in_threads(work, 6) <= 1e-6


def test_a_pickled_predictor_gives_equal_answers() -> None:
    predictor = Predictor(with_ngrams(), threads=2)
    texts = new_texts(np.random.default_rng(0), 50)
    expected = predictor.predict_proba(texts)
    again = pickle.loads(pickle.dumps(predictor))
    assert (again.predict_proba(texts) == expected).all()
    assert (again.threads, again.labels) == (2, predictor.labels)


def test_a_pickle_holds_no_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.engine.predictor.HELPED_MESSAGES", 100)
    monkeypatch.setattr("tidegate.engine.predictor.SHARED_MESSAGES", 20)
    predictor = Predictor(with_ngrams(), threads=2, engine="numpy")
    texts = new_texts(np.random.default_rng(0), 200)
    expected = predictor.predict_proba(texts)
    again = pickle.loads(pickle.dumps(predictor))
    assert again._mine.workers is None
    assert np.abs(again.predict_proba(texts) - expected).max() <= 1e-6


def test_threads_may_share_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.engine.predictor.HELPED_MESSAGES", 100)
    monkeypatch.setattr("tidegate.engine.predictor.SHARED_MESSAGES", 20)
    bundle = with_ngrams()
    predictor = Predictor(bundle, threads=3, engine="numpy")

    def work(number: int) -> float:
        texts = new_texts(np.random.default_rng(number), 160)
        expected = Predictor(bundle, engine="numpy").predict_proba(texts)
        found = [predictor.predict_proba(texts) for _ in range(3)]
        return max(float(np.abs(one - expected).max()) for one in found)

    assert in_threads(work, 4) <= 1e-6
    assert predictor._mine.workers is not None
    assert len(predictor._mine.workers) == 2


def test_a_call_that_fails_leaves_its_helpers_usable() -> None:
    code = "from tidegate.engine.workers import serve; serve(lambda first: bytes.upper)"
    helpers = Workers(1, code)

    def fails(block: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        helpers.map([b"a"] * 500, ask=fails, tell=bytes, heard=bytes)
    for letter in (b"x", b"y", b"z"):
        found = helpers.map([letter] * 20, ask=bytes.upper, tell=bytes, heard=bytes)
        assert found == [letter.upper()] * 20
    helpers.close()


FORK = """
import os, sys, threading
import numpy as np
from tidegate.engine import predictor as engine

engine.HELPED_MESSAGES, engine.SHARED_MESSAGES = 100, 20
model = engine.Predictor.load(sys.argv[1], threads=2, engine="numpy")
letters = list("abcdefghilmnoprstuvxyz")


def differs(seed, n=150):
    rng = np.random.default_rng(seed)
    texts = ["fire near " + "".join(rng.choice(letters, size=9)) for _ in range(n)]
    fresh = engine.Predictor(model.bundle, engine="numpy").predict_proba(texts)
    return float(np.abs(model.predict_proba(texts) - fresh).max())


def busy(number):
    while not done.is_set():
        model.predict_proba([f"fire {number} {k} " + "x" * k for k in range(200)])


assert differs(1) <= 1e-6
done = threading.Event()
threads = [threading.Thread(target=busy, args=(k,)) for k in range(3)]
for thread in threads:
    thread.start()
for number in range(3):
    pid = os.fork()
    if pid == 0:
        worst = max(differs(seed) for seed in (number, number + 100))
        own = model._mine.workers
        fine = worst <= 1e-6 and own is not None and own._processes[0].poll() is None
        sys.exit(0 if fine else 1)  # not os._exit: what runs at exit must not harm the parent
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, code
done.set()
for thread in threads:
    thread.join()
assert differs(7) <= 1e-6
assert model._mine.workers._processes[0].poll() is None
print("done")
"""


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="no fork on this system")
def test_a_forked_process_answers_and_leaves_its_parents_helpers_alone(tmp_path: Path) -> None:
    path = with_ngrams().save(tmp_path / "model")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.stdout, found.stderr) == ("done\n", "")


def test_what_is_remembered_of_new_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.engine.reader.MAX_OPEN_WORDS", 200)
    predictor, rng = Predictor(with_ngrams()), np.random.default_rng(0)
    for _ in range(100):
        predictor.predict_proba(new_texts(rng, 20))
        assert len(predictor.encoder.new_words) <= 260
        assert len(predictor._mine.reader._tables._filled.known) <= 400


def test_words_past_the_tokens_read_are_not_remembered() -> None:
    predictor, rng = Predictor(with_ngrams()), np.random.default_rng(0)
    long = " ".join(new_word(rng) for _ in range(5000))
    found = predictor.predict_proba([long, "fire", long[:2000]])
    limit = predictor.bundle.config.text.max_tokens
    assert len(predictor.encoder.new_words) < 300
    ids = predictor.encoder.encode(long)
    assert predictor.encoder.encode_all([long, long]).lists(np.arange(2)) == [ids, ids]
    start = " ".join(long.split()[:limit])
    assert np.abs(found[0] - Predictor(with_ngrams()).predict_proba([start])[0]).max() <= 1e-6


MILLION = """
import sys
from pathlib import Path
from tidegate import Predictor

def peak():  # unlike ru_maxrss, without what the parent held when it started this process
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

model = Predictor.load(sys.argv[1])
before = peak()
for start in range(0, 1_000_000, 20_000):
    texts = [f"fire near x{start + k:x}y z{start + k:x}w" for k in range(0, 20_000, 2)]
    model.predict_proba(texts)
after = peak()
print((after - before) // 1024)
"""


@pytest.mark.slow
def test_a_million_new_words_take_bounded_memory(tmp_path: Path) -> None:
    path = with_ngrams().save(tmp_path / "model")
    command = [sys.executable, "-c", MILLION, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) < 250  # MB


def test_word_tables_keep_what_was_given_out() -> None:
    def rows(ids: np.ndarray, new: object) -> list[np.ndarray]:
        return [ids[:, None] * np.ones(3, np.float32), -ids[:, None] * np.ones(1, np.float32)]

    tables = WordTables(rows, [3, 1], n_words=4)
    first = tables.of(np.array([1, 3]))
    later = tables.of(np.arange(900), ["w"] * 896)
    assert [t[[1, 3], 0].tolist() for t in first] == [[1, 3], [-1, -3]]
    assert [t[:900, 0].tolist() for t in later] == [list(range(900)), [-k for k in range(900)]]
    fewer = tables.without_new_words()
    assert [len(t) for t in fewer.of(np.array([2]))] == [4, 4]


def test_one_thread_is_given_back_when_the_last_user_leaves() -> None:
    switches = blas._switches()
    if switches is None:
        pytest.skip("NumPy came without OpenBLAS")
    before = switches[0]()

    def work(number: int) -> float:
        for _ in range(200):
            with blas.one_thread():
                assert switches[0]() == 1
        return 0.0

    in_threads(work, 8)
    assert switches[0]() == before
