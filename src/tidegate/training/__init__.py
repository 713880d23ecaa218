"""Where torch learns. Install it with `pip install 'tidegate[train]'`.

Takes     a `Dataset` and a `Config`, and soft labels if somebody has made some.
Gives     a trained network as a `Bundle`, its scores on held-out rows beside a baseline's.
Knows     nothing of teachers, terminals or pages.
"""

from __future__ import annotations

import importlib.util

from tidegate.errors import MissingExtraError

for _name in ("torch", "sklearn"):
    if importlib.util.find_spec(_name) is None:
        raise MissingExtraError(needed_for="training", missing=_name, extra="train")
