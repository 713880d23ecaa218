"""Files scored on a cluster of two nodes: the rows of one machine, each of them once."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import WORDS, tiny_bundle
from tidegate.cli import main

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
import pyarrow
import pyarrow.parquet as parquet

import clusters

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]  # warnings are Ray's own


def made(n: int, seed: int = 0) -> pyarrow.Table:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) + f" {k}" for k in range(n)]
    return pyarrow.table({"id": range(n), "text": texts, "at": rng.random(n)})


def rows_of(output: Path) -> pyarrow.Table:
    """Return all rows of an output, in the input's order."""
    return pyarrow.concat_tables([parquet.read_table(p) for p in sorted(output.rglob("*.parquet"))])


def on_one(model: Path, sources: list[Path], folder: Path, *more: str) -> pyarrow.Table:
    """Return the rows of some files as one machine scores them."""
    found = []
    for k, source in enumerate(sources):
        output = folder / f"one-{k}.parquet"
        assert main(["predict", str(model), "-i", str(source), "-o", str(output), *more]) == 0
        found.append(parquet.read_table(output))
    return pyarrow.concat_tables(found)


def words(model: Path, source: object, output: Path, cluster: Any, *more: str) -> list[str]:
    return [
        "predict", str(model), "-i", str(source), "-o", str(output), "--ray", cluster.address,
        *more,
    ]  # fmt: skip


def write(table: pyarrow.Table, path: Path) -> Path:
    """Write a table as its name says; texts of CSV hold quotes and line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=500)
        return path
    with path.open("w", newline="", encoding="utf-8") as stream:
        if path.suffix == ".jsonl":
            stream.writelines(json.dumps(row) + "\n" for row in table.to_pylist())
            return path
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.column_names)
        for k, row in enumerate(table.to_pylist()):
            row["text"] += '\n"quoted", é' * (k % 7 == 0)
            writer.writerow(row.values())
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_folder_is_scored_as_on_one_machine(
    two_nodes: Any, served_model: Path, tmp_path: Path, kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source, output = tmp_path / "in", tmp_path / "out"
    files = [write(made(2000 + k, k), source / f"day={k}" / f"f.{kind}") for k in range(3)]
    (source / "_ignored.txt").write_text("no data")
    assert main(words(served_model, source, output, two_nodes)) == 0
    said = capsys.readouterr().err
    assert f"{output}: 6003 rows in 3 parts, " in said
    assert said.count("\n") == 1, said
    found = rows_of(output)
    assert found.equals(on_one(served_model, files, tmp_path))
    assert sorted(p.name for p in output.iterdir()) == [
        "_SUCCESS", "_tidegate", "day=0", "day=1", "day=2",
    ]  # fmt: skip
    assert json.loads((output / "_SUCCESS").read_text())["rows"] == 6003
    if kind == "parquet":  # what other readers see: the rows alone
        assert parquet.ParquetDataset(output).read(columns=["id"]).num_rows == 6003


def test_a_big_table_of_text_is_cut_where_rows_begin(
    two_nodes: Any, served_model: Path, tmp_path: Path
) -> None:
    table = made(30_000)
    long = [text + " the river" * 60 for text in table["text"].to_pylist()]
    table = table.set_column(1, "text", pyarrow.array(long))
    source = write(table, tmp_path / "f.csv")
    assert source.stat().st_size > 2 * (8 << 20)
    output = tmp_path / "out"
    assert main(words(served_model, source, output, two_nodes)) == 0
    assert len(list(output.glob("*.parquet"))) == 3
    assert rows_of(output).equals(on_one(served_model, [source], tmp_path))


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("on_error", ["fail", "skip", "null"])
def test_rows_that_cannot_be_scored(
    two_nodes: Any, served_model: Path, tmp_path: Path, kind: str, on_error: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = tmp_path / f"f.{kind}"
    if kind == "parquet":
        table = made(1200)
        texts = [None if k == 700 else t for k, t in enumerate(table["text"].to_pylist())]
        write(table.set_column(1, "text", pyarrow.array(texts)), source)
    elif kind == "csv":
        source.write_text("id,text\n1,fire\n2\n3,flood\n")
    else:
        source.write_text('{"id": 1, "text": "fire"}\n{"id": 2, "text": 5}\n')
    output, more = tmp_path / "out", ("--on-error", on_error)
    code = main(words(served_model, source, output, two_nodes, *more))
    said = capsys.readouterr().err.splitlines()
    one = main(["predict", str(served_model), "-i", str(source), "-o",
                str(tmp_path / "one.parquet"), *more])  # fmt: skip
    as_one = capsys.readouterr().err.splitlines()
    assert code == one
    assert said[-1].split("row ", 1)[1] == as_one[-1].split("row ", 1)[1]
    if on_error == "fail":
        assert (len(said), code) == (1, 2)
        assert not (output / "_SUCCESS").exists()
    else:
        assert rows_of(output).equals(parquet.read_table(tmp_path / "one.parquet"))


def test_what_cannot_be_done_is_one_line(
    two_nodes: Any, served_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(made(10), tmp_path / "in" / "f.parquet")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    write(pyarrow.table({"body": ["fire"]}), tmp_path / "other" / "g.parquet")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "f.docx").write_text("fire")

    def refused(source: object, output: Path, *more: str) -> str:
        assert main(words(served_model, source, output, two_nodes, *more)) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        return said

    assert "no files; name a folder" in refused(tmp_path / "none*", tmp_path / "out")
    assert "unknown kind of file" in refused(tmp_path / "strange", tmp_path / "out")
    assert "0 columns 'text', and one is needed" in refused(tmp_path / "other", tmp_path / "out")
    assert "found 'notes.txt', which is not of this job" in refused(source, mine)
    assert "the input" in refused(source.parent, source.parent)
    assert "a file is in the way" in refused(source, mine / "notes.txt")
    assert "there is no folder" in refused(source, tmp_path / "no" / "out")
    assert "standard input is on one machine" in refused("-", tmp_path / "out")
    assert (mine / "notes.txt").read_text() == "mine"


def test_new_files_alone_are_scored_when_resumed(
    two_nodes: Any, served_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    files = [write(made(600, k), source / f"{k}.parquet") for k in range(3)]
    assert main(words(served_model, source, output, two_nodes)) == 0
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    files.append(write(made(700, 9), source / "3.parquet"))
    write(made(601, 8), files[1])
    capsys.readouterr()
    assert main(words(served_model, source, output, two_nodes, "--resume")) == 0
    assert "2501 rows in 4 parts, 1200 of them by an earlier run" in capsys.readouterr().err
    after = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    assert len(before.items() & after.items()) == 2
    assert rows_of(output).equals(on_one(served_model, files, tmp_path))
    other = tiny_bundle(3).save(tmp_path / "other")
    assert main(words(other, source, output, two_nodes, "--resume")) == 2
    assert "its parts are of another job (model changed)" in capsys.readouterr().err
    assert main(words(other, source, output, two_nodes, "--no-clobber")) == 2
    assert main(words(other, source, output, two_nodes)) == 0
    assert rows_of(output).equals(on_one(other, files, tmp_path))


def driver(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "tidegate", *command], stderr=stream, stdout=stream
        )


def wait_for_parts(output: Path, n: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while len(list(output.glob("*.parquet"))) < n:
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)


def test_a_node_and_drivers_killed_in_mid_run_lose_and_repeat_nothing(
    served_model: Path, tmp_path: Path
) -> None:
    source, output, log = tmp_path / "in", tmp_path / "out", tmp_path / "log"
    files = [write(made(1000, k), source / f"{k:03d}.parquet") for k in range(240)]
    own = clusters.begin()  # the others keep theirs whole
    try:
        command = words(served_model, source, output, own)
        process = driver(command, log)
        wait_for_parts(output, 20, process, log)
        process.kill()
        process.wait()
        finished = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
        process = driver([*command, "--resume"], log)
        wait_for_parts(output, len(finished) + 30, process, log)
        clusters.kill_node(own, 1)
        clusters.add_node(own)
        wait_for_parts(output, len(finished) + 80, process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143, log.read_text()
        process = driver([*command, "--resume"], log)
        assert process.wait() == 0, log.read_text()
    finally:
        own.shutdown()
    assert "240000 rows in 240 parts" in log.read_text()
    after = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    assert finished.items() <= after.items()  # a finished block is not scored again
    assert rows_of(output).equals(on_one(served_model, files, tmp_path))
    assert not list(output.rglob(".*")), "a kill leaves no file half written"
    assert (output / "_SUCCESS").exists()
