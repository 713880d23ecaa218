"""The artefact: everything a model needs to answer, in one verified directory.

Takes a trained model's parts and writes them; reads them back and checks every byte. Knows nothing
of torch, and never unpickles. A bundle is written beside its place and renamed, so a killed run
leaves the old one whole or nothing at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from tidegate.config import Config, Kind
from tidegate.engine.lstm import GATE_ORDER
from tidegate.engine.network import weight_shapes
from tidegate.engine.ngrams import check_arrays
from tidegate.engine.vectors import WordVectors
from tidegate.errors import BundleError, ConfigError
from tidegate.version import VERSION

FORMAT_VERSION = 1
_DTYPES = {
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "<i1", "I32": "<i4", "U32": "<u4"
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLayout:
    """The files of a bundle; the saver, the loader and the verifier read it."""

    manifest: str = "manifest.json"
    vocabulary: str = "vocabulary.json"
    weights: str = "weights.safetensors"
    pieces: str = "pieces.json"
    optional: tuple[str, ...] = ("README.md", "report.json", "report.html", "model.onnx")


LAYOUT = BundleLayout()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained model as data.

    Attributes
    ----------
    config : every choice it was made from
    kind, labels : binary, multiclass or multilabel, and the labels' names
    tokens : the vocabulary in id order
    sequence_length : tokens read of a message; with `padded_last`, also what shorter ones are
        padded to
    weights : arrays under PyTorch's names; gate blocks in the order i, f, g, o
    pieces : what cuts words into the pieces of `vectors.weight`; empty without pretrained vectors
    thresholds : probability from which a label is given: one value, or one a label (multi-label)
    temperature : what logits are divided by
    metrics : scores on held-back rows, as a report's dict
    training_data : source, rows and SHA-256 fingerprint of the rows it learned from
    extra_files : further files by name: the model card, the report
    """

    config: Config
    kind: Kind
    labels: tuple[str, ...]
    tokens: tuple[str, ...]
    sequence_length: int
    weights: Mapping[str, npt.NDArray[Any]]
    pieces: str = ""
    thresholds: tuple[float, ...] = (0.5,)
    temperature: float = 1.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training_data: Mapping[str, Any] = field(default_factory=dict)
    extra_files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def word_vectors(self) -> WordVectors | None:
        """The pretrained vectors, if the model has them."""
        if not self.pieces:
            return None
        return WordVectors(
            table=self.weights["vectors.weight"],
            pieces=self.pieces,
            words=self.tokens,
            word_table=self.weights["words.weight"],
        )

    @property
    def n_parameters(self) -> int:
        """How many numbers it answers with, pretrained word vectors included."""
        return sum(int(array.size) for array in self.weights.values())

    @property
    def size_bytes(self) -> int:
        """What it weighs on disk, its report left out."""
        reports = sum(map(len, self.extra_files.values()))
        return sum(map(len, self._files().values())) - reports

    def save(self, path: str | Path) -> Path:
        """Write the bundle to a directory, replacing a bundle that is there.

        Raises
        ------
        BundleError
            Something else than a bundle is in the way.
        """
        target = Path(path)
        check_target(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            beside.chmod(0o755)
            for name, data in self._files().items():
                with (beside / name).open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
            _replace(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return target

    def _files(self) -> dict[str, bytes]:
        weights = {name: np.ascontiguousarray(a) for name, a in sorted(self.weights.items())}
        files = {
            LAYOUT.vocabulary: _canonical(list(self.tokens)),
            LAYOUT.weights: safetensors.numpy.save(weights),
            **({LAYOUT.pieces: self.pieces.encode()} if self.pieces else {}),
            **self.extra_files,
        }
        manifest = self.manifest()
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            for name, data in sorted(files.items())
        }
        return {**files, LAYOUT.manifest: _sealed(manifest)}

    def manifest(self) -> dict[str, Any]:
        """Return what the manifest says, the files' hashes left out."""
        return {
            "format_version": FORMAT_VERSION,
            "tidegate_version": VERSION,
            "kind": self.kind,
            "labels": list(self.labels),
            "config": self.config.to_dict(),
            "sequence_length": self.sequence_length,
            "thresholds": list(self.thresholds),
            "temperature": self.temperature,
            "gate_order": list(GATE_ORDER),
            "metrics": dict(self.metrics),
            "training_data": dict(self.training_data),
        }

    def fingerprint(self) -> str:
        """Return the SHA-256 of the manifest, which names the hash of every file."""
        return hashlib.sha256(self._files()[LAYOUT.manifest]).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read a bundle and verify all of it before anything is used.

        Raises
        ------
        BundleError
            It is missing, incomplete, changed, or of an unknown format; the message says which.
        """
        folder = Path(path)
        manifest, files = _verified(folder)
        try:
            weights = _arrays(files[LAYOUT.weights])
            found = cls(
                config=Config.from_dict(manifest["config"], complete=False),
                kind=manifest["kind"],
                labels=tuple(manifest["labels"]),
                tokens=tuple(json.loads(files[LAYOUT.vocabulary])),
                sequence_length=manifest["sequence_length"],
                weights=weights,
                pieces=files.get(LAYOUT.pieces, b"").decode(),
                thresholds=tuple(manifest["thresholds"]),
                temperature=manifest["temperature"],
                metrics=manifest["metrics"],
                training_data=manifest["training_data"],
                extra_files={n: files[n] for n in LAYOUT.optional if n in files},
            )
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise BundleError(f"{folder}: its parts do not fit together ({error})") from None
        found._check_shapes(folder)
        return found

    def _check_shapes(self, folder: Path) -> None:
        outputs = 1 if self.kind == "binary" else len(self.labels)
        network = self.config.network
        shapes = weight_shapes(network, n_words=len(self.tokens), n_outputs=outputs)
        if network.vectors != "none":
            shapes["words.weight"] = (len(self.tokens), network.vector_size)
            if "vectors.weight" not in self.weights or not self.pieces:
                raise BundleError(f"{folder}: its word vectors are missing; train anew")
        if network.ngrams != "none":
            fault = check_arrays(
                self.weights, n_words=len(self.tokens), n_outputs=outputs,
                n_pieces=len(self.weights["vectors.weight"]) if self.pieces else 0,
            )  # fmt: skip
            if fault:
                raise BundleError(f"{folder}: {fault}; train anew")
        for name, shape in shapes.items():
            found = self.weights[name].shape if name in self.weights else "nothing"
            if found != shape:
                raise BundleError(f"{folder}: array {name}: found {found}, {shape} is needed")

    @staticmethod
    def verify(path: str | Path) -> None:
        """Check every byte of a bundle without building anything from it.

        Raises
        ------
        BundleError
            As `load`.
        """
        _verified(Path(path))


def check_target(path: str | Path) -> None:
    """Raise a `BundleError` if something that is no bundle is in the way of one."""
    target = Path(path)
    if not target.exists() or is_bundle(target):
        return
    if not target.is_dir() or any(target.iterdir()):
        raise BundleError(f"{target}: found something that is no bundle; name another path")


def is_bundle(path: str | Path) -> bool:
    """Return whether a directory looks like a bundle."""
    return (Path(path) / LAYOUT.manifest).is_file()


def _verified(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and the bytes of every file it names, all checked."""
    if not folder.is_dir():
        raise BundleError(f"{folder}: no bundle there; name a directory that tidegate train wrote")
    manifest = _read_manifest(folder)
    known = {LAYOUT.vocabulary, LAYOUT.weights, LAYOUT.pieces, *LAYOUT.optional}
    files: dict[str, bytes] = {}
    for name, entry in manifest["files"].items():
        if name not in known:
            raise BundleError(f"{folder}: the manifest names {name!r}, which is no bundle file")
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise BundleError(f"{folder}: {name} cannot be read ({error.strerror})") from None
        if len(data) != entry["size_bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise BundleError(f"{folder}: {name} was changed after it was written; train anew")
        files[name] = data
    for name in (LAYOUT.vocabulary, LAYOUT.weights):
        if name not in files:
            raise BundleError(f"{folder}: the manifest does not name {name}; train anew")
    return manifest, files


def _arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in a safetensors file's bytes, as read-only views of them.

    The library's own reader would copy them: a tenth of a small process' memory. The format is a
    length (8 bytes, little-endian), a JSON header of dtypes, shapes and offsets, and the values.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header.pop("__metadata__", None)
    found: dict[str, npt.NDArray[Any]] = {}
    for name, entry in header.items():
        kind = np.dtype(_DTYPES[entry["dtype"]])
        first, last = entry["data_offsets"]
        count = (last - first) // kind.itemsize
        values = np.frombuffer(data, kind, count=count, offset=end + first)
        found[name] = values.reshape(entry["shape"])
    return found


def _read_manifest(folder: Path) -> dict[str, Any]:
    place = folder / LAYOUT.manifest
    try:
        raw = place.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder}: {LAYOUT.manifest} cannot be read ({error.strerror})"
        ) from None
    try:
        manifest = json.loads(raw)
        version = manifest["format_version"]
    except (ValueError, KeyError, TypeError):
        raise BundleError(f"{place}: not a bundle's manifest; train anew") from None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{place}: format_version {version!r}; this tidegate reads {FORMAT_VERSION}: "
            "use the version that wrote it"
        )
    seal = manifest.pop("manifest_sha256", None)
    if raw != _sealed(manifest) or not isinstance(manifest.get("files"), dict) or seal is None:
        raise BundleError(f"{place}: was changed after it was written; train anew")
    return cast("dict[str, Any]", manifest)


def _sealed(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest's bytes, with a hash of all the rest of it inside."""
    seal = hashlib.sha256(_canonical(manifest)).hexdigest()
    return _canonical({**manifest, "manifest_sha256": seal})


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _replace(beside: Path, target: Path) -> None:
    """Put `beside` in the place of `target`; what was there is removed only afterwards."""
    if not target.exists():
        beside.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    target.rename(old / "old")
    beside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
