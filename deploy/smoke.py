"""Check a running server: python deploy/smoke.py http://127.0.0.1:8000 [--token-file FILE]

Prints a line a check and ends with 0 if all are well, else with 1. It needs Python alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXTS = ["house on fire on 5th street", "what a lovely day", ""]


class Client:
    """Asks one server."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address.rstrip("/"), token

    def ask(self, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data)
        if data is not None:
            request.add_header("Content-Type", kind)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as fault:
            return fault.code, fault.read()


def check_health(client: Client) -> None:
    """It is alive and ready."""
    assert client.ask("/healthz")[0] == 200
    assert client.ask("/readyz")[0] == 200


def check_page(client: Client) -> None:
    """The page is there."""
    status, data = client.ask("/")
    assert status == 200, status
    assert b"<html" in data


def check_models(client: Client) -> None:
    """Each model can be told about, and answers."""
    status, data = client.ask("/v1/models")
    assert status == 200, f"status {status}; is a token needed?"
    for model in json.loads(data)["models"]:
        status, data = client.ask("/v1/predict", {"texts": TEXTS, "model": model["name"]})
        assert status == 200, data
        found = json.loads(data)
        assert found["fingerprint"] == model["fingerprint"]
        for one in found["predictions"]:
            assert set(one["probabilities"]) == set(model["labels"])
            assert all(0 <= p <= 1 for p in one["probabilities"].values())


def check_explanation(client: Client) -> None:
    """Contributions are told."""
    status, data = client.ask("/v1/explain", {"text": TEXTS[0]})
    assert status == 200, data
    assert any(token["read"] for token in json.loads(data)["tokens"])


def check_file(client: Client) -> None:
    """A file comes back with its rows, or it is said which columns it lacks."""
    status, data = client.ask("/v1/score", b"text\nfire\nlovely day\n", "text/csv")
    assert status in (200, 422), data
    if status == 200:
        assert len(data.splitlines()) == 3


def check_refusals(client: Client) -> None:
    """What is wrong is refused with a reason."""
    status, data = client.ask("/v1/predict", {"texts": TEXTS, "text": "both"})
    assert status == 422, status
    assert json.loads(data)["detail"]


def check_metrics(client: Client) -> None:
    """Prometheus can read the counts."""
    status, data = client.ask("/metrics")
    assert status == 200, status
    assert b"tidegate_requests_total" in data


CHECKS: list[Callable[[Client], None]] = [
    check_health, check_page, check_models, check_explanation, check_file, check_refusals,
    check_metrics,
]  # fmt: skip


def main() -> int:
    """Run all checks and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--token-file", type=Path)
    options = parser.parse_args()
    if not options.address.startswith(("http://", "https://")):
        parser.error(f"{options.address}: an address begins with http:// or https://")
    try:
        lines = options.token_file.read_text().splitlines() if options.token_file else []
    except (OSError, UnicodeDecodeError) as fault:
        parser.error(f"{options.token_file}: {getattr(fault, 'strerror', None) or 'not UTF-8'}")
    token = next((line.strip() for line in lines if line.strip() and line[0] != "#"), "")
    client = Client(options.address, token)
    bad = 0
    for check in CHECKS:
        try:
            check(client)
            said = "well"
        except (AssertionError, OSError, KeyError, ValueError) as fault:
            said = f"NOT WELL: {fault!r}"
            bad += 1
        print(f"{(check.__doc__ or '').strip()[:-1]}: {said}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
