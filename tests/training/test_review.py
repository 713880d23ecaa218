"""Doubtful labels: found, looked at in a real browser, corrected in the file."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import made_up, shared_file
from tidegate.cli import main
from tidegate.config import DataConfig
from tidegate.data.dataset import Dataset, read_dataset
from tidegate.training.doubt import doubtful_rows


def flipped(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, set[int]]:
    """Return the rows with the labels of a share of them changed, and the numbers of those."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(dataset), round(share * len(dataset)), replace=False)
    targets, n = dataset.targets.copy(), len(dataset.labels)
    targets[rows] = (targets[rows] + rng.integers(1, n, len(rows))) % n
    return replace(dataset, targets=targets), {dataset.rows[i] for i in rows}


def found_share(dataset: Dataset, wrong: set[int]) -> float:
    ranked = doubtful_rows(dataset, on_fold=lambda line: None)
    return len(wrong & {doubt.row for doubt in ranked[: len(wrong)]}) / len(wrong)


def test_changed_labels_stand_first() -> None:
    dataset, wrong = flipped(made_up(n=400), 0.05, seed=1)
    assert found_share(dataset, wrong) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trec", "mpqa", "emotion"])
def test_changed_labels_of_real_messages_stand_first(name: str) -> None:
    path = shared_file(f"dev/{name}.csv")
    dataset, wrong = flipped(read_dataset(path, DataConfig(label=("label",))), 0.05, seed=0)
    assert found_share(dataset, wrong) >= 0.45


def written(path: Path) -> Path:
    dataset, _ = flipped(made_up(n=120), 0.05, seed=2)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "text", "target"])
        for k, (text, target) in enumerate(zip(dataset.texts, dataset.targets, strict=True)):
            rows.writerow([f"a{k}", text, target])
    return path


def test_looked_at_saved_and_applied(page: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv")
    assert main(["review", str(path), "--share", "0.1", "-o", str(tmp_path / "review.html")]) == 0
    page.goto((tmp_path / "review.html").as_uri())
    rows = page.evaluate("JSON.parse(document.getElementById('data').textContent).rows")
    assert 3 <= len(rows) <= 12
    assert all(row["likeliest"] != row["given"] for row in rows)
    for key in ("1", "k", "s", "ArrowLeft", "1"):  # changed, kept, skipped, back, changed after all
        page.keyboard.press(key)
    assert "1 kept, 2 changed, 0 skipped" in page.get_by_role("status").inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrections.csv").click()
    corrections = tmp_path / "corrections.csv"
    download.value.save_as(corrections)
    output = tmp_path / "corrected.csv"
    assert main(["review", str(path), "--apply", str(corrections), "-o", str(output)]) == 0
    before, after = (list(csv.reader(p.open(newline=""))) for p in (path, output))
    changed = {k for k, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    assert changed == {rows[0]["row"], rows[2]["row"]}
    assert all(before[k][:2] == after[k][:2] for k in changed)


def test_several_columns_are_reviewed_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    dataset = made_up("multilabel", n=90)
    lines = [
        f"{t},{','.join(map(str, b))}" for t, b in zip(dataset.texts, dataset.targets, strict=True)
    ]
    path.write_text("text,fire,flood,storm\n" + "\n".join(lines))
    flags = [f for c in ("fire", "flood", "storm") for f in ("--label", c)]
    fixes = tmp_path / "c.csv"
    value = str(dataset.targets[4, 1])
    fixes.write_text(
        f"row,column,before,after,text\n5,flood,{value},{1 - int(value)},{dataset.texts[4]}\n"
    )
    output = tmp_path / "out.jsonl"
    assert main(["review", str(path), *flags, "--apply", str(fixes), "-o", str(output)]) == 0
    assert json.loads(output.read_text().splitlines()[4])["flood"] == str(1 - int(value))
    assert main(["review", str(path), *flags, "--json"]) == 0


def in_one_cell(path: Path, join: str = "|") -> Path:
    """Write rows whose labels stand in one cell, one of them missing where the word is there."""
    dataset = made_up("multilabel", n=120)
    targets = dataset.targets.copy()
    targets[7] = 1 - targets[7]
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "text", "target"])
        for k, (text, bits) in enumerate(zip(dataset.texts, targets, strict=True)):
            names = [name for name, bit in zip(dataset.labels, bits, strict=True) if bit]
            rows.writerow([f"a{k}", text, join.join(names)])
    return path


def test_labels_in_one_cell_are_looked_at_saved_and_applied(page: Any, tmp_path: Path) -> None:
    path, cells = in_one_cell(tmp_path / "rows.csv", " | "), ["--label-separator", "|"]
    shown = tmp_path / "review.html"
    assert main(["review", str(path), *cells, "--share", "0.2", "-o", str(shown)]) == 0
    page.goto(shown.as_uri())
    row = page.evaluate("JSON.parse(document.getElementById('data').textContent).rows[0]")
    assert (row["row"], {row["given"], row["likeliest"]}) == (8, {"0", "1"})
    assert f"Its “{row['column']}” is {row['given']}" in page.locator("section").inner_text()
    page.keyboard.press("1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrections.csv").click()
    fixes, output = tmp_path / "corrections.csv", tmp_path / "corrected.csv"
    download.value.save_as(fixes)
    header, saved = csv.reader(fixes.open(newline=""))
    assert saved == ["8", row["column"], row["given"], row["likeliest"], row["text"]]
    assert header == ["row", "column", "before", "after", "text"]
    assert main(["review", str(path), *cells, "--apply", str(fixes), "-o", str(output)]) == 0
    before, after = (list(csv.reader(p.open(newline=""))) for p in (path, output))
    assert [k for k, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [8]
    assert after[8][:2] == before[8][:2]
    had, has = ({part.strip() for part in rows[8][2].split("|")} - {""} for rows in (before, after))
    assert had ^ has == {row["column"]}


CORRECTED = [
    ("a.csv", 'text,target\nx,fire | flood\n"y, z","a,b|fire"\nw,fire\n',
     "c.csv", 'text,target\nx,fire | flood | storm\n"y, z","a,b"\nw,\n'),
    ("a.csv", 'text,target\nx,"[""fire""]"\n"y, z","[\'fire\', \'a\']"\nw,"[""fire""]"\n',
     "c.csv", 'text,target\nx,"[""fire"", ""storm""]"\n"y, z",[\'a\']\nw,[]\n'),
    ("a.tsv", "text\ttarget\nx\t\ny, z\tfire|fire|b\nw\tfire\n",
     "c.tsv", "text\ttarget\nx\tstorm\ny, z\tb\nw\t\n"),
    ("a.jsonl", '{"text": "x", "target": []}\n{"text": "y, z", "target": ["a|b", "fire"]}\n'
     '{"text": "w", "target": ["fire"], "n": 1.5}\n',
     "c.jsonl", '{"text": "x", "target": ["storm"]}\n{"text": "y, z", "target": ["a|b"]}\n'
     '{"text": "w", "target": [], "n": 1.5}\n'),
    ("a.tsv", 'text\ttarget\nx\t["a", "b"]\ny, z\t["fire", "b"]\nw\t["fire"]\n',
     "c.tsv", 'text\ttarget\nx\t"[""a"", ""b"", ""storm""]"\ny, z\t"[""b""]"\nw\t[]\n'),
    ("a.jsonl", '{"text": "x", "target": ["fire", "b"]}\n'
     '{"text": "y, z", "target": ["fire", "b|c"]}\n{"text": "w", "target": ["fire"]}\n'
     '{"text": "v", "target": ["b", "c"]}\n',
     "c.csv", 'text,target\nx,fire|b|storm\n"y, z","[""b|c""]"\nw,\nv,b|c\n'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "found", "written_as", "wanted"), CORRECTED)
def test_a_cell_is_written_anew_in_its_own_form(
    name: str, found: str, written_as: str, wanted: str, tmp_path: Path
) -> None:
    path, fixes, output = tmp_path / name, tmp_path / "fixes.csv", tmp_path / written_as
    path.write_text(found)
    fixes.write_text(
        'row,column,before,after,text\n1,storm,0,1,x\n2,fire,1,0,"y, z"\n3,fire,1,0,w\n'
    )
    cells = ["--label-separator", "|"]
    assert main(["review", str(path), *cells, "--apply", str(fixes), "-o", str(output)]) == 0
    assert output.read_text() == wanted
    dataset = read_dataset(output, DataConfig(label_separator="|"))
    names = [
        {name for name, bit in zip(dataset.labels, bits, strict=True) if bit}
        for bits in dataset.targets
    ]
    assert "storm" in names[0]
    assert not {"storm", "fire"} & (names[1] | names[2])


def test_lists_of_parquet_are_corrected(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path, fixes = tmp_path / "rows.parquet", tmp_path / "c.csv"
    parquet.write_table(arrow.table({"text": ["x", "y"], "target": [["a", "b"], ["b"]]}), path)
    fixes.write_text("row,column,before,after,text\n1,a,1,0,x\n2,c,0,1,y\n")
    apply = ["review", str(path), "--label-separator", ";", "--apply", str(fixes), "-o"]
    assert main([*apply, str(tmp_path / "o.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["target"] for row in rows] == [["b"], ["b", "c"]]
    assert main([*apply, str(tmp_path / "o.csv")]) == 0
    assert (tmp_path / "o.csv").read_text() == "text,target\nx,b\ny,b;c\n"


def test_labels_in_one_cell_by_other_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fixes, output = (tmp_path / name for name in ("rows.csv", "c.csv", "out.csv"))
    path.write_text("text,target\nx,1|2\ny,2\nz,1\n")
    fixes.write_text("row,column,before,after,text\n1,fire,1,0,x\n2,fire,0,1,y\n3,wind,0,1,z\n")
    flags = ["--label-separator", "|", "--name", "1=fire", "--name", "2=flood"]
    assert main(["review", str(path), *flags, "--apply", str(fixes), "-o", str(output)]) == 0
    assert output.read_text() == "text,target\nx,2\ny,2|1\nz,1|wind\n"
    told = capsys.readouterr().err
    assert "no row had these labels before: 'wind'" in told
    assert "3 labels changed" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,fire,0,1,x", "row 1, column 'target', label 'fire': found '1' where the corrections"),
        ("2,fire,1,0,y", "row 2, column 'target', label 'fire': found '0' where the corrections"),
        ("1,fire,1,0,other", "found 'x' where the corrections say 'other'"),
        ("1,,fire,flood,x", "row 1, column 'target': the correction names no label"),
        ("1,fire,1,flood,x", "label 'fire': found 'flood' as what is right; give 0 or 1"),
        ("9,fire,1,0,x", "it has no row 9"),
        ("3,fire,1,0,z", "label 'fire': found '[\"fire\", null]'; write each label as text"),
    ],
)  # fmt: skip
def test_corrections_that_do_not_fit_a_cell_are_refused(
    line: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fixes = tmp_path / "rows.csv", tmp_path / "c.csv"
    path.write_text('text,target\nx,fire|flood\ny,\nz,"[""fire"", null]"\n')
    fixes.write_text(f"row,column,before,after,text\n{line}\n")
    apply = ["review", str(path), "--apply", str(fixes), "-o", str(tmp_path / "out.csv")]
    assert main([*apply, "--label-separator", "|"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.csv", "rows.csv"]


def test_a_label_of_a_cell_needs_the_separator_and_one_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fixes = tmp_path / "rows.csv", tmp_path / "c.csv"
    path.write_text("text,target\nx,fire|flood\n")
    fixes.write_text("row,column,before,after,text\n1,fire,1,0,x\n")
    apply = ["review", str(path), "--apply", str(fixes), "-o", str(tmp_path / "out.csv")]
    for flags, told in (
        ([], "or give --label-separator if it is one of several labels in a cell"),
        (["--label", "target", "--label", "more", "--label-separator", "|"], "name one"),
        (["--label", "topic", "--label-separator", "|"], "--label"),
    ):
        assert main([*apply, *flags]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1


def test_columns_of_words_and_columns_by_other_names_are_corrected(tmp_path: Path) -> None:
    path, fixes, output = (tmp_path / name for name in ("rows.csv", "c.csv", "out.csv"))
    path.write_text("text,a,b\nx,true,False\ny,0.0,1\n")
    fixes.write_text(
        "row,column,before,after,text\n1,fire,1,0,x\n1,b,0,1,x\n2,fire,0,1,y\n2,b,1,0,y\n"
    )
    flags = ["--label", "a", "--label", "b", "--name", "a=fire"]
    assert main(["review", str(path), *flags, "--apply", str(fixes), "-o", str(output)]) == 0
    assert output.read_text() == "text,a,b\nx,false,True\ny,1.0,0\n"
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "x", "a": true, "b": 0}\n{"text": "y", "a": false, "b": 1}\n')
    assert main(["review", str(path), *flags, "--apply", str(fixes), "-o", str(output)]) == 0
    assert output.read_text() == "text,a,b\nx,false,1\ny,true,0\n"


def test_names_new_labels_and_the_file_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fixes, output = (tmp_path / name for name in ("rows.csv", "c.csv", "out.csv"))
    path.write_text("text,target\na fire,1\nsun,0\nmoon,0\na flood,1\n")
    names = ["--name", "1=disaster", "--name", "0=other"]
    fixes.write_text("row,column,before,after,text\n2,,other,disaster,sun\n3,,other,news,moon\n")
    apply = ["review", str(path), *names, "--apply", str(fixes)]
    assert main([*apply, "-o", str(output)]) == 0
    assert output.read_text().splitlines()[2:4] == ["sun,1", "moon,news"]
    assert "no row had these labels before: 'news'" in capsys.readouterr().err
    assert main([*apply, "-o", str(path)]) == 2
    assert "it is the file that is corrected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [("3,,9,1,x", "found '"), ("1,,MINE,1,another message", "found '"),
     ("900,,0,1,x", "no row 900"), ("x,,0,1,x", "a row's number"),
     ("3,colour,0,1,x", "no label column"), ("3,,0,,x", "column 'after'")],
)  # fmt: skip
def test_corrections_of_another_file_are_refused(
    line: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "rows.csv")
    fixes = tmp_path / "c.csv"
    own = path.read_text().splitlines()[1].rsplit(",", 1)[1]
    fixes.write_text(f"row,column,before,after,text\n{line.replace('MINE', own)}\n")
    output = tmp_path / "out.csv"
    assert main(["review", str(path), "--apply", str(fixes), "-o", str(output)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.csv", "rows.csv"]


def test_a_row_that_cannot_be_written_as_it_was_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fixes, output = (tmp_path / name for name in ("rows.csv", "c.csv", "out.csv"))
    path.write_bytes(b"text,target\na fire,1\n\nsun \x81,0\n")
    fixes.write_text("row,column,before,after,text\n1,,1,0,a fire\n")
    command = ["review", str(path), "--apply", str(fixes), "-o", str(output)]
    assert main(command) == 2
    assert "byte 0x81 is not UTF-8" in capsys.readouterr().err
    assert not output.exists()
    assert main([*command, "--encoding", "latin-1"]) == 0
    assert output.read_text().splitlines() == ["text,target", "a fire,0", "sun \x81,0"]
