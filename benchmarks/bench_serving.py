"""A server under load, beside two others, and under more load than it takes.

    python -m benchmarks.bench_serving MODEL [--seconds 60] [--load autocannon]

Three servers in turn, each on one core, the load tool (autocannon, of the npm registry) on another:
a FastAPI endpoint that returns a constant, TF-IDF(1,2) + logistic regression in FastAPI, and
`tidegate serve`. All run on uvicorn with httptools and uvloop and log no requests; 64 connections
send one text a request, each another one. Then ten times as many connections as the server takes
requests at once: how many are told 429, how much memory that takes, and when a lone request is
quick again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.results_file import DATA, write

CONNECTIONS = 64
TEXTS = 2_000
RIVALS = """
import csv, sys
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

class Ask(BaseModel):
    text: str

app = FastAPI()
if sys.argv[1] == "constant":
    @app.post("/v1/predict")
    async def predict(ask: Ask) -> dict:
        return {"label": "1", "probabilities": {"0": 0.1, "1": 0.9}}
else:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    with open(sys.argv[3], newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=3, max_iter=1000),
    ).fit([row["text"] for row in rows], [row["target"] for row in rows])
    names = model.classes_.tolist()

    @app.post("/v1/predict")
    async def predict(ask: Ask) -> dict:
        found = model.predict_proba([ask.text])[0].tolist()
        label = names[found.index(max(found))]
        return {"label": label, "probabilities": dict(zip(names, found))}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False, http="httptools",
            loop="uvloop")
"""


def texts() -> list[str]:
    with (DATA / "tweets.csv").open(newline="", encoding="utf-8") as stream:
        return [row["text"] for row in csv.DictReader(stream)][:TEXTS]


def ask(port: int, text: str) -> float:
    """Return the seconds that one request took; a refusal is infinitely long."""
    body = json.dumps({"text": text}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/predict", body, headers)
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            reply.read()
    except (urllib.error.URLError, OSError):
        return float("inf")
    return time.perf_counter() - start


@contextmanager
def server(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on the first core until it is no longer needed."""

    def first_core() -> None:
        os.sched_setaffinity(0, {0})

    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=first_core)
        try:
            end = time.monotonic() + 60
            while ask(port, "ready?") == float("inf"):
                assert time.monotonic() < end and process.poll() is None, "it does not begin"
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait()


def load(tool: str, port: int, *, connections: int, seconds: float) -> dict[str, Any]:
    """Return what the load tool found."""
    # Each connection of the tool prepares all requests: with many it would be busy for seconds.
    sent = texts()[: TEXTS * CONNECTIONS // connections]
    bodies = [{"method": "POST", "path": "/v1/predict", "body": json.dumps({"text": text}),
               "headers": {"content-type": "application/json"}} for text in sent]  # fmt: skip
    script = (
        "const autocannon = require(process.argv[1]);"
        "const requests = JSON.parse(require('fs').readFileSync(0));"
        "autocannon({url: process.argv[2], connections: +process.argv[3],"
        " duration: +process.argv[4], requests: requests}, (fault, found) =>"
        " console.log(JSON.stringify(found)))"
    )
    command = [
        "node",
        "-e",
        script,
        tool,
        f"http://127.0.0.1:{port}",
        str(connections),
        str(seconds),
    ]

    def last_core() -> None:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    done = subprocess.run(
        command, input=json.dumps(bodies).encode(), capture_output=True, check=True,
        preexec_fn=last_core,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return {
        "requests_per_s": found["requests"]["average"],
        "p50_ms": found["latency"]["p50"],
        "p99_ms": found["latency"]["p99"],
        "answered": found["2xx"],
        "refused_429": found["statusCodeStats"].get("429", {}).get("count", 0),
        "others": found["non2xx"] - found["statusCodeStats"].get("429", {}).get("count", 0),
        "errors": found["errors"],
        "timeouts": found["timeouts"],
    }


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def overload(tool: str, command: list[str], port: int, seconds: float) -> dict[str, Any]:
    """Return what ten times as many connections as requests are taken at once do."""
    with server(command, port) as process:
        before = memory_mb(process.pid)
        found = load(tool, port, connections=10 * CONNECTIONS, seconds=seconds)
        start = time.perf_counter()
        while ask(port, "well again?") > 0.05:
            time.sleep(0.02)
        return {
            **found,
            "well_again_s": round(time.perf_counter() - start, 3),
            "memory_before_mb": before,
            "memory_peak_mb": memory_mb(process.pid),
        }


def start_up(command: list[str], port: int) -> dict[str, float]:
    """Return the median seconds from start to ready of five starts, and the memory then."""
    seconds, memory = [], 0.0
    for _ in range(5):
        start = time.perf_counter()
        with server(command, port) as process:
            seconds.append(time.perf_counter() - start)
            memory = memory_mb(process.pid)
    return {"ready_s": round(sorted(seconds)[2], 3), "memory_mb": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--load", default="autocannon", help="where node finds the load tool")
    options = parser.parse_args()
    if shutil.which("node") is None:
        print("found no node, which runs the load tool: this benchmark is left out")
        return
    port = 8391
    ours = [
        sys.executable,
        "-m",
        "tidegate",
        "serve",
        options.model,
        "--quiet",
        "--port",
        str(port),
    ]
    rivals = [sys.executable, "-c", RIVALS]
    commands = {
        "constant": [*rivals, "constant", str(port)],
        "TF-IDF + LR": [*rivals, "tfidf", str(port), str(DATA / "tweets.csv")],
        "tidegate": ours,
    }
    figures: dict[str, Any] = {"seconds": options.seconds, "connections": CONNECTIONS}
    for name, command in commands.items():
        with server(command, port) as process:
            load(options.load, port, connections=CONNECTIONS, seconds=2)  # warm
            found = load(options.load, port, connections=CONNECTIONS, seconds=options.seconds)
            figures[name] = {**found, "memory_peak_mb": memory_mb(process.pid)}
        print(name, figures[name], flush=True)
    rate = figures["tidegate"]["requests_per_s"]
    for name in ("constant", "TF-IDF + LR"):
        figures[f"against {name}"] = round(rate / figures[name]["requests_per_s"], 2)
    limited = [*ours, "--max-requests", str(CONNECTIONS)]
    figures["overload"] = overload(options.load, limited, port, min(options.seconds, 20))
    figures["start"] = start_up(ours, port)
    print(json.dumps(figures, indent=1))
    write("serving", figures, command="python -m benchmarks.bench_serving MODEL")


if __name__ == "__main__":
    main()
