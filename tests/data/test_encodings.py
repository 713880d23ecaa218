"""Which encoding a file has, and what becomes of bytes that it does not."""

import sys
from pathlib import Path

import pytest

from tidegate.data.dataset import read_dataset
from tidegate.data.records import open_records
from tidegate.errors import ConfigError, DataError

WESTERN = ["déjà vu à l'hôtel", "Brücke gesperrt – heißt es", "não há água, situação crítica", "£5"]
CHINESE = ["村民被洪水围困请救援", "今晚一起吃饭好吗", "桥已经断了不能通过", "明天下午开会"]
RUSSIAN = ["Мост разрушен наводнением", "Встретимся вечером у реки", "Срочно нужна помощь"]
JAPANESE = ["洪水で橋が壊れました", "今夜は一緒に食べましょう", "すぐに助けが必要です"]
POLISH = ["Powódź zniszczyła most", "Proszę o pomoc, są ranni", "Dziś wieczorem gęsta mgła"]


def table(texts: list[str], times: int = 6) -> str:
    rows = [f'"{text} {i}",{i % 2}\n' for i, text in enumerate(texts * times)]
    return "text,target\n" + "".join(rows)


def test_western_text_is_read_as_cp1252_and_said(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(table(WESTERN).encode("cp1252"))
    found = read_dataset(path)
    assert found.texts[:2] == ("déjà vu à l'hôtel 0", "Brücke gesperrt – heißt es 1")
    assert "so the file was read as cp1252; save it as UTF-8, or give --encoding" in found.notes[0]


@pytest.mark.parametrize(
    ("texts", "encoding", "guess"),
    [
        (CHINESE, "gbk", "gb18030"), (RUSSIAN, "cp1251", "cp1251"),
        (JAPANESE, "shift_jis", "cp932"), (POLISH, "cp1250", "cp1250"),
    ],
)  # fmt: skip
def test_other_text_is_not_taken_for_latin(
    tmp_path: Path, texts: list[str], encoding: str, guess: str
) -> None:
    pytest.importorskip("charset_normalizer")
    path = tmp_path / "d.csv"
    path.write_bytes(table(texts).encode(encoding))
    with pytest.raises(DataError) as error:
        read_dataset(path)
    assert "is not UTF-8, and as cp1252 it is no Latin text; it may be " in str(error.value)
    assert guess in str(error.value)
    assert "give --encoding NAME, or save it as UTF-8" in str(error.value)
    found = read_dataset(path, encoding=encoding)
    assert found.texts[0] == f"{texts[0]} 0"
    assert found.notes == ()


def test_without_a_detector_the_encoding_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    (tmp_path / "d.csv").write_bytes(table(CHINESE).encode("gbk"))
    with pytest.raises(DataError, match=r"pip install 'tidegate\[encodings\]' lets its encoding"):
        open_records(tmp_path / "d.csv")


def test_bad_bytes_spoil_their_own_rows(tmp_path: Path) -> None:
    lines = table(["feu 🔥 près d'ici", "着火了 ok"], times=10).encode().split(b"\n")
    lines[3] += b"\xa3"
    lines[7] = b"caf\xe9 " + lines[7]
    (tmp_path / "d.csv").write_bytes(b"\n".join(lines))
    file = open_records(tmp_path / "d.csv")
    found = list(file)
    assert [record.row for record in found if record.fault] == [3, 7]
    assert found[6].fault == "byte 0xe9 is not UTF-8; mend it, or give the right --encoding"
    assert found[0].values["text"] == "feu 🔥 près d'ici 0"
    assert "such bytes stand in 2 of its lines" in file.notes[0]
    with pytest.raises(DataError, match=r"row 3 \(line 4\): byte 0xa3 .* \(and 1 more row: 7\)"):
        read_dataset(tmp_path / "d.csv")


def test_few_bad_bytes_that_are_no_cp1252_either_spoil_their_rows(tmp_path: Path) -> None:
    lines = table(["plain words", "more of them"], times=20).encode().split(b"\n")
    lines[9] = b"caf\x81," + lines[9]
    (tmp_path / "d.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\x81"}\n' + b'{"text": "b"}\n')
    (tmp_path / "d.csv").write_bytes(b"\n".join(lines))
    for name, row in (("d.csv", 9), ("d.jsonl", 2)):
        found = [r.row for r in open_records(tmp_path / name) if "byte 0x81 is not" in r.fault]
        assert found == [row]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.json", "d.jsonl"])
def test_marked_unicode_is_read(tmp_path: Path, encoding: str, name: str) -> None:
    content = {
        "d.csv": 'text,target\n"a, ""é"" 🔥",1\nb,0\n', "d.tsv": "text\ttarget\né 🔥\t1\nb\t0\n",
        "d.json": '[{"text": "é 🔥", "target": 1}, {"text": "b", "target": 0}]',
        "d.jsonl": '{"text": "é 🔥", "target": 1}\n{"text": "b", "target": 0}\n',
    }[name]  # fmt: skip
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / name).write_bytes((mark + content).encode(encoding))
    found = read_dataset(tmp_path / name)
    assert found.texts == ('a, "é" 🔥' if name == "d.csv" else "é 🔥", "b")
    assert found.notes == ()


def test_unmarked_utf16_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(table(["plain words"]).encode("utf-16-le"))
    with pytest.raises(DataError, match="UTF-16 text without its mark; give --encoding utf-16-le"):
        open_records(tmp_path / "d.csv")
    assert len(read_dataset(tmp_path / "d.csv", encoding="utf-16-le")) == 6


def test_the_encoding_asked_for_is_used_and_held_to(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes("text,target\nжар,1\nлёд,0\n".encode("koi8-r"))
    assert read_dataset(path, encoding="KOI8-R").texts == ("жар", "лёд")
    path.write_bytes("text,target\nfire,1\nкафе,0\n".encode("koi8-r"))
    found = list(open_records(path, encoding="ascii"))
    assert "byte 0xcb is not ascii; mend it, or give the right --encoding" in found[1].fault
    for name in ("klingon", "base64", "a\0b"):
        with pytest.raises(ConfigError, match="which is no encoding of text; give one such as"):
            open_records(path, encoding=name)


def test_a_header_with_bad_bytes_is_told(tmp_path: Path) -> None:
    text = "text,titre 🔥🔥 ".encode() + b"\xff\n" + "feu 🔥,1\n".encode() * 5
    (tmp_path / "d.csv").write_bytes(text)
    with pytest.raises(DataError, match="header, line 1: byte 0xff is not UTF-8"):
        open_records(tmp_path / "d.csv")
