"""The NumPy engine against torch, over random shapes and random company; and its helpers."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ENGINES, WORDS, tiny_bundle
from tidegate.engine.batches import pack, pad
from tidegate.engine.bundle import Bundle
from tidegate.engine.lstm import Trace, fold, lstm_layer
from tidegate.engine.predictor import Predictor, to_probabilities
from tidegate.training.model import MessageNet


def torch_logits(
    bundle: Bundle, id_lists: list[list[int]], dtype: torch.dtype = torch.float64
) -> np.ndarray:
    """Return the logits of a torch network holding the bundle's very weights."""
    network = bundle.config.network
    outputs = 1 if bundle.kind == "binary" else len(bundle.labels)
    model = MessageNet(network, n_words=len(bundle.tokens), n_outputs=outputs)
    with torch.no_grad():
        for name, tensor in model.bundle_weights().items():
            tensor.copy_(torch.from_numpy(bundle.weights[name].copy()))
    model.settle(None)
    padded = network.pooling == "padded_last"
    batch = pad(id_lists, width=bundle.sequence_length if padded else 0)
    lengths = np.full_like(batch.lengths, batch.token_ids.shape[1]) if padded else batch.lengths
    with torch.no_grad():
        return model.to(dtype)(torch.from_numpy(batch.token_ids), torch.from_numpy(lengths)).numpy()


def tame(bundle: Bundle) -> Bundle:
    """Bound a plain cell's weights: beyond a norm of 1 it is chaotic, and float32 loses digits."""
    if bundle.config.network.cell == "rnn":
        for name in [name for name in bundle.weights if "weight_hh" in name]:
            bundle.weights[name] /= max(np.linalg.norm(bundle.weights[name], 2), 1.0)
    return bundle


networks = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["lstm", "gru", "rnn"]),
        "num_layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "pooling": st.sampled_from(["padded_last", "last", "mean", "max", "mean_max"]),
        "head_size": st.sampled_from([0, 3]),
        "hidden_size": st.integers(1, 9),
        "embedding_size": st.integers(1, 7),
        "unknown": st.sampled_from(["unk", "drop"]),
    }
)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=80, deadline=None)
@given(networks, st.integers(0, 10**6), st.sampled_from(["binary", "multiclass", "multilabel"]))
def test_engine_equals_torch_for_every_config(
    engine: str, chosen: dict[str, object], seed: int, kind: str
) -> None:
    bundle = tiny_bundle(seed, kind, **chosen)
    tame(bundle)
    predictor = Predictor(bundle, engine=engine)
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 30))) for _ in range(23)]
    id_lists = [predictor.encoder.encode(text) for text in texts]
    ours = predictor.predict_proba(texts)
    for dtype in (torch.float32, torch.float64):
        theirs = to_probabilities(torch_logits(bundle, id_lists, dtype), kind=predictor.kind)
        assert np.abs(ours - theirs).max() <= 1e-5


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=30, deadline=None)
@given(networks, st.integers(0, 10**6))
def test_a_message_scores_the_same_alone_and_in_company(
    engine: str, chosen: dict[str, object], seed: int
) -> None:
    predictor = Predictor(tame(tiny_bundle(seed, **chosen)), engine=engine)
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 30))) for _ in range(12)]
    together = predictor.predict_proba([*texts, *texts[::-1]])
    alone = np.concatenate([predictor.predict_proba([text]) for text in texts])
    assert np.abs(together[:12] - alone).max() <= 1e-6
    assert (together[:12] == together[12:][::-1]).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize(
    ("units", "layers", "head", "width"),
    [(4, 1, 0, 5), (32, 1, 0, 144), (192, 1, 0, 24), (64, 2, 50, 32), (272, 1, 7, 300)],
)
def test_company_changes_no_bit_of_an_answer(
    engine: str, cell: str, kind: str, units: int, layers: int, head: int, width: int
) -> None:
    bundle = tiny_bundle(
        1, kind, cell=cell, hidden_size=units, num_layers=layers, head_size=head,
        embedding_size=width,
    )  # fmt: skip
    for name in [name for name in bundle.weights if "weight" in name]:
        bundle.weights[name] /= np.float32(units**0.5)  # as large as those that are learned
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 20))) for _ in range(150)]
    together = Predictor(bundle, engine=engine).predict_proba(texts)
    for size in (1, 2, 7, 33):
        other = Predictor(bundle, engine=engine)
        parts = [other.predict_proba(texts[k : k + size]) for k in range(0, len(texts), size)]
        assert (np.concatenate(parts) == together).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_change_nothing(engine: str, messages: list[str]) -> None:
    bundle = tiny_bundle()
    many = [f"{text} {word} {n}" for text in messages for word in WORDS for n in range(2)]
    one = Predictor(bundle, engine=engine).predict_proba(many)
    helped = Predictor(bundle, threads=3, engine=engine)
    assert (helped.predict_proba(many) == one).all()
    workers = helped._mine.workers
    assert (0 if workers is None else len(workers)) == (2 if engine == "numpy" else 0)


def test_a_helper_that_dies_loses_no_message(messages: list[str]) -> None:
    bundle = tiny_bundle()
    many = [f"{text} {word} {n}" for text in messages for word in WORDS for n in range(2)]
    one = Predictor(bundle, engine="numpy").predict_proba(many)
    helped = Predictor(bundle, threads=2, engine="numpy")
    helped.predict_proba(many)
    assert helped._mine.workers is not None
    helped._mine.workers._processes[0].kill()
    assert (helped.predict_proba(many) == one).all()


def test_a_helper_ends_with_its_parent_though_a_fork_holds_its_pipe() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("only Linux tells here whether a process lives")
    code = """
import os, sys, time
from tidegate.engine.workers import Workers
workers = Workers(1, "from tidegate.engine.workers import serve; serve(lambda first: bytes.upper)")
workers.map([b"a"] * 9, ask=bytes.upper, tell=bytes, heard=bytes)
pipe = os.dup(workers._processes[0].stdin.fileno())  # a fork closes what it knows of
if os.fork() == 0:
    time.sleep(60)
print(workers._processes[0].pid, flush=True)
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    helper = int(parent.stdout.readline())
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while _is_alive(helper) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _is_alive(helper)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_traces_hold_the_four_equations() -> None:
    rng = np.random.default_rng(0)
    table, recurrent = rng.normal(size=(5, 12)), rng.normal(size=(12, 3))
    trace = Trace()
    h = lstm_layer(
        fold(table.T).T, np.ascontiguousarray(fold(recurrent).T), pack(pad([[1, 4, 2]])),
        trace=trace,
    )  # fmt: skip
    h_before, c_before = np.zeros((1, 3)), np.zeros((1, 3))

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    for t, token in enumerate([1, 4, 2]):
        i, f, g, o = np.split(table[token] + h_before @ recurrent.T, 4, axis=1)
        c_before = sigmoid(f) * c_before + sigmoid(i) * np.tanh(g)
        h_before = sigmoid(o) * np.tanh(c_before)
        np.testing.assert_allclose(trace.f[t], sigmoid(f), atol=1e-6)
        np.testing.assert_allclose(trace.z[t], np.hstack([i, f, o, g]), atol=1e-5)
        np.testing.assert_allclose(trace.c[t], c_before, atol=1e-6)
        np.testing.assert_allclose(h[t], h_before[0], atol=1e-6)


def test_unknown_token_becomes_unk() -> None:
    predictor = Predictor(tiny_bundle())
    assert predictor.encoder.encode("fire zzz") == [2, 1]
    same = predictor.predict_proba(["fire zzz", "fire qqq"])
    assert (same[0] == same[1]).all()


def test_a_message_with_nothing_known_is_one_padding_token() -> None:
    predictor = Predictor(tiny_bundle(unknown="drop"))
    assert predictor.encoder.encode("zzz qqq") == [0]
    assert predictor.predict_proba([""]).shape == (1, 2)


@pytest.mark.parametrize("settings", [
    {}, {"unknown": "drop"}, {"max_tokens": 3}, {"max_tokens": 0}, {"tokenizer": "lesson"},
])  # fmt: skip
def test_many_messages_are_encoded_as_one_by_one(
    settings: dict[str, object], messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.text.encoder.WORDS_AT_ONCE", 50)
    encoder = Predictor(tiny_bundle(**settings)).encoder
    texts = ["", *messages, "\u2066 \x00", "#NewWord, #fireStorm", " " * 9, messages[3] * 40, "…"]
    flat = encoder.encode_all(texts)
    assert flat.lists(np.arange(len(texts))) == [encoder.encode(text) for text in texts]
    assert len(encoder.encode_all([]).lengths) == 0


def test_no_messages_give_no_rows() -> None:
    assert Predictor(tiny_bundle()).predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("bad", [None, 5, b"bytes"])
def test_a_message_that_is_no_text_is_named(bad: object) -> None:
    with pytest.raises(ValueError, match=r"texts: row 2: found .*; a message is text"):
        Predictor(tiny_bundle()).predict_proba(["fire", bad])
