"""What stands before every request: who may ask, how much at once, how long, and what is noted.

An ASGI application around another one. It gives each request an id, holds it to the limits, turns
faults into problem details, adds the headers every answer has, counts and logs. No log line holds
a text or a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from starlette.requests import ClientDisconnect

from tidegate.serving.meters import ROUTES, Meters
from tidegate.serving.problems import Problem
from tidegate.serving.settings import Settings, is_among

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(r":\d*\Z")
_DRAIN_SECONDS = 2.0
_OPEN = ("/healthz", "/readyz")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
POLICY = (b"content-security-policy", _POLICY.encode())
_NO_STORE = (b"cache-control", b"no-store")


class State:
    """What a process's requests share.

    Attributes
    ----------
    draining : it will end soon: not ready, and every answer closes its connection
    uploads : in work
    body_bytes : of the bodies in work that are held in memory
    """

    def __init__(self) -> None:
        self.draining = False
        self.uploads = 0
        self.body_bytes = 0


class Gate:
    """The application behind its limits.

    Parameters
    ----------
    app : what answers
    """

    def __init__(self, app: App, *, settings: Settings, meters: Meters, state: State) -> None:
        self._app = app
        self._settings = settings
        self._meters = meters
        self._state = state
        self._numbers = itertools.count()
        self._prefix = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        one = _Request(scope, receive, send, self._settings, self._state)
        one.id = one.given_id() or self._new_id()
        scope.setdefault("state", {})["request_id"] = one.id
        self._meters.begin()
        status = 500
        try:
            await self._answer(one)
            status = one.status or 499
        except asyncio.CancelledError:
            status = one.status or 499
            raise
        finally:
            one.let_go()
            seconds = time.perf_counter() - started
            self._meters.end(one.route, status, seconds)
            if self._settings.log_requests:
                self._log(one, status, seconds)

    def _new_id(self) -> str:
        if not self._prefix:  # made when first needed: after the processes were forked
            self._prefix = os.urandom(6).hex()
        return f"{self._prefix}-{next(self._numbers):x}"

    async def _answer(self, one: _Request) -> None:
        limits = self._settings.limits
        try:
            self._admit(one)
            most = limits.upload_seconds if one.route == "/v1/score" else limits.request_seconds
            async with asyncio.timeout(most):
                await self._app(one.as_get(), one.receive, one.send)
        except TimeoutError:
            await one.tell(
                Problem(503, f"it took longer than {most:g} seconds; ask for less", retry_after=1)
                if one.body_done
                else Problem(408, f"the body took longer than {most:g} seconds to come")
            )
        except Problem as problem:
            await one.tell(problem)
        except ClientDisconnect:  # nobody is there to be told
            one.status = one.status or 499
        except Exception as fault:  # noqa: BLE001 - the last place that can answer
            note("fault", request=one.id, trace="".join(traceback.format_exception(fault)[-8:]))
            await one.tell(Problem(500, "an internal fault; the log has it under this request"))

    def _admit(self, one: _Request) -> None:
        """Raise a `Problem` if a request may not come in."""
        self._check_host(one)
        if one.needs_token:
            self._check_token(one)
        if one.route in ("page", *_OPEN, "/metrics"):
            return
        if one.header(b"content-encoding") not in (b"", b"identity"):
            raise Problem(415, "a body with a Content-Encoding is not read; send it as it is")
        if one.is_from_elsewhere():
            raise Problem(403, "a page of another site asks this; it may not")
        limits = self._settings.limits
        if self._meters.in_flight > limits.requests:
            raise Problem(
                429, f"{limits.requests} requests are in work; ask again shortly", retry_after=1
            )
        if one.length is not None and one.length > one.most_bytes:
            raise Problem(413, one.too_large())

    def _check_host(self, one: _Request) -> None:
        hosts = [value for name, value in one.scope["headers"] if name == b"host"]
        if len(hosts) != 1 and (hosts or one.scope["http_version"] == "1.1"):
            raise Problem(400, f"found {len(hosts)} Host headers; one is needed")
        known = self._settings.hosts
        if not known or not hosts or one.route in _OPEN:
            return
        asked = _PORT.sub("", hosts[0].decode("latin-1")).lower()
        if asked not in known:
            raise Problem(403, f"asked as {asked[:100]!r}; start the server with --allowed-host")

    def _check_token(self, one: _Request) -> None:
        settings = self._settings
        admin = one.route == "/v1/models/{name}/reload"
        if not admin and not settings.tokens:
            return
        if admin and not settings.admin_tokens:
            raise Problem(403, "no admin token is set, so models are reloaded by SIGHUP alone")
        kind, _, token = one.header(b"authorization").partition(b" ")
        if kind.lower() != b"bearer" or not token:
            raise Problem(401, "a token is needed: Authorization: Bearer TOKEN")
        token = token.strip()
        if is_among(token, settings.admin_tokens):
            return
        if not is_among(token, settings.tokens):
            raise Problem(401, "the token is not one that is known here")
        if admin:
            raise Problem(403, "this needs an admin's token")

    def _log(self, one: _Request, status: int, seconds: float) -> None:
        # Written by hand, which is five times as fast; none of the values has a mark of JSON's.
        line = (
            f'{{"time":"{_stamp()}","event":"request","request":"{one.id}",'
            f'"method":"{one.scope["method"]}","route":"{one.route}","status":{status},'
            f'"ms":{seconds * 1e3:.2f},"bytes_in":{one.received}}}\n'
        )
        _write(line)


class _Request:
    """One request on its way: how much of it has come, and what was answered."""

    __slots__ = (
        "_held", "_receive", "_send", "_settings", "_state", "body_done", "closes", "id",
        "length", "most_bytes", "received", "route", "scope", "status",
    )  # fmt: skip

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, settings: Settings, state: State
    ) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self._settings, self._state = settings, state
        self._held = 0
        self.closes = state.draining
        self.id = ""
        self.status = 0
        self.received = 0
        self.body_done = False
        self.route = route_of(scope["path"])
        limits = settings.limits
        self.most_bytes = limits.upload_bytes if self.route == "/v1/score" else limits.body_bytes
        length = self.header(b"content-length")
        self.length = int(length) if length.isdigit() and len(length) < 19 else None

    @property
    def needs_token(self) -> bool:
        """Whether its route is one that may need a token."""
        return self.route not in ("page", "other", *_OPEN)

    def header(self, name: bytes) -> bytes:
        """Return a header's value, or nothing."""
        for key, value in self.scope["headers"]:
            if key == name:
                return bytes(value)
        return b""

    def as_get(self) -> Scope:
        """Return the scope, a HEAD as the GET whose headers it asks for; the body is not sent."""
        if self.scope["method"] != "HEAD":
            return self.scope
        return {**self.scope, "method": "GET"}

    def given_id(self) -> str:
        """Return the id that the caller gave it, if it is a decent one."""
        found = self.header(b"x-request-id")
        return found.decode("ascii") if found and _ID.fullmatch(found) else ""

    def is_from_elsewhere(self) -> bool:
        """Whether a browser sent it for a page of another site, which could not ask openly."""
        origin = self.header(b"origin")
        if not origin or self.scope["method"] in ("GET", "HEAD"):
            return False
        return origin.partition(b"://")[2] != self.header(b"host")

    def too_large(self) -> str:
        """Return what is said of a body that is too large."""
        return f"the body is larger than {self.most_bytes:,} bytes; send less at once"

    async def receive(self) -> Message:
        """Take in a part of the body, and count it."""
        message = await self._receive()
        if message["type"] == "http.request":
            n_bytes = len(message.get("body", b""))
            self.received += n_bytes
            self.body_done = not message.get("more_body", False)
            if self.received > self.most_bytes:
                raise Problem(413, self.too_large())
            if self.route != "/v1/score":  # an upload goes to the disk
                self._state.body_bytes += n_bytes
                self._held += n_bytes
                if self._state.body_bytes > self._settings.limits.held_bytes:
                    raise Problem(429, "too many large requests are in work", retry_after=1)
        return message

    def let_go(self) -> None:
        """Count its body as no longer held."""
        self._state.body_bytes -= self._held

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *HEADERS]
            headers.append((b"x-request-id", self.id.encode()))
            names = {name for name, _ in headers}
            if POLICY[0] not in names:
                headers.append(POLICY)
            if b"cache-control" not in names:
                headers.append(_NO_STORE)
            if self.closes or (self.status in (408, 413) and not self.body_done):
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def _drain(self) -> None:
        """Take in what is still being sent, and drop it, for a moment.

        A connection that is closed while its other end sends is reset, and the answer with it.
        """
        if self.body_done or self.header(b"expect"):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.body_done:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        return
                    self.body_done = not message.get("more_body", False)

    async def tell(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun: then it ends there, cut short."""
        if self.status:
            note("cut short", request=self.id, status=problem.status)
            raise problem
        if problem.status != 408:
            await self._drain()
        body = problem.body(self.id)
        headers = [*problem.headers, (b"content-length", str(len(body)).encode())]
        await self.send(
            {"type": "http.response.start", "status": problem.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body})


_KNOWN = frozenset(ROUTES)
_OF_A_MODEL = re.compile(r"/v1/models/[^/]+(/reload|/report|/mistakes\.html)?")


def route_of(path: str) -> str:
    """Return the route that a path belongs to, so that counts do not grow with what is asked for.

    Examples
    --------
    >>> route_of("/v1/models/crisis"), route_of("/assets/page.css"), route_of("/x")
    ('/v1/models/{name}', 'page', 'other')
    """
    if path in _KNOWN:
        return path
    if path in ("/", "/docs") or path.startswith("/assets/"):
        return "page"
    found = _OF_A_MODEL.fullmatch(path)
    return f"/v1/models/{{name}}{found[1] or ''}" if found else "other"


def note(event: str, **values: object) -> None:
    """Write a line to the log: one JSON object on standard error."""
    _write(json.dumps({"time": _stamp(), "event": event, **values}) + "\n")


def _stamp() -> str:
    """Return the time, to the millisecond."""
    now = time.time()
    return f"{_second(int(now))}.{int(now * 1000) % 1000:03d}Z"


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _write(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # if nobody reads it, answering goes on
        sys.stderr.write(line)
