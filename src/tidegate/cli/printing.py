"""What the verbs share: where words go, arguments, and the flags made from config fields.

Everything that is printed goes through here. Texts, labels and names of files and columns are other
people's: in words for people, control characters are shown and not obeyed.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Annotated, Any, Literal, get_origin

import typer

from tidegate.config import Config, all_settings, field_names
from tidegate.config_file import ConfigFile
from tidegate.errors import ConfigError, visible
from tidegate.presets import AUTOMATIC

DataFile = Annotated[
    str, typer.Argument(help="CSV, TSV, JSON, Parquet or Excel; - for standard input.")
]
ModelPath = Annotated[Path, typer.Argument(help="A bundle: the directory that train wrote.")]
FileFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "json", "parquet", "xlsx"] | None,
    typer.Option("--format", help="The file's format, where its name does not tell."),
]
Encoding = Annotated[
    str | None, typer.Option(help="The file's encoding, such as gb18030; by default found out.")
]
Columns = Annotated[
    str | None,
    typer.Option(help="Names of the columns of a file without a header, as in label,text."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]

NoClobber = Annotated[
    bool, typer.Option("--no-clobber", help="Do not replace an output that is there already.")
]

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Work on a Ray cluster: at an address, or the one that runs, or one started here.",
    ),
]


def say(*lines: str) -> None:
    """Write words for people to standard error; if nobody can read them, the work goes on."""
    if sys.stderr is None:  # closed; print would take standard output instead
        return
    try:
        for line in map(visible, lines):
            print(line, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        silence(sys.stderr)


def tell_people(*lines: str) -> None:
    """Write words for people to standard output; if nobody can read them, the work goes on."""
    try:
        put(*lines)
    except OSError:
        silence(sys.stdout)


def silence(stream: IO[str]) -> None:
    """Let what is still to be written to a stream go nowhere: its reader left.

    Without it Python fails once more, at its end, over the line that was not written.
    """
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def put(*lines: str) -> None:
    """Write words for people to standard output, each on one line, whatever it quotes."""
    for line in map(visible, lines):
        print(line, flush=True)  # noqa: T201


def put_data(*lines: str) -> None:
    """Write data to standard output: as they are, unless a terminal would obey what is in them."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    for line in lines:
        shown = visible(line, lines=True) if on_terminal else line
        print(shown.encode("utf-8", "replace").decode(), flush=True)  # noqa: T201


def put_json(value: Any, *, indent: int | None = None, readable: bool = False) -> None:
    """Write a value to standard output as JSON, in which nothing steers a terminal.

    `readable` leaves letters beyond ASCII as they are.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=not readable)
    print(visible(text, lines=True), flush=True)  # noqa: T201


def check_clobber(output: Path, *, there: bool, no_clobber: bool) -> None:
    """Refuse an output that is there already, or say that it will be replaced."""
    if not there:
        return
    if no_clobber:
        raise ConfigError(f"{output}: it is there already, and --no-clobber keeps it; name another")
    say(f"{output}: it is there already, and will be replaced")


def names_of(columns: str | None) -> tuple[str, ...]:
    """Return the columns that a flag names."""
    return tuple(name.strip() for name in columns.split(",")) if columns else ()


def with_settings(command: Callable[..., Any], section: str | None = None) -> Callable[..., Any]:
    """Give a command one flag for each config field; those set reach it as `**settings`.

    Parameters
    ----------
    section : the section of the config whose fields it has; by default all
    """
    signature = inspect.signature(command, eval_str=True)
    kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = {p.name for p in kept}
    wanted = None if section is None else field_names(section)
    for name, (kind, default, help_text) in all_settings().items():
        if name in names or (wanted is not None and name not in wanted):
            continue
        flag = "--" + name.replace("_", "-")
        plain = kind if kind in (int, float, bool, str) else str
        hint: Any = list[str] if get_origin(kind) is tuple else plain
        value = "from the data" if name in AUTOMATIC else _shown(default)
        shown = f"{help_text} [default preset: {value}]"
        flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
        option = typer.Option(flags, help=shown, show_default=False, rich_help_panel="Settings")
        kept.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[hint | None, option],
            )
        )
    command.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in kept}
    return command


def _shown(default: Any) -> str:
    return " ".join(default) if isinstance(default, tuple) else str(default)


def config_of(preset_name: str, settings: dict[str, Any], base: ConfigFile | None = None) -> Config:
    """Return the config that was asked for: a preset, a file's settings, the flags given.

    Parameters
    ----------
    preset_name : empty: the file's, or `default`
    base : the file, whose settings the flags win over
    """
    given = {name: value for name, value in settings.items() if value not in (None, [])}
    return (base or ConfigFile()).config(preset_name=preset_name, settings=given)
