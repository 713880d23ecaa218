"""From the trained network to a bundle that answers the same without torch.

Takes a `MessageNet` and what it was trained with, gives a `Bundle`; refuses to if the NumPy engine
does not agree with torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tidegate.data.splits import joined_hashes, row_hashes
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.engine.predictor import Predictor, to_probabilities
from tidegate.engine.vectors import WordVectors
from tidegate.errors import ParityError
from tidegate.training.loop import predict_logits
from tidegate.training.model import MessageNet
from tidegate.training.prepare import Prepared

TOLERANCE = 1e-5
_PARITY_ROWS = 2_000


def to_bundle(
    model: MessageNet,
    prepared: Prepared,
    *,
    ngrams: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Bundle:
    """Return the bundle of a trained network; the network is left as the bundle holds it.

    Parameters
    ----------
    ngrams : the arrays of the linear branch, if the config has one

    Raises
    ------
    ParityError
        Probabilities of the NumPy engine and of torch differ by more than 1e-5 on any of the last
        2,000 rows.
    """
    weights = {name: tensor.numpy().copy() for name, tensor in model.bundle_weights().items()}
    arrays: dict[str, npt.NDArray[Any]] = dict(weights)
    arrays |= ngrams or {}
    pretrained = prepared.pretrained
    if pretrained is not None and model.projection is not None:
        projection = model.projection.weight.detach().float().cpu().numpy()
        table = arrays["vectors.weight"] = pretrained.projected(projection)
        known = WordVectors(table=table, pieces=pretrained.pieces)
        arrays["words.weight"] = known.rows(list(prepared.encoder.vocabulary.tokens)).astype(
            np.float16
        )
    bundle = Bundle(
        config=prepared.config,
        kind=prepared.dataset.kind,
        labels=prepared.dataset.labels,
        tokens=prepared.encoder.vocabulary.tokens,
        sequence_length=prepared.sequence_length,
        weights=arrays,
        pieces=pretrained.pieces if pretrained is not None else "",
        training_data={
            "source": prepared.dataset.source,
            "rows": len(prepared.train_rows),
            "sha256": prepared.fingerprint(),
            **(prepared.start.facts if prepared.start is not None else {}),
        },
        extra_files=_learned(prepared),
    )
    _settle(model, bundle, prepared)
    check_parity(model, Predictor(bundle), prepared)
    return bundle


def _learned(prepared: Prepared) -> dict[str, bytes]:
    """Return the file of the rows learned from, those of a model gone on from included."""
    hashes = row_hashes([prepared.dataset.texts[i] for i in prepared.train_rows])
    if prepared.start is None:
        return {LAYOUT.learned: hashes}
    before = prepared.start.learned
    return {} if before is None else {LAYOUT.learned: joined_hashes(before, hashes)}


def _settle(model: MessageNet, bundle: Bundle, prepared: Prepared) -> None:
    """Give torch the very numbers the bundle holds: zero states, rounded vectors."""
    vectors = bundle.word_vectors
    if vectors is None:
        model.settle(None)
        return
    rows = vectors.rows(prepared.words)
    rows[0] = 0.0
    model.settle(torch.from_numpy(rows).to(model.output.weight.device))


def check_parity(model: MessageNet, predictor: Predictor, prepared: Prepared) -> float:
    """Return the largest difference in probability between the engine and torch.

    Raises
    ------
    ParityError
        It is more than 1e-5.
    """
    rows = np.arange(len(prepared.dataset))[-_PARITY_ROWS:]
    texts = [prepared.dataset.texts[i] for i in rows]
    theirs = predict_logits(model, prepared.encoded(rows)).cpu().numpy()
    theirs = predictor.reader().with_ngrams(theirs, texts)
    ours = predictor.predict_proba(texts)
    temperature = predictor.bundle.temperature
    expected = to_probabilities(theirs, kind=predictor.kind, temperature=temperature)
    difference = float(np.abs(ours - expected).max())
    if not difference <= TOLERANCE:
        raise ParityError(
            f"the NumPy engine and torch differ by {difference:.2g} in probability (at most "
            f"{TOLERANCE:g} is allowed), so no bundle was written: please report this"
        )
    return difference
