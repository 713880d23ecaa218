"""Pages that open in a browser: the walk and the explorer as one file each, and the server's.

Takes walks, or a bundle (`explorer`), gives HTML. The pages' parts are plain JavaScript modules and
style sheets under `assets/`. Here they are put into one file, behind a policy that lets it fetch
nothing; `serving` hands out the same parts one by one. Data goes in as JSON, and the scripts show
every word of it as text, never as markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from tidegate.walking.record import Walk, show_in_notebooks

# Each after its needs.
MODULES = (
    "dom", "telling", "message", "cell", "legend", "chain", "strips", "gate", "outcome", "compare",
    "around", "walk",
)  # fmt: skip
MAX_PAGE_VALUES = 90_000  # of gates and states in a page: about 600 kB
MAX_TITLE = 80  # characters of a message in a title
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


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
    found = [
        walk.to_dict(pre_activations=False, weights=n == 0, max_values=share)
        for n, walk in enumerate(walks)  # the weights are the same for all
    ]
    return document(title=title, data={"walks": found}, script=_script())


def walk_frame(walk: Walk) -> str:
    """Return a frame with a walk's page, for a notebook.

    The page stands in a frame of its own that may run its script and nothing else: it can neither
    read the notebook nor reach a network.
    """
    title = f"The walk of: {walk.text[:MAX_TITLE]}".encode("utf-8", "replace").decode()
    page = walk_page([walk], title=title)
    return (
        f'<iframe title="{escape(title)}" sandbox="allow-scripts" srcdoc="{escape(page)}" '
        'style="width:100%;height:46rem;border:0;border-radius:8px"></iframe>'
    )


show_in_notebooks(walk_frame)


def document(*, title: str, data: object, script: str) -> str:
    """Return one HTML file: a style, data as JSON, and a script that shows it."""
    safe = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    held = f'<script type="application/json" id="data">{safe}</script>'
    return page_file(title=title, styles=("page.css",), data=held, script=script)


def page_file(
    *, title: str, styles: Sequence[str], data: str, script: str, before: str = ""
) -> str:
    """Return one HTML file: styles, an element that holds data, and a script that shows it.

    `before` is markup that comes before anything is drawn.
    """
    style = "".join(map(asset, styles))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style>{before}</head>"
        '<body><main id="page"><noscript>This page draws itself: it needs JavaScript.</noscript>'
        f'</main>{data}<script type="module">{script}</script></body></html>\n'
    )


@cache
def asset(name: str) -> str:
    """Return the text of one of the pages' files."""
    return (files("tidegate.pages") / "assets" / name).read_text(encoding="utf-8")


def _script() -> str:
    """Return the walk's modules as one script."""
    start = '$walk.mount(document.getElementById("page"), JSON.parse('
    return bundled(MODULES) + start + 'document.getElementById("data").textContent));'


_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|class|function\*?) (\w+))", re.MULTILINE)


def bundled(modules: Sequence[str]) -> str:
    """Return modules as one script, each after its needs; names stay apart in a function each.

    They import one another by `import { a, b as c } from "./name.js";` on a line of its own.
    """
    parts = []
    for name in modules:
        text = asset(f"{name}.js")
        exported = ", ".join(_EXPORT.findall(text))
        inner = _IMPORT.sub(lambda m: f"const {{{m[1].replace(' as ', ': ')}}} = ${m[2]};", text)
        body = _EXPORT.sub("", inner)
        parts.append(f"const ${name} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n")
    return "".join(parts)
