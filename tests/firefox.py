"""Firefox without a window, driven over WebDriver BiDi: a second browser for the pages' tests.

Playwright drives only a Firefox of its own. Debian's speaks WebDriver BiDi: JSON over a WebSocket,
a command and its answer by number, with events between them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ENTER_S = 60.0  # to start, on a busy machine
ANSWER_S = 60.0
# fmt: off
QUIET = {  # nothing that a fresh profile would ask of the network
    "app.normandy.enabled": False, "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False, "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False, "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
# fmt: on


class Firefox:
    """One tab, and what was heard of it: the addresses asked for, and what the console said."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["network.beforeRequestSent", "log.entryAdded"])
        self.tab = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its answer."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(command))
        while True:
            heard = json.loads(self._socket.recv(timeout=ANSWER_S))
            if heard.get("id") == self._number:
                assert heard["type"] == "success", f"{method}: {heard}"
                return heard["result"]
            self._hear(heard)

    def _hear(self, event: dict[str, Any]) -> None:
        if event.get("method") == "network.beforeRequestSent":
            address = event["params"]["request"]["url"]
            if not address.startswith("data:"):  # holds what it stands for: nothing is asked for
                self.requests.append(address)
        elif event.get("method") == "log.entryAdded":
            self.faults.append(event["params"]["text"])

    def open(self, address: str) -> None:
        """Go to an address, and wait until it has loaded."""
        self.ask("browsingContext.navigate", context=self.tab, url=address, wait="complete")

    def evaluate(self, script: str) -> Any:
        """Return what a script gives, which must go into JSON."""
        answer = self.ask(
            "script.evaluate", target={"context": self.tab}, awaitPromise=True,
            expression=f"(async () => JSON.stringify(await ({script})))()",
        )  # fmt: skip
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def wait_for(self, script: str, seconds: float = 30.0) -> None:
        """Wait until a script gives what counts as true."""
        end = time.monotonic() + seconds
        while not self.evaluate(script):
            assert time.monotonic() < end, f"still false: {script}"
            time.sleep(0.05)

    def press(self, keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        presses = [{"type": way, "value": key} for key in keys for way in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": presses}]
        self.ask("input.performActions", context=self.tab, actions=actions)


@contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """Start Firefox with a fresh profile; skip the test where there is none."""
    client = pytest.importorskip("websockets.sync.client")
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no firefox on this machine")
    profile.mkdir()
    lines = [f'user_pref("{name}", {json.dumps(value)});' for name, value in QUIET.items()]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    command = [
        program,
        "--headless",
        "--no-remote",
        "--profile",
        str(profile),
        "--remote-debugging-port=0",
    ]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with client.connect(_address(profile, process), max_size=None) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Return where Firefox listens, once it has written it down."""
    place = profile / "WebDriverBiDiServer.json"
    end = time.monotonic() + ENTER_S
    while not (place.exists() and place.stat().st_size):
        said = (profile / "log").read_text(encoding="utf-8", errors="replace")
        assert process.poll() is None, f"firefox ended: {said}"
        assert time.monotonic() < end, f"firefox does not listen: {said}"
        time.sleep(0.1)
    found = json.loads(place.read_text(encoding="utf-8"))
    return f"ws://{found['ws_host']}:{found['ws_port']}/session"
