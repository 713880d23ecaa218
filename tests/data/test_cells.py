"""Several labels in a cell: one put in or taken out, the others left as they are written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.cells import cell_text, with_label, without_label
from tidegate.data.labels import label_texts
from tidegate.errors import DataError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "storm"), ("  ", "storm"), ("fire", "fire|storm"), ("fire|flood", "fire|flood|storm"),
        ("fire | flood", "fire | flood | storm"), ("fire| flood ", "fire| flood| storm "),
        ("flood|fire|flood", "flood|fire|flood|storm"), ("fire|flood|", "fire|flood|storm|"),
        ("|fire|", "|fire|storm|"), ("fire|storm", "fire|storm"), (7, "7|storm"),
        ("[]", '["storm"]'), ('["fire"]', '["fire", "storm"]'),
        ('["fire","flood"]', '["fire","flood","storm"]'),
        (' [ "a, b" , "c\\"," ] ', ' [ "a, b" , "c\\"," , "storm" ] '),
        ("['fire', 'flood']", "['fire', 'flood', 'storm']"), ("('fire',)", "('fire', 'storm',)"),
        ('[\n  "fire",\n  "flood"\n]', '[\n  "fire",\n  "flood",\n  "storm"\n]'),
        (["fire"], ["fire", "storm"]), ([], ["storm"]), ([3, 4], [3, 4, "storm"]),
        ("[a|b", "[a|b|storm"),
    ],
)  # fmt: skip
def test_a_label_is_put_in_at_the_end(before: Any, after: Any) -> None:
    assert with_label(before, "storm", "|") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("fire", ""), (" fire ", ""), ("|fire|", ""), ("fire|flood", "flood"),
        ("flood|fire", "flood"), ("flood | fire | storm", "flood | storm"),
        ("fire | flood | storm", "flood | storm"), ("flood | storm | fire", "flood | storm"),
        ("fire|flood|fire|flood", "flood|flood"), ("fire|flood|", "flood|"),
        ("flood||fire", "flood|"), ("flood|storm", "flood|storm"), ("Fire|fires", "Fire|fires"),
        ('["fire"]', "[]"), ('["fire", "a, b"]', '["a, b"]'), ('["a","fire","b"]', '["a","b"]'),
        ("['a', 'fire']", "['a']"), ('[ "a" , "fire" ]', '[ "a" ]'), ("('fire', 'a')", '["a"]'),
        (["fire"], []), (["fire", " fire ", "a "], ["a "]), ("fire|[a", "[a"),
    ],
)  # fmt: skip
def test_a_label_is_taken_out(before: Any, after: Any) -> None:
    assert without_label(before, "fire", "|") == after


def test_other_separators() -> None:
    assert with_label("fire, flood", "storm", ",") == "fire, flood, storm"
    assert without_label("fire, flood, storm", "flood", ", ") == "fire, storm"
    assert with_label("fire flood", "storm", " ") == "fire flood storm"


def test_lists_of_numbers_stay_so() -> None:
    assert with_label([27, 3], "4", "|") == [27, 3, 4]
    assert with_label("[27, 3]", "4", "|") == "[27, 3, 4]"
    assert with_label([27, 3], "04", "|") == [27, 3, "04"]
    assert without_label([27, 3], "27", "|") == [3]


def test_a_label_that_would_be_read_otherwise_makes_the_cell_a_list() -> None:
    assert with_label("fire", "wind|rain", "|") == '["fire", "wind|rain"]'
    assert with_label("", "[1]", "|") == '["[1]"]'
    assert without_label("fire|[1]", "fire", "|") == '["[1]"]'


def test_cells_that_cannot_be_read_or_written_are_faults() -> None:
    for cell in (None, {"fire": 1}, '["fire", null]'):
        with pytest.raises(DataError, match="write "):
            with_label(cell, "flood", "|")
        with pytest.raises(DataError, match="write "):
            without_label(cell, "fire", "|")
    long = json.dumps(["x" * 9_990])
    with pytest.raises(DataError, match="cannot be written in one cell"):
        with_label(long, "a label, longer than is left", "|")


def test_lists_become_text() -> None:
    assert cell_text(["fire", "flood"], "|") == "fire|flood"
    assert cell_text([], "|") == ""
    assert cell_text([27, True], "|") == "27|True"
    assert cell_text(["a|b", 2], "|") == '["a|b", "2"]'
    assert cell_text(["fire", None], "|") == ["fire", None]


PIECES = st.text(alphabet="ab1|,'\"\\[]() \n", max_size=12)
NAMES = PIECES.map(str.strip).filter(bool)
PARTS = st.lists(st.one_of(PIECES, st.integers(-3, 30), st.booleans()), max_size=4)
CELLS = st.one_of(
    PIECES, PARTS, PARTS.map(json.dumps), PARTS.map(repr), PARTS.map(tuple).map(repr),
    PARTS.map(lambda parts: json.dumps(parts, indent=1, separators=(" ,", ":"))),
    st.lists(NAMES, max_size=4).map(" | ".join),
)  # fmt: skip


@given(cell=CELLS, label=NAMES, separator=st.sampled_from(["|", ",", ", ", " ", "ab"]))
def test_every_cell_is_read_as_the_labels_wanted(cell: Any, label: str, separator: str) -> None:
    try:
        before = label_texts(cell, separator)
    except DataError:
        return
    others = tuple(name for name in before if name != label)
    more = before if label in before else (*before, label)
    assert label_texts(with_label(cell, label, separator), separator) == more
    assert label_texts(without_label(cell, label, separator), separator) == others
    for name in before:
        rest = tuple(other for other in before if other != name)
        assert label_texts(without_label(cell, name, separator), separator) == rest
    assert label_texts(cell_text(cell, separator), separator) == before


@given(
    names=st.lists(
        st.text(alphabet="abé1,'\"\\ ").map(str.strip).filter(bool), min_size=1, max_size=4
    )
)
def test_a_label_put_in_and_taken_out_leaves_the_bytes(names: list[str]) -> None:
    for text in ("|".join(names), " | ".join(names), json.dumps(names), repr(names)):
        assert without_label(with_label(text, "storm", "|"), "storm", "|") == text
