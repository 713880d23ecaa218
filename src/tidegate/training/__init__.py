"""Learning: everything that needs torch. Install it with `pip install 'tidegate[train]'`."""

from __future__ import annotations

import importlib.util

from tidegate.errors import MissingExtraError

for _name in ("torch", "sklearn"):
    if importlib.util.find_spec(_name) is None:
        raise MissingExtraError(needed_for="training", missing=_name, extra="train")
