"""What `check` finds in a data set: each check on rows with the fault, and on rows without."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.cli import main
from tidegate.data.checks import Finding, check_dataset
from tidegate.data.checks.duplicates import first_of, nearly_first_of, read_texts
from tidegate.data.checks.wording import is_damaged, language_of, script_of
from tidegate.data.dataset import Dataset, from_lists, read_dataset
from tidegate.text.tweet import TweetTokenizer

PLAIN = [
    "the bridge near the mill was closed after the storm", "a lovely evening with old friends",
    "water is rising fast in the lower town", "my team won the match at last",
    "smoke over the northern hills since noon", "new song of the week is out now",
    "the road to the airport is blocked by trees", "we baked three cakes for the fair",
    "two houses burned down during the night", "the kids loved the puppet show",
]  # fmt: skip


def found(texts: list[str], labels: list[Any] | None = None, **more: Any) -> dict[str, Finding]:
    labels = labels if labels is not None else [k % 2 for k in range(len(texts))]
    dataset = from_lists(texts, labels)
    findings = check_dataset(dataset, tokenize=TweetTokenizer(), **more)
    return {finding.name: finding for finding in findings}


def test_sound_rows_have_no_finding_but_an_estimate() -> None:
    assert set(found(PLAIN * 1)) <= {"unknown_words", "small_classes"}


def test_repeats_and_contradictions_are_found_with_their_rows() -> None:
    texts = [*PLAIN, PLAIN[0].upper() + " http://x.org/1", "@you " + PLAIN[1] + "!!"]
    labels = [k % 2 for k in range(len(PLAIN))] + [1, 1]
    name = found(texts, labels)
    assert name["repeated_rows"].count == 2
    assert name["contradicting_labels"].count == 1
    assert [e.row for e in name["contradicting_labels"].examples] == [1, 11]
    assert name["contradicting_labels"].grade == "problem"


@pytest.mark.parametrize(
    "other",
    ["closed was the bridge near the mill after the storm",  # in another order
     "the bridge near the mill was closed after the great storm",  # a word more
     "the bridge near the mill was closed after storm",  # a repeated word less
     "the bridge near the mill was opened after the storm"],  # a word replaced
)  # fmt: skip
def test_nearly_equal_messages(other: str) -> None:
    name = found([*PLAIN, other], [k % 2 for k in range(10)] + [1])
    assert name["near_duplicates"].count == 1
    assert {e.row for e in name["near_duplicates"].examples} == {1, 11}
    assert name["near_duplicates"].grade == "warning"  # they carry different labels


def test_nearness_is_what_comparing_all_pairs_says() -> None:
    draw = random.Random(5)
    words = [f"w{k}" for k in range(9)]
    texts = [" ".join(draw.choices(words, k=draw.randint(4, 8))) for _ in range(300)]
    compared = read_texts(texts)
    first = first_of(compared)
    near = nearly_first_of(compared, first)
    sets = [frozenset(text.split()) for text in texts]
    root = list(range(300))

    def find(k: int) -> int:
        while root[k] != k:
            k = root[k]
        return k

    for b in range(300):
        for a in range(b):
            shared = len(sets[a] & sets[b])
            long = min(len(sets[a]), len(sets[b])) >= 5
            one_off = long and max(len(sets[a]), len(sets[b])) - shared <= 1
            if texts[a] == texts[b] or one_off:
                low, high = sorted((find(a), find(b)))
                root[high] = low
    assert near.tolist() == [find(k) for k in range(300)]


def test_messages_of_nothing_are_no_repeats_of_one_another() -> None:
    name = found([*PLAIN, "", "http://t.co/x", "@you"])
    assert name["empty_messages"].count == 3
    assert "repeated_rows" not in name


def test_damage_entities_scripts_and_languages() -> None:
    texts = ["cafÃ© in flames", "it\u00e2\u20ac\u2122s a flood", "bad \ufffd byte", "fire &amp; it",
             "пожар в старом доме", "حريق في المنزل القديم",
             "das Haus ist nicht zu retten und wir sind da"]  # fmt: skip
    name = found(PLAIN * 3 + texts * 2)
    assert name["damaged_text"].count == 6
    assert name["html_entities"].count == 2
    assert "Cyrillic" in name["mixed_scripts"].what
    assert "Arabic" in name["mixed_scripts"].what
    assert "German" in name["mixed_languages"].what
    assert not is_damaged("naïve café, 50 € — “quoted” 🔥 ÄÖÜ Ã")
    assert (script_of("ไฟไหม้"), language_of("feu")) == ("Thai", "")


def test_long_messages_and_tokens_that_are_not_read() -> None:
    name = found([*PLAIN, "alarm " * 900], limit=64)
    assert name["long_messages"].examples[0].row == 11
    assert name["unread_tokens"].grade == "warning"
    assert "64 tokens" in name["unread_tokens"].what


def test_classes_that_are_small_or_uneven_and_labels_alike() -> None:
    texts = [f"{PLAIN[k % 10]} number {k}" for k in range(230)]
    labels = ["positive"] * 200 + ["negative"] * 22 + ["positve"] * 4 + ["Negative "] * 4
    name = found(texts, labels)
    assert name["small_classes"].count == 2
    assert name["uneven_classes"].what.startswith("The largest class has 50 times")
    assert "'positve' (4) and 'positive' (200)" in name["labels_alike"].what
    assert "'Negative ' (4) and 'negative' (22)" in name["labels_alike"].what


def test_words_and_columns_that_give_the_label_away(tmp_path: Path) -> None:
    draw = random.Random(2)
    lines = ["text,target,desk,colour"]
    for k in range(200):
        label = draw.choice(["fire", "other"])
        mark = "TICKET-F" if label == "fire" and k % 3 else ""
        desk = "north" if label == "fire" else "south"
        lines.append(f"{mark} {draw.choice(PLAIN)} {k},{label},{desk},{draw.choice('rgb')}")
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))
    assert main(["check", str(path), "--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "Column &#x27;desk&#x27; gives the label away in 100.0 % of the rows." in page
    assert "colour" not in page
    assert "&#x27;ticket&#x27; stands in" in page


def test_rows_of_two_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("text,target\n" + "\n".join(f"{t},{k % 2}" for k, t in enumerate(PLAIN)))
    two.write_text(f"text,target\n{PLAIN[0].upper()}!,1\n{PLAIN[3]},1\nsomething else,0\n")
    dataset, other = read_dataset(one), read_dataset(two)
    [leak] = [f for f in check_dataset(dataset, tokenize=str.split, against=other)
              if f.name == "leakage"]  # fmt: skip
    assert (leak.count, leak.grade) == (2, "problem")
    assert "1 of them with another label" in leak.what
    assert main(["check", str(one), "--against", str(two), "--strict"]) == 2
    assert main(["check", "-", "--against", str(two)]) == 2


def test_the_verb_as_json_strict_and_private(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,target\n" + "\n".join(f"{t},{k % 2}" for k, t in enumerate(PLAIN * 2)))
    assert main(["check", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 20
    assert {f["name"] for f in told["findings"]} >= {"unknown_words", "repeated_rows"}
    assert any(PLAIN[0] == e["text"] for f in told["findings"] for e in f["examples"])
    assert main(["check", str(path), "--private", "--html", str(tmp_path / "p.html")]) == 0
    assert PLAIN[0] not in capsys.readouterr().out + (tmp_path / "p.html").read_text()
    assert main(["check", str(path), "--strict"]) in (0, 2)
    assert main(["check", str(path), "--epochs", "3"]) == 2  # a flag of training
    assert "No such option" in capsys.readouterr().err


def test_hostile_messages_stay_text_in_the_page(page: Any, tmp_path: Path) -> None:
    texts = [
        "<script>alert(1)</script> big fire in town",
        "turned \u202e round and round again it is",
    ]
    path = tmp_path / "rows.csv"
    path.write_text("text,target\n" + "\n".join(f'"{t}",{k % 2}' for k, t in enumerate(texts * 9)))
    # train would refuse rows of two messages alone; what was found is told all the same.
    assert main(["check", str(path), "--html", str(tmp_path / "p.html")]) == 2
    page.goto((tmp_path / "p.html").as_uri())
    assert page.locator("main").inner_text().count("<script>alert(1)</script>") > 0
    assert "\u202e" not in page.locator("main").inner_text()


def test_the_reference_data(tweets: Path) -> None:
    dataset: Dataset = read_dataset(tweets)
    name = {f.name: f for f in check_dataset(dataset, tokenize=TweetTokenizer(), limit=64)}
    # Counted by the rule of `normalise`; without links, mentions and signs there are more repeats
    # than the 709 rows that are equal to the letter.
    assert name["repeated_rows"].count == 742
    assert name["contradicting_labels"].count == 78
    assert np.isclose(name["unknown_words"].count / 100_000, 0.08, atol=0.05)


def test_every_multilabel_row_is_read() -> None:
    targets = np.tile([[1, 0], [0, 1]], (len(PLAIN) // 2, 1))
    dataset = from_lists([*PLAIN, PLAIN[0]], np.vstack([targets, [1, 1]]), labels=("a", "b"))
    names = {f.name for f in check_dataset(dataset, tokenize=str.split)}
    assert "contradicting_labels" in names


def test_rows_at_fault_do_not_hide_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"{t},{k % 2}" for k, t in enumerate(PLAIN)]
    path.write_text("text,target\n" + "\n".join([*rows, "no label,", f"{PLAIN[0]},1"]))
    assert main(["check", str(path)]) == 2
    told = capsys.readouterr()
    assert "row 11" in told.err
    assert "problem: Different labels" in told.out
    assert "row 1 (0)" in told.out
    assert "row 12 (1)" in told.out


def test_control_characters_in_plain_text() -> None:
    assert is_damaged("\x1b[31mred")
    assert is_damaged("a\x07bell")
    assert is_damaged("turned \u202e round")
    assert not is_damaged("a tab\tand a line\nend")
