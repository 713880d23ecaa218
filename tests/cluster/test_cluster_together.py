"""One network trained by several workers of a cluster: the same steps as one process takes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import made_up, small
from kills import TINY, write
from tidegate.cli import main
from tidegate.engine.bundle import Bundle

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
pytest.importorskip("torch")

from tidegate.cluster.session import connected
from tidegate.cluster.together import together
from tidegate.training.checkpoint import Workspace
from tidegate.training.train import fit_network, read_rows

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.heavy]  # Ray's own warnings

NO_DROPOUT = ["--dropout=0", "--word-dropout=0", "--channel-dropout=0"]


def weights(rows: Path, output: Path, *more: str) -> dict[str, Any]:
    assert main(["train", str(rows), "-o", str(output), *TINY, *NO_DROPOUT, *more]) == 0
    return dict(Bundle.load(output).weights)


def test_two_workers_take_the_steps_of_one(two_nodes: Any, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", made_up(n=150))
    here = weights(rows, tmp_path / "here")
    there = weights(rows, tmp_path / "there", "--ray", two_nodes.address, "--workers", "2")
    assert here.keys() == there.keys()
    for name, array in here.items():
        if array.dtype == np.float32:
            assert np.abs(array - there[name]).max() < 1e-4, name
    assert not (tmp_path / "there.run").exists()


def test_workers_without_a_core_or_a_cluster_are_told(
    two_nodes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write(tmp_path / "rows.csv", made_up(n=150))
    words = ["train", str(rows), "-o", str(tmp_path / "m"), *TINY, "--workers", "64"]
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("workers: they are a cluster's; give --ray, too\n")
    assert main([*words, "--score", "none", "--ray", two_nodes.address]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "workers: found 64; the cluster has" in line]
    assert not (tmp_path / "m").exists()


def test_a_killed_worker_is_replaced_and_the_steps_are_the_same(
    two_nodes: Any, tmp_path: Path
) -> None:
    dataset, config = made_up(n=400), small(epochs=12)
    prepared, _ = read_rows(dataset, config, None)
    _, expected = fit_network(
        prepared, None, None, work=None, name="m", on_epoch=lambda epoch: None
    )
    work = Workspace(tmp_path / "work")
    killed: list[int] = []
    watching = threading.Thread(target=kill_a_worker, args=(work.folder, killed), daemon=True)
    with connected(two_nodes.address):
        watching.start()
        together(1)(prepared, None, work, "m")
    assert killed
    _, found = fit_network(prepared, None, None, work=work, name="m", on_epoch=lambda epoch: None)
    assert found == expected


def kill_a_worker(folder: Path, killed: list[int]) -> None:
    """Wait for the first checkpoint, then kill a worker with SIGKILL."""
    until = time.monotonic() + 120
    while time.monotonic() < until and not killed:
        if any(folder.glob("m.together/run/checkpoint*")):
            killed += [pid for pid in workers() if not os.kill(pid, signal.SIGKILL)]
        time.sleep(0.01)


def workers() -> list[int]:
    """Return the processes of Ray Train's workers."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name = place.read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::") and b"TrainWorker" in name:
            found.append(int(place.parent.name))
    return found
