"""What is wrong with a data set, as one HTML page: no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tidegate.data.checks import Example, Finding
from tidegate.errors import visible
from tidegate.pages import POLICY, asset

_STYLE = (
    ".finding{border-left:5px solid var(--line);padding:.1rem 1rem;margin:1.4rem 0}"
    ".problem{border-color:var(--minus)}.warning{border-color:var(--plus)}"
    ".finding h2{margin:.2rem 0;font-size:1.1rem}"
    "td{text-align:left;white-space:normal;overflow-wrap:anywhere}th{text-align:left}"
    "td:first-child{white-space:nowrap}"
)
_WORDS = {
    "problem": "Problem: it makes figures or models wrong",
    "warning": "Warning: it may make figures or models wrong",
    "note": "To be known",
}


def findings_page(
    findings: Sequence[Finding], *, source: str, facts: Sequence[str], private: bool = False
) -> str:
    """Return a page of findings.

    Parameters
    ----------
    findings : what `check_dataset` found, in the order to be shown
    source : what the rows came from
    facts : sentences on the data set as a whole
    private : leave the messages out

    Examples
    --------
    >>> page = findings_page([], source="rows.csv", facts=["12 messages"])
    >>> "Nothing was found" in page
    True
    """
    body = "".join(_finding(finding, private=private) for finding in findings)
    told = "".join(f"<p>{escape(visible(fact))}</p>" for fact in facts)
    nothing = "" if findings else "<p>Nothing was found that is wrong with it.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Check of {escape(visible(source))}</title>"
        f"<style>{asset('page.css')}{_STYLE}</style></head><body><main>"
        f"<h1>{escape(visible(source))}</h1>{told}{nothing}{body}</main></body></html>\n"
    )


def findings_section(findings: Sequence[Finding], *, private: bool = False) -> str:
    """Return findings as a part of another page."""
    return "".join(_finding(finding, private=private) for finding in findings)


def _finding(finding: Finding, *, private: bool) -> str:
    return (
        f'<section class="finding {finding.grade}"><h2>{escape(visible(finding.what))}</h2>'
        f'<p class="soft">{_WORDS[finding.grade]}. {escape(visible(finding.cure))}</p>'
        f"{_examples(finding.examples, private=private)}</section>"
    )


def _examples(examples: Sequence[Example], *, private: bool) -> str:
    if not examples:
        return ""
    rows = "".join(
        f"<tr><td>{e.row}</td><td>{escape(visible(e.label))}</td>"
        f'<td dir="auto">{"left out" if private else escape(visible(e.text[:400]))}</td></tr>'
        for e in examples
    )
    head = "<tr><th>row</th><th>label</th><th>message</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
