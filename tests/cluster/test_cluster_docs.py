"""The blocks of docs/how_to/cluster.md run, where what they are for is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from conftest import WORDS, tiny_bundle
from tidegate.engine.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how_to" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.heavy
@pytest.mark.parametrize("library", ["ray", "pyspark", "dask"])
def test_a_block_scores_a_folder(tmp_path: Path, library: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    bundle = tiny_bundle()
    bundle.save(tmp_path / "model")
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice(WORDS, size=5)) for _ in range(1000)]
    for k in range(2):
        part = {"id": range(k * 500, k * 500 + 500), "text": texts[k * 500 : k * 500 + 500]}
        parquet.write_table(pyarrow.table(part), tmp_path / "in" / f"{k}.parquet")
    block = next(block for block in BLOCKS if f"import {library}" in block or
                 f"from {library}" in block)  # fmt: skip
    more = {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
        "RAY_USAGE_STATS_ENABLED": "0", "PYSPARK_PYTHON": sys.executable,
    }  # fmt: skip
    script = tmp_path / "block.py"
    script.write_text(f"if __name__ == '__main__':\n{re.sub('(?m)^', '    ', block)}")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env={**os.environ, **more},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    output = next(tmp_path.glob("out-*"))
    found = pyarrow.concat_tables(
        [parquet.read_table(p).select(["id", "text", "predicted_label", "probability_1"])
         for p in sorted(output.glob("*.parquet"))]
    ).sort_by("id")  # fmt: skip
    expected = Predictor(bundle).predict_proba(texts)
    assert found["text"].to_pylist() == texts
    assert found["probability_1"].to_pylist() == expected[:, 1].tolist()
    assert found["predicted_label"].to_pylist() == Predictor(bundle).decide(expected)
