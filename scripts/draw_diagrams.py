"""Draw the pictures of docs/explanation/the-lstm-walked.md, with numbers from a bundle.

python scripts/draw_diagrams.py MODEL "a message" TOKEN UNIT docs/images

Nine SVG files: the chain unrolled, the layer of a traditional network, the LSTM's cell, its cell
state line, a gate, and the four steps. The steps carry the values of one unit at one token of the
first layer's forward direction; tokens count from 1 and units from 0, as `tidegate walk` has them.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from tidegate.engine.lstm import STEPS
from tidegate.engine.predictor import Predictor
from tidegate.walking.record import Walk
from tidegate.walking.walk import walk

STYLE = """
text{font:14px system-ui,sans-serif;fill:#1d2330}.soft{fill:#5b6474;font-size:12px}
.wire{fill:none;stroke:#5b6474;stroke-width:2}.tip,.split{fill:#5b6474}
.body{fill:#eef2f7;stroke:#c9d1dc}.layer rect{fill:#f6d58a;stroke:#a9812b}.layer text{fill:#33270a}
.point circle,.point rect{fill:#f7b5a3;stroke:#a8533b}.point text{fill:#401a10}
.now.wire{stroke:#0072b2;stroke-width:3.5}.off{opacity:.28}
.number{fill:#0072b2;font-weight:600}
@media (prefers-color-scheme:dark){text{fill:#e8ebf0}.soft{fill:#a3adbd}.wire{stroke:#a3adbd}
.tip,.split{fill:#a3adbd}.body{fill:#1d232d;stroke:#4a5566}.now.wire{stroke:#56b4e9}.number{fill:#56b4e9}}
"""
GATES = (("f", "σ", 200), ("i", "σ", 290), ("g", "tanh", 380), ("o", "σ", 500))
# Each wire with the step it belongs to; 0 is needed by every step. h hops over c: they do not meet.
WIRES = (
    (0, "M20 270 H500"), (0, "M120 350 V272"),
    (1, "M20 80 H186"), (1, "M200 270 V216"), (1, "M200 184 V96"),
    (2, "M290 270 V216"), (2, "M380 270 V216"), (2, "M290 184 V136 H364"), (2, "M380 184 V152"),
    (3, "M214 80 H366"), (3, "M380 122 V96"), (3, "M394 80 H740"),
    (4, "M500 270 V216"), (4, "M590 80 V112"), (4, "M590 144 V186"), (4, "M528 200 H574"),
    (4, "M590 214 V270 H740"), (4, "M708 270 V88 a8 8 0 0 1 0 -16 V24"),
)  # fmt: skip
SPLITS = ((1, 200, 270), (2, 290, 270), (2, 380, 270), (4, 590, 80), (4, 708, 270))
POINTS = ((1, "×", 200, 80), (2, "×", 380, 136), (3, "+", 380, 80), (4, "×", 590, 200))
READINGS = (
    (1, "c_before", "c₋₁", 24, 70), (1, "f", "f", 208, 160), (2, "i", "i", 298, 128),
    (2, "g", "C̃", 388, 174), (3, "kept", "f·c₋₁", 222, 70), (3, "new", "i·C̃", 388, 114),
    (3, "c", "c", 470, 70), (4, "squashed", "tanh c", 598, 168), (4, "o", "o", 508, 176),
    (4, "h", "h", 640, 260),
)  # fmt: skip


def picture(width: int, height: int, title: str, parts: list[str]) -> str:
    """Return an SVG file of the parts."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="11" '
        'markerHeight="11" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" '
        'class="tip"/></marker></defs>' + "\n".join(parts) + "</svg>\n"
    )


def wire(path: str, state: str = "") -> str:
    """Return an arrow along a path; state is "now" or "off"."""
    return f'<path class="wire {state}" d="{path}" marker-end="url(#tip)"/>'


def split(x: int, y: int, state: str = "") -> str:
    """Return the dot at which a line splits."""
    return f'<circle class="split {state}" cx="{x}" cy="{y}" r="4"/>'


def layer(sign: str, x: int, y: int, state: str = "") -> str:
    """Return a learned layer around (x, y)."""
    return (
        f'<g class="layer {state}"><rect x="{x - 28}" y="{y - 16}" width="56" height="32" rx="6"/>'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle">{sign}</text></g>'
    )


def point(sign: str, x: int, y: int, state: str = "") -> str:
    """Return a pointwise operation around (x, y)."""
    shape = (
        f'<rect x="{x - 26}" y="{y - 16}" width="52" height="32" rx="16"/>'
        if len(sign) > 1
        else f'<circle cx="{x}" cy="{y}" r="14"/>'
    )
    return (
        f'<g class="point {state}">{shape}<text x="{x}" y="{y + 5}" text-anchor="middle">{sign}'
        "</text></g>"
    )


def words(text: str, x: int, y: int, kind: str = "", anchor: str = "middle") -> str:
    """Return a line of text."""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def unrolled(tokens: list[str]) -> str:
    """Return the same cell once a token, each handing its state to the next."""
    parts = [words("the same cell, with the same weights, once for each token", 330, 24, "soft")]
    for k, token in enumerate(tokens):
        x = 90 + k * 150
        parts += [
            f'<rect class="body" x="{x - 45}" y="90" width="90" height="60" rx="12"/>',
            words("cell", x, 125), wire(f"M{x} 200 V152"), wire(f"M{x} 90 V52"),
            words(token, x, 220), words(f"h{'₁₂₃₄₅₆₇₈₉'[k]}", x + 18, 64, "soft"),
        ]  # fmt: skip
        if k < len(tokens) - 1:
            parts.append(wire(f"M{x + 45} 120 H{x + 104}"))
    return picture(90 + 150 * len(tokens) - 40, 240, "A recurrent network unrolled", parts)


def traditional() -> str:
    """Return the one layer of a traditional recurrent network."""
    parts = ['<rect class="body" x="70" y="50" width="240" height="150" rx="16"/>']
    ways = ("M14 170 H190", "M120 250 V172", "M190 170 V146", "M190 114 V84 H366", "M270 84 V26")
    parts += [wire(way) for way in ways]
    parts += [
        split(270, 84), layer("tanh", 190, 130), words("h₋₁", 40, 160), words("x", 134, 246),
        words("h", 340, 76), words("one layer, one state, rewritten whole", 190, 276, "soft"),
    ]  # fmt: skip
    return picture(380, 290, "The layer of a traditional recurrent network", parts)


def cell(title: str, *, step: int = 0, values: dict[str, float] | None = None) -> str:
    """Return the LSTM's cell; with a step, what it uses is lit and carries its numbers."""

    def state(of: int) -> str:
        if not step:
            return ""
        return "now" if of == step else ("off" if of > step else "")

    of_gate = {"f": 1, "i": 2, "g": 2, "o": 4}
    parts = ['<rect class="body" x="94" y="40" width="584" height="252" rx="16"/>']
    parts += [wire(path, state(of) if of else "") for of, path in WIRES]
    parts += [split(x, y, state(of)) for of, x, y in SPLITS]
    parts += [layer(sign, x, 200, state(of_gate[name])) for name, sign, x in GATES]
    parts += [point(sign, x, y, state(of)) for of, sign, x, y in POINTS]
    parts += [point("tanh", 590, 128, state(4)), words("h₋₁", 24, 260, anchor="start")]
    parts.append(words("x", 128, 346, anchor="start"))
    for of, key, name, x, y in READINGS:
        if values is None or of <= step:
            number = f" {values[key]:.2f}".replace("-", "−") if values else ""
            kind = "number" if values and of == step else ""
            parts.append(words(name + number, x, y, kind, "start"))
    if step:
        parts.append(words(f"{step}. {STEPS[step - 1]}", 380, 376))
    return picture(760, 390 if step else 362, title, parts)


def cell_state_line() -> str:
    """Return the cell state's way through the cell, and nothing else."""
    parts = ['<rect class="body" x="94" y="30" width="320" height="150" rx="16"/>']
    parts += [wire("M14 90 H166", "now"), wire("M194 90 H306", "now"), wire("M334 90 H496", "now")]
    parts += [wire("M180 160 V106"), wire("M320 160 V106")]
    parts += [point("×", 180, 90), point("+", 320, 90), words("c₋₁", 44, 78), words("c", 460, 78)]
    parts += [words("kept: f", 180, 174, "soft"), words("added: i · C̃", 320, 174, "soft")]
    return picture(510, 200, "The cell state runs straight through the cell", parts)


def gate() -> str:
    """Return a gate: a sigmoid layer and a pointwise product."""
    parts = [wire("M20 60 H126"), wire("M154 60 H270"), wire("M140 210 V168"), wire("M140 136 V76")]
    parts += [point("×", 140, 60), layer("σ", 140, 152), words("what arrives", 66, 44, "soft")]
    parts += [words("what passes", 222, 44, "soft")]
    parts += [words("0: nothing … 1: all", 154, 112, "soft", "start")]
    return picture(300, 224, "A gate", parts)


def readings(found: Walk, token: int, unit: int) -> dict[str, float]:
    """Return a unit's values at a token of the first layer's forward direction."""
    one = found.directions[0]
    names = ("f", "i", "g", "o", "c_before", "c", "h")
    get = {name: float(getattr(one, name)[token, unit]) for name in names}
    kept, new = get["f"] * get["c_before"], get["i"] * get["g"]
    return get | {"kept": kept, "new": new, "squashed": get["h"] / get["o"]}


if __name__ == "__main__":
    model, message, token, unit, folder = sys.argv[1:]
    found = walk(Predictor.load(model), message)
    values = readings(found, int(token) - 1, int(unit))
    seen = [t.token for t in found.read_tokens]
    drawn = {
        "unrolled": unrolled(seen[:6]), "rnn-layer": traditional(), "gate": gate(),
        "lstm-cell": cell("The LSTM's cell"), "cell-state": cell_state_line(),
    }  # fmt: skip
    for step in (1, 2, 3, 4):
        drawn[f"step-{step}"] = cell(f"Step {step}: {STEPS[step - 1]}", step=step, values=values)
    for name, svg in drawn.items():
        (Path(folder) / f"{name}.svg").write_text(svg, encoding="utf-8")
