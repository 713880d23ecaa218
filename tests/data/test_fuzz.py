"""Mutated files of every kind: read, or one documented error, in bounded time and memory."""

import bz2
import gzip
import io
import json
import lzma
import math
import random
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from tidegate.data.dataset import read_dataset
from tidegate.data.records import open_records
from tidegate.errors import TidegateError

TEXTS = [
    "fire near the river",
    'she said "run"',
    "two\nlines",
    "café 🔥 日本",
    "",
    "a,b;c|d",
    "\tx",
]
ROWS = [{"text": f"{TEXTS[i % 7]} {i}", "target": i % 2, "note": f"n{i}"} for i in range(60)]
MARKS = [b'"', b"'", b",", b"\t", b"\n", b"\r\n", b"\0", b"\xff", b"\\", b"[", b"}", b'""', b"\xe9"]
LONGEST_S, MOST_BYTES = 2.0, 500e6


def delimited(mark: str) -> bytes:
    def cell(value: object) -> str:
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if set(text) & {mark, '"', "\n"} else text

    lines = [mark.join(("text", "target", "note"))]
    lines += [mark.join(cell(value) for value in row.values()) for row in ROWS]
    return "\n".join(lines).encode() + b"\n"


def as_parquet(compression: str, *, dictionary: bool = True) -> bytes:
    stream = io.BytesIO()
    table = arrow.Table.from_pylist(ROWS)
    parquet.write_table(table, stream, compression=compression, use_dictionary=dictionary)
    return stream.getvalue()


def as_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d.csv", delimited(","))
    return stream.getvalue()


def as_workbook() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book, stream = openpyxl.Workbook(), io.BytesIO()
    book.active.append(list(ROWS[0]))
    for row in ROWS:
        book.active.append(list(row.values()))
    book.save(stream)
    return stream.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "d.csv": lambda: delimited(","),
    "d.tsv": lambda: delimited("\t"),
    "d.jsonl": lambda: "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "d.json": lambda: json.dumps(ROWS, indent=1, ensure_ascii=False).encode(),
    "d.parquet": lambda: as_parquet("snappy"),
    "zstd.parquet": lambda: as_parquet("zstd", dictionary=False),
    "plain.parquet": lambda: as_parquet("none"),
    "d.csv.gz": lambda: gzip.compress(delimited(","), mtime=0),
    "d.csv.bz2": lambda: bz2.compress(delimited(",")),
    "d.csv.xz": lambda: lzma.compress(delimited(",")),
    "d.csv.zip": as_zip,
    "d.xlsx": as_workbook,
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to six faults of the kinds that disks, editors and people make."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(7):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del found[at : at + rng.randint(1, 40)]
            case 2:
                found[at:at] = rng.choice(MARKS) * rng.randint(1, 3)
            case 3:
                del found[at:]
            case 4:
                found[at:at] = found[at : at + rng.randint(1, 200)]
            case 5 if found:
                found[at % len(found)] ^= 1 << rng.randrange(8)
            case _:
                found[at : at + 4] = rng.randbytes(4)
    return bytes(found)


def read_whole(path: Path) -> None:
    """Read a file as bulk scoring does, and as training does."""
    file = open_records(path)
    for record in file:
        assert record.fault or record.values is not None
    file.about_rows()
    read_dataset(path)


def hold(name: str, n: int, folder: Path, *, seconds: float = math.inf, seed: str = "") -> None:
    rng, data, path = random.Random(name + seed), KINDS[name](), folder / name
    end = time.monotonic() + seconds
    path.write_bytes(data)
    read_whole(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(n):
        path.write_bytes(mutated(data, rng))
        start = time.process_time()
        try:
            read_whole(path)
        except TidegateError as error:
            assert "\n" not in str(error), (number, error)
        assert time.process_time() - start < LONGEST_S, number
        if time.monotonic() > end:
            break
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MOST_BYTES


@pytest.mark.parametrize("name", KINDS)
def test_a_mutated_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    hold(name, 40, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_ten_thousand_mutated_files(name: str, tmp_path: Path) -> None:
    hold(name, 10_000 // len(KINDS) + 1, tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize("name", KINDS)
def test_mutated_files_for_ten_minutes_in_all(name: str, tmp_path: Path) -> None:
    hold(name, 1_000_000, tmp_path, seconds=600 / len(KINDS), seed=" again")
