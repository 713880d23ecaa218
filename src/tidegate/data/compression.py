"""The bytes of a file, decompressed if they are compressed: gzip, bzip2, xz, zip or zstd.

Takes a path, gives a stream of bytes. The kind is told by the file's first bytes, not by its name.
Whatever is broken in it, or expands beyond all measure, is a `DataError` when it is read. Knows
nothing of what the bytes say.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal, cast

from tidegate.errors import DataError, MissingExtraError

Compression = Literal["", "gzip", "bzip2", "xz", "zip", "zstd"]

SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip", ".zst": "zstd"}
_MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # one without members
    b"\x28\xb5\x2f\xfd": "zstd",
}
# Text seldom shrinks to less than a fiftieth. What expands more than this, and is not small, was
# made to fill the memory or the disk of whoever opens it.
MAX_EXPANSION = 200
SMALL_BYTES = 64 << 20
_WINDOW_BYTES = 128 << 20  # what decompressing xz and zstd may keep in memory
_FAULTS = (
    EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, ValueError,
    RuntimeError, NotImplementedError, OverflowError, MemoryError,
)  # fmt: skip


def compression_of(path: Path) -> Compression:
    """Return how a file is compressed, by its first bytes; empty if it is not."""
    with path.open("rb") as stream:
        head = stream.read(8)
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def max_expanded_bytes(size: int) -> int:
    """Return how many bytes a compressed file of `size` bytes may become.

    Examples
    --------
    >>> max_expanded_bytes(1_000) == 64 << 20, max_expanded_bytes(1_000_000)
    (True, 200000000)
    """
    return max(SMALL_BYTES, MAX_EXPANSION * size)


def open_bytes(path: Path, name: str) -> IO[bytes]:
    """Return a file's bytes as a stream, decompressed.

    Parameters
    ----------
    name : what to call the file in messages

    Raises
    ------
    DataError
        Now or while it is read: the file cannot be read, its compressed data are broken, or they
        expand to more than 200 times their size and more than 64 MiB.
    MissingExtraError
        A zstd file without the zstandard package.
    """
    return cast("IO[bytes]", io.BufferedReader(_Bytes(path, name), 1 << 16))


class _Bytes(io.RawIOBase):
    """A file's decompressed bytes, every fault of which is a `DataError`."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__()
        self._name, self._done = name, 0
        self._kind: Compression = ""
        try:
            self._kind = compression_of(path)
            self._limit = max_expanded_bytes(path.stat().st_size)
            self._archive = zipfile.ZipFile(path) if self._kind == "zip" else None
            self._stream = self._opened(path)
        except _FAULTS as error:
            raise self._fault(error) from None

    def _opened(self, path: Path) -> Any:
        if self._archive is not None:
            return self._archive.open(only_member(self._archive, self._name))
        if self._kind == "gzip":
            return gzip.open(path)
        if self._kind == "bzip2":
            return bz2.open(path)
        if self._kind == "xz":
            return _xz(path)
        return _zstd(path, self._name) if self._kind == "zstd" else path.open("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._stream.read(len(view))
        except _FAULTS as error:
            raise self._fault(error) from error
        self._done += len(data)
        if self._kind and self._done > self._limit:
            raise DataError(
                f"{self._name}: its {self._kind} data expand to more than {MAX_EXPANSION} times "
                f"their size ({self._limit:,} bytes were read); if the file is not hostile, "
                "decompress it first"
            )
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            for part in (getattr(self, "_stream", None), getattr(self, "_archive", None)):
                if part is not None:
                    part.close()
        super().close()

    def _fault(self, error: BaseException) -> Exception:
        if isinstance(error, (DataError, MissingExtraError)):
            return error
        if not self._kind or (isinstance(error, OSError) and error.errno):
            return DataError(f"{self._name}: cannot be read ({said(error)}); check the file")
        cure = "compress it anew" + ", or save it as CSV" * (self._kind == "zip")
        if "encrypted" in str(error) or "password" in str(error):
            cure = "write it without a password"
        return DataError(f"{self._name}: the {self._kind} data is broken ({said(error)}); {cure}")


def said(error: BaseException) -> str:
    """Return what an error says, on one line; of an OSError the system's words alone."""
    words = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(str(words).split())[:200] or type(error).__name__


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files in a zip archive, without folders and what macOS adds."""
    return [
        member
        for member in archive.infolist()
        # `is_dir` fails on a name that is empty.
        if not member.filename.endswith("/") and not member.filename.startswith("__MACOSX/")
    ]


def only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the one file in a zip archive.

    Raises
    ------
    DataError
        It holds none, several, or the parts of an office document.
    """
    found = members(archive)
    if any(member.filename == "[Content_Types].xml" for member in found):
        raise DataError(
            f"{name}: found an Excel workbook or another office document; name it .xlsx, or save "
            "it as UTF-8 CSV"
        )
    if len(found) != 1:
        raise DataError(f"{name}: a zip archive of {len(found)} files; put one into it")
    return found[0]


class _Frames(io.RawIOBase):
    """The bytes of a file made of frames, in memory that no frame decides.

    The standard library's own reader of xz has no bound on its memory, and no version before 3.14
    has one of zstd.
    """

    def __init__(
        self, path: Path, new_decoder: Callable[[], Any], *, fault: type[Exception]
    ) -> None:
        super().__init__()
        self._raw = path.open("rb")
        self._new_decoder, self._own_fault = new_decoder, fault
        self._decoder: Any = None

    def read(self, size: int = -1, /) -> bytes:
        while True:
            data = b""
            if self._decoder is None or self._decoder.eof:
                left = b"" if self._decoder is None else self._decoder.unused_data
                data = (left or self._raw.read(1 << 16)).lstrip(b"\0")  # frames may be padded
                if not data:
                    return b""
                self._decoder = self._new_decoder()
            elif self._decoder.needs_input:
                data = self._raw.read(1 << 16)
                if not data:
                    raise EOFError("it ends before its end mark")
            try:
                found: bytes = self._decoder.decompress(data, size)
            except self._own_fault as error:
                raise ValueError(said(error)) from None
            if found:
                return found

    def close(self) -> None:
        self._raw.close()
        super().close()


def _xz(path: Path) -> _Frames:
    def decoder() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=_WINDOW_BYTES)

    return _Frames(path, decoder, fault=lzma.LZMAError)


def _zstd(path: Path, name: str) -> _Frames:
    zstd = _zstd_module(name)
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_BYTES.bit_length() - 1}

    def decoder() -> Any:
        return zstd.ZstdDecompressor(options=options)

    return _Frames(path, decoder, fault=zstd.ZstdError)


def _zstd_module(name: str) -> Any:
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    raise MissingExtraError(needed_for=f"reading {name}", missing="backports.zstd", extra="zstd")
