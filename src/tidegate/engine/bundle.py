"""The artefact: everything a model needs to answer, in one verified directory.

Takes a trained model's parts and writes them; reads them back and checks every byte. Knows nothing
of torch, and never unpickles. A bundle is written beside its place and renamed, so a killed run
leaves the old one whole or nothing at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from tidegate.config import Config, Kind
from tidegate.engine.files import (
    check_entries,
    limits,
    parse_json,
    read_file,
    too_large,
)
from tidegate.engine.lstm import GATE_ORDER
from tidegate.engine.manifest import FORMAT_VERSION, Manifest, canonical, read_manifest, sealed
from tidegate.engine.network import table_width, weight_shapes
from tidegate.engine.ngrams import array_names, check_arrays
from tidegate.engine.tensors import read_tensors
from tidegate.engine.vectors import WordVectors, n_pieces
from tidegate.errors import BundleError, short
from tidegate.text.vocabulary import PAD, UNK
from tidegate.version import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLayout:
    """The files of a bundle; the saver, the loader and the verifier read it."""

    manifest: str = "manifest.json"
    vocabulary: str = "vocabulary.json"
    weights: str = "weights.safetensors"
    pieces: str = "pieces.json"
    mistakes: str = "mistakes.html"  # the report's hardest mistakes, to be walked
    learned: str = "learned.bin"  # hashes of the rows it learned from, see `splits.row_hashes`
    optional: tuple[str, ...] = (
        "README.md", "report.json", "report.html", "mistakes.html", "model.onnx",
        "learned.bin",
    )  # fmt: skip
    unlisted: tuple[str, ...] = ("model.onnx",)  # may be put there afterwards; never read then

    @property
    def listed(self) -> tuple[str, ...]:
        """The files that a manifest may name."""
        return (self.vocabulary, self.weights, self.pieces, *self.optional)


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

    def save(self, path: str | Path, *, folder: Path | None = None) -> Path:
        """Write the bundle to a directory, replacing a bundle that is there.

        Parameters
        ----------
        folder : a directory of the same file system where it is written before it takes its place;
            by default the one that `path` is in

        Raises
        ------
        BundleError
            Something else than a bundle is in the way, the bundle could not be loaded again, or it
            cannot be written there.
        """
        target = Path(path)
        check_target(target)
        files = self._files()
        place = str(target / LAYOUT.manifest)
        read_manifest(files[LAYOUT.manifest], place=place, known_files=LAYOUT.listed)
        try:
            _write(target, files, folder=folder or target.parent)
        except OSError as error:
            where = error.filename or target
            raise BundleError(f"{where}: {error.strerror}; nothing was written") from error
        return target

    def _files(self) -> dict[str, bytes]:
        weights = {name: np.ascontiguousarray(a) for name, a in sorted(self.weights.items())}
        files = {
            LAYOUT.vocabulary: canonical(list(self.tokens)),
            LAYOUT.weights: safetensors.numpy.save(weights),
            **({LAYOUT.pieces: self.pieces.encode()} if self.pieces else {}),
            **self.extra_files,
        }
        manifest = self.manifest()
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            for name, data in sorted(files.items())
        }
        return {**files, LAYOUT.manifest: sealed(manifest)}

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

        At most 192 MB are read, or as the environment's TIDEGATE_MAX_BUNDLE_MB says.

        Raises
        ------
        BundleError
            It is missing, incomplete, changed, too large, of an unknown format, or not as Tidegate
            writes one; the message says which.
        """
        folder = Path(path)
        manifest, files = _verified(folder)
        found = cls(
            config=manifest.config,
            kind=manifest.kind,
            labels=manifest.labels,
            tokens=_tokens(folder, files[LAYOUT.vocabulary], manifest.config.text.unknown),
            sequence_length=manifest.sequence_length,
            weights=_weights(folder, files[LAYOUT.weights]),
            pieces=_pieces(folder, files.get(LAYOUT.pieces, b"")),
            thresholds=manifest.thresholds,
            temperature=manifest.temperature,
            metrics=manifest.metrics,
            training_data=manifest.training_data,
            extra_files={n: files[n] for n in LAYOUT.optional if n in files},
        )
        found._check_arrays(folder)
        return found

    def _check_arrays(self, folder: Path) -> None:
        """Raise unless the arrays are those that the config, the labels and the words ask for."""
        outputs = 1 if self.kind == "binary" else len(self.labels)
        network = self.config.network
        shapes = weight_shapes(network, n_words=len(self.tokens), n_outputs=outputs)
        if network.vectors != "none":
            shapes["words.weight"] = (len(self.tokens), network.vector_size)
            if "vectors.weight" not in self.weights or not self.pieces:
                raise BundleError(f"{folder}: its word vectors are missing; train anew")
            shapes["vectors.weight"] = (n_pieces(self.pieces), network.vector_size)
        elif self.pieces:
            raise BundleError(f"{folder}: {LAYOUT.pieces} has no vectors; train anew")
        for name, shape in shapes.items():
            array = self.weights.get(name)
            found = "nothing" if array is None else array.shape
            if found != shape:
                raise BundleError(f"{folder}: array {name}: found {found}, {shape} is needed")
            if array is None or array.dtype.kind != "f":
                raise BundleError(f"{folder}: array {name}: found no fractions; train anew")
        known = set(shapes)
        if network.ngrams != "none":
            known |= set(array_names(self.weights))
            fault = check_arrays(
                self.weights, n_words=len(self.tokens), n_outputs=outputs,
                n_pieces=n_pieces(self.pieces) if self.pieces else 0,
            )  # fmt: skip
            if fault:
                raise BundleError(f"{folder}: {fault}; train anew")
        extra = next((name for name in self.weights if name not in known), None)
        if extra is not None:
            raise BundleError(f"{folder}: array {short(extra)} is none of this network's")
        tables = 4 * len(self.tokens) * table_width(network)
        if tables > limits().tables:
            what = f"{LAYOUT.vocabulary}, in memory,"
            raise BundleError(too_large(folder, what, tables, limit=limits().tables))

    @staticmethod
    def verify(path: str | Path) -> None:
        """Check every byte of a bundle without building anything from it.

        Raises
        ------
        BundleError
            As `load`, but for what only shows when its parts are put together.
        """
        _verified(Path(path))


def check_target(path: str | Path) -> None:
    """Raise a `BundleError` if a bundle cannot be written there, as far as can be told before."""
    target = Path(path)
    try:
        free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        if not free and not is_bundle(target):
            raise BundleError(f"{target}: found something that is no bundle; name another path")
        above = next(folder for folder in target.absolute().parents if folder.exists())
        if not above.is_dir():
            raise BundleError(f"{target}: {above} is a file, not a folder; name another path")
        if not os.access(above, os.W_OK):
            raise BundleError(f"{target}: {above} cannot be written to; name another path")
    except OSError as error:
        raise BundleError(f"{target}: {error.strerror}; name another path") from None


def is_bundle(path: str | Path) -> bool:
    """Return whether a directory looks like a bundle."""
    return (Path(path) / LAYOUT.manifest).is_file()


def _verified(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the bytes of every file it names, all checked."""
    try:
        there = folder.is_dir()
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read ({error.strerror})") from None
    if not there:
        raise BundleError(f"{folder}: no bundle there; name a directory that tidegate train wrote")
    most = limits()
    raw = read_file(folder, LAYOUT.manifest, limit=most.manifest)
    place = str(folder / LAYOUT.manifest)
    manifest = read_manifest(raw, place=place, known_files=LAYOUT.listed)
    for name in (LAYOUT.vocabulary, LAYOUT.weights):
        if name not in manifest.files:
            raise BundleError(f"{folder}: the manifest does not name {name}; train anew")
    check_entries(folder, [LAYOUT.manifest, *manifest.files], unlisted=LAYOUT.unlisted)
    left = most.total
    files: dict[str, bytes] = {}
    for name, entry in manifest.files.items():
        limit = min(left, most.json) if name in (LAYOUT.vocabulary, LAYOUT.pieces) else left
        data = read_file(folder, name, limit=limit)
        if len(data) != entry.size_bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise BundleError(f"{folder}: {name} was changed after it was written; train anew")
        files[name] = data
        left -= len(data)
    return manifest, files


def _weights(folder: Path, data: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        return read_tensors(data)
    except ValueError as error:
        raise BundleError(f"{folder}: {LAYOUT.weights}: {error}; train anew") from None


def _tokens(folder: Path, data: bytes, unknown: str) -> tuple[str, ...]:
    """Return the vocabulary: texts, each once, padding and the unknown word in their places."""
    place = f"{folder}: {LAYOUT.vocabulary}"
    try:
        tokens = parse_json(data)
    except ValueError as error:
        raise BundleError(f"{place}: cannot be read ({error}); train anew") from None
    if not isinstance(tokens, list) or not set(map(type, tokens)) <= {str}:
        raise BundleError(f"{place}: found something other than texts; train anew")
    special = [PAD, UNK] if unknown == "unk" else [PAD]
    if tokens[: len(special)] != special:
        found = short(tokens[: len(special)])
        raise BundleError(f"{place}: begins with {found}; {special} is needed: train anew")
    if len(set(tokens)) < len(tokens):
        raise BundleError(f"{place}: a token stands in it twice; train anew")
    return tuple(tokens)


def _pieces(folder: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BundleError(f"{folder}: {LAYOUT.pieces} is no UTF-8 text; train anew") from None


def _write(target: Path, files: Mapping[str, bytes], *, folder: Path) -> None:
    """Write files into a new directory in `folder`, which then takes the target's place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=folder))
    try:
        beside.chmod(0o755)
        for name, data in files.items():
            with (beside / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        _replace(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _replace(beside: Path, target: Path) -> None:
    """Put `beside` in the place of `target`; what was there is removed only afterwards."""
    if not target.exists():
        beside.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    target.rename(old / "old")
    try:
        beside.rename(target)
    except BaseException:  # an interrupt, too
        (old / "old").rename(target)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)
