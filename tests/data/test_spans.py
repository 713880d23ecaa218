"""A file read span by span gives the rows of the whole file, faults and numbers included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.data.record import Record
from tidegate.data.records import RecordFile, open_records
from tidegate.data.spans import layout_of, span_file, spans_of
from tidegate.errors import DataError

PIECES = [
    "fire", '"', '""', ",", "\n", "\r\n", "\r", '"a, b"', '"two\nlines"', '\n\n', "\\", '\\"', "é",
    "\ufeff", "\t", " ", '5" pipe', "🔥",
]  # fmt: skip


def in_spans(file: RecordFile, span_bytes: int) -> tuple[int, list[Record]]:
    spans = spans_of(file, span_bytes=span_bytes)
    if len(spans) == 1:
        return 1, list(file)
    layout = json.loads(json.dumps(layout_of(file)))
    data = file.path.read_bytes()
    assert "".join(data[s.start : s.stop].decode("latin-1") for s in spans) == data.decode(
        "latin-1"
    )
    found = [span_file(layout, s, data[s.start : s.stop]) for s in spans]
    return len(spans), [record for file in found for record in file]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    head=st.sampled_from(["text", "id,text", "\ufeffid,text", "id\ttext"]),
    name=st.sampled_from(["f.csv", "f.tsv"]),
    span_bytes=st.integers(1, 20),
)
def test_tables_in_spans_are_the_table(
    tmp_path_factory: pytest.TempPathFactory, body: str, head: str, name: str, span_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("spans") / name
    path.write_text(f"{head}\n{body}", encoding="utf-8", newline="")
    try:
        file = open_records(path)
        whole = list(file)
    except DataError:
        return
    assert in_spans(file, span_bytes)[1] == whole


def test_lines_of_json_in_spans_are_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    lines = [json.dumps({"id": n, "text": f"fire é {n}"}, ensure_ascii=False) for n in range(200)]
    lines[7] += "\n \n"
    lines[9] = "{broken"
    path.write_text("\n".join(lines), encoding="utf-8")
    file = open_records(path)
    n, found = in_spans(file, 300)
    assert n > 10
    assert found == list(file)


def test_a_long_table_has_as_many_spans_as_its_bytes_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    rows = [f'{n},"fire, {n}\nnear the river"\n' for n in range(3000)]
    path.write_text("id,text\n" + "".join(rows), encoding="utf-8")
    file = open_records(path)
    n, found = in_spans(file, 4096)
    assert n == pytest.approx(file.size_bytes / 4096, abs=3)
    assert [record.row for record in found] == list(range(1, 3001))
    assert found == list(file)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_encodings_without_ascii_stay_whole(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "f.csv"
    rows = "".join(f"{n},café {n} à la crème\n" for n in range(500))
    path.write_text("id,text\n" + rows, encoding=encoding)
    file = open_records(path)
    n, found = in_spans(file, 1000)
    assert (n == 1) == (encoding == "utf-16")
    assert found == list(file)
