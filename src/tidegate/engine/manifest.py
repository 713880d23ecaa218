"""The manifest of a bundle: what it may say, checked in this one place.

Takes the bytes of manifest.json; gives a `Manifest`, or a `BundleError` that names the field. Also
writes them. Knows nothing of weights or of how a bundle lies on disk.

An attacker can recompute every hash, so a manifest whose hashes are right is still a stranger's.
Whether its parts fit the weights is `bundle`'s to say.

A key that this version does not know is refused, in the manifest as in its config: it may change
the answer, and only the version that wrote it knows how.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, get_args

from tidegate.config import Config, Kind
from tidegate.engine.files import parse_json
from tidegate.engine.lstm import GATE_ORDER
from tidegate.errors import BundleError, ConfigError, short

FORMAT_VERSION = 1
MAX_LENGTH = 1_000_000  # tokens read of a message
MAX_PADDED_LENGTH = 65_536  # tokens every message is padded to
TEMPERATURES = (1e-3, 1e3)
MAX_THRESHOLD = 1.0 + 1e-9  # just above 1 means: never
MAX_DEPTH = 32  # of metrics and training_data

# Fields that decide the answer and are in every bundle of this format. One added since may be
# missing and then means what was done before it existed.
_FIRST_FIELDS = {
    "text": (
        "tokenizer", "lemmas", "max_tokens", "num_words", "min_count", "vocabulary_rows", "unknown"
    ),
    "network": (
        "vectors", "vector_size", "embedding_size", "cell", "hidden_size", "num_layers",
        "bidirectional", "pooling", "head_size", "initial_state", "embedding_scale",
        "recurrent_init", "forget_bias", "word_dropout", "channel_dropout", "dropout",
    ),
}  # fmt: skip

_SEAL = re.compile(rb',\n "manifest_sha256": "([0-9a-f]{64})"\n}\n\Z')
_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """What the manifest says of a file."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that has been checked; the fields are those of `Bundle`."""

    kind: Kind
    labels: tuple[str, ...]
    config: Config
    sequence_length: int
    thresholds: tuple[float, ...]
    temperature: float
    metrics: Mapping[str, Any]
    training_data: Mapping[str, Any]
    files: Mapping[str, FileEntry]


def read_manifest(raw: bytes, *, place: str, known_files: Sequence[str]) -> Manifest:
    """Check a manifest's bytes.

    Parameters
    ----------
    place : its path, for messages
    known_files : the files a bundle may have beside its manifest

    Raises
    ------
    BundleError
        It was changed, is of another format, or says something that no bundle says.
    """
    try:
        values = parse_json(raw)
        version = values["format_version"]
    except (ValueError, KeyError, TypeError):
        raise BundleError(f"{place}: not a bundle's manifest; train anew") from None
    if type(version) is not int or version != FORMAT_VERSION:
        raise BundleError(
            f"{place}: format_version {short(version)}; this tidegate reads {FORMAT_VERSION}: "
            "use the version that wrote it"
        )
    seal = _SEAL.search(raw)
    if seal is None or _sha256(raw[: seal.start()] + b"\n}\n") != seal[1].decode():
        raise BundleError(f"{place}: was changed after it was written; train anew")
    return _Reading(place, values).manifest(known_files)


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """Return a manifest's bytes, with a hash of all the rest of it inside."""
    return canonical({**manifest, "manifest_sha256": _sha256(canonical(manifest))})


def canonical(value: Any) -> bytes:
    """Return the JSON text of a value; the same value gives the same bytes."""
    text = json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    """Whether a value is text that can be written: half of a surrogate pair cannot."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_whole(low: int, high: int) -> _Check:
    return lambda value: type(value) is int and low <= value <= high


def _is_number(low: float, high: float) -> _Check:
    return lambda value: type(value) in (int, float) and low <= value <= high  # not NaN


def _is_list(check: _Check, *, at_least: int) -> _Check:
    return lambda v: isinstance(v, list) and len(v) >= at_least and all(map(check, v))


def _is_kind(value: Any) -> bool:
    return isinstance(value, str) and value in get_args(Kind)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a value holds finite numbers and is not nested deep."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(_is_plain(v, depth + 1) for v in value.values())
    if isinstance(value, list):
        return all(_is_plain(v, depth + 1) for v in value)
    return not isinstance(value, float) or math.isfinite(value)


def _is_scores(value: Any) -> bool:
    """Whether a value is scores by name, each with its interval; null where undefined."""
    return isinstance(value, dict) and all(
        isinstance(score, dict)
        and all(
            score.get(part) is None or _is_number(-math.inf, math.inf)(score[part])
            for part in ("value", "low", "high")
        )
        for score in value.values()
    )


def _is_metrics(value: Any) -> bool:
    return isinstance(value, dict) and _is_plain(value) and _is_scores(value.get("scores", {}))


def _is_file(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"sha256", "size_bytes"}
        and isinstance(value["sha256"], str)
        and _HASH.match(value["sha256"]) is not None
        and _is_whole(0, 2**53)(value["size_bytes"])
    )


# What each field must be: in words, and as a test.
_FIELDS: Mapping[str, tuple[str, _Check]] = {
    "format_version": (f"{FORMAT_VERSION}", _is_whole(FORMAT_VERSION, FORMAT_VERSION)),
    "tidegate_version": ("text", _is_text),
    "kind": (f"one of {', '.join(get_args(Kind))}", _is_kind),
    "labels": ("a list of texts", _is_list(_is_text, at_least=1)),
    "config": ("an object", _is_object),
    "sequence_length": (f"a whole number from 0 to {MAX_LENGTH:,}", _is_whole(0, MAX_LENGTH)),
    "thresholds": (
        "a list of numbers from 0 to 1", _is_list(_is_number(0.0, MAX_THRESHOLD), at_least=1)
    ),
    "temperature": ("a number from 0.001 to 1000", _is_number(*TEMPERATURES)),
    "gate_order": (f"{list(GATE_ORDER)}", lambda value: value == list(GATE_ORDER)),
    "metrics": (f"an object of numbers, at most {MAX_DEPTH} levels deep", _is_metrics),
    "training_data": (
        f"an object, at most {MAX_DEPTH} levels deep",
        lambda value: isinstance(value, dict) and _is_plain(value),
    ),
    "files": ("an object", _is_object),
    "manifest_sha256": ("a hash", _is_text),
}  # fmt: skip


class _Reading:
    """One manifest on its way to be checked."""

    def __init__(self, place: str, values: Mapping[str, Any]) -> None:
        self.place, self.values = place, values

    def manifest(self, known_files: Sequence[str]) -> Manifest:
        self._fields()
        found = self.values
        kind, labels = found["kind"], found["labels"]
        config = self._config()
        self._labels(kind, labels)
        self._thresholds(kind, len(labels))
        self._length(config)
        return Manifest(
            kind=kind, labels=tuple(labels), config=config,
            sequence_length=found["sequence_length"],
            thresholds=tuple(found["thresholds"]), temperature=found["temperature"],
            metrics=found["metrics"], training_data=found["training_data"],
            files=self._files(known_files),
        )  # fmt: skip

    def _fields(self) -> None:
        """Hold the fields against the table: all of them, no others, each as it must be."""
        missing = [name for name in _FIELDS if name not in self.values]
        if missing:
            raise BundleError(f"{self.place}: {', '.join(missing)} missing; train anew")
        extra = [name for name in self.values if name not in _FIELDS]
        if extra:
            wrote = short(self.values["tidegate_version"])
            raise BundleError(
                f"{self.place}: {short(extra[0])} is unknown to this tidegate; it was written by "
                f"{wrote}: use that version"
            )
        for name, (needed, check) in _FIELDS.items():
            self._need(name, needed, check)

    def _need(self, name: str, needed: str, check: _Check) -> None:
        if not check(self.values[name]):
            self._refuse(name, self.values[name], needed)

    def _refuse(self, name: str, value: Any, needed: str) -> NoReturn:
        raise BundleError(f"{self.place}: {name}: found {short(value)}; {needed} is needed")

    def _length(self, config: Config) -> None:
        if config.network.pooling == "padded_last":
            needed = f"with padding, a whole number from 1 to {MAX_PADDED_LENGTH:,}"
            self._need("sequence_length", needed, _is_whole(1, MAX_PADDED_LENGTH))
        else:
            most = config.text.max_tokens
            self._need("sequence_length", f"max_tokens, {most},", _is_whole(most, most))

    def _config(self) -> Config:
        for section, names in _FIRST_FIELDS.items():
            values = self.values["config"].get(section)
            missing = [n for n in names if isinstance(values, dict) and n not in values]
            if missing:
                raise BundleError(f"{self.place}: config: {missing[0]} is missing; train anew")
        try:
            return Config.from_dict(self.values["config"], complete=False)
        except ConfigError as error:
            raise BundleError(f"{self.place}: {_line(error)}") from None

    def _labels(self, kind: Kind, labels: Sequence[str]) -> None:
        if len(set(labels)) < len(labels):
            self._refuse("labels", labels, "each label once")
        if kind == "binary" and len(labels) != 2:
            self._refuse("labels", labels, "two labels of a binary model")
        if kind == "multiclass" and len(labels) < 2:
            self._refuse("labels", labels, "two labels or more")

    def _thresholds(self, kind: Kind, n_labels: int) -> None:
        thresholds = self.values["thresholds"]
        if len(thresholds) != 1 and not (kind == "multilabel" and len(thresholds) == n_labels):
            each = f", or {n_labels}, one a label," if kind == "multilabel" else ""
            self._refuse("thresholds", thresholds, f"one number{each}")

    def _files(self, known: Sequence[str]) -> dict[str, FileEntry]:
        found: dict[str, FileEntry] = {}
        for name, entry in self.values["files"].items():
            if name not in known:
                raise BundleError(
                    f"{self.place}: the manifest names {short(name)}, which is no bundle file"
                )
            if not _is_file(entry):
                self._refuse(f"files: {name}", entry, "sha256 and size_bytes")
            found[name] = FileEntry(**entry)
        return found


def _line(error: Exception) -> str:
    """Return an error of the config on one line of bounded length, whatever it quotes."""
    text = str(error)
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 300 else shown[:300] + "…"
