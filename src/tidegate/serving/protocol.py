"""HTTP on one connection, with bounds that uvicorn leaves open.

Headers have a size and a time to come in, and connections a number. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate.serving.problems import MEDIA_TYPE, Problem
from tidegate.serving.settings import Limits

_LAST_WORDS_SECONDS = 2.0  # for a request to come in on a connection that is about to be closed


class Protocol(HttpToolsProtocol):
    """HTTP with a bound on headers, on how long they may take, and on connections."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._header_bytes = 0
        self._in_headers = True
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.close()
            return
        self._waiting = self.loop.call_later(self._limits.request_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come, as long as the headers are not too large."""
        if self._in_headers:
            self._header_bytes += len(data)
            if self._waiting is None:
                self._waiting = self.loop.call_later(self._limits.request_seconds, self._give_up)
        super().data_received(data)
        # The first part of a body may have come along: what counts is what came before it began.
        if self._in_headers and self._header_bytes > self._limits.header_bytes:
            self._refuse()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        if len(name) + len(value) > self._limits.header_bytes:
            self._refuse()

    def on_headers_complete(self) -> None:
        """Begin a request, unless its headers are too large."""
        self._in_headers = False
        self._header_bytes = 0
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.header_bytes:
            self._refuse()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the request was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body; what comes next are headers."""
        if not self.transport.is_closing():
            super().on_message_complete()
        self._in_headers = True

    def shutdown(self) -> None:
        """End the connection with its next answer, or after a moment without a request.

        A request may be on its way on a connection that looks idle: to close that one at once would
        lose it.
        """
        super_shutdown = super().shutdown
        cycle = getattr(self, "cycle", None)  # before the first request there is none
        if cycle is None or cycle.response_complete:
            self.loop.call_later(_LAST_WORDS_SECONDS, super_shutdown)
        else:
            super_shutdown()

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP, and close."""
        self._say(Problem(400, "what came is no HTTP/1.1 request"))

    def _refuse(self) -> None:
        """Say that the headers are too large, and close."""
        limit = self._limits.header_bytes
        self._say(Problem(431, f"the headers are larger than {limit:,} bytes; send less"))

    def _say(self, problem: Problem) -> None:
        """Answer with a problem, once, and close: no request has begun that could."""
        if self.transport.is_closing():
            return
        phrase = HTTPStatus(problem.status).phrase
        body = problem.body("none")
        head = (
            f"HTTP/1.1 {problem.status} {phrase}\r\nconnection: close\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _give_up(self) -> None:
        """Close a connection whose request does not come."""
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.close()
