"""`report.html`: one page that says whether the model is good, and shows why.

Takes `Scored` and a title, gives self-contained HTML: no script, no network. Messages are escaped.
Each plot has its table as a twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np

from tidegate.data.checks import Finding
from tidegate.pages.findings import findings_section
from tidegate.report.acting import acting
from tidegate.report.mistakes import message_cell, mistakes_section, right
from tidegate.report.parts import document, figure, table
from tidegate.report.plots import Axes, Series, plot
from tidegate.training.held_out import OURS
from tidegate.training.score import Rival, Scored

_NAMES = {
    "accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1",
    "roc_auc": "ROC-AUC", "average_precision": "average precision", "log_loss": "log loss",
    "expected_calibration_error": "calibration error", "subset_accuracy": "all labels right",
    "micro_f1": "F1 over all decisions",
}  # fmt: skip
_PUBLIC = (
    "Messages of the data stand in this page, under “The hardest mistakes” and, where there are "
    "any, “Labels to look at again”, and in <code>mistakes.html</code> beside it: pass them on as "
    "you would pass on the messages. "
    "<code>tidegate train --private</code> leaves them out."
)
_PRIVATE = (
    "No message of the data stands in this page (<code>--private</code>): find those named below "
    "by their row."
)


def report_page(
    scored: Scored, *, title: str, private: bool = False, findings: Sequence[Finding] = ()
) -> str:
    """Return the report as one HTML document, if it is private without any message.

    Parameters
    ----------
    findings : what is wrong with the data, as `check` tells it; shown behind the verdict
    """
    report = scored.report
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{report.kind} model · {report.n_rows:,} held-out messages, answered by '
        "models whose weights and thresholds had not seen them · 95 % intervals from "
        f"{report.replicates:,} bootstrap resamples</p>",
        f"<p>{escape(scored.protocol())}</p>",
        f'<p class="verdict">{escape(scored.verdict())}</p>',
        f'<p class="soft">{_PRIVATE if private else _PUBLIC}</p>',
        *_data(findings, private=private),
        "<h2>Scores on the same messages</h2>",
        _scores(scored),
        *_costs(scored),
        *acting(scored),
        '<h2>What it decides, and how sure it is</h2><div class="grid">',
        *_decisions(scored),
        '</div><h2>How it learned, and where it errs</h2><div class="grid">',
        *_learning(scored),
        *_slices(scored),
        "</div>",
        "<h2>The labels</h2>",
        _labels(scored),
        "<h2>The hardest mistakes</h2>",
        mistakes_section(scored, private=private),
        *_doubtful(scored, private=private),
    ]
    return document(title, body)


def _data(findings: Sequence[Finding], *, private: bool) -> list[str]:
    """Return the problems and warnings about the data; notes are for `check`."""
    grave = [finding for finding in findings if finding.grade != "note"]
    if not grave:
        return []
    n = f"{len(grave)} finding" + "s" * (len(grave) != 1)
    return [
        f"<details><summary>The data: {n} to look at (<code>tidegate check</code> tells all)"
        f"</summary>{findings_section(grave, private=private)}</details>"
    ]


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"


def _scores(scored: Scored) -> str:
    names = [name for name in _NAMES if name in scored.report.scores]
    rows = []
    for title, report in [(OURS, scored.report), *((r.name, r.report) for r in scored.rivals)]:
        cells = [escape(title)]
        for name in names:
            s = report.scores[name]
            spread = f'<br><span class="soft">{_number(s.low)}–{_number(s.high)}</span>'
            cells.append(_number(s.value) + spread)
        rows.append(cells)
    paired = [_gap(rival) for rival in scored.rivals]
    head = ["this model is ahead of", "accuracy", "95 % interval", "McNemar's p"]
    scores = table(["", *(_NAMES[n] for n in names)], rows, first="ours")
    return scores + '<p class="soft">Message by message:</p>' + table(head, paired)


def _gap(rival: Rival) -> list[str]:
    """Return the paired difference of accuracy, its interval, and McNemar's p."""
    gap, p = rival.ahead.accuracy, rival.ahead.mcnemar_p
    said = "–" if p is None else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
    spread = f"{gap.low:+.3f} to {gap.high:+.3f}"
    return [escape(rival.name), f"{gap.value:+.3f}", spread, said]


def _costs(scored: Scored) -> list[str]:
    """Return what a taught model weighs beside its teacher.

    What it takes of time is measured, and the same run must give the same page.
    """
    if not scored.costs:
        return []
    rows = [
        [escape(name), f"{c.parameters:,}", f"{c.size_bytes / 1e6:.1f}"]
        for name, c in scored.costs.items()
    ]
    return [
        "<h2>What an answer costs</h2>",
        '<p class="soft">The run prints what each takes of time.</p>',
        table(["", "parameters", "MB on disk"], rows, first="ours"),
    ]


def _decisions(scored: Scored) -> list[str]:
    """Return the reliability diagram, the confusion matrix, and ROC and precision-recall curves."""
    report = scored.report
    bins = [
        (float(m), float(o), int(c))
        for m, o, c in zip(
            report.reliability.mean_probability,
            report.reliability.observed_share,
            report.reliability.count,
            strict=True,
        )
        if c
    ]
    line = Series(name="model", x=[b[0] for b in bins], y=[b[1] for b in bins], dots=True)
    axes = Axes(
        title="Reliability: share right against stated probability",
        x_name="stated probability", y_name="share that came true", diagonal=True,
    )  # fmt: skip
    rows = [[f"{m:.3f}", f"{o:.3f}", f"{c:,}"] for m, o, c in bins]
    parts = [
        figure(
            "Does 0.8 mean 80 %? On the diagonal, yes",
            plot(axes, [line]),
            table(["stated", "came true", "messages"], rows),
        )
    ]
    if report.confusion is not None and len(report.labels) <= 12:
        labels = [escape(label) for label in report.labels]
        matrix = _confusion(labels, report.confusion)
        parts.append(f"<figure><figcaption>Confusion</figcaption>{matrix}</figure>")
    if report.kind == "binary":
        parts += _curves(scored)
    return parts


def _confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return the confusion matrix, each row shaded by the shares of its messages."""
    rows = []
    for name, row in zip(labels, counts, strict=True):
        whole = max(sum(row), 1)
        cells = "".join(
            f'<td class="share" style="--share:{n / whole:.3f}">{n:,}<br>'
            f'<span class="soft">{n / whole:.0%}</span></td>'
            for n in row
        )
        rows.append(f"<tr><th scope=row>is {name}</th>{cells}</tr>")
    head = "".join(f"<th scope=col>called {name}</th>" for name in labels)
    return (
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _curves(scored: Scored) -> list[str]:
    truth = scored.test.targets
    ours, theirs = scored.probabilities[:, 1], scored.rivals[-1].probabilities[:, 1]
    roc, pr, rows = [], [], []
    for hue, (name, p) in enumerate([("this model", ours), ("TF-IDF + LR", theirs)], 1):
        order = np.argsort(-p, kind="stable")
        hits = np.cumsum(truth[order])
        misses = np.cumsum(1 - truth[order])
        picked = np.unique(np.linspace(0, len(p) - 1, 120).astype(int))
        recall = hits[picked] / max(hits[-1], 1)
        alarms = misses[picked] / max(misses[-1], 1)
        precision = hits[picked] / (picked + 1)
        roc.append(Series(name=name, x=alarms.tolist(), y=recall.tolist(), hue=hue))
        pr.append(Series(name=name, x=recall.tolist(), y=precision.tolist(), hue=hue))
        for k in range(0, len(picked), 24):
            rows.append([name, *(f"{v[k]:.3f}" for v in (alarms, recall, precision))])
    twin = table(["", "false alarms", "recall", "precision"], rows)
    roc_axes = Axes(title="ROC curve", x_name="false alarm rate", y_name="recall", diagonal=True)
    pr_axes = Axes(title="Precision and recall", x_name="recall", y_name="precision")
    return [
        figure("Recall against false alarms", plot(roc_axes, roc), twin),
        figure("Precision against recall", plot(pr_axes, pr), twin),
    ]


def _learning(scored: Scored) -> list[str]:
    epochs = [e.number for e in scored.history]
    rows = [
        [
            str(e.number),
            *(_number(v) for v in (e.loss, e.test_loss, e.train_accuracy, e.test_accuracy)),
        ]
        for e in scored.history
    ]
    twin = table(["epoch", "loss", "held-out loss", "accuracy", "held-out accuracy"], rows)
    series = [Series(name="training rows", x=epochs, y=[e.train_accuracy for e in scored.history])]
    watched = [e.test_accuracy for e in scored.history]
    if not np.isnan(watched).any():  # a model that learned from all rows watched none
        series.append(Series(name="held out", x=epochs, y=watched, hue=2))
    lowest = min(min(s.y) for s in series)
    axes = Axes(
        title="Accuracy after each epoch", x_name="epoch", y_name="accuracy",
        x=(1, max(epochs[-1], 2)), y=(max(0.0, lowest - 0.05), 1.0),
    )  # fmt: skip
    return [figure("Learning curves", plot(axes, series), twin)]


def _slices(scored: Scored) -> list[str]:
    """Return accuracy by message length and by share of unknown words."""
    correct = right(scored)
    held_out = scored.held_out
    unknown = held_out.n_unknown / np.maximum(held_out.n_tokens, 1)
    lengths = held_out.n_tokens.astype(float)
    cuts = (
        ("By length of the message", "tokens", lengths, (0, 5, 10, 15, 20, 25, 1000)),
        (
            "By share of unknown words",
            "unknown words, %",
            100 * unknown,
            (0, 5, 10, 20, 30, 50, 101),
        ),
    )
    parts = []
    for caption, axis, value, edges in cuts:
        points: list[tuple[float, float, float]] = []
        rows, marks = [], []
        for k, (start, end) in enumerate(pairwise(edges)):
            inside = (value >= start) & (value < end)
            group = f"{start}–{end}" if k < len(edges) - 2 else f"{start} and more"
            marks.append((k + 0.5, group.replace(" and more", "+")))
            n = int(inside.sum())
            if not n:
                continue
            share = float(correct[inside].mean())
            error = 1.96 * (share * (1 - share) / n) ** 0.5
            points.append((k + 0.5, share, error))
            rows.append([group, f"{n:,}", f"{share:.3f} ± {error:.3f}"])
        axes = Axes(
            title=f"Accuracy {caption.lower()}", x_name=axis,
            y_name="share right", x=(0, len(edges) - 1), x_marks=marks,
        )  # fmt: skip
        dots = Series(
            name="model", x=[p[0] for p in points], y=[p[1] for p in points],
            low=[p[1] - p[2] for p in points], high=[p[1] + p[2] for p in points],
            dots=True, hue=3,
        )  # fmt: skip
        parts.append(
            figure(caption, plot(axes, [dots]), table([axis, "messages", "share right"], rows))
        )
    return parts


def _labels(scored: Scored) -> str:
    rows = [
        [escape(s.label), _number(s.precision), _number(s.recall), _number(s.f1), f"{s.support:,}"]
        for s in scored.report.per_label
    ]
    return table(["label", "precision", "recall", "F1", "messages"], rows)


def _doubtful(scored: Scored, *, private: bool) -> list[str]:
    found = scored.doubtful()
    if not found:
        return []
    rows = [
        [message_cell(d["text"], private=private), str(d["row"]), escape(d["label"]),
         f"{d['probability']:.3f}"]
        for d in found
    ]  # fmt: skip
    return [
        "<h2>Labels to look at again</h2><p class=soft>Rows whose label is least likely by models "
        f"that did not learn from them ({scored.held_out.folds}-fold cross-validation).</p>",
        table(["message", "row", "its label", "probability given to it"], rows),
    ]
