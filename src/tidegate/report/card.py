"""The model card, and the bundle with its report in it.

Takes `Scored`, gives a `Bundle` whose extra files are README.md, report.json, report.html and, if
messages may be shown, mistakes.html. The card's figures are the report's; its head is metadata in
the Hugging Face form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.data.checks import Finding
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.errors import visible
from tidegate.report.mistakes import mistakes_walked
from tidegate.report.page import report_page
from tidegate.training.score import Scored

_MEANING = re.compile(r"[\\`*_{}\[\]()#!|~<>&]")  # what Markdown or HTML would read as a mark


def with_report(
    scored: Scored, *, title: str, private: bool = False, findings: Sequence[Finding] = ()
) -> Bundle:
    """Return the bundle with its card and report; the same model gives the same bytes.

    Parameters
    ----------
    title : what the model is called
    private : leave the messages out that report.html and mistakes.html show otherwise, the most
        instructive ones of those held out (card and report.json never hold any), and the hashes of
        the rows learned from, by which a message that somebody guesses could be found among them
    findings : what is wrong with the data, as `check` tells it, for the report
    """
    data = json.dumps(scored.to_dict(), indent=1, allow_nan=False) + "\n"
    page = report_page(scored, title=title, private=private, findings=findings)
    files = {
        "README.md": model_card(scored, title=title).encode(),
        "report.json": data.encode(),
        "report.html": page.encode("utf-8", "backslashreplace"),
    }
    walked = None if private else mistakes_walked(scored, title=title)
    if walked is not None:
        files[LAYOUT.mistakes] = walked.encode("utf-8", "backslashreplace")
    kept = _kept_files(scored.bundle, private=private)
    return replace(scored.bundle, extra_files={**kept, **files})


def _kept_files(bundle: Bundle, *, private: bool) -> dict[str, bytes]:
    """Return a bundle's further files that a report leaves in it."""
    hidden = {LAYOUT.learned} if private else set()
    return {name: data for name, data in bundle.extra_files.items() if name not in hidden}


def unscored(bundle: Bundle, *, title: str, private: bool = False) -> Bundle:
    """Return a bundle that was trained without figures, with a card that says so."""
    card = "\n".join(
        [
            "---",
            json.dumps(_metadata(title, ()), indent=1),
            "---",
            "",
            *_opening(bundle, title=title),
            "No rows were held out (`--score none`), so nothing is known of how well it answers. "
            "Score it with `tidegate evaluate` on labelled messages that it has not learned from.",
            "",
            *_use_and_limits(bundle, taught=""),
        ]
    )
    kept = _kept_files(bundle, private=private)
    return replace(bundle, extra_files={**kept, "README.md": card.encode()})


def model_card(scored: Scored, *, title: str) -> str:
    """Return the model card as Markdown with a YAML head."""
    bundle, report = scored.bundle, scored.report
    rows = [_row("this model", report.scores)]
    rows += [_row(rival.name, rival.report.scores) for rival in scored.rivals]
    figures = [
        {"type": name, "value": round(score.value, 4)}
        for name, score in report.scores.items()
        if score.value == score.value
    ]
    return "\n".join(
        [
            "---",
            # JSON is YAML, and needs no library to be written right.
            json.dumps(_metadata(title, figures), indent=1),
            "---",
            "",
            *_opening(bundle, title=title),
            scored.verdict(),
            "",
            "| on the same held-out rows | accuracy | F1 | calibration error |",
            "|---|---|---|---|",
            *rows,
            "",
            f"{scored.protocol()} 95 % bootstrap intervals over {report.n_rows} rows that neither "
            "the weights nor the thresholds of the models that answered have seen. The whole "
            "report is in `report.html`.",
            "",
            *_use_and_limits(bundle, taught=_taught(scored)),
        ]
    )


def _opening(bundle: Bundle, *, title: str) -> list[str]:
    """Return the card's title and what the model is."""
    network = bundle.config.network
    return [
        f"# {markdown(title)}",
        "",
        f"A {bundle.kind} classifier of short messages, made with tidegate: "
        f"{network.num_layers} {network.cell.upper()} layer(s) of {network.hidden_size} units. "
        f"Labels: {', '.join(map(markdown, bundle.labels))}.",
        "",
    ]


def _use_and_limits(bundle: Bundle, *, taught: str) -> list[str]:
    """Return how to use the model, what it learned from, and where not to trust it."""
    data = bundle.training_data
    return [
        "## Use",
        "",
        "```python",
        "from tidegate import Predictor",
        "",
        'model = Predictor.load("path/of/this/folder")',
        'model.predict_proba(["a message"])',
        "```",
        "",
        "## Training data",
        "",
        f"{data['rows']} rows, SHA-256 `{data['sha256']}`." + taught,
        "",
        "## Limits",
        "",
        "It has learned from these rows alone: another topic, language or time needs its own "
        f"evaluation. Thresholds: {', '.join(f'{t:.3f}' for t in bundle.thresholds)}. "
        f"It reads {bundle.sequence_length or 'all'} tokens of a message.",
        "",
    ]


def _taught(scored: Scored) -> str:
    """Return what the card says of a teacher."""
    if scored.teacher is None:
        return ""
    facts = scored.teacher
    if facts["kind"] == "blend":
        name = markdown(facts["name"])
        return f" It also learned from a blend of {name}, trained on those rows."
    others = f", and from {markdown(facts['with'])} trained on them" if "with" in facts else ""
    name, licence = markdown(facts["name"]), markdown(str(facts["licence"]))
    return (
        f" It also learned from {name} (licence: {licence}), fine-tuned on those "
        f"rows{others}; nothing of these is in this bundle."
    )


def _metadata(title: str, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the card's head in the Hugging Face form."""
    result = {
        "task": {"type": "text-classification"},
        "dataset": {"name": "rows held out from training", "type": "private"},
        "metrics": list(figures),
    }
    return {
        "library_name": "tidegate",
        "pipeline_tag": "text-classification",
        "tags": ["lstm", "numpy", "short-messages"],
        "model-index": [{"name": title, "results": [result] if figures else []}],
    }


def _row(name: str, scores: Any) -> str:
    cells = []
    for key in ("accuracy", "f1", "expected_calibration_error"):
        s = scores[key]
        cells.append(f"{s.value:.3f} ({s.low:.3f}–{s.high:.3f})" if s.value == s.value else "–")
    return f"| {markdown(name)} | {' | '.join(cells)} |"


def markdown(text: str) -> str:
    r"""Return other people's words so that Markdown shows them as they are, on one line.

    Examples
    --------
    >>> print(markdown("<b>1|0</b>"))
    \<b\>1\|0\</b\>
    """
    return _MEANING.sub(r"\\\g<0>", visible(text))
