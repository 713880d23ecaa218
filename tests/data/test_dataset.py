import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from tidegate.config import DataConfig
from tidegate.data.dataset import from_lists, read_dataset
from tidegate.data.splits import grouped_folds, normalise, random_split, split
from tidegate.errors import DataError

ROWS = [("fire on main street", "1"), ('she said "lit"', "0"), ("two\nlines, one field", "1")]


def write_csv(path: Path, *, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    lines = [f"id{delimiter}text{delimiter}target"]
    for number, (text, label) in enumerate(ROWS):
        quoted = '"' + text.replace('"', '""') + '"'
        lines.append(f"{number}{delimiter}{quoted}{delimiter}{label}")
    path.write_bytes("\r\n".join(lines).encode(encoding) + b"\r\n")
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_with_quotes_and_newlines(tmp_path: Path, encoding: str) -> None:
    found = read_dataset(write_csv(tmp_path / "d.csv", encoding=encoding))
    assert list(zip(found.texts, [found.labels[t] for t in found.targets], strict=True)) == ROWS
    assert found.rows == (1, 2, 3)
    assert found.notes == ()


def test_every_format_reads_the_same(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    expected = read_dataset(write_csv(tmp_path / "d.csv"))
    write_csv(tmp_path / "d.tsv", delimiter="\t")
    objects = [{"text": t, "target": int(y)} for t, y in ROWS]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, objects)))
    with gzip.open(tmp_path / "d.csv.gz", "wb") as stream:
        stream.write((tmp_path / "d.csv").read_bytes())
    pq.write_table(pa.Table.from_pylist(objects), tmp_path / "d.parquet")
    for name in ("d.tsv", "d.jsonl", "d.csv.gz", "d.parquet"):
        found = read_dataset(tmp_path / name)
        assert (found.texts, found.labels) == (expected.texts, expected.labels), name
        assert found.targets.tolist() == expected.targets.tolist()


def test_cp1252_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes("text,target\ncaf\u00e9 \u201cfire\u201d,1\nno,0\n".encode("cp1252"))
    found = read_dataset(path)
    assert found.texts[0] == "café “fire”"
    (note,) = found.notes
    assert "byte 0xe9 near offset 15 is not UTF-8, so the file was read as cp1252" in note


def test_labels_that_are_numbers_stand_in_numeric_order(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,target\n" + "".join(f"m{i},{label}\n" for i, label in enumerate(
        ["10", "9", "-1", "10", "9", "-1"])))  # fmt: skip
    found = read_dataset(path)
    assert found.labels == ("-1", "9", "10")
    assert found.kind == "multiclass"


def test_several_label_columns_make_a_multi_label_set(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,fire,flood\na,1,0\nb,0,1\nc,0,0\n")
    found = read_dataset(path, DataConfig(label=("fire", "flood")))
    assert (found.kind, found.labels) == ("multilabel", ("fire", "flood"))
    assert found.targets.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_extra_columns_are_joined_in_before_the_message(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,keyword,target\nhelp,fire,1\nfine,,0\n")
    assert read_dataset(path, DataConfig(extra=("keyword",))).texts == ("fire help", "fine")


def test_empty_messages_are_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text('text,target\nhelp,1\n"",0\n')
    found = read_dataset(path)
    assert found.texts == ("help", "")
    assert "1 empty messages, the first in row 2" in found.notes[0]


def test_reference_tweets_are_read_right(tweets: Path) -> None:
    found = read_dataset(tweets)
    assert len(found) == 7613
    assert np.bincount(found.targets).tolist() == [4342, 3271]


@given(st.integers(2, 400), st.integers(0, 2**31 - 1), st.sampled_from([0.1, 0.2, 0.25, 0.5]))
def test_random_split_is_scikit_learns(n: int, seed: int, share: float) -> None:
    if n - np.ceil(share * n) < 1:
        return
    train, test = random_split(n, test_share=share, seed=seed)
    theirs = train_test_split(np.arange(n), test_size=share, random_state=seed)
    assert train.tolist() == theirs[0].tolist()
    assert test.tolist() == theirs[1].tolist()


def test_equal_texts_never_stand_on_two_sides() -> None:
    texts = [f"Fire no {'abcdefgh'[i % 8] * (1 + i % 37)}" for i in range(400)]
    noisy = [f"@you {t.upper()}!! https://t.co/{i}" for i, t in enumerate(texts)]
    data = from_lists(texts + noisy, [i % 3 for i in range(800)])
    folds = grouped_folds(data, [0.2] * 5, seed=3)
    sides: dict[str, set[int]] = {}
    for text, fold in zip(data.texts, folds, strict=True):
        sides.setdefault(normalise(text), set()).add(int(fold))
    assert all(len(found) == 1 for found in sides.values())


def test_folds_are_stratified_and_seeded() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdef"), 9)) for _ in range(1000)]
    data = from_lists(texts, (rng.random(1000) < 0.3).astype(int))
    folds = grouped_folds(data, [0.2] * 5, seed=0)
    shares = [data.targets[folds == k].mean() for k in range(5)]
    assert max(shares) - min(shares) < 0.01
    assert np.ptp(np.bincount(folds)) <= 3
    assert folds.tolist() == grouped_folds(data, [0.2] * 5, seed=0).tolist()
    assert folds.tolist() != grouped_folds(data, [0.2] * 5, seed=1).tolist()


def test_grouped_split_keeps_its_share(tweets: Path) -> None:
    data = read_dataset(tweets)
    train, test = split(data, DataConfig())
    assert len(train) + len(test) == len(data)
    assert abs(len(test) / len(data) - 0.2) < 0.005
    seen = {normalise(data.texts[i]) for i in train}
    assert not seen & {normalise(data.texts[i]) for i in test}


def test_multi_label_rows_can_be_split() -> None:
    rng = np.random.default_rng(1)
    targets = (rng.random((300, 4)) < [0.5, 0.2, 0.05, 0.4]).astype(int)
    data = from_lists([f"m{'x' * i}" for i in range(300)], targets, labels=("a", "b", "c", "d"))
    train, test = split(data, DataConfig())
    assert abs(len(test) - 60) <= 3
    assert not set(train.tolist()) & set(test.tolist())


def test_lists_are_checked() -> None:
    with pytest.raises(DataError, match="texts: row 2: found int 5; a message is text"):
        from_lists(["a", 5], [0, 1])
    with pytest.raises(DataError, match="labels: found 1 for 2 texts; give one a text"):
        from_lists(["a", "b"], [0])
