"""The server's application on Ray Serve: two models, the library's answers, a replica killed."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import servers
from conftest import HOSTILE, WORDS
from tidegate.engine.predictor import Predictor
from tidegate.errors import BundleError, ConfigError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
import clusters

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own
# What docs/how_to/cluster.md says to set, so that a request whose replica dies is sent to another.
RETRYING = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    "RAY_SERVE_HAPROXY_RETRIES": "3",
}


def test_arguments_that_cannot_be_are_told(served_model: Path, tmp_path: Path) -> None:
    from tidegate.cluster.serve import app

    for arguments, said in (
        ({}, "models: none; give models=NAME=DIRECTORY"),
        ({"models": f"a={served_model}", "replicas": 3}, "replicas: no such argument"),
        ({"models": f"a={served_model}", "min_replicas": "x"}, "found 'x'; give a whole number"),
        ({"models": f"a={served_model}", "min_replicas": 3, "max_replicas": 2}, "less than"),
    ):
        with pytest.raises(ConfigError, match=said):
            app(arguments)
    with pytest.raises(BundleError):
        app({"models": str(tmp_path / "none")})


@pytest.fixture(scope="module")
def deployed(
    served_model: Path, other_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    """Two replicas on two nodes, begun as the how-to says."""
    folder = tmp_path_factory.mktemp("serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {
                "name": "tidegate", "route_prefix": "/",
                "import_path": "tidegate.cluster.serve:app",
                "args": {
                    "models": f"crisis={served_model},other={other_model}",
                    "min_replicas": 2, "max_replicas": 2,
                },
            }
        ],
    }  # fmt: skip
    path = folder / "serve.yaml"  # which JSON is, too
    path.write_text(json.dumps(config))
    before = dict(os.environ)
    os.environ.update(RETRYING)
    cluster = clusters.begin()
    log = folder / "log"
    with log.open("wb") as stream:
        command = [str(Path(sys.executable).with_name("serve")), "run", str(path)]
        process = subprocess.Popen(
            [*command, "--address", cluster.address], stdout=stream, stderr=stream
        )
    found = servers.Server(process=process, port=port, log=log)
    try:
        _wait_until_ready(found)
        yield found
    finally:
        process.kill()
        process.wait()
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


def _wait_until_ready(server: servers.Server) -> None:
    for _ in range(600):
        assert server.process.poll() is None, server.log.read_text()
        try:
            if server.ask("GET", "/readyz").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(server.log.read_text())


@pytest.mark.heavy
def test_a_thousand_answers_are_those_of_the_library(
    deployed: servers.Server, served_model: Path, other_model: Path
) -> None:
    rng = random.Random(3)
    models = {"crisis": Predictor.load(served_model), "other": Predictor.load(other_model)}
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(1, 12))) for _ in range(995)]
    texts += [text for name, text in HOSTILE.items() if len(text) < 20_000 and name != "surrogate"]
    for k, text in enumerate(texts):
        name = ("crisis", "other")[k % 2]
        found = deployed.predict(text, model=name)[0]
        expected = models[name].predict_proba([text])[0].tolist()
        assert list(found["probabilities"].values()) == expected
    assert len(texts) >= 1000
    listed = deployed.ask("GET", "/v1/models").json["models"]
    assert [model["name"] for model in listed] == ["crisis", "other"]
    refused = deployed.ask("POST", "/v1/predict", {"text": "fire", "model": "none"})
    assert (refused.status, "no 'none'" in refused.json["detail"]) == (404, True)
    assert b"<html" in deployed.ask("GET", "/").data


@pytest.mark.heavy
def test_a_replica_killed_under_load_loses_no_request(deployed: servers.Server) -> None:
    counted: Counter[Any] = Counter()
    ends = threading.Event()

    def ask(seed: int) -> None:
        rng = random.Random(seed)
        while not ends.is_set():
            try:
                text = " ".join(rng.choices(WORDS, k=5))
                counted[deployed.ask("POST", "/v1/predict", {"text": text}).status] += 1
            except OSError as fault:
                counted[repr(fault)] += 1

    asking = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in asking:
        thread.start()
    for _ in range(2):
        _wait_for_two_replicas()
        os.kill(_replicas()[0], signal.SIGKILL)
        time.sleep(3)
    _wait_for_two_replicas()
    ends.set()
    for thread in asking:
        thread.join()
    assert set(counted) == {200}, counted
    assert counted[200] > 100


def _wait_for_two_replicas() -> None:
    for _ in range(300):
        if len(_replicas()) == 2:
            break
        time.sleep(0.1)
    time.sleep(2)  # for the proxy to know of both


def _replicas() -> list[int]:
    """Return the processes below this one that are replicas."""
    found, waiting = [], [os.getpid()]
    while waiting:
        pid = waiting.pop()
        try:
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            if b"ServeReplica:tidegate" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except FileNotFoundError:
            continue
    return found
