"""The model card, and the bundle with its report in it.

Takes `Scored`, gives a `Bundle` whose extra files are README.md, report.json and report.html. The
card's figures are the report's; its head is metadata in the Hugging Face form.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tidegate.engine.bundle import Bundle
from tidegate.report.page import report_page, verdict
from tidegate.training.score import Scored


def with_report(scored: Scored, *, title: str) -> Bundle:
    """Return the bundle with its card and report; the same model gives the same bytes."""
    data = json.dumps(scored.to_dict(), indent=1, allow_nan=False) + "\n"
    files = {
        "README.md": model_card(scored, title=title).encode(),
        "report.json": data.encode(),
        "report.html": report_page(scored, title=title).encode("utf-8", "backslashreplace"),
    }
    return replace(scored.bundle, extra_files={**scored.bundle.extra_files, **files})


def model_card(scored: Scored, *, title: str) -> str:
    """Return the model card as Markdown with a YAML head."""
    bundle, report = scored.bundle, scored.report
    data = bundle.training_data
    rows = [_row("this model", report.scores)]
    rows += [_row(rival.name, rival.report.scores) for rival in scored.rivals]
    network = bundle.config.network
    return "\n".join(
        [
            "---",
            # JSON is YAML, and needs no library to be written right.
            json.dumps(_metadata(scored, title=title), indent=1),
            "---",
            "",
            f"# {title}",
            "",
            f"A {report.kind} classifier of short messages, made with tidegate: "
            f"{network.num_layers} {network.cell.upper()} layer(s) of {network.hidden_size} units. "
            f"Labels: {', '.join(bundle.labels)}.",
            "",
            verdict(scored).replace("&amp;", "&"),
            "",
            "| on the same held-back rows | accuracy | F1 | calibration error |",
            "|---|---|---|---|",
            *rows,
            "",
            f"95 % bootstrap intervals; {report.n_rows} rows that neither weights nor thresholds "
            "have seen. The whole report is in `report.html`.",
            "",
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
            f"{data['rows']} rows, SHA-256 `{data['sha256']}`." + _taught(scored),
            "",
            "## Limits",
            "",
            "It has learned from these rows alone: another topic, language or time needs its own "
            f"evaluation. Thresholds: {', '.join(f'{t:.3f}' for t in bundle.thresholds)}. "
            f"It reads {bundle.sequence_length or 'all'} tokens of a message.",
            "",
        ]
    )


def _taught(scored: Scored) -> str:
    """Return what the card says of a teacher."""
    if scored.teacher is None:
        return ""
    facts = scored.teacher
    if facts["kind"] == "blend":
        return f" It also learned from a blend of {facts['name']}, trained on those rows."
    others = f", and from {facts['with']} trained on them" if "with" in facts else ""
    return (
        f" It also learned from {facts['name']} (licence: {facts['licence']}), fine-tuned on those "
        f"rows{others}; nothing of these is in this bundle."
    )


def _metadata(scored: Scored, *, title: str) -> dict[str, Any]:
    """Return the card's head in the Hugging Face form."""
    return {
        "library_name": "tidegate",
        "pipeline_tag": "text-classification",
        "tags": ["lstm", "numpy", "short-messages"],
        "model-index": [
            {
                "name": title,
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"name": "rows held back from training", "type": "private"},
                        "metrics": [
                            {"type": name, "value": round(score.value, 4)}
                            for name, score in scored.report.scores.items()
                            if score.value == score.value
                        ],
                    }
                ],
            }
        ],
    }


def _row(name: str, scores: Any) -> str:
    cells = []
    for key in ("accuracy", "f1", "expected_calibration_error"):
        s = scores[key]
        cells.append(f"{s.value:.3f} ({s.low:.3f}–{s.high:.3f})" if s.value == s.value else "–")
    return f"| {name} | {' | '.join(cells)} |"
