"""A model to go on from: a bundle with room for new words and new labels, and a network that starts
with its weights.

Takes a `Bundle`, the words and labels that a training has, gives the same model over these. What it
answers stays what it was: a new word has the vector of an unknown one, what the linear branch knew
of its characters, and a new label is as rare as its rows are.

Knows nothing of files, splits or steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from tidegate.config import Kind
from tidegate.data.dataset import Dataset
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.engine.ngrams import PREFIX, NgramBranch, quantised
from tidegate.engine.vectors import WordVectors
from tidegate.errors import ConfigError
from tidegate.training.model import MessageNet
from tidegate.training.pretrained import Pretrained

Arrays = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float32]
_OUTPUTS = ("output.weight", "output.bias")
_SAME = 0.02  # of a projected vector's size: more than half precision loses


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a training goes on from.

    Attributes
    ----------
    bundle : the model; once a training is prepared, with room for its words and labels
    replay : whether rows that it learned from are learned from again. The linear branch is then
        fitted anew; else its words' weights are corrected, see `ngrams.corrected`
    """

    bundle: Bundle
    replay: bool

    @property
    def learned(self) -> bytes | None:
        """The hashes of the rows that the model learned from, see `splits.row_hashes`, if known."""
        return self.bundle.extra_files.get(LAYOUT.learned)

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of the model that was gone on from, among the training data."""
        before = str(self.bundle.training_data.get("sha256", ""))
        return {"from": {"rows": self.rows, "sha256": before, "replay": self.replay}}

    @property
    def rows(self) -> int:
        """How many rows the model learned from, as its manifest says."""
        found = self.bundle.training_data.get("rows")
        return found if isinstance(found, int) and found > 0 else 0

    def widened(self, tokens: Sequence[str], dataset: Dataset) -> Start:
        """Return the start with room for the words and labels of a training's rows."""
        rows = len(dataset) + (0 if self.replay else self.rows)
        return replace(self, bundle=widened(self.bundle, tokens, dataset, rows=rows))

    def load_into(self, model: MessageNet, pretrained: Pretrained | None) -> None:
        """Give a network the weights.

        Raises
        ------
        ConfigError
            The pretrained vectors are others than those that the model was made with.
        """
        weights = {n: torch.from_numpy(np.array(a)) for n, a in self.bundle.weights.items()}
        model.take(weights)
        if pretrained is not None and model.projection is not None:
            found = _projection(pretrained, self.bundle)
            model.projection.weight.data.copy_(torch.from_numpy(found))


def widened(bundle: Bundle, tokens: Sequence[str], dataset: Dataset, *, rows: int) -> Bundle:
    """Return a bundle with room for more words and labels, that answers as it did.

    Parameters
    ----------
    tokens, dataset : the words, and the rows with the labels; each begins with the bundle's own
    rows : that new labels are rare among
    """
    kind, n_words = dataset.kind, len(tokens)
    arrays: Arrays = {n: a for n, a in bundle.weights.items() if not n.startswith(PREFIX)}
    table = arrays["embedding.weight"]
    more = np.repeat(table[1:2], n_words - len(table), axis=0)  # of <unk>, as they were read before
    arrays["embedding.weight"] = np.concatenate([table, more])
    new = list(tokens[len(bundle.tokens) :])
    if bundle.pieces:
        known = WordVectors(table=arrays["vectors.weight"], pieces=bundle.pieces)
        of_words = arrays["words.weight"]
        arrays["words.weight"] = np.concatenate([of_words, known.rows(new).astype(of_words.dtype)])
    place = _Outputs(bundle, dataset, rows=rows)
    for name in _OUTPUTS:
        arrays[name] = np.ascontiguousarray(place.spread(arrays[name].T).T)
    arrays["output.bias"] += place.rarity
    if bundle.config.network.ngrams != "none":
        arrays |= _wide_branch(bundle, new, place)
    return replace(
        bundle, kind=kind, labels=dataset.labels, tokens=tuple(tokens), weights=arrays,
        thresholds=(0.5,),
    )  # fmt: skip


class _Outputs:
    """Where a model's outputs stand among those of a training, and how rare the new ones are.

    Two classes have one output, z of the second; more have one each, of which the first is then 0.
    """

    def __init__(self, bundle: Bundle, dataset: Dataset, *, rows: int) -> None:
        self.n = 1 if dataset.kind == "binary" else len(dataset.labels)
        two = bundle.kind == "binary" and dataset.kind != "binary"
        self.old = [1] if two else list(range(len(bundle.weights["output.bias"])))
        counts = _counts(dataset)
        self.rarity = np.zeros(self.n, np.float32)
        for k in range(len(bundle.labels), len(dataset.labels)):
            share = max(float(counts[k]), 0.5) / rows
            others = max(1 - share, 0.5) if dataset.kind == "multilabel" else 1.0
            self.rarity[k] = np.log(share / others)

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values (…, old outputs) as (…, outputs), zeros for the new ones."""
        found = np.zeros((*values.shape[:-1], self.n), values.dtype)
        found[..., self.old] = values
        return found


def _counts(dataset: Dataset) -> npt.NDArray[np.int64]:
    if dataset.kind == "multilabel":
        return np.asarray(dataset.targets.sum(axis=0), np.int64)
    return np.bincount(dataset.targets, minlength=len(dataset.labels))


def _wide_branch(bundle: Bundle, new: Sequence[str], place: _Outputs) -> Arrays:
    """Return the linear branch's arrays with room for new words and outputs."""
    n_old = len(bundle.tokens)
    own = {n.removeprefix(PREFIX): a for n, a in bundle.weights.items() if n.startswith(PREFIX)}
    branch = NgramBranch(bundle.weights, n_words=n_old, pieces=bundle.pieces)
    of_new = branch.word_rows(np.arange(n_old, n_old + len(new)), new)  # as they were read before
    rows, scales = quantised(of_new[:, :-1])
    own["word_rows"] = np.concatenate([own["word_rows"], rows])
    own["word_scales"] = np.concatenate([own["word_scales"], scales])
    own["word_norms"] = np.concatenate([own["word_norms"], of_new[:, -1].astype(np.float32)])
    # The marks of a message's ends have the numbers behind the last word's.
    own["pairs"] = np.where(own["pairs"] >= n_old, own["pairs"] + len(new), own["pairs"])
    own["pairs"] = own["pairs"].astype(np.int32)
    wide = ["word_rows", "pair_rows", "run_rows", "bias"]
    wide += [n for n in ("piece_output",) if n in own]
    wide += [n for n in ("piece_rows",) if n in own and "piece_output" not in own]
    for name in wide:
        own[name] = place.spread(own[name])
    own["bias"] = own["bias"] + place.rarity
    return {PREFIX + name: array for name, array in own.items()}


def _projection(pretrained: Pretrained, bundle: Bundle) -> Floats:
    """Return the projection (H, D) that a bundle's vectors came from, by least squares.

    The bundle holds the vectors projected. Half precision rounds each; over thousands of them the
    projection comes back to five digits.
    """
    projected = np.asarray(bundle.weights["vectors.weight"], np.float64)  # (P, H)
    fits = pretrained.pieces == bundle.pieces and len(pretrained.table) == len(projected)
    if fits:
        table = np.asarray(pretrained.table, np.float64)  # (P, D)
        with threadpool_limits(limits=1):
            # With a trace of ridge: a file may hold fewer words than values a word.
            ridge = 1e-9 * len(table) * np.eye(table.shape[1])
            found = np.linalg.solve(table.T @ table + ridge, table.T @ projected)  # (D, H)
            off = np.abs(table @ found - projected).mean()
        fits = off <= _SAME * max(np.abs(projected).mean(), 1e-6)
    if not fits:
        raise ConfigError(
            "from: its word vectors are others than those that are here "
            f"(vectors={bundle.config.network.vectors}); use those it was trained with"
        )
    return np.asarray(found.T, np.float32)


def same_kind(before: Kind, now: Kind) -> bool:
    """Return whether rows of a kind can go on where a model of another was: two classes may grow.

    Examples
    --------
    >>> same_kind("binary", "multiclass"), same_kind("binary", "multilabel")
    (True, False)
    """
    return (before == "multilabel") == (now == "multilabel")
