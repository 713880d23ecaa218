"""The page of a sweep: how the best score rose, where good settings lie, every trial."""

from __future__ import annotations

from html import escape

from tidegate.report.parts import document, figure, table
from tidegate.report.plots import Axes, Series, plot
from tidegate.training.search_space import SPACE
from tidegate.training.sweep import Sweep, Trial


def sweep_page(found: Sweep, *, title: str) -> str:
    """Return a sweep as one HTML document: no script, no network."""
    whole = [trial for trial in found.trials if trial.score is not None]
    given_up = len(found.trials) - len(whole)
    first = next((trial for trial in whole if trial.number == 1), None)
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{len(found.trials)} trials, of which {given_up} were given up early; '
        f"{found.metric} by {found.folds}-fold cross-validation</p>",
        f'<p class="verdict">{escape(verdict(found, first))}</p>',
        '<h2>How the best rose</h2><div class="grid">',
        _rise(whole),
        '</div><h2>Where good settings lie</h2><div class="grid">',
        *(_scatter(name, whole) for name in SPACE),
        "</div><h2>The space</h2>",
        table(
            ["setting", "from what", "why"],
            [
                [name, " to ".join(map(_shown, (one.values[0], one.values[-1]))),
                 escape(one.reason)]
                for name, one in SPACE.items()
            ],
        ),
        "<h2>Every trial</h2>",
        table(
            ["trial", found.metric, *SPACE],
            [
                [str(t.number), "given up" if t.score is None else f"{t.score:.4f}",
                 *(_shown(t.settings.get(name)) for name in SPACE)]
                for t in sorted(found.trials, key=lambda t: (-(t.score or 0.0), t.number))
            ],
        ),
    ]  # fmt: skip
    return document(title, body)


def verdict(found: Sweep, first: Trial | None) -> str:
    """Say how much better the best is than the default's settings, on the same folds."""
    best = found.best
    told = f"The best {found.metric} is {best.score:.4f}, of trial {best.number}."
    if first is None or first.score is None:
        return told
    gain = (best.score or 0.0) - first.score
    return (
        f"{told} The default's settings have {first.score:.4f} on the same folds: {gain:+.4f}. The "
        "best of many trials flatters itself, so expect less on new messages."
    )


def _shown(value: object) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.3g}"
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _reach(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or max(abs(high) * 0.05, 0.01)
    return low - room, high + room


def _rise(whole: list[Trial]) -> str:
    scores = [trial.score or 0.0 for trial in whole]
    numbers = [float(trial.number) for trial in whole]
    best = [max(scores[: k + 1]) for k in range(len(scores))]
    axes = Axes(title="Score of each trial, and the best so far", x_name="trial", y_name="score",
                x=_reach(numbers), y=_reach(scores))  # fmt: skip
    drawn = plot(
        axes,
        [
            Series(name="best so far", x=numbers, y=best),
            Series(name="trial", x=numbers, y=scores, hue=2, dots=True),
        ],
    )
    rows = [[str(t.number), f"{t.score:.4f}", f"{b:.4f}"] for t, b in zip(whole, best, strict=True)]
    return figure(axes.title, drawn, table(["trial", "score", "best so far"], rows))


def _scatter(name: str, whole: list[Trial]) -> str:
    points = sorted((float(t.settings[name]), t.score or 0.0) for t in whole)
    x, y = [p[0] for p in points], [p[1] for p in points]
    axes = Axes(title=name, x_name=name, y_name="score", x=_reach(x), y=_reach(y), legend=False)
    drawn = plot(axes, [Series(name="trial", x=x, y=y, dots=True)])
    rows = [[_shown(a), f"{b:.4f}"] for a, b in points]
    return figure(name, drawn, table([name, "score"], rows))
