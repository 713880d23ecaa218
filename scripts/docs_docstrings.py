"""Docstrings of this project as Griffe reads them: what stands behind a name is its meaning.

We write `units : how many`, for the annotation tells the type. In numpydoc the colon is followed by
the type, so that each line is turned into a name and a description beneath it.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension

_SECTION = re.compile(r"^(Parameters|Attributes)\n-+\n", re.MULTILINE)
_ITEM = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)$")


class Meanings(Extension):
    """Turns docstrings as they are loaded."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = described(obj.docstring.value)


def described(text: str) -> str:
    """Return a docstring whose parameters have their meaning beneath their name.

    >>> print(described("Do.\\n\\nParameters\\n----------\\nn : how many\\n    rows\\n"))
    Do.
    <BLANKLINE>
    Parameters
    ----------
    n
        how many
        rows
    <BLANKLINE>
    """
    found = _SECTION.search(text)
    if found is None:
        return text
    head, rest = text[: found.end()], text[found.end() :]
    lines = []
    for line in rest.split("\n"):
        item = _ITEM.match(line)
        lines += [item[1], f"    {item[2]}"] if item else [line]
    return head + "\n".join(lines)
