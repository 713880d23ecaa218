"""Bytes to characters: which encoding a file has, and where it breaks it.

Takes a path, gives the `Encoding` that reads it, or a `DataError` that says what it may be. Knows
nothing of rows: a byte that the encoding does not have is kept as a lone surrogate, which valid
text cannot hold, so that whoever cuts the text into rows knows which of them it spoils.

A file that is not UTF-8 is one of three things, told apart by counting:

- UTF-8 with some bad bytes: it holds at least as many whole characters of several bytes as bad
  bytes, or few of its lines are bad. Text of another encoding is almost never so.
- cp1252, what older spreadsheets write in Western Europe: every byte has a character there, and
  the letters beyond ASCII stand alone among others, as accents do. Chinese, Japanese, Cyrillic or
  Greek text read as cp1252 is one run of them.
- anything else, which is not guessed at but asked for.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.data.compression import open_bytes
from tidegate.errors import ConfigError, DataError

_CHUNK_BYTES = 1 << 20
_ENOUGH = 1_000_000  # bytes that are not UTF-8, which tell what the file is
_SAMPLE_BYTES = 1 << 16
_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file under another name",
    b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel or Office document",
}
_MARKS = {  # the longest first: UTF-32's begins with UTF-16's
    b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_BAD = re.compile("[\udc80-\udcff]")
_WHOLE = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
_LETTER = "A-Za-zÀ-ÖØ-öø-ÿŠŒŽšœžŸƒ"
# Three and more in a row, or a sign between two letters, which no Western language writes.
_UNLIKELY = re.compile(
    f"[^\x00-\x7f]{{3,}}|(?<=[{_LETTER}])[€‚„†‡ˆ‰‹˜›¡¢£¤¥¦§¨©«¬®¯°±²³¶¸¹»¼½¾¿×÷](?=[{_LETTER}])"
)
_UNLIKELY_SHARE = 0.2
_FEW_LINES_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a file's bytes become characters.

    Attributes
    ----------
    name : as Python has it
    notes : what a person should know about it
    faulty : some bytes are not of this encoding
    escapes : a backslash stands before a quote somewhere
    """

    name: str
    notes: tuple[str, ...] = ()
    faulty: bool = False
    escapes: bool = False

    def fault_of(self, text: str) -> str:
        """Return what is wrong with a piece of text, or nothing."""
        found = _BAD.search(text) if self.faulty else None
        if found is None:
            return ""
        name = "UTF-8" if self.name == "utf-8-sig" else self.name
        return (
            f"byte 0x{ord(found[0]) - 0xDC00:02x} is not {name}; mend it, or give the right "
            "--encoding"
        )


def open_text(path: Path, name: str, encoding: Encoding) -> io.TextIOWrapper:
    """Return a file's characters, its line ends as they are."""
    return io.TextIOWrapper(
        open_bytes(path, name), encoding=encoding.name, errors="surrogateescape", newline=""
    )


def encoding_of(path: Path, name: str, *, asked: str | None = None) -> Encoding:
    """Return the encoding that reads a file.

    Parameters
    ----------
    name : what to call the file in messages
    asked : the encoding that somebody named; then it is not looked for

    Raises
    ------
    DataError
        The file cannot be read, is no text, or is in an encoding that has to be named.
    ConfigError
        There is no encoding of the name asked for.
    """
    with open_bytes(path, name) as stream:
        head = stream.read(_CHUNK_BYTES)
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise DataError(f"{name}: found {what}; save it as UTF-8 CSV")
    if asked is not None:
        return _as_asked(path, name, codec_of(asked))
    for mark, marked in _MARKS.items():
        if head.startswith(mark):
            return _as_asked(path, name, marked)
    if len(head) - len(head.translate(None, _CONTROL)) > len(head) // 20:
        _refuse_binary(head, name)
    decoder, escapes, offset, last = codecs.getincrementaldecoder("utf-8")(), False, 0, b""
    for chunk in _chunks(path, name):
        escapes = escapes or b'\\"' in chunk or (last == b"\\" and chunk[:1] == b'"')
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            return _not_utf8(path, name, f"byte 0x{byte:02x} near offset {offset + error.start}")
        offset, last = offset + len(chunk), chunk[-1:]
    return Encoding(name="utf-8-sig", escapes=escapes)


def codec_of(name: str) -> str:
    """Return Python's name of an encoding.

    Raises
    ------
    ConfigError
        There is none of that name.

    Examples
    --------
    >>> codec_of("Latin-1"), codec_of("UTF8")
    ('iso8859-1', 'utf-8-sig')
    """
    try:
        found = codecs.lookup(name)
        is_text = getattr(found, "_is_text_encoding", True)  # base64 is a codec, too
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise ConfigError(
            f"encoding: found {name!r}, which is no encoding of text; give one such as utf-8, "
            "cp1252, gb18030, shift_jis"
        )
    return "utf-8-sig" if found.name == "utf-8" else found.name


def _chunks(path: Path, name: str) -> Iterator[bytes]:
    """Yield a file's bytes, and at its end an empty chunk."""
    with open_bytes(path, name) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
    yield b""


def _texts(path: Path, name: str, codec: str, *, errors: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)(errors)
    for chunk in _chunks(path, name):
        yield decoder.decode(chunk, final=not chunk)


def _refuse_binary(head: bytes, name: str) -> None:
    for start, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = head[start::2]
        if half.count(0) > 0.7 * len(half) and head[1 - start :: 2].count(0) < 0.1 * len(half):
            raise DataError(f"{name}: found UTF-16 text without its mark; give --encoding {codec}")
    raise DataError(f"{name}: found binary data; save it as UTF-8 CSV, TSV or JSON lines")


def _as_asked(path: Path, name: str, codec: str) -> Encoding:
    faulty = False
    try:
        for text in _texts(path, name, codec, errors="surrogateescape"):
            faulty = faulty or _BAD.search(text) is not None
    except UnicodeError as error:
        raise DataError(
            f"{name}: it is not {codec} ({' '.join(str(error).split())}); give another --encoding, "
            "or save it as UTF-8"
        ) from None
    # Looking for escapes costs less than finding out here whether there are some.
    return Encoding(name=codec, faulty=faulty, escapes=True)


def _not_utf8(path: Path, name: str, fault: str) -> Encoding:
    """Return the encoding of a file whose first fault as UTF-8 is known."""
    bad = whole = bad_lines = lines = 0
    for text in _texts(path, name, "utf-8", errors="surrogateescape"):
        bad += len(_BAD.findall(text))
        whole += len(_WHOLE.findall(text))
        lines += text.count("\n")
        bad_lines += sum(1 for _ in re.finditer("[\udc80-\udcff][^\n]*", text))
        if bad > _ENOUGH:
            break
    many = "more than " * (bad > _ENOUGH)
    where = f"such bytes stand in {many}{bad_lines} of its lines"
    spoiled = Encoding(
        name="utf-8-sig", faulty=True, escapes=True,
        notes=(f"{name}: {fault} is not UTF-8; {where}",),
    )  # fmt: skip
    if whole >= bad:
        return spoiled
    if _is_western(path, name):
        note = f"{name}: {fault} is not UTF-8, so the file was read as cp1252; save it as UTF-8"
        return Encoding(
            name="cp1252",
            escapes=True,
            notes=(f"{note}, or give --encoding if letters look wrong",),
        )
    if bad_lines <= max(1, _FEW_LINES_SHARE * lines):
        return spoiled
    raise DataError(
        f"{name}: {fault} is not UTF-8, and as cp1252 it is no Latin text; "
        f"{_guess(path, name)}; give --encoding NAME, or save it as UTF-8"
    )


def _is_western(path: Path, name: str) -> bool:
    """Return whether a file reads as Latin text in cp1252."""
    high = unlikely = 0
    try:
        for text in _texts(path, name, "cp1252", errors="strict"):
            high += len(_WHOLE.findall(text))
            unlikely += sum(len(found[0]) for found in _UNLIKELY.finditer(text))
            if unlikely > _ENOUGH:
                break
    except UnicodeDecodeError:
        return False
    return unlikely <= _UNLIKELY_SHARE * high


def _guess(path: Path, name: str) -> str:
    """Return what a detector says of a file's encoding, in words."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return "pip install 'tidegate[encodings]' lets its encoding be guessed"
    sample, size = [], 0
    with open_bytes(path, name) as stream:
        while size < _SAMPLE_BYTES and (line := stream.readline(_SAMPLE_BYTES)):
            if not line.isascii():
                sample.append(line)
                size += len(line)
    found = [match.encoding for match in from_bytes(b"".join(sample))][:3]
    return f"it may be {' or '.join(found)}" if found else "its encoding could not be guessed"
