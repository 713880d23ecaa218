"""Plots as inline SVG: lines, bars and dots on two axes.

Takes numbers, gives SVG text that follows the page's colours (light or dark). Knows nothing of
models. Every plot says in its title what it shows; the page puts a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points to draw: a line in the page's colour number `hue`, its dots, or both."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    hue: int = 1
    dots: bool = False
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What the two axes mean and how far they reach."""

    title: str
    x_name: str
    y_name: str
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    diagonal: bool = False
    x_marks: Sequence[tuple[float, str]] = ()  # named places, in place of numbers
    legend: bool = True


def plot(axes: Axes, series: Sequence[Series]) -> str:
    """Return an SVG figure of the series on the axes."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(axes.title)}">',
        f"<title>{escape(axes.title)}</title>",
        *_grid(axes),
    ]
    if axes.diagonal:
        x, y = _place(axes, axes.x[0], axes.y[0])
        x2, y2 = _place(axes, axes.x[1], axes.y[1])
        parts.append(f'<line class="aid" x1="{x}" y1="{y}" x2="{x2}" y2="{y2}"/>')
    for one in series:
        parts += _series(axes, one)
    parts += _legend(series) if axes.legend else []
    return "".join([*parts, "</svg>"])


def _place(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Return the picture's coordinates of a point, held inside the frame."""
    (x0, x1), (y0, y1) = axes.x, axes.y
    across = min(max((x - x0) / ((x1 - x0) or 1.0), 0.0), 1.0)
    up = min(max((y - y0) / ((y1 - y0) or 1.0), 0.0), 1.0)
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return round(LEFT + across * inner_w, 1), round(TOP + (1 - up) * inner_h, 1)


def _grid(axes: Axes) -> list[str]:
    parts = []
    for value in ticks(*axes.y):
        left, y = _place(axes, axes.x[0], value)
        parts.append(f'<line class="grid" x1="{left}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 3}" text-anchor="end">{_shown(value)}</text>')
    for value, name in axes.x_marks or [(v, _shown(v)) for v in ticks(*axes.x)]:
        x, bottom = _place(axes, value, axes.y[0])
        parts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{escape(name)}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(axes.x_name)}</text>'
    )
    parts.append(
        f'<text transform="translate(11 {HEIGHT / 2 - 10}) rotate(-90)" text-anchor="middle">'
        f"{escape(axes.y_name)}</text>"
    )
    return parts


def ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers in a range, for its axis.

    Examples
    --------
    >>> ticks(0, 1), ticks(1, 6), ticks(0.56, 1)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1, 2, 3, 4, 5, 6], [0.6, 0.7, 0.8, 0.9, 1.0])
    """
    span = (high - low) or 1.0
    rough = 10.0 ** math.floor(math.log10(span / 4))
    step = next(rough * k for k in (1, 2, 5, 10) if span / (rough * k) <= 6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if step >= 1:
        return [k * round(step) for k in range(first, last + 1)]
    return [round(k * step, 12) for k in range(first, last + 1)]


def _shown(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _series(axes: Axes, one: Series) -> list[str]:
    points = [_place(axes, x, y) for x, y in zip(one.x, one.y, strict=True)]
    parts = []
    for x, low, high in zip(one.x, one.low, one.high, strict=False):
        (px, bottom), (_, top) = _place(axes, x, low), _place(axes, x, high)
        parts.append(f'<line class="h{one.hue}" x1="{px}" y1="{bottom}" x2="{px}" y2="{top}"/>')
    if not one.dots:
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline class="h{one.hue}" points="{path}"/>')
    else:
        parts += [f'<circle class="h{one.hue}" cx="{x}" cy="{y}" r="3.5"/>' for x, y in points]
    return parts


def _legend(series: Sequence[Series]) -> list[str]:
    if len(series) < 2:
        return []
    parts = []
    for k, one in enumerate(series):
        y = HEIGHT - BOTTOM - 14 * (len(series) - k) + 4
        parts.append(
            f'<line class="h{one.hue}" x1="{WIDTH - 150}" y1="{y}" x2="{WIDTH - 134}" y2="{y}"/>'
            f'<text x="{WIDTH - 130}" y="{y + 3}">{escape(one.name)}</text>'
        )
    return parts
