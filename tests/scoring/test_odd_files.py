"""Bulk scoring of files as people have them: as many rows out as in, under the names they had."""

import csv
import io
import json
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from conftest import tiny_bundle
from tidegate.cli import main
from tidegate.data.records import open_records
from tidegate.engine.predictor import Predictor
from tidegate.errors import DataError
from tidegate.scoring import files as scoring
from tidegate.scoring.files import score_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle().save(tmp_path_factory.mktemp("model") / "m")


def scored(model: Path, source: Path, output: Path, *flags: str) -> list[list[str]]:
    words = ["predict", str(model), "--input", str(source), "--output", str(output), *flags]
    assert main(words) == 0
    mark = "\t" if output.suffix == ".tsv" else ","
    return list(csv.reader(io.StringIO(output.read_text()), delimiter=mark))


def test_lone_quotes_of_a_tsv_keep_every_row(model: Path, tmp_path: Path) -> None:
    texts = ["calm sea", '"help', "fire now", 'he said "go"', 'run"', '"', "storm"]
    source = tmp_path / "d.tsv"
    source.write_text("text\tid\n" + "".join(f"{t}\t{i}\n" for i, t in enumerate(texts)))
    found = scored(model, source, tmp_path / "out.tsv")
    assert [row[:2] for row in found[1:]] == [[t, str(i)] for i, t in enumerate(texts)]
    again = [r.values["text"] for r in open_records(tmp_path / "out.tsv")]
    assert again == texts


def test_rows_of_blank_cells_stay_without_an_answer(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "d.csv"
    source.write_text("text,n\nfire,1\n,\nrain,2\n ,\n")
    found = scored(model, source, tmp_path / "out.csv", "--on-error", "null")
    assert [row[2] == "" for row in found[1:]] == [False, True, False, True]
    assert "row 2 (line 3): every cell is blank" in capsys.readouterr().err
    found = scored(model, source, tmp_path / "out.csv", "--on-error", "skip")
    assert len(found) == 3
    assert main(["predict", str(model), "-i", str(source), "-o", str(tmp_path / "o.csv")]) == 2


def test_names_that_are_empty_or_repeated_are_kept(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "d.csv"
    source.write_text("text,a,,a,\nfire,1,2,3,4\n")
    found = scored(model, source, tmp_path / "out.csv")
    assert found[0][:6] == ["text", "a", "", "a", "", "predicted_label"]
    assert found[1][:5] == ["fire", "1", "2", "3", "4"]
    assert main(["predict", str(model), "-i", str(source), "-o", str(tmp_path / "o.jsonl")]) == 0
    row = json.loads((tmp_path / "o.jsonl").read_text())
    assert {name: row[name] for name in list(row)[:5]} == {
        "text": "fire", "a": "1", "column 3": "2", "a (2)": "3", "column 5": "4",
    }  # fmt: skip


def test_columns_of_parquet_with_one_name_are_kept_apart(model: Path, tmp_path: Path) -> None:
    arrays = [arrow.array(["fire"]), arrow.array([1]), arrow.array([0.5])]
    table = arrow.Table.from_arrays(arrays, names=["text", "n", "n"])
    parquet.write_table(table, tmp_path / "d.parquet")
    predictor = Predictor.load(model)
    score_file(predictor, open_records(tmp_path / "d.parquet"), tmp_path / "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()[0]
    assert (found["n"], found["n (2)"]) == (1, 0.5)


def test_elements_of_an_array_with_other_keys_are_not_cut(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "d.json"
    source.write_text('[{"text": "fire"}, {"text": "rain", "more": 1}]')
    predictor = Predictor.load(model)
    with pytest.raises(DataError, match=r"row 2 .*column 'more' is not in the first line"):
        score_file(predictor, open_records(source), tmp_path / "out.csv")
    score_file(predictor, open_records(source), tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])["more"] == 1


def test_rows_with_bad_bytes_are_left_to_on_error(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "d.csv"
    good = "".join(f"fire 🔥 {i},{i}\n" for i in range(9)).encode()
    source.write_bytes(b"text,n\n" + good + b"rain \xff,9\n" + good)
    assert main(["predict", str(model), "-i", str(source), "-o", str(tmp_path / "o.csv")]) == 2
    found = scored(model, source, tmp_path / "out.csv", "--on-error", "null")
    assert len(found) == 20
    assert [row[2] == "" for row in found[1:]].index(True) == 9
    assert found[1][0] == "fire 🔥 0"


def test_how_a_file_is_read_is_said_by_flags(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows"
    source.write_bytes("1\tжар в лесу\n2\tдождь\n".encode("cp1251"))
    flags = ["--format", "tsv", "--encoding", "cp1251", "--columns", "id,text"]
    found = scored(model, source, tmp_path / "out.csv", *flags)
    assert [row[:2] for row in found] == [["id", "text"], ["1", "жар в лесу"], ["2", "дождь"]]
    assert main(["predict", str(model), "fire", "--format", "tsv"]) == 2


def test_a_run_goes_on_only_as_the_file_was_read_before(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "PART_ROWS", 2)
    source = tmp_path / "d.csv"
    source.write_bytes("text\ncafé\nfire\nrain\nhail\n".encode("cp1252"))

    class Stopped(BaseException):
        """What a kill looks like from inside."""

    def stop(rows: int) -> None:
        if rows == 2:
            raise Stopped

    predictor, output = Predictor.load(model), tmp_path / "out.csv"
    with pytest.raises(Stopped):
        score_file(predictor, open_records(source), output, on_progress=stop)
    other = open_records(source, encoding="latin-1")
    with pytest.raises(DataError, match=r"another job \(read_as changed\)"):
        score_file(predictor, other, output, resume=True)
    assert score_file(predictor, open_records(source), output, resume=True).resumed == 2


@pytest.mark.parametrize("name", ["o.xlsx", "o.json", "o.csv.bz2", "o.csv.zip", "o.parquet.zst"])
def test_formats_that_are_only_read_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "d.csv").write_text("text\nfire\n")
    words = ["predict", str(model), "-i", str(tmp_path / "d.csv"), "-o", str(tmp_path / name)]
    assert main(words) == 2
    assert "CSV, TSV, JSON lines and Parquet are written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]
