"""The API as its callers meet it: a real server on a port."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import HOSTILE, WORDS, tiny_bundle, with_ngrams
from servers import ADMIN, TOKEN, Server, Start
from tidegate import Predictor, read_dataset, walk
from tidegate.config import DataConfig
from tidegate.evaluation.profile import profile


@pytest.fixture(scope="module")
def predictor(served_model: Path) -> Predictor:
    return Predictor.load(served_model)


AS_JSON = {"Content-Type": "application/json"}


def some_texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 15))) + f" w{seed}x{k}" for k in range(n)]


def test_it_says_where_it_is_and_a_curl_that_works(server: Server) -> None:
    line = next(x for x in server.log.read_text().splitlines() if x.startswith("try: "))
    command = line.removeprefix("try: ")
    assert command.startswith("curl ")
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"][0]["label"] in ("0", "1")


def test_answers_are_the_librarys_to_the_last_bit(server: Server, predictor: Predictor) -> None:
    texts = [*some_texts(600), ""]
    expected = predictor.predict_proba(texts)
    found = server.predict(*texts)
    assert [list(one["probabilities"].values()) for one in found] == expected.tolist()
    assert [one["label"] for one in found] == predictor.predict(texts)
    alone = [server.predict(text)[0] for text in texts[:20]]
    assert alone == found[:20]


@pytest.mark.parametrize("n", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_answers_under_load_are_the_librarys(server: Server, predictor: Predictor, n: int) -> None:
    texts = some_texts(n, seed=2)
    expected = predictor.predict_proba(texts).tolist()
    wrong: list[int] = []

    def ask(first: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
            for k in range(first, len(texts), 16):
                body = json.dumps({"text": texts[k]})
                connection.request("POST", "/v1/predict", body, AS_JSON)
                found = json.loads(connection.getresponse().read())
                if list(found["predictions"][0]["probabilities"].values()) != expected[k]:
                    wrong.append(k)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_unknown_words_are_counted(server: Server) -> None:
    found = server.predict("fire qwxz", "fire flood", "")
    assert [one["unknown"] for one in found] == [0.5, 0.0, 0.0]


def test_a_model_is_chosen_by_name(server: Server, other_model: Path) -> None:
    found = server.predict("fire near the river", model="other")
    expected = Predictor.load(other_model).predict_proba(["fire near the river"])[0].tolist()
    assert list(found[0]["probabilities"].values()) == expected
    listed = server.ask("GET", "/v1/models").json["models"]
    assert [model["name"] for model in listed] == ["crisis", "other"]
    assert listed[0]["fingerprint"] != listed[1]["fingerprint"]
    detail = server.ask("GET", "/v1/models/other").json
    assert detail["labels"] == ["0", "1"]
    assert detail["calibration"] is None  # nobody has scored it
    assert detail["engine"] == listed[1]["engine"] == Predictor.load(other_model).engine
    assert server.ask("GET", "/v1/models/none").status == 404
    assert server.ask("GET", "/v1/models/other/report").status == 404
    assert server.ask("GET", "/v1/models/other/mistakes.html").status == 404


def test_multiclass_and_multilabel(start: Start, tmp_path: Path) -> None:
    for kind in ("multiclass", "multilabel"):
        path = tiny_bundle(3, kind).save(tmp_path / kind)
        one = start(path)
        found = one.predict("fire near the river", "help please")
        expected = Predictor.load(path).predict(["fire near the river", "help please"])
        assert [f["label"] for f in found] == [
            x if kind == "multiclass" else list(x) for x in expected
        ]
        assert one.ask("POST", "/v1/walk", {"text": "fire", "label": "b"}).status == 200


def test_a_walk_and_an_explanation_are_the_librarys(server: Server, predictor: Predictor) -> None:
    text = "house on fire near qwxz"
    expected = walk(predictor, text)
    found = server.ask("POST", "/v1/walk", {"text": text}).json
    assert found["walk"] == json.loads(json.dumps(expected.to_dict(pre_activations=False)))
    told = server.ask("POST", "/v1/explain", {"text": text}).json
    values = [token["contribution"] for token in told["tokens"] if token["read"]]
    assert values == expected.contributions.tolist()
    assert told["probability"] == pytest.approx(told["baseline"] + sum(values), abs=2e-3)
    other = server.ask("POST", "/v1/explain", {"text": text, "label": "0"}).json
    assert other["probability"] == pytest.approx(1 - told["probability"])


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_answered_or_refused(server: Server, name: str) -> None:
    text = HOSTILE[name]
    for path in ("/v1/predict", "/v1/walk", "/v1/explain"):
        found = server.ask("POST", path, {"text": text})
        assert found.status in (200, 422)
        if found.status == 422:
            assert found.headers["content-type"] == "application/problem+json"
            assert len(found.data) < 2_000


WRONG = {
    "no JSON": (b"{", 422, "Invalid JSON"),
    "nothing": (b"", 422, "Invalid JSON"),
    "a list": (b"[]", 422, "should be an object"),
    "no text": (b"{}", 422, "give text, or texts"),
    "both": (b'{"text": "a", "texts": ["b"]}', 422, "not both"),
    "a number": (b'{"text": 5}', 422, "text: Input should be a valid string"),
    "unknown": (b'{"text": "a", "colour": "red"}', 422, "colour: Extra inputs"),
    "no such model": (b'{"text": "a", "model": "x"}', 404, "there are crisis, other"),
    "half a character": (b'{"text": "\\ud800"}', 422, "Invalid JSON"),
    "not UTF-8": (b'{"text": "\xff"}', 422, "Invalid JSON"),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), 422, "Invalid JSON"),
    "deep": (b'{"text": ' + b"[" * 100_000, 422, "recursion limit"),
    "too many": (json.dumps({"texts": ["a"] * 1001}).encode(), 422, "found 1,001; 1,000 at most"),
    "too long": (json.dumps({"text": "a" * 20_001}).encode(), 422, "text: has 20,001 characters"),
    "too large": (b" " * 4_000_001, 413, "larger than 4,000,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(server: Server, name: str) -> None:
    body, status, words = WRONG[name]
    headers = {**AS_JSON, "X-Request-ID": "mine-1"}
    found = server.ask("POST", "/v1/predict", body, headers=headers)
    assert found.status == status, found.text
    problem = found.json
    assert found.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert words in problem["detail"]
    assert problem["status"] == status
    assert problem["instance"].endswith(":mine-1")
    assert found.headers["x-request-id"] == "mine-1"


def test_other_problems(server: Server) -> None:
    assert server.ask("GET", "/nothing").status == 404
    assert server.ask("GET", "/v1/predict").status == 405
    found = server.ask("POST", "/v1/predict", b"a", headers={"Content-Type": "text/csv"})
    assert found.status == 415
    assert server.ask("POST", "/v1/walk", {"text": "a", "label": "z"}).status == 422
    assert server.ask("POST", "/v1/walk", {"text": "a" * 4_001}).status == 422
    assert server.ask("POST", "/v1/feedback", {"text": "a", "label": "1"}).status == 403
    assert server.ask("POST", "/v1/models/crisis/reload").status == 403
    strange = server.ask("GET", "/readyz", headers={"X-Request-ID": "<script>"})
    assert "<" not in strange.headers["x-request-id"]


def test_pages_of_other_sites_are_refused(server: Server) -> None:
    here = f"127.0.0.1:{server.port}"
    for origin, status in [(f"http://{here}", 200), ("https://example.org", 403), ("null", 403)]:
        headers = {**AS_JSON, "Origin": origin}
        assert server.ask("POST", "/v1/predict", b'{"text": "a"}', headers=headers).status == status
    assert server.ask("POST", "/v1/predict", b'{"text": "a"}').status == 415  # no type at all
    assert "access-control-allow-origin" not in server.ask("GET", "/v1/models").headers


def test_what_http_clients_do(server: Server) -> None:
    for path in ("/", "/healthz", "/v1/models"):
        found = server.ask("HEAD", path)
        assert found.status == 200
        assert found.data == b""
    found = server.ask("HEAD", "/v1/predict")
    assert found.status == 405
    assert found.headers["allow"] == "POST"
    for head in (b"", b"Host: localhost\r\nHost: localhost\r\n"):
        reply = server.raw(b"GET /readyz HTTP/1.1\r\nConnection: close\r\n" + head + b"\r\n")
        assert reply.startswith(b"HTTP/1.1 400")
    reply = server.raw(b"no HTTP\r\n\r\n")
    assert b"application/problem+json" in reply
    assert server.ask("GET", "/v1/models/").status == 404  # and no redirection
    zipped = {**AS_JSON, "Content-Encoding": "gzip"}
    found = server.ask("POST", "/v1/predict", gzip.compress(b'{"text": "a"}'), headers=zipped)
    assert found.status == 415
    assert "Content-Encoding" in found.json["detail"]


def test_a_loopback_server_is_asked_by_its_own_names(start: Start, served_model: Path) -> None:
    one = start(served_model, "--allowed-host", "desk.example.org")
    asked = {"Host": "evil.example", "Origin": "http://evil.example", **AS_JSON}
    assert one.ask("POST", "/v1/predict", b'{"text": "a"}', headers=asked).status == 403
    for host, status in [
        ("evil.example:80", 403), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:80", 200),
        ("desk.example.org", 200),
    ]:  # fmt: skip
        assert one.ask("GET", "/v1/models", headers={"Host": host}).status == status
    assert one.ask("GET", "/readyz", headers={"Host": "10.0.0.1"}).status == 200  # for balancers


def test_every_answer_has_the_headers(server: Server) -> None:
    for path in ("/", "/readyz", "/v1/models", "/nothing", "/openapi.json", "/metrics"):
        headers = server.ask("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-request-id"]
        assert "server" not in headers


def test_logs_hold_no_text(server: Server) -> None:
    server.predict("a secret nobody may read")
    server.ask("GET", "/v1/models?secret-word=1")
    server.ask("POST", "/v1/predict", b'{"text": "secret-word"', headers=AS_JSON)
    end = time.monotonic() + 10  # a line is written after its answer
    while (entry := server.logged()[-1])["status"] != 422:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "secret" not in server.log.read_text()
    assert entry["route"] == "/v1/predict"
    assert set(entry) == {
        "time", "event", "request", "method", "route", "status", "ms", "bytes_in",
    }  # fmt: skip


def test_metrics_count(start: Start, served_model: Path) -> None:
    one = start(served_model)
    one.predict(*some_texts(300))
    one.predict("fire")
    one.ask("GET", "/nothing")
    found = one.ask("GET", "/metrics")
    assert found.headers["content-type"].startswith("text/plain")
    lines = dict(
        line.rsplit(" ", 1) for line in found.text.splitlines() if not line.startswith("#")
    )
    assert lines['tidegate_requests_total{route="/v1/predict",status="200"}'] == "2.0"
    assert lines['tidegate_requests_total{route="other",status="404"}'] == "1.0"
    assert lines['tidegate_messages_total{model="crisis"}'] == "301.0"
    assert lines["tidegate_batch_messages_sum"] == "301.0"
    assert lines['tidegate_message_tokens_bucket{le="+Inf",model="crisis"}'] == "301.0"
    assert lines['tidegate_request_seconds_count{route="/v1/predict"}'] == "2.0"
    assert lines["tidegate_requests_in_flight"] == "1.0"  # the one that asks


def test_drift_is_told(start: Start, tmp_path: Path) -> None:
    bundle = with_ngrams()
    texts = some_texts(400)
    usual = Predictor(bundle).answer(texts)
    found = profile(usual.probabilities, usual.tokens, usual.unknown, kind="binary")
    watched = replace(bundle, metrics={"profile": found.to_dict()})
    one = start(watched.save(tmp_path / "model"))

    def drift() -> dict[str, float]:
        lines = one.ask("GET", "/metrics").text.splitlines()
        values = [line.rsplit(" ", 1) for line in lines if line.startswith("tidegate_drift_psi{")]
        return {name.split('of="')[1].rstrip('"}'): float(value) for name, value in values}

    one.predict(*texts[:99])
    assert drift() == {}  # of so few it would be large whatever they are
    one.predict(texts[99])
    assert drift().keys() == {"score", "tokens", "unknown"}
    one.predict(*texts[100:])
    assert drift() == {"score": 0.0, "tokens": 0.0, "unknown": 0.0}
    one.predict(*(f"qwxz{k} zzq{k}" for k in range(400)))
    now = drift()
    assert now["unknown"] > 0.25
    assert now["tokens"] > 0.25


@pytest.fixture(scope="module")
def guarded(start: Start, served_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server with tokens, one of a file and one of the environment, and with feedback."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(f"# the desk's\n{TOKEN}\n")
    one = start(
        served_model, "--token-file", folder / "tokens", "--feedback", folder / "feedback.csv",
        env={"TIDEGATE_ADMIN_TOKENS": ADMIN},
    )  # fmt: skip
    one.words.append(str(folder / "feedback.csv"))
    return one


def test_tokens_are_asked_for(guarded: Server) -> None:
    for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/models/crisis"):
        found = guarded.ask("GET", path)
        assert found.status == 401
        assert found.headers["www-authenticate"] == "Bearer"
    for path in ("/", "/healthz", "/readyz"):
        assert guarded.ask("GET", path).status == 200
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    assert guarded.ask("POST", "/v1/predict", {"text": "a"}, headers=wrong).status == 401
    for token in (TOKEN, ADMIN):
        right = {"Authorization": f"Bearer {token}"}
        assert guarded.ask("POST", "/v1/predict", {"text": "a"}, headers=right).status == 200
    right = {"Authorization": f"Bearer {TOKEN}"}
    found = guarded.ask("POST", "/v1/models/crisis/reload", headers=right)
    assert found.status == 403
    right = {"Authorization": f"Bearer {ADMIN}"}
    found = guarded.ask("POST", "/v1/models/crisis/reload", headers=right)
    assert found.status == 200
    assert found.json["changed"] is False
    log = guarded.log.read_text()
    assert TOKEN not in log
    assert ADMIN not in log


def test_feedback_can_be_trained_on(guarded: Server) -> None:
    guarded.token = TOKEN
    texts = ['a "quoted", text\nof two lines', "fire", "=1+1"]
    for text in texts:
        label = "0" if text == "fire" else "1"
        found = guarded.ask("POST", "/v1/feedback", {"text": text, "label": label})
        assert found.status == 201
    assert guarded.ask("POST", "/v1/feedback", {"text": "a", "label": "2"}).status == 422
    taken = Path(guarded.words[-1]).rename(Path(guarded.words[-1]).with_name("taken.csv"))
    assert guarded.ask("POST", "/v1/feedback", {"text": "next", "label": "1"}).status == 201
    guarded.token = ""
    with Path(guarded.words[-1]).open(newline="") as stream:
        assert [row["text"] for row in csv.DictReader(stream)] == ["next"]
    path = taken
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["text"] for row in rows] == texts
    assert [row["label"] for row in rows] == ["1", "0", "1"]
    assert len(read_dataset(path, DataConfig(text="text", label=("label",)))) == 3


def test_feedback_of_several_labels(start: Start, tmp_path: Path) -> None:
    path = tiny_bundle(3, "multilabel").save(tmp_path / "model")
    one = start(path, "--feedback", tmp_path / "kept.csv")
    for label, status in [(["a", "c"], 201), ([], 201), ("b", 201), (["z"], 422)]:
        assert one.ask("POST", "/v1/feedback", {"text": "t", "label": label}).status == status
    with (tmp_path / "kept.csv").open(newline="") as stream:
        assert [row["label"] for row in csv.DictReader(stream)] == ["a|c", "", "b"]


def test_wrong_settings_are_told(served_model: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("abc\n")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    for words, told in [
        (
            [str(served_model), "--token-file", str(tmp_path / "short")],
            "short: line 1: a token has 16",
        ),
        ([str(served_model), "--token-file", str(tmp_path / "none")], "No such file"),
        ([str(served_model), "--feedback", str(tmp_path / "rows.csv")], "its columns are not"),
        ([str(tmp_path / "none")], "none"),
        ([str(served_model), str(served_model)], "two are called 'crisis'"),
        ([str(served_model), "--workers", "0"], "workers: found 0"),
        ([str(served_model), "--host", "203.0.113.1"], "203.0.113.1:0"),
        ([str(served_model), "--max-texts", "0"], "max_texts: found 0"),
        ([str(served_model), "--timeout", "nan"], "timeout: found nan"),
        ([str(served_model), "--drain", "inf"], "drain: found inf"),
    ]:
        command = [sys.executable, "-m", "tidegate", "serve", "--port", "0", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1


def as_csv(texts: list[str]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([["id", "text"], *([k, t] for k, t in enumerate(texts))])
    return stream.getvalue().encode()


def test_a_file_is_scored_as_the_command_line_does(
    server: Server, served_model: Path, tmp_path: Path
) -> None:
    texts = some_texts(3_000)
    source = tmp_path / "in.csv"
    source.write_bytes(as_csv(texts))
    from tidegate.cli import main

    for output in ("csv", "tsv", "jsonl", "parquet"):
        target = tmp_path / f"out.{output}"
        assert main(["predict", str(served_model), "-i", str(source), "-o", str(target)]) == 0
        found = server.ask(
            "POST", f"/v1/score?output={output}", source.read_bytes(),
            headers={"Content-Type": "text/csv"},
        )  # fmt: skip
        assert found.status == 200, found.text
        assert found.data == target.read_bytes()
        assert f"scored.{output}" in found.headers["content-disposition"]


def test_files_of_other_formats_are_scored(server: Server, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": ["fire", "tea"]}), tmp_path / "in.parquet")
    bodies = {
        "tsv": b"text\nfire\ntea\n", "jsonl": b'{"text": "fire"}\n{"text": "tea"}\n',
        "parquet": (tmp_path / "in.parquet").read_bytes(),
    }  # fmt: skip
    for form, body in bodies.items():
        found = server.ask("POST", f"/v1/score?format={form}&output=jsonl", body)
        rows = [json.loads(line) for line in found.text.splitlines()]
        assert [row["text"] for row in rows] == ["fire", "tea"]
        assert set(rows[0]) == {"text", "predicted_label", "probability_0", "probability_1"}


WRONG_FILES = {
    "no format": ("", b"text\na\n", 415, "format=csv|jsonl|parquet|tsv"),
    "no column": ("?format=csv", b"txt\na\n", 422, "the upload: no column 'text'"),
    "nothing": ("?format=csv", b"", 422, "the upload"),
    "a broken row": ("?format=csv", b'text,n\n"a,1\n' + b"b,2\n" * 9_000, 422, "the upload: row 1"),
    "no Parquet": ("?format=parquet", b"text\na\n", 422, "the upload"),
    "half Parquet": ("?format=parquet", b"PAR1" + b"x" * 100 + b"PAR1", 422, "the upload"),
    "no such format": ("?format=doc", b"a", 422, "format"),
    "no such model": ("?format=csv&model=x", b"text\na\n", 404, "model: no 'x'"),
    "a name mistyped": ("?format=csv&on_eror=skip", b"text\na\n", 422, "'on_eror' means nothing"),
    "a name twice": ("?format=csv&text=a&text=b", b"text\na\n", 422, "'text' stands twice"),
    "a line end": ("?format=csv&prefix=%0a", b"text\na\n", 422, "prefix"),
    "binary": ("?format=csv", b"\x00\x01\x02" * 100, 422, "the upload"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_wrong_files_are_told(server: Server, name: str) -> None:
    query, body, status, words = WRONG_FILES[name]
    found = server.ask("POST", f"/v1/score{query}", body)
    assert found.status == status, found.text
    assert words in found.json["detail"]
    assert "/proc" not in found.text


def test_faulty_rows_may_be_left_out(server: Server) -> None:
    body = b'{"text": "fire"}\n{"text": 5}\n{"text": "tea"}\n'
    kept = server.ask("POST", "/v1/score?format=jsonl&on_error=null", body).text.splitlines()
    assert [json.loads(line)["predicted_label"] is None for line in kept] == [False, True, False]
    left = server.ask("POST", "/v1/score?format=jsonl&on_error=skip", body).text.splitlines()
    assert len(left) == 2


def test_the_document_says_what_there_is(server: Server) -> None:
    found = server.ask("GET", "/openapi.json").json
    assert set(found["paths"]) >= {
        "/v1/predict", "/v1/walk", "/v1/explain", "/v1/score", "/v1/models", "/v1/models/{name}",
        "/v1/models/{name}/reload", "/healthz", "/readyz", "/metrics", "/v1/feedback",
    }  # fmt: skip
    asked = found["components"]["schemas"]["PredictRequest"]["properties"]
    assert asked["texts"]["anyOf"][0]["maxItems"] == 1_000
    for operations in found["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert "429" in operation["responses"] or "text/plain" in str(operation)
