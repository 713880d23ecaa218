"""Files scored on a cluster of two nodes: the rows of one machine, each of them once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from conftest import WORDS
from tidegate.cli import main

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


def made(n: int, seed: int = 0) -> pyarrow.Table:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) + f" {k}" for k in range(n)]
    return pyarrow.table({"id": range(n), "text": texts, "at": rng.random(n)})


def rows_of(folder: Path) -> pyarrow.Table:
    parts = sorted(p for p in folder.rglob("*.parquet"))
    return pyarrow.concat_tables([parquet.read_table(p) for p in parts])


def test_a_folder_of_parquet_is_scored_as_on_one_machine(
    two_nodes: Any, served_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    parquet.write_table(made(9000), source / "a.parquet", row_group_size=1000)
    words = ["predict", str(served_model), "-i", str(source), "-o", str(output)]
    assert main([*words, "--ray", two_nodes.address]) == 0
    print(capsys.readouterr())
    one = tmp_path / "one.parquet"
    assert (
        main(["predict", str(served_model), "-i", str(source / "a.parquet"), "-o", str(one)]) == 0
    )
    assert rows_of(output).equals(parquet.read_table(one))
