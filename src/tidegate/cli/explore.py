"""The verb that puts a model into a page: explore. It loads NumPy and a bundle, never torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.printing import NoClobber, check_clobber, say
from tidegate.errors import ConfigError

DEMO = Path("demo/model")  # what `make demo` writes


def explore(
    model: Annotated[
        Path | None,
        typer.Argument(help=f"A bundle: the directory that train wrote; by default {DEMO}."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path(
        "explorer.html"
    ),
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Keep every weight as it is: a larger file."),
    ] = False,
    no_clobber: NoClobber = False,
) -> None:
    """Write one page that holds the model and runs it in a browser, offline."""
    from tidegate.data.outputs import check_place, write_text
    from tidegate.engine.bundle import Bundle
    from tidegate.pages.explorer import explorer_page

    if model is None and not DEMO.is_dir():
        raise ConfigError(f"model: name a bundle; there is no {DEMO}, which make demo writes")
    check_place(output)
    check_clobber(output, there=output.exists(), no_clobber=no_clobber)
    path = model or DEMO
    page = explorer_page(Bundle.load(path), title=path.resolve().name, exact=exact)
    write_text(output, page.html)
    size = output.stat().st_size / 1e6
    say(
        f"{output}: {size:.1f} MB; open it in a browser. Its probabilities differ from the "
        f"model's by {page.largest_difference:.0e} at most, on the messages of its self-test"
    )
