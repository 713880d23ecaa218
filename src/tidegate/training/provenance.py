"""What a bundle's manifest says of the run that made it: all that repeating it needs.

Takes a bundle and what it was asked for; gives the bundle that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.config import Config
from tidegate.engine.bundle import Bundle
from tidegate.training.environment import machine, versions


def with_provenance(
    bundle: Bundle, config: Config, *, reading: Mapping[str, Any], private: bool
) -> Bundle:
    """Return a bundle whose manifest says how it was made, beside its settings and its data.

    Parameters
    ----------
    config : as it was asked for, before settings followed from the data
    reading : how the file was read, as arguments of `read_dataset`
    private : whether its report shows no message
    """
    run: dict[str, Any] = {
        "automatic": sorted(config.automatic),
        "versions": versions(),
        "machine": machine(),
    }
    chosen = {name: value for name, value in reading.items() if value}
    if chosen:
        run["reading"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in chosen.items()
        }
    if private:
        run["private"] = True
    return replace(bundle, training_data={**bundle.training_data, "run": run})
