"""Every format and compression is read alike; what is broken or hostile is told in one line."""

import bz2
import gzip
import importlib
import io
import json
import lzma
import os
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from tidegate.config import DataConfig
from tidegate.data import compression
from tidegate.data.dataset import read_dataset
from tidegate.data.encodings import encoding_of
from tidegate.data.parquet_footer import sizes_of
from tidegate.data.records import open_records
from tidegate.errors import DataError, MissingExtraError, TidegateError

ROWS = [{"text": f"message number {i}, see?", "target": i % 2} for i in range(9)]
CSV = "text,target\n" + "".join(f'"{r["text"]}",{r["target"]}\n' for r in ROWS)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, CSV)
    return stream.getvalue()


def by_zstd(data: bytes) -> bytes:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            found: bytes = importlib.import_module(name).compress(data)
            return found
        except ImportError:
            continue
    pytest.skip("no zstd on this machine")


def workbook(rows: list[list[Any]], *, sheets: int = 1) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    for _ in range(sheets - 1):
        book.create_sheet().append(["another"])
    book.save(stream)
    return stream.getvalue()


SHAPES: dict[str, Callable[[], bytes]] = {
    "d.csv": CSV.encode,
    "d.json": lambda: json.dumps(ROWS).encode(),
    "lines.json": lambda: "\n".join(map(json.dumps, ROWS)).encode(),
    "pretty.json": lambda: json.dumps(ROWS, indent=2).encode(),
    "d.xlsx": lambda: workbook([["text", "target"], *(list(r.values()) for r in ROWS)]),
    "d.csv.gz": lambda: gzip.compress(CSV.encode()),
    "parts.csv.gz": lambda: gzip.compress(CSV[:40].encode()) + gzip.compress(CSV[40:].encode()),
    "d.csv.bz2": lambda: bz2.compress(CSV.encode()),
    "d.csv.xz": lambda: lzma.compress(CSV[:40].encode()) + lzma.compress(CSV[40:].encode()),
    "d.csv.zst": lambda: by_zstd(CSV[:40].encode()) + by_zstd(CSV[40:].encode()),
    "d.csv.zip": lambda: zipped("d.csv"),
    "d.zip": lambda: zipped("folder/d.csv", "__MACOSX/d.csv"),
    "named-otherwise.csv": lambda: gzip.compress(CSV.encode()),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_reads_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SHAPES[name]())
    found = read_dataset(tmp_path / name)
    assert found.texts == tuple(row["text"] for row in ROWS)
    assert found.labels == ("0", "1")
    assert found.notes == ()


def test_a_name_that_tells_nothing_needs_the_format(tmp_path: Path) -> None:
    (tmp_path / "SMS").write_text("ham\thello\nspam\twin\n")
    with pytest.raises(DataError, match=r"unknown kind of file; .* or give --format"):
        open_records(tmp_path / "SMS")
    found = read_dataset(tmp_path / "SMS", format="tsv", columns=("target", "text"))
    assert found.texts == ("hello", "win")
    (tmp_path / "SMS").rename(tmp_path / "SMS.gz")
    with pytest.raises(DataError, match="unknown kind"):
        open_records(tmp_path / "SMS.gz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
def test_a_pipe_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(CSV,))
    writer.start()
    assert len(read_dataset(tmp_path / "pipe", format="csv")) == 9
    writer.join()
    with pytest.raises(DataError, match="not a file; name one"):
        open_records("/dev/null", format="csv")


def test_a_workbook_reads_as_its_sheet_looks(tmp_path: Path) -> None:
    cells = [["text", None, "target"], ["fire", 5, True], [None, None, None], [12.0, 0.5, 0]]
    (tmp_path / "d.xlsx").write_bytes(workbook([*cells, [None]], sheets=3))
    file = open_records(tmp_path / "d.xlsx")
    assert [list(r.values.values()) for r in file] == [
        ["fire", "5", "TRUE"], ["", "", ""], ["12", "0.5", "0"],
    ]  # fmt: skip
    assert [r.blank for r in file] == [False, True, False]
    assert "only its first sheet was read; there are 2 more" in file.notes[0]
    (tmp_path / "none.xlsx").write_bytes(workbook([["ham", "hello"], ["spam", "win"]]))
    found = read_dataset(tmp_path / "none.xlsx", columns=("target", "text"))
    assert found.texts == ("hello", "win")


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("d.xlsx", "openpyxl", "excel"), ("d.csv.zst", "zstd", "zstd")],
)
def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(SHAPES[name]())
    for found in ("openpyxl", "compression.zstd", "backports.zstd"):
        if module in found:
            monkeypatch.setitem(sys.modules, found, None)
    with pytest.raises(MissingExtraError, match=rf"run pip install 'tidegate\[{extra}\]'"):
        read_dataset(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("d.json", b'{"text": {"0": "a"}, \n "target": 1}', "row 1 (line 1): not JSON"),
        ("d.json", b'[{"text": "a"}, 5]', "row 2 (line 1): found int; an element of the array is"),
        ("d.json", b'[{"text": "a"}\n{"text": "b"}]', "row 1 (line 2): ',' or ']' expected after"),
        ("d.json", b'[{"text": "a", }]', "row 1 (line 1): not JSON"),
        ("d.json", b'[{"text": "a"}', "row 1 (line 1): ',' or ']' expected after it"),
        ("d.json", b"[]", "no rows; write an array of objects, or one object a line"),
        ("d.json", b"hello", "found no array; write an array of objects"),
        ("d.json", b"[" * 100_000, "not JSON that can be read (maximum recursion depth"),
        ("d.jsonl", b'[{"text": "a"}]', "found a JSON array, not an object a line; name it .json"),
        ("d.jsonl", b'{"text": "a"}\n{"n": ' + b"9" * 5000 + b"}", "row 2 (line 2): not JSON"),
        ("d.csv.zip", zipped("a.csv", "b.csv"), "a zip archive of 2 files; put one into it"),
        ("d.zip", b"PK\x03\x04" + bytes(90), "not a zip archive"),
        ("d.csv.bz2", b"BZh9" + bytes(90), "the bzip2 data is broken"),
        ("d.csv.xz", lzma.compress(CSV.encode())[:-8], "the xz data is broken (it ends before its"),
        ("d.csv.gz", gzip.compress(CSV.encode())[:-9], "the gzip data is broken"),
        ("d.xlsx", b"PK\x03\x04" + bytes(90), "not an Excel workbook"),
        ("d.xlsx", zipped("a.xml"), "not a workbook that can be read"),
        ("d.csv", zipped("[Content_Types].xml"), "found an Excel workbook or another"),
        ("d.parquet", b"PAR1" + bytes(90) + b"PAR1", "not a Parquet file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as error:
        for record in open_records(tmp_path / name):
            if record.fault:
                raise DataError(f"row {record.row} (line {record.line}): {record.fault}")
    assert why in str(error.value)
    assert "\n" not in str(error.value)


BOMBS: dict[str, Callable[[], bytes]] = {
    "rows.csv.gz": lambda: gzip.compress(b"text,target\n" + b"some text,1\n" * 12_000_000),
    "line.csv.gz": lambda: gzip.compress(b"text,target\n" + b"a" * 140_000_000),
    "line.json.bz2": lambda: bz2.compress(b'[{"text": "' + b"a" * 140_000_000),
    "rows.jsonl.xz": lambda: lzma.compress(b'{"text": "a"}\n' * 9_000_000, preset=0),
    "rows.csv.zst": lambda: by_zstd(b"text,target\n" + b"some text,1\n" * 12_000_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_expands_beyond_measure_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BOMBS[name]())
    with pytest.raises(DataError, match="data expand to more than 200 times their size"):
        read_dataset(tmp_path / name)


def test_a_workbook_that_expands_beyond_measure_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b" " * 150_000_000)
    (tmp_path / "d.xlsx").write_bytes(stream.getvalue())
    with pytest.raises(DataError, match="its parts expand to 150,000,000 bytes, over 200 times"):
        open_records(tmp_path / "d.xlsx")


def test_one_long_value_of_many_rows_of_parquet_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    long = arrow.DictionaryArray.from_arrays(arrow.array([0] * 200_000), ["x" * 5_000_000])
    parquet.write_table(arrow.table({"text": long, "target": ["1"] * 200_000}), path)
    assert sizes_of(path).row_bytes >= 5_000_000
    records = iter(open_records(path))
    assert len(next(records).values["text"]) == 5_000_000
    with pytest.raises(DataError, match="characters, over 200 times the file's size"):
        read_dataset(path)


def test_rows_of_parquet_without_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    parquet.write_table(arrow.table({"text": arrow.nulls(3_000_000, arrow.string())}), path)
    with pytest.raises(DataError, match=r"3,000,000 rows and .* more than 100 rows a byte"):
        open_records(path)


def test_values_of_parquet_that_python_cannot_hold_spoil_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    whens = arrow.array([0, 2**62, 0], arrow.timestamp("us"))
    raw = arrow.array([b"fire", b"rain", b"\xff\xfe"]).view(arrow.string())
    parquet.write_table(arrow.table({"text": raw, "when": whens}), path)
    found = [record.fault for record in open_records(path)]
    assert found[0] == ""
    assert "column 'when': it cannot be read" in found[1]
    assert "column 'text': it cannot be read" in found[2]


def test_columns_of_parquet_with_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    arrays = [arrow.array(["fire", "rain"]), arrow.array([1, 0]), arrow.array([7, 8])]
    parquet.write_table(arrow.Table.from_arrays(arrays, names=["text", "target", "target"]), path)
    assert [r.values["target (2)"] for r in open_records(path)] == [7, 8]
    assert read_dataset(path, DataConfig(label=("target (2)",))).labels == ("7", "8")
    with pytest.raises(DataError, match="column 'target' stands twice"):
        read_dataset(path)


def test_a_broken_page_of_parquet_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    table = arrow.table({"text": [f"message {i} of many" for i in range(50_000)]})
    parquet.write_table(table, path, row_group_size=10_000, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"after row \d+: its data are broken .*; write it anew"):
        for _ in open_records(path):
            pass


def test_a_file_that_changes_or_goes_is_told(tmp_path: Path) -> None:
    for name in ("d.csv", "d.json", "d.csv.gz"):
        (tmp_path / name).write_bytes(SHAPES[name]())
        file = open_records(tmp_path / name)
        (tmp_path / name).unlink()
        with pytest.raises(TidegateError, match=r"cannot be read|is broken"):
            list(file)
        with pytest.raises(TidegateError, match="cannot be read"):
            file.sha256()


def test_names_that_no_file_can_have_are_told(tmp_path: Path) -> None:
    for name in ("a\0b.csv", "x" * 5000 + ".csv", str(tmp_path / "d.csv" / "e.csv")):
        (tmp_path / "d.csv").write_text(CSV)
        with pytest.raises(DataError):
            open_records(name)


def test_the_limits_are_as_documented() -> None:
    assert (compression.MAX_EXPANSION, compression.SMALL_BYTES) == (200, 64 << 20)


@pytest.mark.parametrize(
    "footer",
    [
        b"\x49\x15\x06\x00",  # field 4, its groups, is a list of one number
        b"\x49\x1c\x19\x18\x01x\x00\x00",  # a group whose columns are a list of one text
        b"\x49\x1c\x19\x1c\x35\x06\x00\x00\x00",  # a column whose metadata are a number
    ],
)
def test_a_footer_of_parquet_of_other_kinds_is_refused(footer: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="metadata"):
        sizes_of(path)


def test_a_member_of_a_zip_without_a_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), "text,target\nfire,1\nsun,0\n")
    assert len(read_dataset(path)) == 2


def test_many_bytes_that_are_not_utf8_are_counted_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"text,target\n" + (b"caf\xe9 " * 300_000 + b",1\n") * 5)
    assert encoding_of(path, "d.csv").name == "cp1252"
    path.write_bytes(b"text,target\n" + ("é\n" * 300_000).encode() * 5 + b"\x81\n" * 1_200_000)
    assert "more than 1" in encoding_of(path, "d.csv").notes[0]
