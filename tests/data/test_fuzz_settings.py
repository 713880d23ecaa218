"""Mutated settings, corrections, manifests and texts: an answer or one documented error, in time.

Small in the default suite; the heavy tests run 10⁶ cases or ten minutes each.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import tiny_bundle, with_ngrams
from tidegate.config import Config, TextConfig
from tidegate.config_file import read_config, to_toml
from tidegate.data.corrections import read_corrections, write_corrected
from tidegate.data.dataset import DataConfig
from tidegate.data.records import open_records
from tidegate.engine.bundle import LAYOUT
from tidegate.engine.manifest import canonical, read_manifest
from tidegate.errors import DataError, TidegateError
from tidegate.text.encoder import Encoder
from tidegate.text.vocabulary import Vocabulary

CASES, LONGEST_S = 400, 2.0
MANY, MINUTES = 1_000_000, 10
PARTS = [
    b'"', b"'", b",", b"\n", b"\0", b"\xff", b"\\", b"[", b"]", b"{", b"}", b"=", b"#", b"-1",
    b"nan", b"inf", b"1e999", b"9" * 400, b"9" * 5000, b"true", b"[[", b'"""', b"\\u0000",
    b"1979-05-27", b"0x", b"a.b.c", b"\xef\xbb\xbf", "٣".encode(), "²".encode(), b"\r", b"[" * 900,
]  # fmt: skip
SIGNS = [
    "🔥", "👩\u200d👩\u200d👦", "\u202e", "\ud800", "\0", "#", "@", "http://", "x" * 300, "&amp;",
    "!!!", "'", "\u0301", "ﬁ", "İ", "ß", "火", "ไ", " ", "\t", "\u2028", "9" * 50, "n't", "…",
    "<unk>", "<pad>", "-", "_", ":)",
]  # fmt: skip
Case = Callable[[random.Random, Path], None]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to six faults, whole lines moved or left out among them."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(7):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del found[at : at + rng.randint(1, 40)]
            case 2:
                found[at : at + rng.randint(0, 12)] = rng.choice(PARTS)
            case 3:
                del found[at:]
            case 4:
                found[at:at] = found[at : at + rng.randint(1, 200)]
            case 5:
                lines = bytes(found).split(b"\n")
                rng.shuffle(lines)
                found = bytearray(b"\n".join(lines[: rng.randint(1, len(lines))]))
            case _:
                found[at : at + 4] = rng.randbytes(4)
    return bytes(found)


def settings(rng: random.Random, folder: Path) -> None:
    path = folder / "settings.toml"
    values = {"epochs": rng.randint(1, 99), "label_smoothing": rng.random() / 2, "extra": ["a"]}
    text = to_toml(Config().with_settings(**values)) + f'\npreset = "{rng.choice(["best", "x"])}"\n'
    path.write_bytes(mutated(text.encode(), rng))
    found = read_config(path).config(settings={})
    assert read_config(_written(folder, to_toml(found))).config(settings={}) == found


def _written(folder: Path, text: str) -> Path:
    path = folder / "again.toml"
    path.write_text(text, encoding="utf-8")
    return path


DATA = b"text,target\n" + b"".join(b'"fire, %d",%d\n' % (k, k % 2) for k in range(20))
GIVEN = b"row,column,before,after,text\n" + b"".join(
    b'%d,,%d,%d,"fire, %d"\n' % (k + 1, k % 2, 1 - k % 2, k) for k in range(0, 20, 3)
)


def corrections(rng: random.Random, folder: Path) -> None:
    data, given, output = folder / "data.csv", folder / "given.csv", folder / "out.csv"
    data.write_bytes(DATA if rng.random() < 0.8 else mutated(DATA, rng))
    given.write_bytes(mutated(GIVEN, rng))
    output.unlink(missing_ok=True)
    try:
        write_corrected(open_records(data), DataConfig(), read_corrections(given), output)
    except TidegateError:
        assert not output.exists()
        raise
    open_records(output).require("target")
    output.unlink()


BUNDLE = with_ngrams(2).manifest() | {
    "files": {name: {"sha256": "0" * 64, "size_bytes": 3} for name in (LAYOUT.weights,)}
}


def manifests(rng: random.Random, folder: Path) -> None:
    raw = mutated(canonical(BUNDLE), rng)
    if raw.endswith(b"\n}\n"):  # a stranger can write the seal anew
        seal = hashlib.sha256(raw).hexdigest().encode()
        raw = raw[:-3] + b',\n "manifest_sha256": "' + seal + b'"\n}\n'
    read_manifest(raw, place="manifest.json", known_files=LAYOUT.listed)


def tokens(rng: random.Random, folder: Path) -> None:
    parts = rng.choices([*SIGNS, "fire", "Flood's", " ", " "], k=rng.randint(0, 40))
    text = "".join(parts) + "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(6)))
    for tokenizer, unknown in (("tweet", "unk"), ("lesson", "drop")):
        config = TextConfig(tokenizer=tokenizer, unknown=unknown, max_tokens=30)
        encoder = ENCODERS.setdefault(tokenizer, Encoder(config, VOCABULARY))
        ids = encoder.encode(text)
        assert 1 <= len(ids) <= 30
        assert all(0 <= i < len(VOCABULARY) for i in ids)
        assert ids == encoder.encode(text) == encoder.encode_all([text, "fire"]).lists([0])[0]


VOCABULARY = Vocabulary(tiny_bundle().tokens)
ENCODERS: dict[str, Encoder] = {}
KINDS: dict[str, Case] = {
    "settings": settings, "corrections": corrections, "manifests": manifests, "tokens": tokens
}  # fmt: skip


def hold(case: Case, n: int, folder: Path, *, seconds: float) -> int:
    """Try mutants, each by a seed of its own; return how many were tried."""
    end = time.monotonic() + seconds
    for number in range(n):
        start = time.process_time()
        try:
            case(random.Random(number), folder)
        except TidegateError as error:
            assert "\n" not in str(error), (number, error)
        except Exception as error:
            raise AssertionError(f"case {number}: {type(error).__name__}: {error}") from error
        assert time.process_time() - start < LONGEST_S, number
        if time.monotonic() > end:
            return number + 1
    return n


@pytest.mark.parametrize("name", KINDS)
def test_a_mutant_is_answered_or_refused(name: str, tmp_path: Path) -> None:
    assert hold(KINDS[name], CASES, tmp_path, seconds=60) > CASES / 10


@pytest.mark.heavy
@pytest.mark.parametrize("name", KINDS)
def test_a_million_mutants_or_ten_minutes_of_them(name: str, tmp_path: Path) -> None:
    assert hold(KINDS[name], MANY, tmp_path, seconds=60 * MINUTES) > 10_000


def test_a_row_number_without_end_is_one_line(tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_text("row,column,before,after,text\n" + "9" * 5000 + ",,0,1,fire\n")
    with pytest.raises(DataError, match=r"column 'row': found '999.*…; a row's number is needed"):
        read_corrections(given)
