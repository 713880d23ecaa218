"""Real servers on free ports, and a client that says what came back."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN, ADMIN = "a-token-of-some-length", "an-admin-token-of-some-length"


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def text(self) -> str:
        return self.data.decode()


@dataclass
class Server:
    """A server process, and its log on disk."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    token: str = ""
    words: list[str] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        timeout: float = 30,
    ) -> Reply:
        """Send a request on a connection of its own; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {} if not self.token else {"Authorization": f"Bearer {self.token}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            found = connection.getresponse()
            names = {name.lower(): value for name, value in found.getheaders()}
            return Reply(found.status, names, found.read())
        finally:
            connection.close()

    def predict(self, *texts: str, **more: Any) -> Any:
        """Return the predictions for some texts."""
        found = self.ask("POST", "/v1/predict", {"texts": list(texts), **more})
        assert found.status == 200, found.text
        return found.json["predictions"]

    def logged(self, event: str = "request") -> list[dict[str, Any]]:
        """Return the log's entries of an event."""
        lines = self.log.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry["event"] == event]

    def raw(self, data: bytes, *, wait: float = 5.0) -> bytes:
        """Send bytes as they are, and return what comes until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as stream:
            found = b""
            try:
                stream.sendall(data)
                while part := stream.recv(65536):
                    found += part
            except (TimeoutError, ConnectionError):
                pass
            return found

    def memory_mb(self) -> float:
        """Return what the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def obey_signals() -> None:
    """Undo what `nohup` or a background shell has the tests, and all they start, ignore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


Start = Callable[..., Server]


def begin(
    log: Path,
    *words: str | Path,
    env: dict[str, str] | None = None,
    token: str = "",
    python: tuple[str, ...] = ("-m", "tidegate"),
) -> Server:
    """Start a server on a free port, and wait until it is ready."""
    command = [sys.executable, *python, "serve", *map(str, words), "--port", "0"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **(env or {})},
            preexec_fn=obey_signals,
        )  # fmt: skip
    end = time.monotonic() + 60
    while (found := re.search(r"at http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, "the server does not begin"
        time.sleep(0.02)
    server = Server(process, int(found[1]), log, token, command)
    while server.ask("GET", "/readyz").status != 200:
        time.sleep(0.02)
    return server
