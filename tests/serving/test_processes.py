"""Servers that are reloaded, ended, overloaded and attacked while they answer."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from conftest import with_ngrams
from servers import ADMIN, Reply, Server, Start, begin
from tidegate import Predictor

TEXT = "fire near the river qwxz"
AS_JSON = {"Content-Type": "application/json"}
ADMIN_ENV = {"TIDEGATE_ADMIN_TOKENS": ADMIN}


class Load:
    """Clients that ask one text for ever, each on a connection that it keeps; used by `with`.

    A connection that the server has closed after an answer is opened again, as clients do. What
    counts as lost is a request that was sent and not answered.
    """

    def __init__(self, server: Server, n: int = 8, *, may_be_refused: bool = False) -> None:
        self.server = server
        self.answers: list[tuple[int, bytes]] = []
        self.lost: list[str] = []
        self._may_be_refused = may_be_refused
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(n)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        body = json.dumps({"text": TEXT})
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
            with closing(connection):
                try:
                    connection.connect()
                except OSError as fault:
                    if self._may_be_refused:
                        return
                    self.lost.append(f"connect: {fault!r}")
                    continue
                while not self._stop.is_set():
                    try:
                        connection.request("POST", "/v1/predict", body, AS_JSON)
                        reply = connection.getresponse()
                        data = reply.read()
                    except (OSError, http.client.HTTPException) as fault:
                        self.lost.append(repr(fault))
                        break
                    self.answers.append((reply.status, data))
                    if reply.will_close:
                        break


def wait_for(happened: Callable[[], object], *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def replace_bundle(place: Path, bundle: Path) -> None:
    """Put a copy of a bundle in another's place, as a deployment does."""
    fresh = place.with_name("fresh")
    shutil.copytree(bundle, fresh)
    old = place.with_name("old")
    place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old)


def probabilities(data: bytes) -> tuple[str, tuple[float, ...]]:
    found = json.loads(data)
    return found["fingerprint"], tuple(found["predictions"][0]["probabilities"].values())


@pytest.mark.parametrize("workers", [1, 2])
def test_reloads_under_load_fail_nobody_and_mix_nothing(
    start: Start, served_model: Path, other_model: Path, tmp_path: Path, workers: int
) -> None:
    place = tmp_path / "model"
    shutil.copytree(served_model, place)
    server = start(place, "--workers", workers, "--quiet", env=ADMIN_ENV)
    expected = {
        Predictor.load(path).bundle.fingerprint(): tuple(
            Predictor.load(path).predict_proba([TEXT])[0].tolist()
        )
        for path in (served_model, other_model)
    }
    right = {"Authorization": f"Bearer {ADMIN}"}
    n_reloads = 50 if workers == 1 else 6
    with Load(server) as load:
        for k in range(n_reloads):
            replace_bundle(place, (other_model, served_model)[k % 2])
            found = server.ask("POST", "/v1/models/model/reload", headers=right)
            assert found.status == 200
            assert found.json["changed"]
            if workers > 1:
                time.sleep(0.3)  # the others are told by a signal, and take a moment
    assert load.lost == []
    assert {status for status, _ in load.answers} == {200}
    answers = {probabilities(data) for _, data in load.answers}
    assert answers == set(expected.items())
    if workers > 1:
        wait_for(lambda: len({probabilities(server_answer(server)) for _ in range(20)}) == 1)


def server_answer(server: Server) -> bytes:
    return server.ask("POST", "/v1/predict", {"text": TEXT}).data


def test_a_bundle_that_cannot_answer_is_not_taken(
    start: Start, served_model: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    shutil.copytree(served_model, place)
    server = start(place, env=ADMIN_ENV)
    before = server_answer(server)
    (place / "weights.safetensors").write_bytes(b"broken")
    right = {"Authorization": f"Bearer {ADMIN}"}
    found = server.ask("POST", "/v1/models/model/reload", headers=right)
    assert found.status == 409
    assert "goes on answering" in found.json["detail"]
    assert server_answer(server) == before
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.logged("reload refused"))
    assert server_answer(server) == before


def test_sighup_reloads(
    start: Start, served_model: Path, other_model: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    shutil.copytree(served_model, place)
    server = start(place)
    before = server_answer(server)
    replace_bundle(place, other_model)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.logged("model loaded"))
    assert server_answer(server) != before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_no_request(
    start: Start, served_model: Path, workers: int
) -> None:
    for _ in range(10):
        server = start(served_model, "--workers", workers, "--quiet", "--drain", "0.3")
        with Load(server, may_be_refused=True) as load:
            wait_for(lambda load=load: len(load.answers) > 50)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
        assert load.lost == []
        assert {status for status, _ in load.answers} == {200}


# Ends supervisors of eight workers at most 10 ms after the first one has begun: most of them while
# they start the others.
STARTING = """
import os, random, signal, socket, time
from tidegate.serving.supervisor import Supervisor

class Meters:
    def be(self, row): pass
    def restarted(self): pass

class Sleeper:
    def __init__(self, begun):
        self.models, self.listener, self.meters, self.begun = None, socket.socket(), Meters(), begun
    def run(self, number, **_):
        os.write(self.begun, b".")
        time.sleep(60)

rng = random.Random(0)
for _ in range(150):
    after = rng.uniform(0, 0.01)
    seen, begun = os.pipe()
    ending = os.fork()
    if not ending:
        os.read(seen, 1)
        time.sleep(after)
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(0)
    Supervisor(Sleeper(begun), 8).run()
    os.waitpid(ending, 0)
    os.close(seen)
    os.close(begun)
"""


def test_sigterm_while_workers_start_ends_them_all() -> None:
    subprocess.run([sys.executable, "-c", STARTING], check=True, timeout=50)


def test_sigterm_drops_readiness_and_finishes_what_it_does(
    start: Start, served_model: Path
) -> None:
    server = start(served_model, "--drain", "1.5")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.logged("draining"))
    found = server.ask("GET", "/readyz")
    assert found.status == 503
    assert found.headers["connection"] == "close"
    assert server.ask("GET", "/healthz").status == 200
    assert server.ask("POST", "/v1/predict", {"text": "fire"}).status == 200
    many: list[Reply] = []
    texts = [f"{TEXT} {k}" for k in range(1_000)]
    asking = threading.Thread(
        target=lambda: many.append(server.ask("POST", "/v1/predict", {"texts": texts}))
    )
    time.sleep(1.1)
    asking.start()
    assert server.process.wait(20) == 0
    asking.join()
    assert many[0].status == 200


def test_a_worker_that_is_killed_is_replaced(start: Start, served_model: Path) -> None:
    server = start(served_model, "--workers", 2)
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    first = children.read_text().split()
    assert len(first) == 2
    os.kill(int(first[0]), signal.SIGKILL)
    wait_for(lambda: server.logged("worker replaced"))
    for _ in range(20):
        assert server.predict("fire")
    now = children.read_text().split()
    assert len(now) == 2
    assert first[1] in now
    wait_for(lambda: "tidegate_worker_restarts_total 1.0" in server.ask("GET", "/metrics").text)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in now)


def test_a_worker_that_is_ended_alone_leaves_the_socket_to_the_others(
    start: Start, served_model: Path
) -> None:
    server = start(served_model, "--workers", 2, "--drain", "0.1")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for k in range(2):
        os.kill(int(children.read_text().split()[0]), signal.SIGTERM)
        wait_for(lambda k=k: len(server.logged("worker replaced")) == k + 1)
    with Load(server) as load:
        wait_for(lambda: len(load.answers) > 50)
    assert load.lost == []


def test_ctrl_c_lets_workers_finish(start: Start, served_model: Path) -> None:
    server = start(served_model, "--workers", 2, "--drain", "2")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for pid in (*children.read_text().split(), server.process.pid):  # as a terminal does
        os.kill(int(pid), signal.SIGINT)
    wait_for(lambda: server.logged("draining"))
    assert server.predict("fire")
    assert server.process.wait(20) == 0


def test_workers_end_with_the_process_that_started_them(start: Start, served_model: Path) -> None:
    server = start(served_model, "--workers", 2)
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    pids = children.read_text().split()
    server.process.kill()
    wait_for(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_counts_are_of_all_workers(start: Start, served_model: Path) -> None:
    server = start(served_model, "--workers", 2)
    for _ in range(40):
        server.predict("fire")
    found = server.ask("GET", "/metrics").text
    assert 'tidegate_messages_total{model="crisis"} 40.0' in found


def test_too_many_at_once_are_asked_to_come_again(start: Start, served_model: Path) -> None:
    server = start(served_model, "--max-requests", 4, "--quiet")
    before = server.memory_mb()

    async def flood(n: int) -> list[bytes]:
        text = " ".join(f"word{k}" for k in range(2_000))
        body = json.dumps({"texts": [text] * 60}).encode()
        head = (
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n"
        )

        async def one() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(head % len(body) + b"\r\n" + body)
            found = await reader.read()
            writer.close()
            return found

        return await asyncio.gather(*(one() for _ in range(n)))

    found = asyncio.run(flood(40))
    refused = [reply for reply in found if reply.startswith(b"HTTP/1.1 429")]
    assert len(refused) > 10
    assert all(b"retry-after: 1" in reply for reply in refused)
    assert all(reply.startswith((b"HTTP/1.1 429", b"HTTP/1.1 200")) for reply in found)
    assert sum(reply.startswith(b"HTTP/1.1 200") for reply in found) >= 4
    start_ = time.monotonic()
    assert server.predict("fire")
    assert time.monotonic() - start_ < 2
    assert server.memory_mb() - before < 150


def test_slow_and_endless_requests_are_ended(start: Start, served_model: Path) -> None:
    server = start(served_model, "--timeout", "1")
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 100\r\n\r\n"
    found = server.raw(head + b'{"text":')
    assert found.startswith(b"HTTP/1.1 408")
    assert b"the body took longer than 1 seconds" in found
    began = time.monotonic()
    assert server.raw(b"POST /v1/pre") == b""  # a head that does not come: closed
    assert server.raw(b"") == b""
    assert time.monotonic() - began < 6


@pytest.mark.slow
def test_large_heads_and_bodies_are_refused_in_bounded_memory(
    start: Start, served_model: Path
) -> None:
    server = start(served_model)
    server.predict("fire")
    before = server.memory_mb()
    many = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 2_000_000
    for data in (
        b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 10_000_000,
        many,
        b"GET /" + b"x" * 10_000_000,
    ):
        found = server.raw(data)
        assert found == b"" or found.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    chunked = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunked += b"Transfer-Encoding: chunked\r\n\r\n"
    found = server.raw(chunked + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 100 + b"0\r\n\r\n")
    assert found == b"" or found.startswith(b"HTTP/1.1 413")
    found = server.raw(
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    )
    assert found.startswith(b"HTTP/1.1 413")
    assert server.memory_mb() - before < 60
    assert server.predict("fire")


def test_what_is_no_http_is_refused(server: Server) -> None:
    for data in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"\x00" * 1000,
        b"PRI * HTTP/2.0\r\n\r\n",
    ):
        found = server.raw(data, wait=1.0)
        assert found == b"" or found.startswith(b"HTTP/1.1 400")
    with socket.create_connection(("127.0.0.1", server.port)) as stream:  # gone before the answer
        stream.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"
        )
    assert server.predict("fire")


def test_a_loaded_server_is_small_and_loads_nothing_of_training(
    start: Start, tmp_path: Path
) -> None:
    server = start(with_ngrams().save(tmp_path / "model"))
    server.predict("fire")
    assert server.memory_mb() < 120
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert not any(name in maps for name in ("torch", "sklearn", "scipy/", "pandas", "pyarrow"))


def test_an_upload_that_finds_no_room_is_told(start: Start, served_model: Path) -> None:
    server = start(served_model)
    done = subprocess.run(
        ["prlimit", f"--pid={server.process.pid}", "--fsize=1000000"], check=False,
        capture_output=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("no limit can be set on another process here")
    body = b"text\n" + b"fire near the river\n" * 100_000
    found = server.ask("POST", "/v1/score?format=csv", body)
    assert found.status == 503
    assert "cannot be kept: File too large" in found.json["detail"]
    assert server.predict("fire")


def test_a_client_that_hangs_up_is_no_fault(start: Start, served_model: Path) -> None:
    server = start(served_model)
    for path in ("/v1/predict", "/v1/explain", "/v1/score?format=csv", "/v1/feedback"):
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            stream.sendall(head.encode() + b'Content-Length: 100\r\n\r\n{"text')
    wait_for(lambda: len([x for x in server.logged() if x["status"] == 499]) == 4)
    assert not server.logged("fault")
    assert not server.logged("cut short")
    assert 'status="500"' not in server.ask("GET", "/metrics").text


def test_a_format_that_is_not_installed_is_told(start: Start, served_model: Path) -> None:
    hidden = "import sys; sys.modules['pyarrow'] = None; from tidegate.cli import run; run()"
    server = start(served_model, python=("-c", hidden))
    for query in ("format=parquet", "format=csv&output=parquet"):
        found = server.ask("POST", f"/v1/score?{query}", b"text\nfire\n")
        assert found.status == 415
        assert "cannot read or write that format" in found.json["detail"]


def test_sighup_while_it_starts_does_not_end_it(served_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stop = threading.Event()

    def hang_up() -> None:
        # From when Python has the verb's first line behind it, which `SigIgn` tells.
        while not stop.is_set():
            for one in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if str(tmp_path / "log.marker").encode() in (one / "cmdline").read_bytes():
                        status = (one / "status").read_text()
                        if int(status.split("SigIgn:")[1].split()[0], 16) & 1:
                            os.kill(int(one.name), signal.SIGHUP)
            time.sleep(0.02)

    hanging = threading.Thread(target=hang_up)
    hanging.start()
    try:
        server = begin(log, served_model, "--feedback", tmp_path / "log.marker")
    finally:
        stop.set()
        hanging.join()
    assert server.predict("fire")
    server.process.kill()
    server.process.wait()
