"""The walk: the same numbers as the engine's, and what is said of them is true."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tidegate
from conftest import ENGINES, HOSTILE, made_up, small, some_slow, tiny_bundle
from tidegate.cli import main
from tidegate.data.dataset import read_dataset
from tidegate.engine.batches import pack, pad
from tidegate.engine.bundle import Bundle
from tidegate.engine.lstm import Trace, fold, lstm_layer
from tidegate.engine.network import weight_names
from tidegate.engine.predictor import Predictor, to_probabilities
from tidegate.errors import ConfigError, DataError
from tidegate.exporting.export import export_onnx, inputs, session
from tidegate.presets import preset
from tidegate.training.train import train
from tidegate.walking.walk import Walk, walk

TWO_LAYERS = {"num_layers": 2, "bidirectional": True, "pooling": "last"}
SHAPES = {
    "default": {},
    "lesson": {"num_layers": 2, "bidirectional": False, "pooling": "padded_last", "head_size": 3},
    "two layers": TWO_LAYERS,
}


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


def check_equations(found: Walk) -> None:
    for d in found.directions:
        for name in "fio":
            assert np.abs(sigmoid(d.z[name].astype(np.float64)) - getattr(d, name)).max() <= 1e-6
        assert np.abs(np.tanh(d.z["g"].astype(np.float64)) - d.g).max() <= 1e-6
        new = d.f.astype(np.float64) * d.c_before + d.i.astype(np.float64) * d.g
        assert (np.abs(new - d.c) / np.maximum(np.abs(new), 1.0)).max() <= 1e-6
        assert np.abs(d.o * np.tanh(d.c.astype(np.float64)) - d.h).max() <= 1e-6
        order = slice(None, None, -1) if d.reverse else slice(None)
        assert np.array_equal(d.c[order][:-1], d.c_before[order][1:])
        assert not d.c_before[order][0].any()


def check_pre_activations(found: Walk, bundle: Bundle, ids: np.ndarray) -> None:
    """z = W x + U h₋₁ + b, from the weights as they lie on disk."""
    x = bundle.weights["embedding.weight"][ids].astype(np.float64)
    below, here, layer = x, [], 0
    for d in found.directions:
        if d.layer != layer:
            below, here, layer = np.concatenate(here, axis=1), [], d.layer
        names = weight_names(bundle.config.network, d.layer, reverse=d.reverse)
        w, u, b, b2 = (bundle.weights[n].astype(np.float64) for n in names.values())
        order = slice(None, None, -1) if d.reverse else slice(None)
        h = d.h.astype(np.float64)[order]
        before = np.concatenate([np.zeros((1, h.shape[1])), h[:-1]])[order]
        z = below @ w.T + before @ u.T + b + b2
        for k, name in enumerate("ifgo"):
            units = h.shape[1]
            assert np.abs(z[:, k * units : (k + 1) * units] - d.z[name]).max() <= 1e-5
        here.append(d.h.astype(np.float64))


RESIDUAL = {"numpy": 0.0, "fast": 1e-6}  # NumPy's own steps are walked, whichever engine answers


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_every_gate_satisfies_its_equation(
    engine: str, shape: str, kind: str, messages: list[str]
) -> None:
    bundle = tiny_bundle(3, kind, **SHAPES[shape])
    predictor = Predictor(bundle, engine=engine)
    for text in messages[:40] if engine == "numpy" else messages[:5]:
        found = walk(predictor, text)
        assert found.residual <= RESIDUAL[engine]
        check_equations(found)
        ids = [bundle.tokens.index(t.token) if t.known else 1 for t in found.read_tokens]
        check_pre_activations(found, bundle, np.array(ids))
        assert abs(found.completeness_error) <= 1e-3
        assert found.path[-1] == pytest.approx(found.probabilities, abs=1e-6)


@pytest.mark.parametrize("shape", ["default", "lesson", "two layers"])
@pytest.mark.parametrize("n", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_the_walk_is_the_engine_on_real_messages(tweets: Path, shape: str, n: int) -> None:
    data = read_dataset(tweets)
    settings = {"num_layers": 2, "hidden_size": 24} if shape == "two layers" else {}
    config = preset("lesson" if shape == "lesson" else "default")
    rows = (np.arange(300 if n == 25 else 1000), np.arange(1000, 1200))
    trained = train(data, config.with_settings(epochs=1, **settings), rows=rows)
    predictor = Predictor(trained.bundle)
    together = predictor.predict_proba(data.texts[:n])
    for text, answer in zip(data.texts[:n], together, strict=True):
        found = walk(predictor, text)
        assert found.residual <= RESIDUAL[predictor.engine]
        assert np.abs(found.probabilities - answer).max() <= 1e-6  # in a batch of others
        check_equations(found)


def test_torch_and_onnx_runtime_find_the_same(tmp_path: Path, messages: list[str]) -> None:
    bundle = tiny_bundle(5, **TWO_LAYERS)
    predictor = Predictor(bundle)
    export_onnx(bundle, tmp_path / "m.onnx")
    runtime = session(tmp_path / "m.onnx")
    network = torch.nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            tensor.copy_(torch.from_numpy(bundle.weights[f"lstm.{name}"]))
    for text in messages[:30]:
        found = walk(predictor, text)
        (p,) = runtime.run(None, inputs(predictor, [text]))
        assert np.abs(p[0] - found.probabilities).max() <= 1e-5
        ids = [bundle.tokens.index(t.token) if t.known else 1 for t in found.read_tokens]
        x = torch.from_numpy(bundle.weights["embedding.weight"][ids])[None]
        with torch.no_grad():
            states = network(x)[0][0].numpy()
        top = np.concatenate([d.h for d in found.directions if d.layer == 1], axis=1)
        assert np.abs(states - top).max() <= 1e-5


def test_two_units_by_hand() -> None:
    """The example of docs/explanation/the-lstm-walked.md, each number worked out on paper.

    One input a token, 1 and then −1. Unit 1: z_f = x + 1, z_i = 2 x, z_g = x + h₂, z_o = 0.
    Unit 2: z_f = 1 − x, z_i = 0, z_g = h₁ − x, z_o = x; h₁ and h₂ are those of the token before.
    """
    w = np.array([[2, 0], [1, -1], [1, -1], [0, 1]], np.float32).reshape(8, 1)
    u = np.zeros((8, 2), np.float32)
    u[4, 1] = u[5, 0] = 1.0
    b = np.array([0, 0, 1, 1, 0, 0, 0, 0], np.float32)
    table = np.array([[1.0], [-1.0]], np.float32) @ fold(w).T + fold(b)
    trace = Trace()
    lstm_layer(table, np.ascontiguousarray(fold(u).T), pack(pad([[0, 1]])), trace=trace)
    expected = {
        "f": [(0.8808, 0.5000), (0.5000, 0.8808)],
        "i": [(0.8808, 0.5000), (0.1192, 0.5000)],
        "g": [(0.7616, -0.7616), (-0.8526, 0.8598)],
        "c": [(0.6708, -0.3808), (0.2338, 0.0945)],
        "o": [(0.5000, 0.7311), (0.5000, 0.2689)],
        "h": [(0.2928, -0.2657), (0.1148, 0.0253)],
    }
    for name, rows in expected.items():
        assert np.concatenate(getattr(trace, name)) == pytest.approx(np.array(rows), abs=6e-5)
    # c at the second token: half of 0.6708 is kept, 0.1192 × −0.8526 is added.
    assert math.isclose(0.5 * 0.6708 - 0.1192 * 0.8526, 0.2338, abs_tol=1e-4)


def test_contributions_are_torchs_integrated_gradients() -> None:
    """The same integral by autograd, with 2,000 points, on the path from zero inputs."""
    bundle = tiny_bundle(2, bidirectional=False, pooling="mean")
    predictor = Predictor(bundle)
    found = walk(predictor, "fire near the river please help")
    ids = [bundle.tokens.index(t.token) for t in found.read_tokens]
    x = torch.from_numpy(bundle.weights["embedding.weight"][ids]).double()
    cell = torch.nn.LSTM(5, 4, batch_first=True).double()
    with torch.no_grad():
        for name, tensor in cell.named_parameters():
            tensor.copy_(torch.from_numpy(bundle.weights[f"lstm.{name}"]))
    weight, bias = (
        torch.from_numpy(bundle.weights[f"output.{n}"]).double() for n in ("weight", "bias")
    )
    points = (torch.arange(2000) + 0.5)[:, None, None].double() / 2000
    scaled = (points * x).requires_grad_()
    logits = cell(scaled)[0].mean(dim=1) @ weight.T + bias
    torch.sigmoid(logits / bundle.temperature).sum().backward()
    expected = (scaled.grad.mean(dim=0) * x).sum(dim=1).numpy()
    assert found.contributions == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_contributions_add_up_and_matter(tweets: Path) -> None:
    data = read_dataset(tweets)
    predictor = Predictor(train(data, preset("default").with_settings(epochs=3)).bundle)
    rng = np.random.default_rng(0)
    walks = [walk(predictor, data.texts[i]) for i in rng.choice(len(data.texts), 200, False)]
    errors = np.array([abs(one.completeness_error) for one in walks])
    assert np.mean(errors <= 1e-3) >= 0.95
    won = []
    for one in walks:
        ids = predictor.encoder.encode(one.text)
        if one.probabilities[1] < 0.5 or len(ids) < 7:
            continue

        def moved(absent: np.ndarray, ids: list[int] = ids, one: Walk = one) -> float:
            kept = [number for k, number in enumerate(ids) if k not in set(absent.tolist())]
            logit = float(predictor.reader().logits([kept])[0, 0]) / predictor.bundle.temperature
            return abs(1 / (1 + math.exp(-logit)) - float(one.probabilities[1]))

        top = np.argsort(-one.contributions)[:3]
        won.append(moved(top) > moved(rng.choice(len(ids), 3, replace=False)))
    assert len(won) > 30
    assert np.mean(won) >= 0.80


def test_summaries_by_hand() -> None:
    found = walk(tiny_bundle(1), "fire near the river")
    d = found.directions[1]
    assert d.reverse
    t = 1
    old, new = np.abs(d.f[t] * d.c_before[t]).sum(), np.abs(d.i[t] * d.g[t]).sum()
    assert d.kept[t] == pytest.approx(old / np.abs(d.c_before[t]).sum())
    assert d.written[t] == pytest.approx(new / (new + old))
    assert d.kept[-1] == 1.0  # nothing to forget before the first token it read
    assert d.changed_units[t, 0] == np.abs(d.c[t] - d.c_before[t]).argmax()
    gates = np.concatenate([d.f[t], d.i[t], d.o[t]])
    assert d.saturated[t] == pytest.approx(np.mean((gates < 0.05) | (gates > 0.95)))


def test_tokens_keep_their_place_and_what_was_dropped_says_why() -> None:
    text = "Fire &amp; FLOOD, near zebra"
    found = walk(tiny_bundle(), text)
    assert [(t.token, text[t.start : t.end]) for t in found.read_tokens] == [
        ("fire", "Fire"), ("flood", "FLOOD"), ("near", "near"), ("zebra", "zebra"),
    ]  # fmt: skip
    assert [t.dropped for t in found.tokens if t.dropped] == ["punctuation", "punctuation"]
    assert [t.known for t in found.read_tokens] == [True, True, True, False]


def test_what_cleaning_removed_is_told() -> None:
    text = "@Bob: FIRE!! 🔥"
    found = walk(tiny_bundle(**SHAPES["lesson"], tokenizer="lesson", unknown="drop"), text)
    assert [(t.token, text[t.start : t.end], t.dropped) for t in found.tokens if t.start >= 0] == [
        ("@", "@", "removed by cleaning"), ("bob", "Bob", "not in the vocabulary"),
        (":", ":", "removed by cleaning"), ("fire", "FIRE", ""),
        ("!!", "!!", "removed by cleaning"), ("🔥", "🔥", "removed by cleaning"),
    ]  # fmt: skip
    assert [t.token for t in found.read_tokens if t.start >= 0] == ["fire"]


@pytest.mark.parametrize("case", some_slow(HOSTILE, slow=("100,000 characters",)))
@pytest.mark.parametrize("settings", [{}, {"max_tokens": 0}, SHAPES["lesson"]])
def test_any_text_is_walked_in_bounded_size(case: str, settings: dict[str, object]) -> None:
    predictor = Predictor(tiny_bundle(**settings))
    found = walk(predictor, HOSTILE[case])
    as_json = json.dumps(found.to_dict(), allow_nan=False)
    assert len(as_json.encode("utf-8")) < 1_500_000
    assert found.residual <= RESIDUAL[predictor.engine]
    assert len(found.read) >= 1
    assert all(t.end <= len(HOSTILE[case]) for t in found.tokens)


def test_a_long_walk_is_thinned_with_a_notice() -> None:
    found = walk(tiny_bundle(max_tokens=0), HOSTILE["2,000 tokens"])
    shown = found.to_dict(max_values=20_000)
    assert len(shown["shown"]) < 400 < len(shown["contributions"]) <= 1000
    assert [shown["tokens"][shown["read"][k]]["start"] for k in (0, -1)] == [
        found.tokens[0].start, found.tokens[-1].start,
    ]  # fmt: skip
    assert {0, len(shown["read"]) - 1} <= set(shown["shown"])
    assert any("gates are shown for" in notice for notice in shown["notices"])
    assert any("has 2000 tokens: " in notice for notice in shown["notices"])
    assert any("prefixes" in notice for notice in shown["notices"])
    assert len(shown["directions"][0]["f"]) == len(shown["shown"])


def test_json_is_versioned_and_whole() -> None:
    found = walk(tiny_bundle(), "fire near the river").to_dict()
    assert found["walk_version"] == 1
    assert found["steps"][0].startswith("Decide what information to throw away")
    assert set(found["directions"][0]) >= {"f", "i", "g", "o", "c_before", "c", "h", "z", "kept"}
    documented = Path(__file__).parents[2] / "docs" / "reference" / "walk.md"
    words = documented.read_text(encoding="utf-8")
    assert all(
        f"`{key}`" in words for key in (*found, *found["directions"][0], *found["tokens"][0])
    )


def test_the_head_leads_to_the_answer() -> None:
    bundle = replace(tiny_bundle(pooling="max", head_size=3), temperature=1.7)
    found = walk(bundle, "fire near the river").to_dict()
    head = found["head"]
    assert (head["pooling"], head["dense"], head["temperature"]) == ("max", 3, 1.7)
    p = 1 / (1 + np.exp(-head["logits"][0] / head["temperature"]))
    assert p == pytest.approx(found["probabilities"][1], abs=2e-6)


def test_the_module_and_the_function_share_a_name() -> None:
    found = tidegate.walk(tiny_bundle(), "fire")
    assert isinstance(found, tidegate.Walk)


def test_faults_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match="only an LSTM"):
        walk(tiny_bundle(cell="gru"), "fire")
    with pytest.raises(ConfigError, match="no 'x'; the model has 0, 1"):
        walk(tiny_bundle(), "fire", label="x")
    with pytest.raises(DataError, match="a message is text"):
        walk(tiny_bundle(), 3)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bundle(1).save(tmp_path_factory.mktemp("walk") / "model"))


def test_the_terminal_shows_the_four_steps(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["walk", model, "fire near, zebra \x1b[2J", "--token", "near", "--unit", "3"]
    assert main([*words, "--layer", "1b"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    found = walk(Predictor.load(model), "fire near, zebra \x1b[2J")
    d, row = found.directions[1], 1
    assert "“near” in layer 1, reading backward" in out
    for value in (d.f[row, 3], d.i[row, 3], d.o[row, 3]):
        assert f" {value:.2f} " in out
    for step in range(1, 5):
        assert f"\n{step}  " in out
    assert "zebra *" in out
    assert "Note: * marks a token that is not in the vocabulary." in out
    assert f"the model decides: {found.decided}" in out
    assert f"say nothing give {found.baseline:.3f}" in out


@pytest.mark.parametrize("columns", ["80", "120"])
def test_no_line_is_wider_than_the_terminal(model: str, columns: str) -> None:
    text = "fire near the river please help " * 3 + "zebra"
    words = [sys.executable, "-m", "tidegate", "walk", model, text]
    found = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": columns}
    )
    assert max(map(len, found.stdout.splitlines())) <= int(columns)
    assert "written\n" in found.stdout, "the table is whole"


def test_bars_have_one_colour_for_each_sign() -> None:
    from tidegate.cli.walk import _bar

    for value, colour in ((0.5, "rgb(86,180,233)"), (-0.5, "rgb(230,159,0)")):
        bar = _bar(value, signed=True)
        assert not bar.style
        assert [bar.plain[s.start : s.end] for s in bar.spans if s.style == colour] == ["━━"]


def test_the_terminal_prints_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["walk", model, "fire near", "--json", "--label", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == walk(Predictor.load(model), "fire near", label="0").to_dict()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--token", "flood"], "token: no 'flood'"),
        (["--token", "9"], "token: no '9'"),
        (["--unit", "99"], "unit: no 99"),
        (["--layer", "2"], "layer: no '2'; the model has 1, 1b"),
        (["--beside", "flood"], "give --html too"),
        (["--html", "/nowhere/at/all.html"], "there is no folder"),
        (["--label", "x"], "label: no 'x'"),
    ],
)
def test_wrong_flags_get_one_line(
    model: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["walk", model, "fire near", *words]) == 2
    heard = capsys.readouterr()
    assert message in heard.err
    assert heard.err.count("\n") == 1


def test_a_long_message_fills_no_terminal(model: str) -> None:
    words = [sys.executable, "-m", "tidegate", "walk", model, HOSTILE["2,000 tokens"]]
    found = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"}
    )
    assert len(found.stdout.splitlines()) < 200


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_the_linear_branch_has_its_share_of_the_walk(kind: str) -> None:
    trained = train(made_up(kind), small(epochs=2, vectors="wordllama"))
    predictor = Predictor(trained.bundle)
    found = walk(predictor, "fire near the sea, wildfires again")
    assert found.residual < 1e-6
    assert abs(found.completeness_error) < 1e-3
    branch = found.ngrams
    assert branch is not None
    logits = branch.token_logits.sum(axis=0) + branch.bias
    np.testing.assert_allclose(logits, branch.ngram_logits, atol=1e-5)
    both = (1 - branch.share) * branch.lstm_logits + branch.share * branch.ngram_logits
    expected = to_probabilities(both[None], kind=predictor.kind)[0]
    np.testing.assert_allclose(expected, found.probabilities, atol=1e-6)
    # What came through the LSTM and what came through the branch make up the whole way.
    way = found.probabilities[found.label] - found.baseline
    assert found.contributions.sum() == pytest.approx(way, abs=1e-3)
    assert np.abs(branch.contributions).sum() > 0
    assert found.to_dict()["ngrams"]["share"] == branch.share


def test_a_message_that_says_nothing_has_a_walk_with_the_branch() -> None:
    trained = train(made_up(), small(epochs=1))
    found = walk(Predictor(trained.bundle), "")
    assert found.ngrams is not None
    np.testing.assert_array_equal(found.ngrams.token_logits, 0)
