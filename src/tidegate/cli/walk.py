"""The verb that explains: walk. It loads NumPy and a bundle, never torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.printing import ModelPath, put_json, say
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from tidegate.walking.walk import DirectionWalk, Walk

_BAR, _STEP_BAR = 10, 8  # characters
_PLUS, _MINUS = "rgb(86,180,233)", "rgb(230,159,0)"
_MOST_LINES = 60  # of a message; beyond, the tokens that contributed most
_UNITS = 3  # shown of a cell, unless --unit names one


def walk(
    model: ModelPath,
    text: Annotated[str, typer.Argument(help="The message.")],
    token: Annotated[
        str | None,
        typer.Option(help="Show this token's four steps: a word, or a number from 1 on."),
    ] = None,
    unit: Annotated[int | None, typer.Option(help="Show this unit; default: the busiest.")] = None,
    layer: Annotated[
        str, typer.Option(help="Layer from 1 on; with 'b', as in 1b, the one reading backward.")
    ] = "1",
    label: Annotated[str | None, typer.Option(help="The label explained.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the walk as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the walk as one page.")] = None,
    beside: Annotated[
        str | None, typer.Option(help="With --html: a second message to compare with.")
    ] = None,
) -> None:
    """Read one message gate by gate: the four steps of an LSTM, token by token."""
    from tidegate.data.outputs import check_place, write_text
    from tidegate.engine.predictor import Predictor
    from tidegate.walking.walk import walk as walk_through

    if beside is not None and html is None:
        raise ConfigError("beside: only a page shows two messages; give --html too")
    predictor = Predictor.load(model)
    if html is not None:
        check_place(html)
    found = walk_through(predictor, text, label=label)
    if html is not None:
        from tidegate.pages import walk_page

        walks = [found]
        if beside is not None:
            walks.append(walk_through(predictor, beside, label=found.labels[found.label]))
        write_text(html, walk_page(walks, title=model.name))
        say(f"{html}: open it in a browser")
    if as_json:
        put_json(found.to_dict(), readable=True)
    elif html is None:
        show(found, token=token, unit=unit, layer=layer)


def show(
    found: Walk, *, token: str | None = None, unit: int | None = None, layer: str = "1"
) -> None:
    """Print the message, the path of the probability and one token's four steps."""
    from rich.console import Console

    direction = _direction(found, layer)
    row = _row(found, token)
    units = direction.h.shape[1]
    if unit is not None and not 0 <= unit < units:
        raise ConfigError(f"unit: no {unit}; this layer's are 0 to {units - 1}")
    chosen = direction.changed_units[row, :_UNITS].tolist() if unit is None else [unit]
    console = Console(highlight=False)
    for part in (
        _message(found, row),
        _answer(found),
        _path(found, row),
        *_steps(found, direction, row, chosen),
    ):
        console.print(part, soft_wrap=False)
    n_tokens, n_lines = len(found.read), len(_lines(found, row))
    notices = list(found.notices)
    if not all(one.known for one in found.read_tokens):
        notices.append("* marks a token that is not in the vocabulary")
    if n_lines == _MOST_LINES < n_tokens:
        notices.append(f"of {n_tokens} tokens those {n_lines} are listed that contributed most")
    if notices:
        console.print()
    for notice in notices:
        console.print(f"Note: {notice}.", style="dim", markup=False)


def _direction(found: Walk, layer: str) -> DirectionWalk:
    backward = layer.endswith("b")
    number = layer.removesuffix("b")
    for direction in found.directions:
        if number == str(direction.layer + 1) and direction.reverse == backward:
            return direction
    names = ", ".join(f"{d.layer + 1}{'b' * d.reverse}" for d in found.directions)
    raise ConfigError(f"layer: no {layer!r}; the model has {names}")


def _row(found: Walk, token: str | None) -> int:
    """Return the row of the token asked for; by default, of the one that contributed most."""
    tokens = [t.token for t in found.read_tokens]
    if token is None:
        return int(abs(found.contributions).argmax())
    if token in tokens:
        return tokens.index(token)
    if token.isdigit() and 1 <= int(token) <= len(tokens):
        return int(token) - 1
    raise ConfigError(f"token: no {token!r}; give a word the model read, or 1 to {len(tokens)}")


def _tint(value: float, largest: float) -> str:
    """Return a style: blue for what speaks for the label, orange for what speaks against it."""
    strength = min(abs(value) / largest, 1.0) if largest else 0.0
    if strength < 0.15:
        return "default"
    hue = _PLUS if value > 0 else _MINUS
    return f"bold black on {hue}" if strength > 0.5 else hue


def _message(found: Walk, row: int) -> Text:
    """Return the text with the tokens read tinted, and what was not read struck out."""
    from rich.text import Text

    largest = float(abs(found.contributions).max())
    text = Text(_plain(found.text))
    for token in found.tokens:
        if token.dropped and token.end > token.start:
            text.stylize("dim strike", token.start, token.end)
    for k, value in zip(found.read, found.contributions, strict=True):
        token = found.tokens[k]
        if token.start >= 0:
            style = _tint(float(value), largest) + ("" if token.known else " italic")
            text.stylize(style, token.start, token.end)
    shown = found.read_tokens[row]
    if shown.start >= 0:
        text.stylize("underline", shown.start, shown.end)
    return text


def _plain(text: str) -> str:
    """Return a text that cannot steer a terminal, of the same length."""
    return "".join(c if c.isprintable() else "·" for c in text)


def _answer(found: Walk) -> Text:
    from rich.text import Text

    label = found.labels[found.label]
    p = found.probabilities[found.label]
    decided = found.decided if isinstance(found.decided, str) else ", ".join(found.decided)
    text = Text(f"\nprobability of {label!r}: ")
    text.append(f"{p:.3f}", style="bold")
    text.append(f"   the model decides: {_plain(decided) or 'no label'}\n")
    text.append(f"as many tokens that say nothing give {found.baseline:.3f}\n", style="dim")
    if found.ngrams is not None:
        through = float(found.ngrams.contributions.sum())
        lstm = float(found.contributions.sum()) - through
        text.append(
            f"from there, the LSTM brings {lstm:+.3f}, the n-gram branch {through:+.3f}\n",
            style="dim",
        )
    text.append("blue", style=_PLUS)
    text.append(" raises it, ", style="dim")
    text.append("orange", style=_MINUS)
    text.append(
        f" lowers it\nresidual against the engine: {found.residual:.0e}; the contributions miss "
        f"their sum by {abs(found.completeness_error):.0e}\n",
        style="dim",
    )
    return text


def _path(found: Walk, row: int) -> Table:
    """Return a line a token: what it contributed, and the answer up to it."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    names = ["", "token", "contributed", "without it", "so far", "", "kept", "written"]
    if found.ngrams is not None:
        names.insert(3, "n-grams")
    for name in names:
        table.add_column(name, justify="left" if name in ("token", "") else "right")
    first = found.directions[0]
    kept, written = first.kept, first.written
    largest = float(abs(found.contributions).max())
    tokens = found.read_tokens
    for t in _lines(found, row):
        token = tokens[t]
        p = float(found.path[t + 1, found.label])
        left_out = float(found.left_out[t])
        value = float(found.contributions[t])
        table.add_row(
            f"{'▸' if t == row else ' '}{t + 1:>{len(str(len(tokens)))}}",
            _cell(_plain(token.token)[:24] + ("" if token.known else " *"), _tint(value, largest)),
            f"{value:+.3f}",
            *([] if found.ngrams is None else [f"{found.ngrams.contributions[t]:+.3f}"]),
            f"{-left_out:+.3f}" if left_out == left_out else "–",
            f"{p:.3f}" if p == p else "–",
            _bar(p) if p == p else "",
            f"{kept[t]:.0%}",
            f"{written[t]:.0%}",
        )
    return table


def _lines(found: Walk, row: int) -> list[int]:
    """Return the rows printed: of a run of padding the first, of many those that matter most."""
    tokens = found.read_tokens
    rows = [
        t for t, token in enumerate(tokens)
        if token.start >= 0 or t == 0 or tokens[t - 1].start >= 0 or t == row
    ]  # fmt: skip
    rows.sort(key=lambda t: (t != row, -abs(found.contributions[t])))
    return sorted(rows[:_MOST_LINES])


def _cell(words: str, style: str) -> Text:
    from rich.text import Text

    return Text.assemble((words, style))  # the words alone are tinted, not their column


def _bar(value: float, *, signed: bool = False, width: int = _BAR) -> Text:
    """Return a bar of [0, 1], or of [−1, 1] about a middle line."""
    from rich.text import Text

    half = width // 2 if signed else width
    filled = round(min(abs(value), 1.0) * half)
    bar = ("━" * filled, _MINUS if value < 0 else _PLUS)
    rest, empty, middle = ("·" * (half - filled), "dim"), ("·" * half, "dim"), ("│", "dim")
    if not signed:
        return Text.assemble(bar, rest)
    if value < 0:
        return Text.assemble(rest, bar, middle, empty)
    return Text.assemble(empty, middle, bar, rest)


def _steps(
    found: Walk, direction: DirectionWalk, row: int, units: list[int]
) -> list[RenderableType]:
    """Return the four steps of one token, with a few units' numbers."""
    from rich.table import Table
    from rich.text import Text

    from tidegate.engine.lstm import STEPS

    d = direction
    shown = (
        (("old cell state c₋₁", d.c_before, True), ("forget gate f", d.f, False)),
        (("input gate i", d.i, False), ("candidate values C̃", d.g, True)),
        (("kept f·c₋₁", d.f * d.c_before, True), ("written i·C̃", d.i * d.g, True),
         ("new cell state c", d.c, True)),
        (("output gate o", d.o, False), ("hidden state h", d.h, True)),
    )  # fmt: skip
    way = "backward" if d.reverse else "forward"
    token = _plain(found.read_tokens[row].token)
    parts: list[RenderableType] = [
        Text(f"\n“{token}” in layer {d.layer + 1}, reading {way}", style="bold")
    ]
    for number, (sentence, lines) in enumerate(zip(STEPS, shown, strict=True), 1):
        parts.append(Text(f"{number}  {sentence}", style="bold"))
        table = Table(
            box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim",
            show_header=number == 1,
        )  # fmt: skip
        table.add_column("", min_width=22)
        for unit in units:
            table.add_column("", justify="right")
            table.add_column(f"unit {unit}", min_width=_STEP_BAR + 1)
        for name, values, signed in lines:
            cells: list[Text | str] = [f"   {name}"]
            for value in values[row, units].tolist():
                cells += [
                    f"{value:+.2f}" if signed else f"{value:.2f}",
                    _bar(value, signed=signed, width=_STEP_BAR),
                ]
            table.add_row(*cells)
        parts.append(table)
    return parts
