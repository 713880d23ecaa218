"""The page on which a report's hardest mistakes are walked, one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.pages import MODULES, bundled, page_file
from tidegate.pages.packing import packed
from tidegate.walking.record import Walk

MAX_VALUES = 12_000  # of gates and states of one message


def mistakes_page(cases: Sequence[Mapping[str, Any]], walks: Sequence[Walk], *, title: str) -> str:
    """Return a page that shows one case at a time, the one that its address names first.

    Parameters
    ----------
    cases : `row`, `text` and `said`, a sentence on it, of each; `#row-12` in the page's address
        opens the case of row 12
    walks : the walk of each
    title : what the model is called

    Examples
    --------
    >>> "Mistakes of m" in mistakes_page([], [], title="m")
    True
    """
    found = [
        walk.to_dict(pre_activations=False, weights=n == 0, max_values=MAX_VALUES)
        for n, walk in enumerate(walks)  # the weights are the same for all
    ]
    data = packed({"name": title, "cases": list(cases), "walks": found}, {}, {})
    return page_file(
        title=f"Mistakes of {title}",
        styles=("page.css",),
        data=f'<script type="text/plain" id="walks">{data}</script>',
        script=bundled((*MODULES, "engine_bytes", "mistakes")),
    )
