"""Put what benchmarks measured into the README and the docs: tables, and a picture.

python scripts/show_measured.py           writes both
python scripts/show_measured.py --check   says whether they are those of benchmarks/results
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "images" / "engine.svg"
KERNEL = ROOT / "docs" / "explanation" / "the-kernel.md"
WHY = ROOT / "docs" / "explanation" / "why-a-teacher.md"
HEAD = ("", "accuracy", "bulk, per s", "one, p50", "one, p99", "from a shell", "memory", "on disk")
STYLE = """
text{font:13px system-ui,sans-serif;fill:#1d2330}.soft{fill:#5b6474;font-size:11px}
.line{stroke:#d9dee6}.curve{fill:none;stroke:#0072b2;stroke-width:2}.ours{fill:#0072b2}.other{fill:#9aa5b4}
@media (prefers-color-scheme:dark){text{fill:#e8ebf0}.soft{fill:#a3adbd}.line{stroke:#38414f}
.curve{stroke:#56b4e9}.ours{fill:#56b4e9}.other{fill:#5b6778}}
"""


def table(found: dict[str, Any]) -> str:
    """Return the contestants as a Markdown table, the fastest first."""
    rows = sorted(found["table"].items(), key=lambda item: -item[1]["bulk_per_s"])
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for name, one in rows:
        shown = f"**{name}**" if name.startswith("tidegate") else name
        cells = (
            shown, f"{one['accuracy']:.3f}", f"{one['bulk_per_s']:,.0f}", micro(one["p50_us"]),
            micro(one["p99_us"]), f"{one['one_shot_s']:.2f} s", f"{one['memory_mb']:.0f} MB",
            f"{one['size_mb']:.1f} MB",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def micro(microseconds: float) -> str:
    """Return a time in the unit that fits it."""
    if microseconds >= 1000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds:.0f} µs"


def picture(found: dict[str, Any]) -> str:
    """Return bars of the bulk rates, and how rates fall with length and hidden size."""
    rows = sorted(found["table"].items(), key=lambda item: -item[1]["bulk_per_s"])
    most = rows[0][1]["bulk_per_s"]
    parts = ['<text x="16" y="28" font-weight="600">Messages a second, from raw text</text>']
    for k, (name, one) in enumerate(rows):
        y, width = 44 + k * 26, 330 * one["bulk_per_s"] / most
        kind = "ours" if name.startswith("tidegate") else "other"
        parts.append(
            f'<text x="226" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{kind}" x="234" y="{y}" width="{width:.1f}" height="18" rx="2"/>'
            f'<text class="soft" x="{240 + width:.1f}" y="{y + 13}">{one["bulk_per_s"]:,.0f}</text>'
        )
    top = 70 + len(rows) * 26
    for x, (title, key) in zip(
        (80, 430), (("tokens in a message", "tokens"), ("hidden units", "hidden_size")),
        strict=True,
    ):  # fmt: skip
        parts += curve(found["growth"][key], x, top, title)
    height = top + 206
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" width="700" '
        'role="img" aria-label="Messages a second: contestants, and how the rate falls with '
        f'length and size"><style>{STYLE}</style>' + "\n".join(parts) + "</svg>\n"
    )


def curve(rates: dict[str, float], left: int, top: int, title: str) -> list[str]:
    """Return a line of rates on two logarithmic axes."""
    points = [(float(at), rate) for at, rate in rates.items()]
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])
    parts = [
        f'<text x="{left}" y="{top}" font-weight="600">By {title}</text>',
        f'<text x="{left + 125}" y="{top + 184}" text-anchor="middle">{title}</text>',
        f'<text transform="translate({left - 60} {top + 90}) rotate(-90)" text-anchor="middle">'
        "messages a second</text>",
    ]
    for power in (3, 4, 5):
        y = top + 140 - (power - 3) * 50
        parts.append(f'<line class="line" x1="{left}" y1="{y}" x2="{left + 250}" y2="{y}"/>')
        parts.append(
            f'<text class="soft" x="{left - 6}" y="{y + 4}" text-anchor="end">{10**power:,}</text>'
        )
    places = []
    for at, rate in points:
        across = (math.log10(at) - low) / (high - low)
        places.append((left + 250 * across, top + 140 - 50 * (math.log10(rate) - 3)))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    for (x, y), (at, _) in zip(places, points, strict=True):
        parts.append(f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{top + 162}" text-anchor="middle">{at:.0f}</text>'
        )
    return parts


def taught(found: dict[str, Any]) -> str:
    """Return a student beside what it may be compared with, as a Markdown table."""
    scores = ("accuracy", "f1", "roc_auc", "expected_calibration_error")
    lines = ["|  | accuracy | F1 | ROC-AUC | calibration error |", "|" + "---|" * 5]
    for name, one in found["table"].items():
        shown = f"**{name}**" if name == "student" else name
        lines.append(f"| {shown} | " + " | ".join(f"{one[key]:.3f}" for key in scores) + " |")
    return "\n".join(lines)


def suite(found: dict[str, Any]) -> str:
    """Return the suite as a Markdown table: a row a data set, then the means."""
    names = list(found["summary"])
    titles = {"TF-IDF words and characters + LR": "TF-IDF words + characters"}
    head = ["data set", "rows", "classes", *(titles.get(n, n).removesuffix(" + LR") for n in names)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, one in found["sets"].items():
        values = {n: one["models"][n][one["metric"]] for n in names}
        cells = [name, f"{one['rows']:,}", str(one["classes"])]
        cells += [_marked(values[n], max(values.values())) for n in names]
        lines.append("| " + " | ".join(cells) + " |")
    means = found["summary"]
    for title, key, form in (
        ("mean", "mean", ".3f"),
        ("mean calibration error", "calibration_error", ".3f"),
    ):
        shown = [format(means[n][key], form) for n in names]
        lines.append("| " + " | ".join([title, "", "", *shown]) + " |")
    return "\n".join(lines)


def _marked(value: float, best: float) -> str:
    return f"**{value:.3f}**" if round(value, 3) == round(best, 3) else f"{value:.3f}"


def fast(found: dict[str, Any]) -> str:
    """Return both engines beside their peers, as a Markdown table and what else was measured."""
    lines = ["|  | bulk, per s | one, p50 | one, p99 |", "|---|---|---|---|"]
    for name, one in found["table"].items():
        rate = f"{one['bulk_per_s']:,.0f}"
        lines.append(f"| {name} | {rate} | {micro(one['p50_us'])} | {micro(one['p99_us'])} |")
    threads, parity, cold = found["two_threads"], found["parity"], found["one_shot_s"]
    lines += [
        "",
        f"Two threads are {threads['ratio']:.2f} times as fast as one. Over {parity['messages']:,} "
        f"messages the engines' probabilities differ by {parity['largest_gap']:.0e} at most. "
        f"`tidegate predict` takes {cold['numpy']:.2f} s in a new process with NumPy, and "
        f"{cold['auto']:.2f} s with the kernel.",
    ]
    return "\n".join(lines)


def grown(found: dict[str, Any]) -> str:
    """Return microseconds a message of each engine, by what they grow with."""
    lines = []
    for key in ("rows", "tokens", "hidden_size"):
        sizes = list(found["numpy"][key])
        lines += [f"| {key.replace('_', ' ')} | " + " | ".join(sizes) + " |",
                  "|" + "---|" * (len(sizes) + 1)]  # fmt: skip
        for engine, one in found.items():
            lines.append(
                f"| {engine} | " + " | ".join(f"{v:.1f}" for v in one[key].values()) + " |"
            )
        lines.append("")
    return "\n".join(lines[:-1])


def roofline(found: dict[str, Any]) -> str:
    """Return the recurrence's rates by hidden size, and their share of NumPy's product."""
    sizes = found["by_hidden_size"]
    lines = ["| hidden units | " + " | ".join(next(iter(sizes.values()))) + " |"]
    lines.append("|" + "---|" * (lines[0].count("|") - 1))
    for size, rates in sizes.items():
        cells = [f"{one['gflop_per_s']:.0f} ({one['share']:.0%})" for one in rates.values()]
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    best, copied = found["matrix_gflop_per_s"], found["copy_gb_per_s"]
    lines += ["", f"NumPy's product: {best:.0f}; memory is copied at {copied:.0f} GB a second."]
    return "\n".join(lines)


def with_table(page: str, name: str, lines: str) -> str:
    """Return a page's text with lines between the marks of a table's name."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{lines}\n{end}{after}"


def main() -> int:
    """Write or check the tables and the picture."""
    engine, teacher, sets, kernel = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("engine", "teacher", "suite", "fast")
    )
    readme = ROOT / "README.md"
    page = with_table(readme.read_text(encoding="utf-8"), "engine", table(engine))
    why = WHY.read_text(encoding="utf-8")
    own = with_table(KERNEL.read_text(encoding="utf-8"), "fast", fast(kernel))
    own = with_table(own, "growth", grown(kernel["growth_us"]))
    wanted = {
        KERNEL: with_table(own, "roofline", roofline(kernel["roofline"])),
        readme: with_table(page, "suite", suite(sets)),
        WHY: with_table(why, "teacher", taught(teacher)),
        PICTURE: picture(engine),
    }
    stale = [p for p, new in wanted.items() if not p.exists() or p.read_text("utf-8") != new]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what {RESULTS.name}/ holds: run this script")
        return bool(stale)
    for path, new in wanted.items():
        path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
