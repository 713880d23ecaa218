import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from conftest import tiny_bundle
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.engine.predictor import Predictor
from tidegate.engine.tensors import read_tensors
from tidegate.errors import BundleError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tiny_bundle().save(tmp_path / "model")


def test_a_saved_bundle_answers_the_same(saved: Path) -> None:
    texts = ["fire near the river", "coffee"]
    before = Predictor(tiny_bundle()).predict_proba(texts)
    assert (Predictor.load(saved).predict_proba(texts) == before).all()


def test_the_same_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = tiny_bundle().save(tmp_path / "again")
    for file in saved.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name


def test_nothing_else_is_left_beside_a_bundle(saved: Path) -> None:
    tiny_bundle(seed=1).save(saved)
    assert [p.name for p in saved.parent.iterdir()] == ["model"]
    assert (
        Bundle.load(saved).weights["output.bias"] == tiny_bundle(1).weights["output.bias"]
    ).all()


def test_no_file_of_a_bundle_is_a_pickle(saved: Path) -> None:
    for file in saved.iterdir():
        assert not file.read_bytes().startswith(b"\x80"), file.name


def test_any_flipped_byte_is_refused(saved: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for file in saved.iterdir():
        size = file.stat().st_size
        places = {0, size - 1, *rng.integers(0, size, 60).tolist()}
        for place in places:
            data = bytearray(file.read_bytes())
            data[place] ^= 1 << int(rng.integers(0, 8))
            copy = tmp_path / "copy"
            shutil.copytree(saved, copy)
            (copy / file.name).write_bytes(bytes(data))
            with pytest.raises(BundleError):
                Bundle.load(copy)
            with pytest.raises(BundleError):
                Bundle.verify(copy)
            shutil.rmtree(copy)


@pytest.mark.parametrize("name", [LAYOUT.manifest, LAYOUT.vocabulary, LAYOUT.weights])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        Bundle.load(saved)


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/passwd", "a/b", "other.bin"])
def test_a_manifest_that_names_a_foreign_file_is_refused(saved: Path, name: str) -> None:
    from tidegate.engine.manifest import sealed

    manifest = json.loads((saved / LAYOUT.manifest).read_bytes())
    del manifest["manifest_sha256"]
    manifest["files"][name] = manifest["files"][LAYOUT.weights]
    (saved / LAYOUT.manifest).write_bytes(sealed(manifest))
    with pytest.raises(BundleError, match=r"the manifest names .* which is no bundle file"):
        Bundle.load(saved)


def test_an_unknown_format_version_says_what_to_do(saved: Path) -> None:
    path = saved / LAYOUT.manifest
    path.write_bytes(path.read_bytes().replace(b'"format_version": 1', b'"format_version": 9'))
    with pytest.raises(BundleError, match="format_version 9; this tidegate reads 1"):
        Bundle.load(saved)


def test_something_else_in_the_way_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="found something that is no bundle; name another path"):
        tiny_bundle().save(tmp_path / "model")
    assert (tmp_path / "model" / "thesis.txt").read_text() == "years of work"


def test_an_array_of_the_wrong_shape_is_named(saved: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle()
    weights = {**bundle.weights, "output.bias": np.zeros(7, np.float32)}
    bad = Bundle(
        config=bundle.config, kind=bundle.kind, labels=bundle.labels, tokens=bundle.tokens,
        sequence_length=40, weights=weights,
    ).save(tmp_path / "bad")  # fmt: skip
    with pytest.raises(BundleError, match=r"array output.bias: found \(7,\), \(1,\) is needed"):
        Bundle.load(bad)


def test_arrays_that_lie_unaligned_are_read_aligned() -> None:
    data = safetensors.numpy.save({"bias": np.arange(3, dtype=np.float32)})
    length = int.from_bytes(data[:8], "little")
    odd = (length + 1).to_bytes(8, "little") + data[8 : 8 + length] + b" " + data[8 + length :]
    (bias,) = read_tensors(odd).values()
    assert bias.tolist() == [0, 1, 2]
    assert bias.flags.aligned
    assert not bias.flags.writeable
