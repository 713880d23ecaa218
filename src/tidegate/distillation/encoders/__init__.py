"""Teachers that are pretrained encoders. Install with `pip install 'tidegate[teacher]'`.

Takes     the name or folder of a pretrained encoder, and training rows.
Gives     the encoder fine-tuned on them, which labels any text.
Knows     nothing of students.
"""

from __future__ import annotations

import importlib.util

from tidegate.errors import MissingExtraError

for _name in ("torch", "transformers"):
    if importlib.util.find_spec(_name) is None:
        raise MissingExtraError(needed_for="a teacher", missing=_name, extra="teacher")
