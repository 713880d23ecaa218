"""Labels as people write them: variants, several in a cell, those a model does not know."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tidegate.config import DataConfig
from tidegate.data.dataset import read_dataset
from tidegate.data.labels import label_notes, plain_label
from tidegate.errors import ConfigError, DataError


def labelled(path: Path, labels: list[object]) -> Path:
    rows = [{"text": f"message {i}", "target": label} for i, label in enumerate(labels)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize(
    "labels",
    [
        ["0", "1", "0"], ["0.0", "1.0", "0.0"], [False, True, False], ["false", "TRUE", "False"],
        [0, 1.0, "0.00"], [" 0", "+1", "0e0"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [("0", "1"), ("False", "True"), ("0.0", "1.0")])
def test_labels_are_matched_to_the_models(
    tmp_path: Path, labels: list[object], known: tuple[str, ...]
) -> None:
    found = read_dataset(labelled(tmp_path / "d.jsonl", labels), labels=known)
    assert (found.labels, found.targets.tolist()) == (known, [0, 1, 0])
    if str(labels[0]) != known[0]:
        assert "labels were read as the model's: " in found.notes[0]
        assert f"as {known[0]!r}" in found.notes[0]


def test_case_and_spaces_are_matched_where_one_label_only_is_so_written(tmp_path: Path) -> None:
    path = labelled(tmp_path / "d.jsonl", ["SPAM", "not  spam", "spam"])
    assert read_dataset(path, labels=("Not spam", "Spam")).targets.tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="found 'SPAM'; the model knows Spam, not spam, spam"):
        read_dataset(path, labels=("Spam", "not spam", "spam"))


def test_labels_the_model_does_not_know_are_counted(tmp_path: Path) -> None:
    path = labelled(tmp_path / "d.jsonl", ["a", "x", "b", "y", "x", "a"])
    with pytest.raises(DataError) as error:
        read_dataset(path, labels=("a", "b"))
    assert str(error.value).endswith(
        "row 2, column 'target': found 'x'; the model knows a, b. Of 6 rows 3 carry labels it does "
        "not know (2 of 'x', 1 of 'y'); mend them, or leave these rows out with --unknown-labels "
        "skip"
    )
    found = read_dataset(path, labels=("a", "b"), unknown_labels="skip")
    assert (found.rows, found.targets.tolist()) == ((1, 3, 6), [0, 1, 0])
    assert "3 of 6 rows were left out, whose labels the model does not know" in found.notes[0]
    with pytest.raises(DataError, match="Of 6 rows 6 carry labels"):
        read_dataset(path, labels=("c", "d"), unknown_labels="skip")


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([["a"], ["b"]], r"found several labels, \['a'\]; write a 0/1 column for each label"),
        ([{"a": 1}, "b"], r"found an object, \{'a': 1\}; write a 0/1 column"),
        (["['a', 'b']", "['a']"], r"looks like a list of labels, .*or read them with --label-sep"),
        (["a|b", "a", "c"], r"row 1, column 'target': found 'a\|b', and 'a' in other rows too"),
        (["a | b", "b|c"], r"Give --label-separator '\|', or a 0/1 column for each label"),
        (["x;y", "y", "z"], "Give --label-separator ';'"),
        ([None, "b"], "row 1 .*: the label is empty; fill it or drop the row"),
        ([float("nan"), "b"], "the label is empty"),
    ],
)
def test_several_labels_in_a_cell_are_refused(
    tmp_path: Path, labels: list[object], why: str
) -> None:
    with pytest.raises(DataError, match=why):
        read_dataset(labelled(tmp_path / "d.jsonl", labels))


def test_a_bar_in_a_name_is_a_character(tmp_path: Path) -> None:
    path = labelled(tmp_path / "d.jsonl", ["fire|smoke", "rain|flood"] * 3)
    assert read_dataset(path).labels == ("fire|smoke", "rain|flood")


@pytest.mark.parametrize(
    "labels",
    [
        ["fire|flood", "flood", "", "fire"],
        ["fire | flood|", "flood|flood", " ", "fire"],
        [["fire", "flood"], ["flood"], [], ["fire"]],
        ["['fire', 'flood']", '["flood"]', "[]", "('fire',)"],
    ],
)
def test_labels_of_one_column_are_taken_apart(tmp_path: Path, labels: list[object]) -> None:
    path = labelled(tmp_path / "d.jsonl", labels)
    data = DataConfig(label_separator="|")
    found = read_dataset(path, data)
    assert (found.kind, found.labels) == ("multilabel", ("fire", "flood"))
    assert found.targets.tolist() == [[1, 1], [0, 1], [0, 0], [1, 0]]
    again = read_dataset(path, data, labels=("flood", "Fire"))
    assert again.targets.tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]
    with pytest.raises(DataError, match=r"Of 4 rows 2 carry labels it does not know \(2 of"):
        read_dataset(path, data, labels=("fire", "hail"))
    some = read_dataset(path, data, labels=("fire", "hail"), unknown_labels="skip")
    assert (some.rows, some.targets.tolist()) == ((3, 4), [[0, 0], [1, 0]])


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["a", None], "found None; write the labels as text or as a list"),
        (["a|b", {"a": 1}], "found .*; write the labels as text or as a list"),
        ([["a", None], "b"], "found .*; write each label as text"),
        (["a", "a|"], "column 'target': found 'a' only; give two labels"),
        (["", "|"], "column 'target': found no label only; give two labels"),
    ],
)
def test_what_cannot_be_taken_apart_is_told(tmp_path: Path, labels: list[object], why: str) -> None:
    with pytest.raises(DataError, match=why):
        read_dataset(labelled(tmp_path / "d.jsonl", labels), DataConfig(label_separator="|"))


def test_a_separator_takes_one_column(tmp_path: Path) -> None:
    data = DataConfig(label=("a", "b"), label_separator="|")
    with pytest.raises(ConfigError, match="label_separator: found with 2 label columns"):
        read_dataset(labelled(tmp_path / "d.jsonl", ["a", "b"]), data)
    with pytest.raises(ConfigError, match="column 'text' is named twice"):
        read_dataset(tmp_path / "d.jsonl", DataConfig(label=("text",)))


def test_columns_of_labels_are_found_by_name_or_taken_in_order(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,flood,fire\nx,1,0\ny,0,1\n")
    data = DataConfig(label=("flood", "fire"))
    assert read_dataset(tmp_path / "d.csv", data, labels=("fire", "flood")).targets.tolist() == [
        [0, 1], [1, 0],
    ]  # fmt: skip
    assert read_dataset(tmp_path / "d.csv", data, labels=("a", "b")).targets.tolist() == [
        [1, 0], [0, 1],
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="found 2 columns for the model's 3 labels"):
        read_dataset(tmp_path / "d.csv", data, labels=("a", "b", "c"))


def test_labels_that_may_be_one_are_noted(tmp_path: Path) -> None:
    labels = ["Spam", "spam", "ham", "nan", "1", "1.0", "ham"] * 2
    first, second, third = read_dataset(labelled(tmp_path / "d.jsonl", labels)).notes
    assert "labels '1' (2 rows), '1.0' (2 rows) differ by case, spaces or the form" in first
    assert "labels 'Spam' (2 rows), 'spam' (2 rows) differ by case" in second
    assert "label 'nan' (2 rows): was it missing? Then leave these rows out" in third
    assert label_notes(Counter({"none": 3, "real": 4})) == []
    assert label_notes(Counter({"None": 1, "real": 4})) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.00"), ("-0", "0"), ("1e3", "1000"), ("É", "é"), ("a  b", " A b "), ("007", "7")],
)
def test_variants_share_what_they_are_compared_by(one: str, other: str) -> None:
    assert plain_label(one) == plain_label(other)


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.5"), ("a", "b"), ("1_0", "10"), ("inf", "1e999"), ("nan", "0")]
)
def test_other_labels_do_not(one: str, other: str) -> None:
    assert plain_label(one) != plain_label(other)


def test_labels_by_new_names_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,target\na fire,1\na flood,1\nsun,0\nmoon,0\n")
    data = DataConfig(name=("1=disaster", "0=no disaster"))
    dataset = read_dataset(path, data)
    assert dataset.labels == ("no disaster", "disaster")  # by 0 and 1, not by the alphabet
    assert dataset.targets.tolist() == [1, 1, 0, 0]
    again = read_dataset(path, data, labels=dataset.labels)
    assert again.targets.tolist() == [1, 1, 0, 0]
    path.write_text("text,target\na fire,disaster\nsun,0\n")
    mixed = read_dataset(path, data, labels=dataset.labels)
    assert mixed.targets.tolist() == [1, 0]


def test_columns_and_sets_by_new_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,f,w\na fire,1,0\na flood,0,1\n")
    columns = DataConfig(label=("f", "w"), name=("f=fire",))
    assert read_dataset(path, columns).labels == ("fire", "w")
    again = read_dataset(path, columns, labels=("w", "fire"))
    assert again.targets.tolist() == [[0, 1], [1, 0]]
    path.write_text("text,target\na fire,f|w\na flood,w\nsun,f\n")
    sets = DataConfig(label_separator="|", name=("f=fire",))
    dataset = read_dataset(path, sets)
    assert dataset.labels == ("fire", "w")
    assert read_dataset(path, sets, labels=dataset.labels).targets.tolist() == [
        [1, 1],
        [0, 1],
        [1, 0],
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [(("disaster",), "write it as label=name"), (("1=a", "1=b"), "named twice"),
     (("2=a",), "has no label '2'; it has '0', '1'"), (("1=0",), "would be called '0'")],
)  # fmt: skip
def test_names_that_cannot_be(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,target\na fire,1\nsun,0\n")
    with pytest.raises(ConfigError, match=told):
        read_dataset(path, DataConfig(name=names))
