"""A model in a few lines of HTML: what a notebook shows of a `Predictor`.

Takes a `Bundle`, gives a table. Needs no style sheet and no script.
"""

from __future__ import annotations

from html import escape

from tidegate.engine.bundle import Bundle
from tidegate.errors import visible

MOST_LABELS = 8  # named; of more, how many there are


def summary_html(bundle: Bundle) -> str:
    """Return a table of a model's labels, vocabulary, network and size."""
    rows = "".join(
        f'<tr><th style="text-align:left">{name}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in _lines(bundle)
    )
    return f"<table><caption>tidegate model, {bundle.kind}</caption><tbody>{rows}</tbody></table>"


def _lines(bundle: Bundle) -> list[tuple[str, str]]:
    network = bundle.config.network
    ways = "both directions" if network.bidirectional else "one direction"
    layers = f"{network.num_layers} layer" + "s" * (network.num_layers > 1)
    parts = [f"{network.cell.upper()}, {layers} of {network.hidden_size} units, {ways}"]
    if network.vectors != "none":
        parts.append(f"pretrained vectors of {network.vector_size} values")
    if network.ngrams != "none":
        parts.append("a linear model of words, pairs and characters beside it")
    size = sum(array.nbytes for array in bundle.weights.values())
    numbers = sum(array.size for array in bundle.weights.values())
    read = bundle.sequence_length
    return [
        ("labels", _named(bundle.labels)),
        ("vocabulary", f"{len(bundle.tokens):,} words"),
        ("reads", f"the first {read:,} tokens of a message" if read else "every token"),
        ("network", "; ".join(parts)),
        ("size", f"{numbers:,} numbers, {size / 1e6:.1f} MB"),
    ]


def _named(labels: tuple[str, ...]) -> str:
    shown = list(map(visible, labels))
    more = len(shown) - MOST_LABELS
    return ", ".join(shown[:MOST_LABELS]) + (f" and {more:,} more" if more > 0 else "")
