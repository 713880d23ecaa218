"""A gate held at a value: the model that has it so.

Takes a `Bundle` and what is held; gives a `Bundle` whose gates have these values at every token, in
every layer and direction. Knows nothing of walks.

A gate is σ(W x + U h + b), the candidate values are the tanh of the same. With rows of zeros in W
and U, and b where the gate has its value, it has that value whatever is read. So a held model is a
model like any other: the engine runs it unchanged, and it can be asked whatever others can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tidegate.engine.bundle import Bundle
from tidegate.engine.lstm import GATE_NAMES, GATE_ORDER
from tidegate.engine.network import weight_names
from tidegate.errors import ConfigError

Hold = Mapping[str, float | Mapping[int, float]]
SHUT = 40.0  # beyond it, σ and tanh are 0, 1 or ±1 to the last bit of single precision


def held(bundle: Bundle, hold: Hold) -> Bundle:
    """Return the bundle with gates held.

    Parameters
    ----------
    hold : a gate (f, i, o, or g for the candidate values) → its value for all units, or a value a
        unit; f, i and o lie in [0, 1], g in [−1, 1]

    Raises
    ------
    ConfigError
        There is no such gate or unit, or a gate cannot have such a value.

    Examples
    --------
    >>> held(bundle, {"f": 0.0, "o": {3: 1.0}})  # doctest: +SKIP
    """
    config = bundle.config.network
    weights = dict(bundle.weights)
    for gate, value in hold.items():
        by_unit = _by_unit(gate, value, config.hidden_size)
        first = GATE_ORDER.index(gate) * config.hidden_size
        rows = [first + unit for unit in by_unit]
        biases = [_before(gate, v) for v in by_unit.values()]
        for layer in range(config.num_layers):
            for reverse in (False, True)[: 1 + config.bidirectional]:
                names = weight_names(config, layer, reverse=reverse)
                for part, name in names.items():
                    array = np.array(weights[name], np.float32)
                    array[rows] = 0.0
                    if part == "bias_ih":
                        array[rows] = biases
                    weights[name] = array
    return replace(bundle, weights=weights)


def _by_unit(gate: str, value: float | Mapping[int, float], units: int) -> dict[int, float]:
    if gate not in GATE_NAMES:
        raise ConfigError(f"hold: no gate {gate!r}; there are {', '.join(GATE_NAMES)}")
    by_unit = dict(value) if isinstance(value, Mapping) else dict.fromkeys(range(units), value)
    low = -1.0 if gate == "g" else 0.0
    for unit, v in by_unit.items():
        if type(unit) is not int or not 0 <= unit < units:
            raise ConfigError(f"hold: {gate}: no unit {unit!r}; the model has 0 to {units - 1}")
        if not isinstance(v, int | float | np.floating) or not low <= v <= 1.0:
            raise ConfigError(f"hold: {gate}: found {v!r}; a number from {low:g} to 1 is needed")
    return {unit: float(v) for unit, v in by_unit.items()}


def _before(gate: str, value: float) -> float:
    """Return what stands before the σ, or the tanh, of this value."""
    share = (value + 1) / 2 if gate == "g" else value
    if share in (0.0, 1.0):
        return SHUT if share else -SHUT
    z = math.log(share / (1 - share))
    return min(max(z / 2 if gate == "g" else z, -SHUT), SHUT)
