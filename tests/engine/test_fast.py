"""The kernel in C against NumPy: every config and instruction set, alone and in any company."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import HOSTILE, NOT_FAST, WORDS, tiny_bundle, with_ngrams, with_vectors
from tidegate.engine import kernel as room
from tidegate.engine.bundle import Bundle
from tidegate.engine.kernel import Kernel, Surfaces, questions
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.text.ids import flatten

needs_kernel = pytest.mark.skipif(bool(NOT_FAST), reason=NOT_FAST)
FAST = Path(__file__).resolve().parents[2] / "fast"

networks = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["lstm", "gru", "rnn"]),
        "num_layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "pooling": st.sampled_from(["padded_last", "last", "mean", "max", "mean_max"]),
        "head_size": st.sampled_from([0, 3, 40]),
        "hidden_size": st.one_of(st.integers(1, 40), st.just(64)),
        "embedding_size": st.integers(1, 7),
        "unknown": st.sampled_from(["unk", "drop"]),
    }
)


def learned_size(bundle: Bundle) -> Bundle:
    """Scale weights to the size of learned ones: large random ones make a network chaotic."""
    units = bundle.config.network.hidden_size
    for name in [name for name in bundle.weights if "weight" in name and "ngrams" not in name]:
        bundle.weights[name] = bundle.weights[name] / max(units, 4) ** 0.5
    return bundle


def some_texts(seed: int, n: int = 23) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(0, 30))) for _ in range(n)]


def instruction_sets() -> list[Any]:
    if NOT_FAST:
        return [pytest.param("", marks=pytest.mark.skip(reason=NOT_FAST))]
    import tidegate_fast

    return list(tidegate_fast.INSTRUCTION_SETS)


@pytest.mark.parametrize("instructions", instruction_sets())
@settings(max_examples=60, deadline=None)
@given(networks, st.integers(0, 10**6), st.sampled_from(["binary", "multiclass", "multilabel"]))
def test_every_config_gives_numpys_logits(
    instructions: str, chosen: dict[str, object], seed: int, kind: str
) -> None:
    import tidegate_fast

    bundle = learned_size(tiny_bundle(seed, kind, **chosen))
    predictor = Predictor(bundle, engine="numpy")
    reader = predictor.reader()
    kernel = Kernel(predictor.network, tidegate_fast, instructions=instructions)
    fast = reader.with_kernel(kernel)
    flat = reader.encoder.encode_all(some_texts(seed))
    expected, found = reader.flat_logits(flat), fast.flat_logits(flat)
    assert kernel.instructions == instructions
    assert np.abs(found - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())
    ids = flat.lists(np.arange(len(flat.lengths)))
    assert (np.concatenate([fast.logits([one]) for one in ids]) == found).all()
    assert (fast.logits(ids[::-1])[::-1] == found).all()


@needs_kernel
@pytest.mark.parametrize("make", [tiny_bundle, with_vectors, with_ngrams])
def test_both_engines_answer_alike_and_a_message_alike_in_any_company(make: Any) -> None:
    texts = [*some_texts(5, 80), *HOSTILE.values(), "fire", "zzz smög \u2028fire", "né\x85 \u3000x"]
    answers = {}
    for engine in ("numpy", "fast"):
        predictor = Predictor(make(), engine=engine)
        assert predictor.engine == engine
        together = answers[engine] = predictor.predict_proba(texts)
        alone = np.concatenate([predictor.predict_proba([text]) for text in texts])
        assert (alone == together).all()
    assert np.abs(answers["numpy"] - answers["fast"]).max() <= 1e-6


@needs_kernel
def test_texts_become_the_same_ids(messages: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import tidegate_fast

    odd = [
        "",
        " ",
        "a\x1cb",
        "Ã© caf\u00e9",
        "\ud800 fire",
        "x" * 70,
        "12345678",
        *HOSTILE.values(),
    ]
    for limit in (0, 3, 40):
        for bundle in (tiny_bundle(max_tokens=limit), with_ngrams()):
            encoder = Predictor(bundle, engine="numpy").encoder
            assert encoder.by_surfaces is not None
            words = Surfaces(encoder, encoder.by_surfaces, tidegate_fast)
            for texts in (messages, [t for t in odd if "\0" not in t and len(t) < 4000], odd, [""]):
                for _ in range(2):
                    flat = words.encode_all(texts)
                    expected = [encoder.encode(text) for text in texts]
                    assert flat.lists(np.arange(len(texts))) == expected
    monkeypatch.setattr(room, "MAX_CACHED_SURFACES", 5)
    assert words.encode_all(messages).lists(np.arange(3)) == [
        encoder.encode(text) for text in messages[:3]
    ]


@needs_kernel
def test_threads_need_no_helpers_and_change_nothing() -> None:
    bundle = with_ngrams()
    texts = [f"{text} {n}" for n in range(300) for text in some_texts(n, 10)]
    expected = Predictor(bundle, engine="fast").predict_proba(texts)
    threaded = Predictor(bundle, threads=3, engine="fast")
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(threaded.predict_proba, [texts] * 8):
            assert (found == expected).all()
    assert threaded._mine.workers is None


@needs_kernel
def test_a_kernel_that_differs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.engine.predictor.TOLERANCE", -1.0)
    quiet = Predictor(with_ngrams())
    assert quiet.engine == "numpy"
    assert "differs by" in quiet.engine_note
    with pytest.warns(RuntimeWarning, match=r"differs by .* on test messages: NumPy answers"):
        assert Predictor(with_ngrams(), engine="fast").engine == "numpy"


@needs_kernel
def test_a_network_that_computes_nothing_sensible_is_left_to_numpy() -> None:
    bundle = tiny_bundle()
    broken = {**bundle.weights, "output.bias": np.array([np.nan], np.float32)}
    assert Predictor(replace(bundle, weights=broken)).engine == "numpy"


def test_without_the_kernel_numpy_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tidegate_fast", None)  # as if it were not installed
    predictor = Predictor(tiny_bundle())
    assert predictor.engine == "numpy"
    assert predictor.predict_proba(["fire"]).shape == (1, 2)
    with pytest.raises(ConfigError, match=r"engine: .*; pip install 'tidegate\[fast\]'"):
        Predictor(tiny_bundle(), engine="fast")


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="engine: found 'torch'; it is one of auto, fast, numpy"):
        Predictor(tiny_bundle(), engine="torch")


def test_the_messages_that_are_compared_have_many_lengths() -> None:
    assert sorted(set(questions(5559, 40).lengths.tolist())) == [1, 2, 3, 5, 9, 17]


@needs_kernel
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array([0, 99, 1, 2])}, "ids: found 99; no such row of the tables"),
        ({"ids": np.array([0, -1, 1, 2])}, "ids: found -1; no such row"),
        ({"lengths": np.array([2, 0])}, "lengths: found 0; at least 1"),
        ({"lengths": np.array([2, 3])}, "starts: found 2; the message ends past the ids"),
        ({"lengths": np.array([2, 2**62])}, "starts: found 2; the message ends past the ids"),
        ({"starts": np.array([0, -1])}, "starts: found -1; the message ends past the ids"),
        ({"starts": np.array([0])}, "starts: found 1; lengths, order and out"),
        ({"tables": np.zeros((5, 15), np.float32)}, "tables: found 75; they are not as wide"),
    ],
)
def test_what_lies_outside_is_refused(change: dict[str, Any], message: str) -> None:
    network = small_network()
    given = {
        "ids": np.array([0, 1, 1, 2]), "starts": np.array([0, 2]), "lengths": np.array([2, 2]),
        "tables": np.zeros((5, 16), np.float32), **change,
    }  # fmt: skip
    table = given.pop("tables")
    with pytest.raises(ValueError, match=message):
        network.logits(given["ids"], given["starts"], given["lengths"], tables=(table,))


@needs_kernel
def test_arrays_of_another_kind_are_refused() -> None:
    network, one = small_network(), np.ones(1, np.int64)
    for ids, table in (
        (one.astype(np.int32), np.zeros((5, 16), np.float32)), (one, np.zeros((5, 16))),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="found items of format"):
            network.logits(ids, one * 0, one, tables=(table,))
    with pytest.raises(ValueError, match="tables: found 0"):
        network.logits(one, one * 0, one, tables=())


@needs_kernel
def test_weights_of_another_shape_are_refused() -> None:
    import tidegate_fast

    layer = [tidegate_fast.Direction(recurrent=np.zeros((4, 12), np.float32))]
    out = np.zeros((4, 1), np.float32), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match=r"recurrent: found \(4, 12\); \(4, 16\) is needed"):
        tidegate_fast.Network(cell="lstm", pooling="mean", layers=[layer], output=out)
    with pytest.raises(ValueError, match="there is no such one"):
        tidegate_fast.Network(cell="mamba", pooling="mean", layers=[layer], output=out)
    with pytest.raises(ValueError, match="this processor has no abacus"):
        small_network(instructions="abacus")


def small_network(**more: str) -> Any:
    import tidegate_fast

    layer = [tidegate_fast.Direction(recurrent=np.zeros((4, 16), np.float32))]
    out = np.zeros((4, 1), np.float32), np.zeros(1, np.float32)
    return tidegate_fast.Network(
        cell="lstm", pooling="mean", layers=[layer], output=out, **more
    )  # fmt: skip


@needs_kernel
def test_no_messages_give_no_rows() -> None:
    assert Predictor(tiny_bundle(), engine="fast").predict_proba([]).shape == (0, 2)
    none = np.zeros(0, np.int64)
    assert small_network().logits(none, none, none, tables=(np.zeros((1, 16), "f"),)).shape == (
        0,
        1,
    )


@needs_kernel
def test_long_messages_and_many_fit() -> None:
    bundle = tiny_bundle(num_layers=2, max_tokens=0)
    predictor = Predictor(bundle, engine="numpy")
    reader = predictor.reader()
    import tidegate_fast

    fast = reader.with_kernel(Kernel(predictor.network, tidegate_fast))
    rng = np.random.default_rng(0)
    flat = flatten([rng.integers(0, 20, n).tolist() for n in (20_000, 9_000, 9_000, 3, 1, 500)])
    assert np.abs(fast.flat_logits(flat) - reader.flat_logits(flat)).max() <= 1e-5


@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    """Build the kernel with the address and undefined-behaviour sanitizers, and fuzz it."""
    compiler = shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no gcc on this machine")
    pytest.importorskip("setuptools")
    found = [
        subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True)
        for name in ("libasan.so", "libubsan.so")
    ]
    libraries = [one.stdout.strip() for one in found]
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip("gcc has no sanitizers on this machine")
    shutil.copytree(FAST, tmp_path / "fast")
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1"
    environment = {**os.environ, "CFLAGS": flags, "LDFLAGS": "-fsanitize=address,undefined"}
    build = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--target", str(tmp_path / "built"), str(tmp_path / "fast"),
    ]  # fmt: skip
    subprocess.run(build, check=True, env=environment, timeout=600)
    code = str(Path(__file__).with_name("fuzz_fast.py"))
    running = {
        **os.environ, "LD_PRELOAD": ":".join(libraries), "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(tmp_path / "built"), "PYTHONMALLOC": "malloc", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, code, "400"], env=running, capture_output=True, text=True, timeout=900
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "400 rounds\n", "")


def test_the_kernel_is_built_without_warnings_of_the_compiler(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on this machine")
    source = FAST / "src" / "tidegate_fast"
    for name in ("isa_base.c", "isa_v3.c", "isa_v4.c", "ngrams.c", "surfaces.c"):
        command = [compiler, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-c"]
        subprocess.run([*command, str(source / name), "-o", str(tmp_path / "o")], check=True)
