"""Pages that open in a browser: one self-contained file each, with no network.

Takes walks, gives HTML. The pages' parts are plain JavaScript modules and one style sheet under
`assets/`; here they are put into one file, behind a policy that lets it fetch nothing. Data goes in
as JSON, and the scripts show every word of it as text, never as markup.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from tidegate.walking.walk import Walk

# Each after its needs.
MODULES = (
    "dom", "telling", "message", "cell", "legend", "chain", "strips", "gate", "outcome", "compare",
    "around", "walk",
)  # fmt: skip
MAX_PAGE_VALUES = 90_000  # of gates and states in a page: about 600 kB
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def walk_page(walks: Sequence[Walk], *, title: str) -> str:
    """Return a page on which one or more messages are walked gate by gate.

    Parameters
    ----------
    walks : of one model; the first is shown first, and where there are two they are compared
    title : what the browser calls the page

    Examples
    --------
    >>> page = walk_page([walk(predictor, "house ablaze")], title="model")  # doctest: +SKIP
    """
    share = MAX_PAGE_VALUES // max(len(walks), 1)
    found = [walk.to_dict(pre_activations=False, max_values=share) for walk in walks]
    return document(title=title, data={"walks": found}, script=_script())


def document(*, title: str, data: object, script: str) -> str:
    """Return one HTML file: a style, data as JSON, and a script that shows it."""
    safe = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style></head>"
        '<body><main id="page"><noscript>This page draws itself: it needs JavaScript.</noscript>'
        f'</main><script type="application/json" id="data">{safe}</script>'
        f'<script type="module">{script}</script></body></html>\n'
    )


@cache
def asset(name: str) -> str:
    """Return the text of one of the pages' files."""
    return (files("tidegate.pages") / "assets" / name).read_text(encoding="utf-8")


def _script() -> str:
    """Return the walk's modules as one: in order of need, without imports and exports."""
    lines = []
    for module in MODULES:
        for line in asset(f"{module}.js").splitlines():
            if not line.startswith("import "):
                lines.append(line.removeprefix("export "))
    start = 'mount(document.getElementById("page"), JSON.parse('
    return "\n".join([*lines, start + 'document.getElementById("data").textContent));'])
