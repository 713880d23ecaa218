"""What the pages of this room are made of: one style, tables, figures, the document around them.

Takes text already safe to show, gives HTML without scripts or network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root{color-scheme:light dark;--ink:#1d2330;--soft:#5b6474;--page:#fff;--card:#f5f7fa;
--line:#d9dee6;--h1:#0072b2;--h2:#d55e00;--h3:#009e73;--h4:#a8528a;--h5:#7a6a00}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#a3adbd;--page:#14181f;--card:#1d232d;
--line:#38414f;--h1:#56b4e9;--h2:#e69f00;--h3:#2bc49a;--h4:#e29cc6;--h5:#f0e442}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:2.5rem 1.25rem 4rem;
background:var(--page);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
h1{font-size:2rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.02em}
h2{font-size:1.25rem;margin:2.8rem 0 .6rem}p{max-width:70ch}.soft{color:var(--soft)}
.verdict{background:var(--card);border-left:5px solid var(--h1);border-radius:6px;
padding:1rem 1.25rem;font-size:1.1rem;margin:1.4rem 0}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:1.25rem}
figure{margin:0;background:var(--card);border-radius:10px;padding:1rem}
figcaption{font-weight:600;margin-bottom:.4rem}
svg{width:100%;height:auto;font-size:10px}svg text{fill:var(--soft)}svg .grid{stroke:var(--line)}
svg .aid{stroke:var(--soft);stroke-dasharray:4 4}
svg polyline{fill:none;stroke-width:2}svg line.h1,svg polyline.h1{stroke:var(--h1)}
svg line.h2,svg polyline.h2{stroke:var(--h2)}svg line.h3,svg polyline.h3{stroke:var(--h3)}
svg line.h4,svg polyline.h4{stroke:var(--h4)}svg line.h5,svg polyline.h5{stroke:var(--h5)}
svg .h4{stroke-dasharray:7 3}svg .h5{stroke-dasharray:2 3}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.85rem;color:var(--soft)}
.key svg{width:26px;height:8px;margin-right:.35rem}
svg circle.h1{fill:var(--h1)}svg circle.h2{fill:var(--h2)}svg circle.h3{fill:var(--h3)}
svg circle.h4{fill:var(--h4)}svg circle.h5{fill:var(--h5)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
td .soft{white-space:nowrap;font-weight:400;font-size:.78rem}
td.share{background:color-mix(in srgb,var(--h1) calc(var(--share)*55%),transparent)}
th:first-child,td:first-child,td.text,th.text{text-align:left}thead th{color:var(--soft)}
tr.ours td{font-weight:600}details{margin-top:.5rem}summary{cursor:pointer;color:var(--soft)}
td.text{overflow-wrap:anywhere;min-width:14rem;unicode-bidi:plaintext}
.finding{border-left:4px solid var(--line);padding:.1rem .9rem;margin:1rem 0}
.finding.problem{border-color:var(--h2)}.finding.warning{border-color:var(--h1)}
.finding h2{font-size:1rem;margin:.2rem 0}.finding td{text-align:left;overflow-wrap:anywhere}
sub{line-height:0}h3{font-size:1rem;margin:1.6rem 0 .3rem}
@media (max-width:480px){svg{font-size:11px;overflow:visible}}
@media print{body{max-width:none;padding:0;font-size:13px}figure,tr{break-inside:avoid}
h2,h3,.key{break-after:avoid}.grid{grid-template-columns:1fr 1fr}details:not([open]){display:none}}
"""


def document(title: str, body: Sequence[str]) -> str:
    """Return one self-contained HTML document."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(body)
        + "</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, first: str = "") -> str:
    """Return an HTML table of cells already safe to show; `first` is the first row's class."""
    cells = "".join(f"<th scope=col>{name}</th>" for name in head)
    lines = []
    for k, row in enumerate(rows):
        mark = f' class="{first}"' if first and k == 0 else ""
        lines.append(f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def figure(caption: str, picture: str, twin: str) -> str:
    """Return a picture with its caption, and its table folded under it."""
    return (
        f"<figure><figcaption>{caption}</figcaption>{picture}"
        f"<details><summary>as a table</summary>{twin}</details></figure>"
    )


def key(names: Sequence[tuple[str, int]]) -> str:
    """Return a legend: names, each with the line of its hue."""
    lines = "".join(
        f'<span><svg viewBox="0 0 26 8" aria-hidden="true"><polyline class="h{hue}" '
        f'points="0,4 26,4"/></svg>{name}</span>'
        for name, hue in names
    )
    return f'<p class="key">{lines}</p>'
