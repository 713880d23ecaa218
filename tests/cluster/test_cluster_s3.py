"""Files read from S3 and parts written there, as a server on this machine speaks it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import tiny_bundle
from tidegate.cli import main
from tidegate.engine.predictor import Predictor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
pytest.importorskip("moto.server", reason="moto, which speaks S3, is not installed")
pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]  # warnings are Ray's own
TEXTS = [f"fire {k}" for k in range(500)]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3

    address = "http://127.0.0.1:5599"
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", address),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    code = "from moto.server import main; main(['-p', '5599'])"
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([sys.executable, "-c", code], stdout=quiet, stderr=quiet)
    store = boto3.resource("s3")
    for _ in range(100):
        try:
            store.create_bucket(Bucket="bucket")
            break
        except Exception:  # noqa: BLE001
            time.sleep(0.2)
    yield store.Bucket("bucket")
    server.kill()
    server.wait()


def test_a_bucket_is_scored_and_gone_on_with(
    bucket: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    model = tiny_bundle().save(tmp_path / "model")
    parquet.write_table(pyarrow.table({"text": TEXTS}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
    for number, name in enumerate(("a.parquet", "b.csv"), 1):
        bucket.upload_file(str(tmp_path / name), f"in/day={number}/{name}")
    words = ["predict", str(model), "-i", "s3://bucket/in", "-o", "s3://bucket/out"]
    assert main([*words, "--ray", "local"]) == 0
    assert "s3://bucket/out: 1000 rows in 2 parts, " in capsys.readouterr().err
    assert main([*words, "--resume", "--ray", "local"]) == 0
    assert "1000 of them by an earlier run" in capsys.readouterr().err
    keys = sorted(one.key for one in bucket.objects.filter(Prefix="out/"))
    names = [key for key in keys if not key.endswith("/")]
    assert names[:2] == ["out/_SUCCESS", "out/_tidegate/plan.json"]
    expected = Predictor.load(model).predict_proba(TEXTS)[:, 1].tolist()
    for name in names[2:]:
        bucket.download_file(name, str(tmp_path / "part.parquet"))
        found = parquet.read_table(tmp_path / "part.parquet", partitioning=None)
        assert found["probability_1"].to_pylist() == expected
