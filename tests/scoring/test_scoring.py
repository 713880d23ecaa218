"""Bulk scoring: every row with its answer, in every format, through faults and SIGKILL."""

import csv
import gzip
import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from conftest import WORDS, tiny_bundle
from tidegate.cli import main
from tidegate.data.records import open_records
from tidegate.engine.predictor import Predictor
from tidegate.errors import DataError
from tidegate.scoring import files as scoring
from tidegate.scoring.files import score_file

TEXTS = [
    "fire near the house",
    "",
    "coffee, please!",
    'my "inbox"\nis on fire',
    "日本 🔥",
    "fire\0",
    "one\rcarriage return",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle().save(tmp_path_factory.mktemp("model") / "m")


def read(path: Path) -> list[dict[str, Any]]:
    return [record.values for record in open_records(path)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), path)
        return path
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as stream:
        if ".jsonl" in path.name:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(
                stream, list(rows[0]), delimiter="\t" if ".tsv" in path.name else ","
            )
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("wanted", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz"])
@pytest.mark.parametrize("given", ["csv", "tsv", "jsonl", "parquet", "csv.gz"])
def test_every_format_keeps_every_column(
    model: Path, tmp_path: Path, given: str, wanted: str
) -> None:
    rows = [{"id": i, "text": text, "note": f"n{i}"} for i, text in enumerate(TEXTS)]
    source = write(tmp_path / f"in.{given}", rows)
    predictor = Predictor.load(model)
    output = tmp_path / f"out.{wanted}"
    assert score_file(predictor, open_records(source), output).rows == len(TEXTS)
    found = read(output)
    expected = predictor.predict_proba(TEXTS)
    for row, before, p in zip(found, rows, expected, strict=True):
        assert {name: str(row[name]) for name in before} == {n: str(v) for n, v in before.items()}
        assert float(row["probability_1"]) == pytest.approx(p[1], abs=5e-7)
        assert row["predicted_label"] == str(int(p[1] >= 0.5))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, output.name])


def test_parquet_keeps_the_columns_types(model: Path, tmp_path: Path) -> None:
    rows = [{"text": "fire", "n": 3, "when": 0.5, "tags": ["a", "b"], "none": None}]
    source = write(tmp_path / "in.parquet", rows)
    score_file(Predictor.load(model), open_records(source), tmp_path / "out.parquet")
    before, after = parquet.read_schema(source), parquet.read_schema(tmp_path / "out.parquet")
    assert all(after.field(f.name).type == f.type for f in before)
    assert read(tmp_path / "out.parquet")[0]["tags"] == ["a", "b"]


def test_multilabel_rows_list_their_labels(tmp_path: Path) -> None:
    predictor = Predictor(tiny_bundle(kind="multilabel"))
    source = write(tmp_path / "in.csv", [{"text": text} for text in WORDS])
    score_file(predictor, open_records(source), tmp_path / "out.csv")
    score_file(predictor, open_records(source), tmp_path / "out.jsonl")
    labels = predictor.predict(WORDS)
    assert [row["predicted_label"] for row in read(tmp_path / "out.csv")] == [
        ";".join(found) for found in labels
    ]
    assert [tuple(row["predicted_label"]) for row in read(tmp_path / "out.jsonl")] == labels


DANGEROUS = ["=1+1", "+1 more", "-5 degrees", "@here", "\tindented", "\rreturned", "＝１", "=5"]
HARMLESS = ["fire", "", "-5", "+1.5e3", "'=quoted", "a=b", "5-3"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz"])
def test_no_text_is_a_formula_in_a_spreadsheet(model: Path, tmp_path: Path, suffix: str) -> None:
    rows = [{"text": text, "=HYPERLINK(1)": "-7"} for text in (*DANGEROUS, *HARMLESS)]
    source = write(tmp_path / "in.jsonl", rows)
    predictor, output = Predictor.load(model), tmp_path / f"out.{suffix}"
    score_file(predictor, open_records(source), output, safe_for_spreadsheets=True)
    found = read(output)
    texts = [*("'" + text for text in DANGEROUS), *HARMLESS]
    assert [row["text"] for row in found] == texts
    assert {row["'=HYPERLINK(1)"] for row in found} == {"-7"}
    expected = predictor.predict_proba([*DANGEROUS, *HARMLESS])  # of the messages as they are
    assert [float(row["probability_1"]) for row in found] == pytest.approx(
        expected[:, 1].tolist(), abs=5e-7
    )


def test_formulas_are_a_matter_of_csv_alone(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.csv", [{"text": "=1+1"}])
    words = ["predict", str(model), "--safe-for-spreadsheets"]
    for name in ("out.jsonl", "out.parquet"):
        assert main([*words, "-i", str(source), "-o", str(tmp_path / name)]) == 2
        assert "it is for CSV and TSV alone" in capsys.readouterr().err
    assert main([*words, "--json", "=1+1"]) == 2
    assert "--json prints no CSV" in capsys.readouterr().err
    assert main([*words, "--", "=1+1", "-5"]) == 0
    shown = [row[0] for row in csv.reader(capsys.readouterr().out.splitlines())]
    assert shown == ["text", "'=1+1", "-5"]


def test_printed_messages_of_several_lines_stay_one_row(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["fire\nnear", "the\rhouse", '"my" inbox, please']
    assert main(["predict", str(model), *texts]) == 0
    rows = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert [row[0] for row in rows] == ["text", *texts]


BROKEN = 'text,n\nfire,1\nonly one\nhelp,2\n"open"quote,3\nstorm,4\n'


def test_a_bad_row_stops_or_is_left_out_or_kept(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(BROKEN)
    output = tmp_path / "out.csv"
    command = ["predict", str(model), "-i", str(source), "-o", str(output)]
    assert main(command) == 2
    assert (
        "row 2 (line 3): 1 field found, 2 needed; write what is missing" in capsys.readouterr().err
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv"]
    assert main([*command, "--on-error", "skip"]) == 0
    said = capsys.readouterr().err
    assert "2 rows could not be scored and were left out" in said
    assert "row 2 (line 3): 1 field found" in said
    assert "row 4 (line 5): ',' expected" in said
    assert [row["text"] for row in read(output)] == ["fire", "help", "storm"]
    assert main([*command, "--on-error", "null"]) == 0
    with output.open(newline="", encoding="utf-8") as stream:
        _, *found = csv.reader(stream)
    assert [row[2] == "" for row in found] == [False, True, False, True, False]
    assert found[1][0] == "only one"


def test_half_a_character_cannot_go_into_parquet(model: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"text": "fire \ud800"}, {"text": "help"}])
    predictor = Predictor.load(model)
    with pytest.raises(DataError, match=r"row 1 .*half a character.*write .jsonl"):
        score_file(predictor, open_records(source), tmp_path / "out.parquet")
    found = score_file(predictor, open_records(source), tmp_path / "out.parquet", on_error="null")
    assert [fault.row for fault in found.faults] == [1]
    assert [row["text"] for row in read(tmp_path / "out.parquet")] == ["fire ?", "help"]
    assert not score_file(predictor, open_records(source), tmp_path / "out.jsonl").faults


def test_columns_in_the_way(model: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [{"text": "fire", "predicted_label": "mine"}])
    predictor = Predictor.load(model)
    with pytest.raises(DataError, match="has a column 'predicted_label' already"):
        score_file(predictor, open_records(source), tmp_path / "out.csv")
    score_file(predictor, open_records(source), tmp_path / "out.csv", prefix="our_")
    assert read(tmp_path / "out.csv")[0]["predicted_label"] == "mine"
    late = write(tmp_path / "late.jsonl", [{"text": "a"}, {"text": "b", "more": 1}])
    with pytest.raises(DataError, match="column 'more' is not in the first line"):
        score_file(predictor, open_records(late), tmp_path / "out.csv")
    score_file(predictor, open_records(late), tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl")[1]["more"] == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-i", "{folder}/in.csv"], "--input and --output belong together"),
        (["-i", "{folder}/in.csv", "-o", "{folder}/no/out.csv"], "there is no folder"),
        (["-i", "{folder}/in.csv", "-o", "{folder}"], "a folder is in the way"),
        (["-i", "{folder}/in.csv", "-o", "{folder}/out.doc"], "unknown kind of file"),
        (["-i", "{folder}/none.csv", "-o", "{folder}/out.csv"], "no such file"),
        (["-i", "{folder}/in.csv", "-o", "{folder}/out.csv", "--text", "body"],
         "no column 'body'; it has 'text'"),
        (["fire", "-i", "{folder}/in.csv", "-o", "{folder}/out.csv"], "give one of them"),
        (["-i", "{folder}/in.csv", "-o", "{folder}/out.csv", "--on-error", "hope"], "on-error"),
        (["-i", "{folder}/in.csv", "-o", "{folder}/out.csv", "--threads", "-1"], "threads"),
    ],
)  # fmt: skip
def test_wrong_use(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    write(tmp_path / "in.csv", [{"text": "fire"}])
    filled = [word.format(folder=tmp_path) for word in words]
    assert main(["predict", str(model), *filled]) == 2
    assert why in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def many_rows(path: Path, n: int) -> Path:
    rng = np.random.default_rng(3)
    words = rng.choice(WORDS, size=(n, 6))
    texts = [" ".join(row) + f" {i}" for i, row in enumerate(words)]
    return write(path, [{"id": i, "text": text} for i, text in enumerate(texts)])


def test_resuming_refuses_another_job(model: Path, tmp_path: Path) -> None:
    source = many_rows(tmp_path / "in.csv", scoring.PART_ROWS + 10)
    output = tmp_path / "out.csv"

    class Stopped(BaseException):
        """What a kill looks like from inside."""

    def stop(rows: int) -> None:
        if rows == scoring.PART_ROWS:
            raise Stopped

    predictor = Predictor.load(model)
    with pytest.raises(Stopped):
        score_file(predictor, open_records(source), output, on_progress=stop)
    assert not output.exists()
    with source.open("a") as stream:
        stream.write("x,late row\n")
    with pytest.raises(DataError, match=r"another job \(input_sha256 changed\)"):
        score_file(predictor, open_records(source), output, resume=True)
    found = score_file(predictor, open_records(source), output)
    assert (found.rows, found.resumed) == (scoring.PART_ROWS + 11, 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_two_runs_into_one_output_do_not_mix(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    source = many_rows(tmp_path / "in.csv", scoring.PART_ROWS + 10)
    output = tmp_path / "out.csv"
    predictor = Predictor.load(model)
    refused: list[int] = []

    def begin_another(rows: int) -> None:
        for resume in (False, True):
            with pytest.raises(DataError, match=r"out.csv: another run is writing it"):
                score_file(predictor, open_records(source), output, resume=resume)
            refused.append(rows)

    found = score_file(predictor, open_records(source), output, on_progress=begin_another)
    assert len(refused) == 6
    assert len(read(output)) == found.rows == scoring.PART_ROWS + 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_an_interrupt_says_how_to_go_on(model: Path, tmp_path: Path) -> None:
    source, output = many_rows(tmp_path / "in.csv", 150_000), tmp_path / "out.csv"
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", str(source), "-o"]
    process = subprocess.Popen(
        [*command, str(output)], stderr=subprocess.PIPE, text=True,
        # A shell lets what it runs in the background ignore interrupts, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / ".out.csv.parts" / "part-000000").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said == "tidegate: predict: interrupted; --resume goes on from here\n"
    assert not output.exists()


@pytest.mark.slow
def test_killed_and_resumed_it_equals_the_uninterrupted_run(model: Path, tmp_path: Path) -> None:
    source = many_rows(tmp_path / "in.csv", 60_000)
    whole, target = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    command = [sys.executable, "-m", "tidegate", "predict", str(model), "-i", str(source), "-o"]
    start = time.perf_counter()
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    usual = time.perf_counter() - start
    rng = random.Random(5)
    kills = 0
    while kills < 4:
        process = subprocess.Popen([*command, str(target), "--resume"], stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=rng.uniform(0.2, usual))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            target.unlink()
    subprocess.run([*command, str(target), "--resume"], check=True, capture_output=True)
    assert parquet.read_table(target).equals(parquet.read_table(whole))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [source.name, target.name, whole.name]
    )
