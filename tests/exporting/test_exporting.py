"""ONNX files: ONNX Runtime answers as the engine does, over configs, kinds and batch shapes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from conftest import WORDS, tiny_bundle, with_ngrams, with_vectors
from tidegate.cli import main
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ParityError
from tidegate.exporting import export
from tidegate.exporting.export import TOLERANCE, export_onnx, inputs, session


def texts(rng: np.random.Generator, n: int) -> list[str]:
    words = [*WORDS, "firefly", "gales", "日本", "🔥", "unheard", ""]
    return [" ".join(rng.choice(words, size=rng.integers(0, 45))) for _ in range(n)]


def largest_difference(bundle: Bundle, path: Path) -> float:
    runtime, predictor = session(path), Predictor(bundle)
    rng = np.random.default_rng(1)
    found = []
    for size in (1, 2, 5, 17):
        batch = texts(rng, size)
        (p,) = runtime.run(None, inputs(predictor, batch))
        found.append(np.abs(p - Predictor(bundle).predict_proba(batch)).max())
    return float(max(found))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("pooling", ["last", "padded_last", "mean", "max", "mean_max"])
@pytest.mark.parametrize(
    ("kind", "layers", "bidirectional", "head"),
    [("binary", 1, True, 0), ("multiclass", 2, False, 3), ("multilabel", 2, True, 0)],
)
def test_every_config_agrees(
    tmp_path: Path, cell: str, pooling: str, kind: str, layers: int, bidirectional: bool, head: int
) -> None:
    bundle = tiny_bundle(
        3, kind, cell=cell, pooling=pooling, num_layers=layers, bidirectional=bidirectional,
        head_size=head,
    )  # fmt: skip
    bundle = replace(bundle, temperature=1.3)
    assert export_onnx(bundle, tmp_path / "m.onnx").largest_difference <= TOLERANCE
    assert largest_difference(bundle, tmp_path / "m.onnx") <= TOLERANCE


def test_words_out_of_vocabulary_are_read_by_their_pieces(tmp_path: Path) -> None:
    bundle = with_vectors()
    export_onnx(bundle, tmp_path / "m.onnx")
    assert largest_difference(bundle, tmp_path / "m.onnx") <= TOLERANCE
    new, unheard = Predictor(bundle).predict_proba(["firefire", "日"])[:, 1]
    assert abs(new - unheard) > 1e-4


def test_the_linear_branch_is_in_the_file(tmp_path: Path) -> None:
    bundle = with_ngrams()
    export_onnx(bundle, tmp_path / "m.onnx")
    assert largest_difference(bundle, tmp_path / "m.onnx") <= TOLERANCE
    runtime, predictor = session(tmp_path / "m.onnx"), Predictor(bundle)
    for text in ("", "zebra", "fire zebra", "zebra near", "fire"):
        (p,) = runtime.run(None, inputs(predictor, [text]))
        np.testing.assert_allclose(p, predictor.predict_proba([text]), atol=1e-5)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    bundle = with_vectors()
    model = tmp_path / "m.onnx"
    export_onnx(bundle, model)
    first = model.read_bytes()
    export_onnx(bundle, model)
    assert model.read_bytes() == first
    props = {p.key: p.value for p in onnx.load(model).metadata_props}
    assert json.loads(props["labels"]) == list(bundle.labels)
    assert json.loads(props["vocabulary"]) == list(bundle.tokens)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_int8_says_what_it_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_bundle(hidden_size=16).save(tmp_path / "model")
    target = tmp_path / "small.onnx"
    assert main(["export", str(tmp_path / "model"), "--onnx", str(target), "--int8"]) == 0
    said = capsys.readouterr().err
    assert "differ from the engine's by" in said
    assert 0 < float(said.split("engine's by ")[1].split()[0]) < 0.2


def test_a_wrong_graph_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle()
    wrong = replace(bundle, temperature=2.0)
    built = export.build(wrong)
    monkeypatch.setattr(export, "build", lambda found: built)
    with pytest.raises(ParityError, match="not written"):
        export_onnx(bundle, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
    bundle.save(tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--onnx", str(tmp_path / "no" / "m")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_engines_that_disagree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle()
    wrong = export.build(replace(bundle, temperature=2.0))
    monkeypatch.setattr(export, "build", lambda found: wrong)
    words = ["export", str(bundle.save(tmp_path / "model")), "--onnx", str(tmp_path / "m.onnx")]
    assert main(words) == 1
    assert "not written" in capsys.readouterr().err
    with pytest.raises(ParityError):
        main(["--debug", *words])
