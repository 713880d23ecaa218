"""Draw what the gates of a bundle do on one message, as an SVG: the README's picture.

python scripts/draw_gates.py MODEL "a message" docs/images/gates.svg
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import numpy as np

from tidegate.engine.predictor import Predictor
from tidegate.walking.walk import walk

ROWS = (
    ("forget gate", "f", "how much of the old cell state is kept"),
    ("input gate", "i", "how much of the new is let in"),
    ("output gate", "o", "how much of the cell state is shown"),
    ("cell state", "c", "what is remembered"),
)
CELL, GAP, LEFT, TOP = 64, 10, 216, 84
STYLE = """
.page{fill:#fff}text{fill:#222}.soft{fill:#666}.plus{fill:#0072b2}.minus{fill:#e69f00}
@media (prefers-color-scheme:dark){.page{fill:#14181f}text{fill:#e8ebf0}.soft{fill:#a3adbd}
.plus{fill:#56b4e9}}
"""


def colour(value: float, *, signed: bool) -> str:
    """Return a shade of blue for [0, 1]; for signed values orange below zero, blue above."""
    strength = min(abs(value), 1.0)
    hue = "minus" if signed and value < 0 else "plus"
    return f'class="{hue}" fill-opacity="{strength:.2f}"'


def strips(values: np.ndarray, top: int, *, signed: bool) -> list[str]:
    """Return the squares of one row: a column a token, a line a unit, the busiest units first."""
    order = np.argsort(-values.std(axis=0), kind="stable")
    height = CELL / len(order)
    return [
        f'<rect x="{LEFT + t * (CELL + 6)}" y="{top + k * height:.1f}" width="{CELL}" '
        f'height="{height + 0.3:.1f}" {colour(float(values[t, unit]), signed=signed)}/>'
        for t in range(len(values))
        for k, unit in enumerate(order)
    ]


def draw(predictor: Predictor, text: str) -> str:
    """Return the SVG of a message's gates."""
    found = walk(predictor, text)
    tokens = [token.token for token in found.read_tokens]
    probability = float(found.probabilities[found.label])
    forward = found.directions[0]
    width = LEFT + len(tokens) * (CELL + 6) + 20
    height = TOP + len(ROWS) * (CELL + GAP) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(text)}">',
        f'<style>{STYLE}</style><rect class="page" width="{width}" height="{height}"/>',
        f'<text x="20" y="34" font-size="18">“{escape(text)}”</text>',
        f'<text x="20" y="58" class="soft" font-size="13">probability of label '
        f"{escape(found.labels[found.label])}: {probability:.2f}</text>",
    ]
    for t, token in enumerate(tokens):
        x = LEFT + t * (CELL + 6) + CELL / 2
        label = escape(token)
        parts.append(
            f'<text x="{x}" y="{TOP - 6}" font-size="13" text-anchor="middle">{label}</text>'
        )
    for row, (name, key, meaning) in enumerate(ROWS):
        top = TOP + row * (CELL + GAP)
        values = getattr(forward, key)
        parts += strips(values, top, signed=key == "c")
        parts.append(
            f'<text x="20" y="{top + 26}" font-size="14" font-weight="600">{name}'
            f'</text><text x="20" y="{top + 44}" class="soft" font-size="10">{meaning}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    model, message, target = sys.argv[1:]
    Path(target).write_text(draw(Predictor.load(model), message), encoding="utf-8")
