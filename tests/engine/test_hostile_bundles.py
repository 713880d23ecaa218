"""Whatever is in a bundle, its hashes right: a BundleError on loading, soon, in little memory."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_mutants import Target, seal, try_mutants, written

from conftest import tiny_bundle, with_ngrams, with_vectors
from tidegate.cli import main
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import BundleError, ConfigError

SLOWEST_S = 2.0
MUTANTS = Path(__file__).with_name("bundle_mutants.py")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(with_vectors().save(tmp_path / "model"))


def refused(folder: Path, match: str) -> None:
    """Hold that a bundle is refused in a line that says why, at once."""
    start = time.perf_counter()
    with pytest.raises(BundleError, match=match) as found:
        Predictor.load(folder)
    assert time.perf_counter() - start < SLOWEST_S
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 800


@pytest.mark.parametrize("kind", ["manifest", "weights", "vocabulary", "pieces"])
def test_mutants_are_refused_or_answer(kind: str, tmp_path: Path) -> None:
    outcome = try_mutants(kind, 200, seed=7, folder=tmp_path)
    assert outcome.slowest_s < SLOWEST_S
    assert outcome.refused > 150


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["manifest", "weights", "vocabulary", "pieces"])
def test_10000_mutants_are_refused_or_answer(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, str(MUTANTS), kind, "10000", "1", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not found.stderr
    _, _, slowest_s, peak_mb = map(float, found.stdout.split())
    assert slowest_s < SLOWEST_S
    assert peak_mb < 500


def set_at(*path: Any) -> Callable[[Any, Any], None]:
    def change(manifest: Any, value: Any) -> None:
        *steps, key = path
        for step in steps:
            manifest = manifest[step]
        manifest[key] = value

    return change


deep: Any = "x"
for _ in range(300):
    deep = [deep]

# fmt: off
REFUSED = [
    (("config", "network", "num_layers"), 10**9, "num_layers: found 1000000000"),
    (("config", "network", "num_layers"), 2, "array lstm.weight_ih_l1: found nothing"),
    (("config", "network", "hidden_size"), 10**8, "hidden_size: found 100000000"),
    (("config", "network", "hidden_size"), 65_536, r"array .*: found .* is needed"),
    (("config", "network", "dropout"), 10**400, "dropout: found 1000"),
    (("config", "network", "cell"), [], r"cell: found \[\]; choose one of"),
    (("config", "network"), [], "config section 'network': found no mapping"),
    (("config",), [], r"config: found \[\]; an object is needed"),
    (("config", "text", "max_tokens"), 10**30, "max_tokens: found 1000"),
    (("sequence_length",), -5, "sequence_length: found -5; a whole number from 0 to 1,000,000"),
    (("sequence_length",), True, "sequence_length: found True"),
    (("sequence_length",), 39, "sequence_length: found 39; max_tokens, 40, is needed"),
    (("temperature",), 0, "temperature: found 0; a number from 0.001 to 1000 is needed"),
    (("temperature",), -1.0, "temperature: found -1.0"),
    (("temperature",), 1e-300, "temperature: found 1e-300"),
    (("temperature",), "1", "temperature: found '1'"),
    (("thresholds",), [1e300], r"thresholds: found \[1e\+300\]; a list of numbers from 0 to 1"),
    (("thresholds",), [-0.1], "thresholds: found"),
    (("thresholds",), [0.5, 0.5], "thresholds: found .* one number is needed"),
    (("thresholds",), [], "thresholds: found"),
    (("thresholds",), [True], "thresholds: found"),
    (("labels",), ["0", "0"], "labels: found .* each label once"),
    (("labels",), ["0", 1], "labels: found .* a list of texts"),
    (("labels",), ["0", None], "labels: found .* a list of texts"),
    (("labels",), "01", "labels: found '01'"),
    (("labels",), ["0", "\ud800"], "labels: found"),
    (("labels",), ["0"], "labels: found .* two labels of a binary model"),
    (("kind",), "regression", "kind: found 'regression'; one of binary, multiclass, multilabel"),
    (("kind",), ["binary"], "kind: found"),
    (("kind",), "multiclass", r"array output.weight: found .*, \(2, 16\) is needed"),
    (("gate_order",), ["f", "i", "g", "o"], "gate_order: found"),
    (("metrics",), deep, "metrics: found"),
    (("metrics",), {"a": deep}, "metrics: found .* at most 32 levels deep"),
    (("metrics",), {"scores": {"f1": {"value": "high"}}}, "metrics: found"),
    (("training_data",), [1], "training_data: found"),
    (("files", "weights.safetensors", "size_bytes"), -1, "files: weights.safetensors: found"),
    (("files", "weights.safetensors", "sha256"), 5, "files: weights.safetensors: found"),
    (("files", "weights.safetensors"), None, "files: weights.safetensors: found None"),
    (("files",), [], r"files: found \[\]"),
    (("colour",), "red", "'colour' is unknown to this tidegate; it was written by '0"),
    (("config", "text", "colour"), "red", "colour unknown"),
    (("tidegate_version",), None, "tidegate_version: found None"),
]
# fmt: on


@pytest.mark.parametrize(("path", "value", "match"), REFUSED, ids=lambda _: "")
def test_a_manifest_that_no_bundle_has(
    target: Target, path: tuple[Any, ...], value: Any, match: str
) -> None:
    set_at(*path)(target.manifest, value)
    (target.folder / LAYOUT.manifest).write_bytes(seal(target.manifest))
    refused(target.folder, match)


@pytest.mark.parametrize("name", ["labels", "config", "files", "kind", "temperature"])
def test_a_field_that_is_missing_is_named(target: Target, name: str) -> None:
    del target.manifest[name]
    (target.folder / LAYOUT.manifest).write_bytes(seal(target.manifest))
    refused(target.folder, f"{name} missing; train anew")


def test_a_field_that_decides_the_answer_takes_no_default(target: Target) -> None:
    del target.manifest["config"]["network"]["cell"]
    (target.folder / LAYOUT.manifest).write_bytes(seal(target.manifest))
    refused(target.folder, "config: cell is missing")


@pytest.mark.parametrize("raw", [
    b"", b"{}", b"null", b"[1]", b"\xff\xfe", "{}".encode("utf-16"), b"[" * 100_000, b"9" * 5000,
    b'{"format_version": 1, "format_version": 1}', b'{"format_version": 1e0}', b'{"a":' * 40_000,
    b'{"format_version": true}', b'{"format_version": NaN}',
])  # fmt: skip
def test_a_manifest_that_is_no_manifest(target: Target, raw: bytes) -> None:
    (target.folder / LAYOUT.manifest).write_bytes(raw)
    refused(target.folder, "not a bundle's manifest|format_version|was changed")


def test_infinity_is_no_number_however_it_is_written(target: Target) -> None:
    for spelled in (b"Infinity", b"NaN", b"-Infinity", b"1e999"):
        target.manifest["metrics"] = {"n_rows": 77777}
        raw = written(target.manifest).replace(b"77777", spelled)
        (target.folder / LAYOUT.manifest).write_bytes(reseal(raw))
        refused(target.folder, "not a bundle's manifest|metrics: found")


def reseal(rest: bytes) -> bytes:
    """Return a manifest's text with its own hash in it."""
    import hashlib

    digest = hashlib.sha256(rest).hexdigest().encode()
    return rest[:-3] + b',\n "manifest_sha256": "' + digest + b'"\n}\n'


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def with_header(header: Any, values: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


@pytest.mark.parametrize(("change", "match"), [
    ({"dtype": "I64"}, "dtype 'I64'; F16, F32, .* are read"),
    ({"dtype": "F64"}, "has not the size of its place"),
    ({"dtype": ["F32"]}, "dtype"),
    ({"shape": [10**18]}, "shape"),
    ({"shape": [-1]}, "shape"),
    ({"shape": [True]}, "shape"),
    ({"shape": []}, "shape"),
    ({"shape": [2**30, 2**30, 2**30]}, "has not the size of its place"),
    ({"data_offsets": [-4, 0]}, "data_offsets"),
    ({"data_offsets": [4, 0]}, "data_offsets"),
    ({"data_offsets": [0, 4, 8]}, "data_offsets"),
    ({"data_offsets": [10**15, 10**15 + 4]}, "a place is needed"),
    ({"data_offsets": [0, 4]}, "does not begin where another ends"),
    ({"more": 1}, "dtype, shape and data_offsets"),
])  # fmt: skip
def test_an_array_whose_entry_is_wrong_is_named(
    target: Target, change: dict[str, Any], match: str
) -> None:
    header, values = header_of(target.files[LAYOUT.weights])
    header["output.bias"] |= change
    target.put(LAYOUT.weights, with_header(header, values))
    refused(target.folder, f"weights.safetensors: array 'output.bias'.*{match}")


def test_a_weight_file_that_is_none(target: Target) -> None:
    header, values = header_of(target.files[LAYOUT.weights])
    for data, match in [
        (b"", "longer than the file"),
        (b"\xff" * 8, "longer than the file"),
        (struct.pack("<Q", 10**7) + b" " * 10**7, "longer than the file, or than 1 MB"),
        (with_header([], values), "no object"),
        (with_header({f"a{k}": {} for k in range(2000)}, values), "at most 1000 arrays"),
        (with_header(header, values + b"\0"), "1 bytes belong to no array"),
        (with_header(header, values[:-4]), "ends beyond the file"),
        (with_header({**header, "more": header["output.bias"]}, values), "does not begin where"),
        (with_header({k: v for k, v in header.items() if k != "output.bias"}, values), "not begin"),
    ]:
        target.put(LAYOUT.weights, data)
        refused(target.folder, match)
    renamed = {("more" if k == "output.bias" else k): v for k, v in header.items()}
    target.put(LAYOUT.weights, with_header(renamed, values))
    refused(target.folder, "array output.bias: found nothing")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e7])
@pytest.mark.parametrize("name", ["output.bias", "vectors.weight"])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, value: float, name: str) -> None:
    bundle = with_vectors()
    with np.errstate(over="ignore"):  # in half precision 1e30 is infinity
        bundle.weights[name].flat[0] = value
    folder = bundle.save(tmp_path / "model")
    refused(folder, f"array '{name}': holds NaN, or a number beyond ±10⁶")


@pytest.mark.parametrize(("tokens", "match"), [
    (lambda t: [*t[:-1], t[5]], "a token stands in it twice"),
    (lambda t: [*t[:-1], None], "something other than texts"),
    (lambda t: [*t[:-1], ["x"]], "something other than texts"),
    (lambda t: t[::-1], "begins with"),
    (lambda t: {"a": 1}, "something other than texts"),
    (lambda t: [*t, "more"], "array .*: found .* is needed"),
    (lambda t: [], "begins with"),
    (lambda t: [[]] * 60_000, "more than 50,000 lists and objects"),
])  # fmt: skip
def test_a_vocabulary_that_is_none(
    target: Target, tokens: Callable[[list[str]], Any], match: str
) -> None:
    found = tokens(json.loads(target.files[LAYOUT.vocabulary]))
    target.put(LAYOUT.vocabulary, written(found))
    refused(target.folder, match)


@pytest.mark.parametrize(("name", "change", "match"), [
    ("floor", lambda a: a * 0, "floor: found 0.0, 1e-06 or more is needed"),
    ("floor", lambda a: a.astype(np.float64), "floor: found .* float64"),
    ("word_norms", lambda a: -a, "word_norms: found a negative number"),
    ("run_norms", lambda a: -a, "run_norms: found a negative number"),
    ("pairs", lambda a: a[::-1], "pairs: they do not ascend"),
    ("pairs", lambda a: a + 9, "pairs: found word ids from 0 to 41"),
    ("pairs", lambda a: a - 9, "pairs: found word ids from -7 to"),
    ("run_hashes", lambda a: a * 0, "run_hashes: they do not ascend"),
    ("word_rows", lambda a: a[1:], "word_rows: found"),
    ("bias", lambda a: a * np.nan, "bias.*holds NaN"),
    ("more", None, "ngrams.more: it is none of the branch's"),
])  # fmt: skip
def test_an_ngram_branch_that_is_none(
    tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], match: str
) -> None:
    bundle, name = with_ngrams(), f"ngrams.{name}"
    changed = np.zeros(1, np.float32) if change is None else change(bundle.weights[name])
    refused(replace(bundle, weights={**bundle.weights, name: changed}).save(tmp_path / "m"), match)


def test_an_ngram_branch_that_nobody_asked_for(tmp_path: Path) -> None:
    bundle = with_ngrams()
    config = bundle.config.with_settings(ngrams="none")
    folder = replace(bundle, config=config).save(tmp_path / "m")
    refused(folder, "array 'ngrams.bias' is none of this network's")


@pytest.mark.parametrize("pieces", [
    '{"pieces": ["a"]}', '{"pieces": [1]}', '{"words": {}}', "[]", '{"pieces": [], "words": []}',
    '{"pieces": ["a"], "pieces": ["b"]}', "\ud800",
])  # fmt: skip
def test_pieces_that_do_not_fit(target: Target, pieces: str) -> None:
    target.put(LAYOUT.pieces, pieces.encode("utf-8", "surrogatepass"))
    refused(target.folder, "pieces|array vectors.weight: found")


def test_what_is_no_plain_file_is_refused_and_not_waited_for(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = target.folder / LAYOUT.weights
    elsewhere = target.folder.parent / "elsewhere"
    whole.rename(elsewhere)
    whole.symlink_to(elsewhere)
    refused(target.folder, "weights.safetensors.*is no plain file|is a link")
    whole.unlink()
    os.mkfifo(whole)
    refused(target.folder, "no plain file")
    whole.unlink()
    whole.mkdir()
    refused(target.folder, "no plain file")
    whole.rmdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(target.folder)  # the whole path would be too long
        listening.bind(whole.name)
        refused(target.folder, "no plain file")
        whole.unlink()
    elsewhere.rename(whole)
    Predictor.load(target.folder)
    (target.folder / LAYOUT.manifest).unlink()
    os.mkfifo(target.folder / LAYOUT.manifest)
    refused(target.folder, "manifest.json is no plain file")
    (target.folder / LAYOUT.manifest).unlink()
    (target.folder / LAYOUT.manifest).symlink_to("/dev/zero")
    refused(target.folder, "manifest.json is a link")


def test_what_the_manifest_does_not_name_is_refused(target: Target) -> None:
    for make, match in [
        (lambda p: p.write_text("x"), "found 'notes.txt', which the manifest does not name"),
        (os.mkfifo, "'notes.txt' is no plain file"),
        (lambda p: p.symlink_to("/etc/passwd"), "'notes.txt' is no plain file"),
        (lambda p: p.mkdir(), "'notes.txt' is no plain file"),
    ]:
        place = target.folder / "notes.txt"
        make(place)
        refused(target.folder, match)
        place.rmdir() if place.is_dir() else place.unlink()
    for number in range(80):
        (target.folder / f"{number}").write_text("x")
    refused(target.folder, "which the manifest does not name|more than 64 entries")


def test_what_tools_put_beside_a_bundle_is_left_alone(target: Target) -> None:
    (target.folder / ".git").mkdir()
    (target.folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    (target.folder / ".DS_Store").write_bytes(b"\0")
    (target.folder / "model.onnx").write_bytes(b"exported here afterwards")
    assert "model.onnx" not in Bundle.load(target.folder).extra_files


def test_a_sparse_file_is_refused_by_its_size(target: Target) -> None:
    for name in (LAYOUT.weights, LAYOUT.vocabulary, LAYOUT.manifest):
        with (target.folder / name).open("wb") as stream:
            stream.truncate(10**10)
        refused(target.folder, f"{name} has 10,000,000,000 bytes and .* are read at most")
        target.put_back()


def test_the_largest_bundle_read_can_be_chosen(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny_bundle(embedding_size=9000)
    folder = weights.save(target.folder.parent / "large")
    monkeypatch.setenv("TIDEGATE_MAX_BUNDLE_MB", "1")
    refused(folder, "weights.safetensors has .* set TIDEGATE_MAX_BUNDLE_MB to more .* than 1")
    monkeypatch.setenv("TIDEGATE_MAX_BUNDLE_MB", "20")
    Predictor.load(folder)
    for wrong in ("many", "-1", "0", "1" * 5000):
        monkeypatch.setenv("TIDEGATE_MAX_BUNDLE_MB", wrong)
        with pytest.raises(ConfigError, match=r"TIDEGATE_MAX_BUNDLE_MB: found .*; give megabytes"):
            Bundle.load(folder)


def test_tables_that_would_not_fit_are_refused(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_bundle(hidden_size=64)  # 31 words by 2 directions by 4 gates by 64 units
    folder = bundle.save(target.folder.parent / "wide")
    monkeypatch.setattr("tidegate.engine.bundle.table_width", lambda network: 10**8)
    refused(folder, "vocabulary.json, in memory, has")


def test_inspect_shows_scores_that_are_not_defined(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    target.manifest["metrics"] = {"scores": {"f1": {"value": None, "low": None, "high": 0.5}}}
    (target.folder / LAYOUT.manifest).write_bytes(seal(target.manifest))
    assert main(["inspect", str(target.folder)]) == 0
    assert "f1: – (– to 0.5000)" in capsys.readouterr().out


def test_the_command_line_says_it_in_one_line(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    (target.folder / LAYOUT.manifest).write_bytes(b"[" * 100_000)
    assert main(["predict", str(target.folder), "fire"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bundle_that_could_not_be_loaded_again_is_not_written(target: Target) -> None:
    bundle = with_vectors()
    object.__setattr__(bundle, "labels", ("same", "same"))
    with pytest.raises(BundleError, match="each label once"):
        bundle.save(target.folder)
    assert Bundle.load(target.folder).labels == ("0", "1")
