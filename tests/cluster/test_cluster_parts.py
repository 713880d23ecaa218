"""What a cluster's work is made of, without a cluster: places, blocks, parts and the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import tiny_bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import DataError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'tidegate[ray]'")
import pyarrow
import pyarrow.parquet as parquet

from tidegate.cluster import plan
from tidegate.cluster.blocks import PartWriter, facts_of
from tidegate.cluster.ledger import Ledger, alone
from tidegate.cluster.places import inputs_of, writing
from tidegate.cluster.plan import Job, blocks_of


def write_rows(path: Path, n: int, group: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({"text": [f"fire {k}" for k in range(n)]})
    parquet.write_table(table, path, row_group_size=group)
    return path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("in", ["day=1/a.csv", "day=1/b.csv", "day=2/a.csv"]),
        ("in/", ["day=1/a.csv", "day=1/b.csv", "day=2/a.csv"]),
        ("in/day=1", ["a.csv", "b.csv"]),
        ("in/*/a.csv", ["day=1/a.csv", "day=2/a.csv"]),
        ("in/**/b*", ["day=1/b.csv"]),
        ("in/day=2/a.csv", ["a.csv"]),
    ],
)
def test_files_are_found_by_folder_pattern_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, found: list[str]
) -> None:
    for name in ("day=1/a.csv", "day=1/b.csv", "day=2/a.csv", "_old/a.csv", "day=1/.a.csv"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\nfire\n")
    monkeypatch.chdir(tmp_path)
    assert [one.inner for one in inputs_of(source)] == found
    by_uri = inputs_of(f"file://{tmp_path}/{source}")
    assert [one.path for one in by_uri] == [one.path for one in inputs_of(source)]


def test_row_groups_are_taken_together_up_to_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "BLOCK_ROWS", 250)
    write_rows(tmp_path / "a.parquet", 1030)
    job = Job(model="m", text="text")
    blocks = blocks_of(inputs_of(str(tmp_path))[0], job)
    assert [(b.start, b.stop, b.rows) for b in blocks] == [
        (0, 2, 0), (2, 4, 200), (4, 6, 400), (6, 8, 600), (8, 11, 800),
    ]  # fmt: skip
    assert blocks == blocks_of(inputs_of(str(tmp_path))[0], job), "names follow from the input"
    other = blocks_of(inputs_of(str(tmp_path))[0], Job(model="m", text="text", prefix="x_"))
    assert not {b.part for b in blocks} & {b.part for b in other}


def test_a_part_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    write_rows(tmp_path / "in" / "a.parquet", 300)
    bundle = tiny_bundle()
    job = Job(model=bundle.fingerprint(), text="text")
    block = blocks_of(inputs_of(str(tmp_path / "in"))[0], job)[0]
    writer = PartWriter(Predictor(bundle), job, str(tmp_path / "out"))
    first = writer.outcome(block)
    part = tmp_path / "out" / block.part
    state = part.stat().st_mtime_ns
    again = writer.outcome(block)
    assert (first.rows, first.resumed, again.rows, again.resumed) == (300, False, 300, True)
    assert part.stat().st_mtime_ns == state
    assert facts_of(str(tmp_path / "out"), [block])[block.part].rows == 300
    part.write_bytes(b"PAR1?")
    assert "broken; score again without resuming" in writer.outcome(block).fault


def test_a_part_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    class Stopped(BaseException):
        """What a kill looks like from inside."""

    with pytest.raises(Stopped), writing(str(tmp_path / "out" / "a.parquet")) as stream:
        stream.write(b"half")
        raise Stopped
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_not_ours_in_the_output_stays(tmp_path: Path) -> None:
    job = Job(model="m", text="text")
    write_rows(tmp_path / "in" / "a.parquet", 10)
    blocks = blocks_of(inputs_of(str(tmp_path / "in"))[0], job)
    output = tmp_path / "out"
    with alone(str(output)) as ledger:
        ledger.clean(keep=[])
        ledger.begin(job, blocks)
        (output / blocks[0].part).write_bytes(b"ours")
        left = output / f".{blocks[0].part[:40]}.abcdefgh"
        left.write_bytes(b"half of ours")
        with pytest.raises(DataError, match="another run is writing it"), alone(str(output)):
            pass
        ledger.clean(keep=[blocks[0].part])
        assert (output / blocks[0].part).exists()
        assert not left.exists()
        (output / "mine.parquet").write_bytes(b"mine")
        with pytest.raises(DataError, match=r"found 'mine\.parquet', which is not of this job"):
            ledger.clean(keep=[])
    assert (output / blocks[0].part).exists(), "nothing is removed before all is looked at"
    (output / "_tidegate" / "plan.json").write_text("{")
    with pytest.raises(DataError, match="not a plan as tidegate writes it"):
        Ledger(place=str(output)).begun()
