"""CSV and TSV as people have them: quotes, separators, headers, blank and short rows."""

from pathlib import Path

import pytest

from tidegate.config import DataConfig
from tidegate.data.dataset import read_dataset
from tidegate.data.record import ROW_LIMIT
from tidegate.data.records import open_records
from tidegate.errors import ConfigError, DataError


def written(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def rows_of(path: Path, **how: object) -> list[list[str]]:
    return [list(record.values.values()) for record in open_records(path, **how)]


def faults_of(path: Path) -> dict[int, str]:
    return {record.row: record.fault for record in open_records(path) if record.fault}


def test_a_quote_in_tsv_is_a_character(tmp_path: Path) -> None:
    lines = ["id\ttext", '1\t"help me', "2\tstay calm", '3\the shouted "run"', '4\tstop"']
    found = rows_of(written(tmp_path / "d.tsv", "\n".join(lines)))
    assert found == [line.split("\t") for line in lines[1:]]


def test_a_pair_of_quotes_that_wraps_a_cell_of_tsv_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "d.tsv", 'id\ttext\n1\t"a ""b"" c"\n2\t"no" and "yes"\n3\t""\n')
    assert rows_of(path) == [["1", 'a "b" c'], ["2", '"no" and "yes"'], ["3", ""]]


def test_a_wrapped_cell_of_tsv_may_hold_tabs_and_line_ends(tmp_path: Path) -> None:
    path = written(tmp_path / "d.tsv", 'id\ttext\ty\n1\t"a\tb"\t0\n2\t"two\nlines"\t1\n3\tc\t0\n')
    assert rows_of(path) == [["1", "a\tb", "0"], ["2", "two\nlines", "1"], ["3", "c", "0"]]


def test_a_cell_of_tsv_that_is_never_closed_takes_no_row_with_it(tmp_path: Path) -> None:
    path = written(tmp_path / "d.tsv", 'id\ttext\ty\n1\t"open\n2\ta\t0\n3\tb\t1\n')
    assert [record.row for record in open_records(path)] == [1, 2, 3]
    assert list(faults_of(path)) == [1]


def test_a_stray_quote_of_csv_spoils_its_own_line_only(tmp_path: Path) -> None:
    path = written(
        tmp_path / "d.csv",
        'text,y\nfine,0\n"left open,1\nsafe,0\n"quoted, well",1\nlast,0\n',
    )
    found = list(open_records(path))
    assert [record.row for record in found] == [1, 2, 3, 4, 5]
    assert found[1].fault.startswith("a quote is open to line 5: ',' expected after '\"'")
    assert [record.values["text"] for record in found if not record.fault] == [
        "fine", "safe", "quoted, well", "last",
    ]  # fmt: skip


def test_lines_of_a_broken_cell_are_not_taken_for_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", 'text,y\n"one\ntwo "x" more",1\ngood,0\n')
    assert list(faults_of(path)) == [1, 2]
    assert "a cell before it may reach into it" in faults_of(path)[2]


@pytest.mark.parametrize("head", ["text,y", "y,text", "id,y,text", "text,id,y"])
def test_rows_between_two_stray_quotes_of_csv_are_asked_about(tmp_path: Path, head: str) -> None:
    names = head.split(",")

    def line(text: str, y: int) -> str:
        return ",".join({"text": text, "y": str(y), "id": "7"}[name] for name in names)

    rows = [line('"oh no', 0), *(line(f"m{i}", i % 2) for i in range(8)), line('ran off"', 1)]
    rows += [line(f"n{i}", i % 2) for i in range(6)]
    path = written(tmp_path / "d.csv", "\n".join([head, *rows]))
    notes = read_dataset(path, DataConfig(label=("y",))).notes
    assert "1 messages hold lines that look like rows, the first in row 1; is a quote" in notes[-1]


def test_a_message_of_many_lines_is_not_asked_about(tmp_path: Path) -> None:
    letter = '"Dear all,\nplease come, now\nas soon, as\nyou can"'
    path = written(tmp_path / "d.csv", f"text,y\n{letter},0\nfine,1\n")
    assert read_dataset(path, DataConfig(label=("y",))).notes == ()


def test_quotes_escaped_by_backslashes_are_read_and_said(tmp_path: Path) -> None:
    lines = [f'"they said \\"flood {i}\\", twice \\\\ ",{i % 2}' for i in range(6)]
    path = written(tmp_path / "d.csv", "\n".join(["text,y", *lines]))
    file = open_records(path)
    assert [r.values["text"] for r in file][3] == 'they said "flood 3", twice \\ '
    assert "escaped by backslashes, as MySQL and Spark write" in file.notes[0]


def test_a_backslash_before_a_closing_quote_is_a_character(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", 'text,y\n"C:\\",0\n"say ""\\""",1\n')
    assert rows_of(path) == [["C:\\", "0"], ['say "\\"', "1"]]
    assert open_records(path).notes == ()


def test_one_row_escaped_by_backslashes_among_others_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", 'text,y\n"a \\"b\\" c",0\n"C:\\",1\n"D:\\",1\n"E:\\",1\n')
    assert "escaped by backslashes, as MySQL and Spark write, but not all are" in faults_of(path)[1]


def test_a_separator_at_the_end_of_every_row_is_not_a_cell(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "text,y\nfire,1,\nrain,0,\n")
    assert rows_of(path) == [["fire", "1"], ["rain", "0"]]
    path = written(tmp_path / "d.csv", "text,y\nfire,1\nrain,0,\n")
    assert "3 fields found, 2 needed" in faults_of(path)[2]


def test_a_header_with_a_name_too_few_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "text,y\n0,fire,1\n1,rain,0\n")
    with pytest.raises(DataError, match="its header has 2 names and every row 3 cells; add the"):
        open_records(path)


def test_missing_last_cells_are_read_where_nobody_asks_for_them(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "text,target,note\nfire,1\nrain,0,wet\nhail,0\nstorm,1\n")
    found = read_dataset(path)
    assert found.texts == ("fire", "rain", "hail", "storm")
    assert "3 rows without their last cells, the first in row 1; these were read" in found.notes[0]
    path = written(tmp_path / "d.csv", "text,note,target\nfire,,1\nrain\nhail,,0\n")
    with pytest.raises(DataError, match=r"row 2 \(line 3\): 1 field found, 3 needed; write"):
        read_dataset(path)


def test_rows_of_blank_cells_are_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "text,target\nfire,1\n,\n\nrain,0\n , \n")
    found = list(open_records(path))
    assert [(r.row, r.line, r.blank) for r in found] == [
        (1, 2, False), (2, 3, True), (3, 5, False), (4, 6, True),
    ]  # fmt: skip
    assert found[1].fault == "every cell is blank; fill it, or leave the row out"
    dataset = read_dataset(path)
    assert dataset.texts == ("fire", "rain")
    assert "2 rows of blank cells, the first in row 2; they were left out" in dataset.notes[0]


def test_a_blank_line_in_a_file_of_one_column_is_a_row(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "text\nfire\n\nrain\n\n\n")
    assert [(r.row, r.blank) for r in open_records(path)] == [(1, False), (2, True), (3, False)]


def test_only_columns_asked_for_need_a_name_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "v1,v2,,,\nham,hello,,,\nspam,win,x,,\n")
    found = read_dataset(path, DataConfig(text="v2", label=("v1",)))
    assert found.texts == ("hello", "win")
    file = open_records(path)
    assert file.columns == ("v1", "v2", "column 3", "column 4", "column 5")
    assert [r.values["column 3"] for r in file] == ["", "x"]
    path = written(tmp_path / "d.csv", "text,y,text\na,0,b\nc,1,d\n")
    assert [r.values["text (2)"] for r in open_records(path)] == ["b", "d"]
    message = r"column 'text' stands twice \(columns 1, 3\); rename one, or name the second 'text"
    with pytest.raises(DataError, match=message):
        read_dataset(path, DataConfig(label=("y",)))


def test_a_file_without_a_header_has_its_columns_named(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", '"3","fire in town","a b"\n"4","rain at sea","c d"\n')
    found = read_dataset(
        path, DataConfig(text="title", label=("topic",)), columns=("topic", "title", "body")
    )
    assert (found.texts, found.labels, found.rows) == (
        ("fire in town", "rain at sea"), ("3", "4"), (1, 2),
    )  # fmt: skip
    with pytest.raises(DataError, match="no header: name its columns by --columns"):
        read_dataset(path)
    with pytest.raises(DataError, match="2 columns are named, and its first row has 3 cells: '3'"):
        open_records(path, columns=("a", "b"))
    with pytest.raises(ConfigError, match="give each column its own name"):
        open_records(path, columns=("a", "a", "b"))


def test_columns_of_a_file_with_a_header_are_not_named_again(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", "text,target\nfire,1\n")
    with pytest.raises(DataError, match="its first row names the columns already"):
        open_records(path, columns=("text", "target"))
    path = written(tmp_path / "d.jsonl", '{"text": "fire"}\n')
    with pytest.raises(ConfigError, match="a jsonl file names its own columns"):
        open_records(path, columns=("text",))


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("Text,target", "'Text' differs by case or spaces only: name it so, in quotes by --text"),
        (" text ,target", "' text ' differs by case or spaces only"),
        ("texts,target", "did you mean 'texts'? Name the right one by --text"),
        ("body,target", "it has 'body', 'target': name the right one by --text"),
        ("text;target", "its separator seems to be ';': save it with commas"),
    ],
)
def test_a_missing_column_is_hinted_at(tmp_path: Path, header: str, hint: str) -> None:
    path = written(tmp_path / "d.csv", f"{header}\nfire,1\nrain,0\n".replace(",", header[-7]))
    with pytest.raises(DataError) as error:
        read_dataset(path)
    assert hint in str(error.value)


def test_cells_may_be_long_but_not_endless(tmp_path: Path) -> None:
    long = "flood " * 60_000
    path = written(tmp_path / "d.csv", f'text,y\n"{long}",1\nshort,0\n')
    assert [len(r.values["text"]) for r in open_records(path)] == [360_000, 5]
    endless = "a" * (ROW_LIMIT + 2)
    for name, line in (("d.csv", f"{endless},1"), ("d.csv", f'"{endless}",1'), ("d.tsv", endless)):
        mark = "\t" if name == "d.tsv" else ","
        path = written(tmp_path / name, f"text{mark}y\n{line}\nshort{mark}0\n")
        found = list(open_records(path))
        assert "a row of over 16,777,216 characters; is a quote left open?" in found[0].fault
        assert (found[1].values["text"], len(found)) == ("short", 2)


def test_a_quote_left_open_takes_no_row_with_it(tmp_path: Path) -> None:
    path = written(tmp_path / "d.csv", 'text,y\n"open,1\n' + "fine,0\n" * 500)
    found = list(open_records(path))
    assert len(found) == 501
    assert found[0].fault == (
        'a quote is left open to the end of the file; close it, or double it ("")'
    )
    assert not any(record.fault for record in found[1:])


def test_all_faulty_rows_are_named(tmp_path: Path) -> None:
    lines = [f"m{i},{i % 2}" if i % 5 else f"m{i}," for i in range(1, 40)]
    path = written(tmp_path / "d.csv", "\n".join(["text,target", *lines]))
    with pytest.raises(DataError) as error:
        read_dataset(path)
    assert str(error.value).endswith(
        "row 5 (line 6), column 'target': the label is empty; fill it or drop the row "
        "(and 6 more rows: 10, 15, 20, 25, 30, 35)"
    )


def test_twenty_thousand_columns_are_not_listed(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(20_000))
    path = written(tmp_path / "d.csv", f"{names}\n{',' * 19_999}x\n")
    with pytest.raises(DataError, match=r"it has 'c0', .* and 19980 more: name the right one"):
        read_dataset(path)
