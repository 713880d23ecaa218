"""A gate held at a value, against what its equations say then."""

from typing import Any

import numpy as np
import pytest

from conftest import tiny_bundle, with_ngrams
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.walking.walk import walk

TEXT = "fire near the zebra river, help"


def erased(bundle: Any, text: str) -> list[np.ndarray]:
    """Return the hidden states of one layer read forward whose cell state is erased each time."""
    predictor = Predictor(bundle)
    reader = predictor.reader()
    ids = np.array(reader.encoder.encode(text))
    x = predictor.network.word_vectors(ids, reader.encoder.new_words).astype(np.float64)
    w, u, bx, bh = (bundle.weights[f"lstm.{p}_l0"].astype(np.float64)
                    for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
    h, states = np.zeros(u.shape[1]), []
    for x_t in x:
        i, _, g, o = np.split(w @ x_t + u @ h + bx + bh, 4)
        c = np.tanh(g) / (1 + np.exp(-i))  # nothing of the state before
        h = np.tanh(c) / (1 + np.exp(-o))
        states.append(h)
    return states


def test_a_forget_gate_held_at_nought_erases_the_cell_state() -> None:
    bundle = tiny_bundle(3, bidirectional=False, pooling="last")
    found = walk(bundle, TEXT, hold={"f": 0.0})
    (d,) = found.directions
    assert (d.f == 0).all()
    np.testing.assert_array_equal(d.c, d.i * d.g)
    np.testing.assert_allclose(d.h, erased(bundle, TEXT), atol=1e-6)
    assert found.residual < 1e-6
    assert abs(found.completeness_error) < 1e-3


@pytest.mark.parametrize("gate", ["f", "i", "o", "g"])
def test_every_layer_and_direction_is_held(gate: str) -> None:
    bundle = tiny_bundle(4, num_layers=2)
    for value in (0.0, 0.3, 1.0):
        found = walk(bundle, TEXT, hold={gate: value})
        assert len(found.directions) == 4
        for d in found.directions:
            np.testing.assert_allclose(getattr(d, gate), value, atol=1e-6)


def test_one_unit_is_held_and_the_others_run_free() -> None:
    bundle = with_ngrams()
    free, found = (walk(bundle, TEXT, hold=hold) for hold in (None, {"f": {1: 0.25}, "g": {0: -1}}))
    d = found.directions[0]
    np.testing.assert_allclose(d.f[:, 1], 0.25, atol=1e-6)
    assert (d.g[:, 0] == -1).all()
    np.testing.assert_array_equal(d.f[0, [0, 2, 3]], free.directions[0].f[0, [0, 2, 3]])
    assert found.probabilities[1] != free.probabilities[1]
    assert walk(bundle, TEXT, hold={}).probabilities[1] == free.probabilities[1]


@pytest.mark.parametrize(
    ("hold", "said"),
    [
        ({"z": 0.5}, "hold: no gate 'z'; there are f, i, g, o"),
        ({"f": 1.5}, "hold: f: found 1.5; a number from 0 to 1 is needed"),
        ({"g": -2}, "hold: g: found -2; a number from -1 to 1 is needed"),
        ({"f": float("nan")}, "hold: f: found nan; a number from 0 to 1 is needed"),
        ({"o": {4: 0.5}}, "hold: o: no unit 4; the model has 0 to 3"),
        ({"o": "shut"}, "hold: o: found 'shut'; a number from 0 to 1 is needed"),
    ],
)
def test_what_cannot_be_held_is_told(hold: Any, said: str) -> None:
    with pytest.raises(ConfigError) as found:
        walk(tiny_bundle(), TEXT, hold=hold)
    assert str(found.value) == said
