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
