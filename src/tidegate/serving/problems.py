"""Faults as the API tells them: problem details (RFC 9457).

A fault that the library words has the library's sentence in `detail`.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Protocol

from tidegate.errors import visible

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the standard's word
    """A request that is not answered, and why.

    Parameters
    ----------
    status : the HTTP status
    detail : what was found and what to do, one sentence
    retry_after : seconds after which it may be tried again
    allow : the methods that the path has, for one that it has not
    """

    def __init__(
        self, status: int, detail: str, *, retry_after: int | None = None, allow: str = ""
    ) -> None:
        super().__init__(detail)
        self.allow = allow
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that go with it."""
        found = [(b"content-type", MEDIA_TYPE.encode())]
        if self.retry_after is not None:
            found.append((b"retry-after", str(self.retry_after).encode()))
        if self.allow:
            found.append((b"allow", self.allow.encode()))
        if self.status == HTTPStatus.UNAUTHORIZED:
            found.append((b"www-authenticate", b"Bearer"))
        return found

    def body(self, request_id: str) -> bytes:
        """Return it as JSON."""
        return json.dumps(
            {
                "type": "about:blank",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": visible(self.detail),
                "instance": f"urn:tidegate:request:{request_id}",
            }
        ).encode()


class _Invalid(Protocol):
    def errors(self) -> Any: ...


def first_fault(fault: _Invalid) -> str:
    """Return what is wrong with a request, in one sentence: where, and what."""
    first = fault.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}"[:500]
