"""A bundle to an ONNX file, checked against the engine before it is kept.

Takes a bundle and a path, gives `Exported`. What other runtimes must be fed, `inputs` makes.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from tidegate.data.outputs import check_place, placed
from tidegate.engine.batches import pad
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ParityError
from tidegate.exporting.graph import build
from tidegate.text.vocabulary import UNK_ID

TOLERANCE = 1e-5
_BATCHES = (1, 2, 3, 7, 16, 33)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An ONNX file, and how far its probabilities lie from the engine's.

    Attributes
    ----------
    largest_difference : over `n_messages` made-up messages, in batches of many shapes
    labels_changed : how many of them get another label
    """

    path: Path
    largest_difference: float
    labels_changed: int
    n_messages: int


def export_onnx(bundle: Bundle, path: str | Path, *, int8: bool = False) -> Exported:
    """Write a bundle as one self-contained ONNX file.

    Parameters
    ----------
    int8 : weights and products in 8 bits: smaller, and no longer exact, for a message's answer
        then depends a little on those it shares a batch with

    Raises
    ------
    DataError
        The file cannot be written there.
    ParityError
        Without `int8`: a probability differs from the engine's by more than 1e-5; nothing is
        written then.
    """
    target = Path(path)
    check_place(target)
    model = build(bundle)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString(deterministic=True)
    if int8:
        data = _quantized(data)
    difference, changed, n = _compare(Predictor(bundle), session(data))
    if not int8 and not difference <= TOLERANCE:
        raise ParityError(
            f"{target}: ONNX Runtime differs from the engine by {difference:.1e}; not written"
        )
    with placed(target) as stream:
        stream.write(data)
    return Exported(
        path=target, largest_difference=difference, labels_changed=changed, n_messages=n
    )


def session(model: bytes | str | Path, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """Return an ONNX Runtime session on so many cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def inputs(predictor: Predictor, texts: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return what the graph reads for some messages: token_ids, lengths and, perhaps, piece_ids.

    Examples
    --------
    >>> inputs(predictor, ["forest fire", "help"])["lengths"]  # doctest: +SKIP
    array([2, 1], dtype=int32)
    """
    encoder, bundle = predictor.reader().encoder, predictor.bundle
    id_lists = [encoder.encode(text) for text in texts]
    n_known = len(bundle.tokens)
    padded = bundle.config.network.pooling == "padded_last"
    batch = pad(id_lists, width=bundle.sequence_length if padded else 0)
    ids = batch.token_ids
    lengths = np.full(len(ids), ids.shape[1]) if padded else batch.lengths
    found: dict[str, npt.NDArray[Any]] = {
        "token_ids": np.where(ids < n_known, ids, UNK_ID),
        "lengths": lengths.astype(np.int32),
    }
    vectors = bundle.word_vectors
    if vectors is not None:
        new = {int(i): encoder.new_words[i - n_known] for i in np.unique(ids[ids >= n_known])}
        pieces = dict(zip(new, vectors.piece_ids(list(new.values())), strict=True))
        width = max([1, *map(len, pieces.values())])
        piece_ids = np.full((*ids.shape, width), -1, np.int64)
        for row, column in zip(*np.nonzero(ids >= n_known), strict=True):
            of_word = pieces[int(ids[row, column])]
            piece_ids[row, column, : len(of_word)] = of_word
        found["piece_ids"] = piece_ids
    ngrams = predictor.network.ngrams
    if ngrams is not None:
        rows = np.zeros((*ids.shape, ngrams.n_outputs + 1), np.float32)
        new_ids = np.unique(ids[ids >= n_known])
        if len(new_ids):
            of_words = ngrams.word_rows(new_ids, encoder.new_words)
            # The graph adds this to the row of the id that stands for all unknown words.
            of_words = of_words - ngrams.word_rows(np.array([UNK_ID]))
            rows[ids >= n_known] = of_words[np.searchsorted(new_ids, ids[ids >= n_known])]
        found["new_rows"] = rows
    return found


def _quantized(data: bytes) -> bytes:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(prefix="tidegate-") as name:
        whole, small = Path(name) / "whole.onnx", Path(name) / "int8.onnx"
        whole.write_bytes(data)
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it advises a step that changes nothing here
        try:
            quantize_dynamic(
                whole, small, weight_type=QuantType.QInt8, op_types_to_quantize=["LSTM", "MatMul"]
            )
        finally:
            logging.disable(before)
        return small.read_bytes()


def _compare(predictor: Predictor, runtime: onnxruntime.InferenceSession) -> tuple[float, int, int]:
    """Return the largest difference, labels changed and messages, over made-up batches."""
    rng = np.random.default_rng(0)
    words = [*predictor.bundle.tokens[2:], "zyxwvut", "überholt", "火", "🔥"]
    largest, changed, n = 0.0, 0, 0
    for size in _BATCHES:
        texts = [" ".join(rng.choice(words, size=rng.integers(0, 50))) for _ in range(size)]
        (found,) = runtime.run(None, inputs(predictor, texts))
        wanted = predictor.predict_proba(texts)
        largest = max(largest, float(np.abs(found - wanted).max()))
        theirs = predictor.choose(found.astype(np.float64))
        changed += int((theirs != predictor.choose(wanted)).sum())
        n += size
    return largest, changed, n
