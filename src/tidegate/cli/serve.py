"""The verb that serves: models behind HTTP, and a page."""

from __future__ import annotations

import json
import math
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.printing import say
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.serving.models import Models
    from tidegate.serving.settings import Settings


ServedModels = Annotated[
    list[str],
    typer.Argument(
        help="A bundle's directory, or NAME=DIRECTORY; the first answers where none is named."
    ),
]


AllowedHost = Annotated[
    list[str] | None,
    typer.Option(help="A name by which the server may be asked, as behind a proxy; repeatable."),
]


def serve(
    models: ServedModels,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0: all of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0: any that is free.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that answer.")] = 1,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file of tokens, one a line; requests then need one of them."),
    ] = None,
    admin_token_file: Annotated[
        Path | None, typer.Option(help="A file of tokens that may reload models.")
    ] = None,
    allowed_host: AllowedHost = None,
    feedback: Annotated[
        Path | None, typer.Option(help="A CSV file that corrections are added to.")
    ] = None,
    max_texts: Annotated[int, typer.Option(help="Texts of a request at most.")] = 1_000,
    max_characters: Annotated[int, typer.Option(help="Characters of a text at most.")] = 20_000,
    max_requests: Annotated[
        int, typer.Option(help="Requests in work at once, in each process.")
    ] = 256,
    max_upload: Annotated[int, typer.Option(help="Bytes of an upload at most.")] = 256_000_000,
    timeout: Annotated[float, typer.Option(help="Seconds that a request may take.")] = 30.0,
    drain: Annotated[
        float, typer.Option(help="Seconds that requests are still taken after SIGTERM.")
    ] = 1.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log no requests.")] = False,
) -> None:
    """Serve models over HTTP, with a page to type messages into."""
    if hasattr(signal, "SIGHUP"):  # it asks for what is being done: the models are being read
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from tidegate.serving import settings as serving

    limits = serving.Limits(
        texts=_least(max_texts, "max_texts", 1), requests=_least(max_requests, "max_requests", 1),
        characters=_least(max_characters, "max_characters", 1),
        upload_bytes=_least(max_upload, "max_upload", 1),
        request_seconds=_least(timeout, "timeout", 0.1),
    )  # fmt: skip
    tokens = serving.read_tokens(token_file, serving.TOKENS_VARIABLE)
    settings = serving.Settings(
        limits=limits, feedback=feedback, drain_seconds=_least(drain, "drain", 0.0),
        tokens=tokens,
        hosts=serving.allowed_hosts(host, allowed_host or [], has_tokens=bool(tokens)),
        admin_tokens=serving.read_tokens(admin_token_file, serving.ADMIN_VARIABLE),
        log_requests=not quiet,
    )  # fmt: skip
    _run(_named(models), settings, host=host, port=port, workers=workers)


def _run(paths: dict[str, Path], settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Listen, say where, and serve."""
    from tidegate.serving import server
    from tidegate.serving.listener import listen

    listener = listen(host, port)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # nosec B104: asked for
    shown = f"[{shown}]" if ":" in shown else shown
    address = f"http://{shown}:{listener.getsockname()[1]}"

    def on_ready(loaded: Models) -> None:
        say(f"serving {', '.join(loaded.names)} at {address} (API: {address}/docs)")
        say(f"try: {_curl(address, needs_token=bool(settings.tokens))}")

    server.serve(paths, listener=listener, settings=settings, workers=workers, on_ready=on_ready)


def _least(value: float, name: str, least: float) -> int:
    """Return a number that is not too small; it keeps its type."""
    if not least <= value < math.inf:  # written so that NaN fails, too
        raise ConfigError(f"{name}: found {value}; it must be at least {least}")
    return value  # type: ignore[return-value]


def _named(models: list[str]) -> dict[str, Path]:
    """Return directories by name; one without a name is called as its directory."""
    found: dict[str, Path] = {}
    for word in models:
        name, equals, place = word.partition("=")
        if not equals or Path(word).is_dir():
            path = Path(word)
            name = path.resolve().name
        else:
            path = Path(place)
        if not name or (equals and not place):
            raise ConfigError(f"models: found {word!r}; give DIRECTORY, or NAME=DIRECTORY")
        if "/" in name:
            raise ConfigError(f"models: found the name {name!r}; a name has no slash")
        if name in found:
            raise ConfigError(f"models: two are called {name!r}; give them names: NAME=DIRECTORY")
        found[name] = path
    return found


def _curl(address: str, *, needs_token: bool) -> str:
    token = "-H 'Authorization: Bearer TOKEN' " * needs_token
    body = shlex.quote(json.dumps({"text": "house on fire on 5th street"}))
    return f"curl {token}--json {body} {address}/v1/predict"
