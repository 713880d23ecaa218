"""What a server allows, and whom.

Holds values only. Sizes are bytes, times seconds.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.errors import ConfigError

TOKENS_VARIABLE = "TIDEGATE_TOKENS"
ADMIN_VARIABLE = "TIDEGATE_ADMIN_TOKENS"
MIN_TOKEN = 16  # characters; fewer can be guessed


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request, and all together, may ask of a worker process.

    Attributes
    ----------
    body_bytes : of a request but an upload
    upload_bytes : of an upload, which is kept in a temporary file
    held_bytes : of all bodies in work but uploads together
    header_bytes : of a request's line and headers together
    texts : of a request
    characters : of a text
    requests : in work at once; more are answered 429
    connections : open at once; more are closed
    uploads : in work at once
    request_seconds : for a request but an upload, reading its body included
    upload_seconds : for an upload
    """

    body_bytes: int = 4_000_000
    upload_bytes: int = 256_000_000
    held_bytes: int = 64_000_000
    header_bytes: int = 32_768
    texts: int = 1_000
    characters: int = 20_000
    requests: int = 256
    connections: int = 4_096
    uploads: int = 2
    request_seconds: float = 30.0
    upload_seconds: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server behaves.

    Attributes
    ----------
    tokens : one of these is needed for all but the page and the health checks; none: open to all
    admin_tokens : one of these is needed to reload a model; they do for all else, too
    hosts : the names by which the server may be asked (Host headers without port); none: any. They
        keep a page whose name was made to lead to this machine from asking
    feedback : the CSV file that corrections are added to; None: they are not taken
    drain_seconds : after SIGTERM, how long requests are still taken while readiness is down
    log_requests : whether each request is logged, without its texts
    """

    limits: Limits = field(default_factory=Limits)
    tokens: tuple[str, ...] = field(default=(), repr=False)
    admin_tokens: tuple[str, ...] = field(default=(), repr=False)
    hosts: tuple[str, ...] = ()
    feedback: Path | None = None
    drain_seconds: float = 1.0
    log_requests: bool = True


def read_tokens(
    file: Path | None, variable: str, environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the tokens of a file (one a line, # begins a comment) and of a variable (by commas).

    Raises
    ------
    ConfigError
        The file cannot be read, is empty, or a token is too short or not plain ASCII. The token
        itself is never part of the message.
    """
    found: list[tuple[str, str]] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as fault:
            why = getattr(fault, "strerror", None) or "not UTF-8"
            raise ConfigError(f"{file}: {why}; a token file has one token a line") from None
        found += [
            (f"{file}: line {number}", line.strip())
            for number, line in enumerate(lines, start=1)
            if line.strip() and not line.startswith("#")
        ]
        if not found:
            raise ConfigError(f"{file}: found no token; write one a line")
    words = environment.get(variable, "").split(",")
    found += [(variable, word.strip()) for word in words if word.strip()]
    for place, token in found:
        if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable():
            raise ConfigError(
                f"{place}: a token has {MIN_TOKEN} plain characters or more; found {len(token)}"
            )
    return tuple(token for _, token in found)


LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def allowed_hosts(host: str, named: Sequence[str], *, has_tokens: bool) -> tuple[str, ...]:
    """Return the names by which a server that listens at `host` may be asked; none: any.

    Examples
    --------
    >>> allowed_hosts("0.0.0.0", [], has_tokens=False)
    ()
    >>> allowed_hosts("0.0.0.0", ["desk.example.org"], has_tokens=True)[-1]
    'desk.example.org'
    """
    is_local = host in ("127.0.0.1", "::1", "localhost")
    return (*LOOPBACK, *named) if named or (is_local and not has_tokens) else ()


def is_among(token: bytes, tokens: tuple[str, ...]) -> bool:
    """Whether a token is one of some, in a time that does not depend on how nearly it is."""
    found = False
    for known in tokens:
        found |= hmac.compare_digest(token, known.encode("ascii"))
    return found
