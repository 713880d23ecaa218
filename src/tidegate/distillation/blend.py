"""A teacher that needs nothing but what training has: LSTMs and shallow models, out of fold.

Takes training rows, gives the probabilities of texts. A row's text, and texts made from it, are
labelled by models that learned neither from that row nor from one that repeats it; otherwise they
would only repeat the labels they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.config import Config
from tidegate.data.dataset import Dataset
from tidegate.distillation.kernel import KernelModel
from tidegate.distillation.soft_labels import Probabilities, out_of_fold
from tidegate.engine.predictor import Predictor
from tidegate.presets import untaught
from tidegate.training.baseline import Baseline, Shallow
from tidegate.training.checkpoint import Arrays, Workspace, once
from tidegate.training.pretrained import Pretrained, load_pretrained

Indices = npt.NDArray[np.int64]
Learn = Callable[[Dataset, Config, Indices], Predictor]


class Unfitted:
    """A shallow model that learns when it is first asked: a resumed run may never ask it.

    Parameters
    ----------
    model : what learns
    texts, targets : what from
    """

    def __init__(
        self, model: Shallow, texts: Sequence[str], targets: npt.NDArray[np.int64]
    ) -> None:
        self._model, self._texts, self._targets = model, texts, targets

    @cached_property
    def model(self) -> Shallow:
        """The model, fitted."""
        return self._model.fit(self._texts, self._targets)


class Blend:
    """Several LSTMs, and perhaps TF-IDF and a kernel model, that learned from the same rows.

    Attributes
    ----------
    lstms : their mean counts as one
    others : (weight, model) of the rest; what the weights leave is that of the LSTMs
    """

    def __init__(
        self, lstms: Sequence[Predictor], others: Sequence[tuple[float, Unfitted]]
    ) -> None:
        self.lstms = lstms
        self.others = others

    @classmethod
    def fit(
        cls,
        own: Dataset,
        config: Config,
        rows: Indices,
        *,
        pretrained: Pretrained | None,
        seed: int,
        learn: Learn,
    ) -> Blend:
        """Train its members on rows of a dataset.

        Parameters
        ----------
        pretrained : the vectors that a kernel model reads; without them there is none
        seed : of the first LSTM; the next have the next
        learn : trains one LSTM on rows of a dataset
        """
        distillation = config.distillation
        several = own.kind == "multilabel"
        member = untaught(config, several=several).with_settings(calibrate=False, threshold="half")
        texts, targets = [own.texts[i] for i in rows], own.targets[rows]
        rest = 1.0
        others: list[tuple[float, Unfitted]] = []
        if pretrained is not None and distillation.kernel_share:
            rest -= distillation.kernel_share
            kernel = KernelModel(
                own.kind, len(own.labels), text=config.text, pretrained=pretrained, seed=seed
            )
            others.append((distillation.kernel_share, Unfitted(kernel, texts, targets)))
        if distillation.tfidf_share:
            baseline = Baseline(own.kind, len(own.labels), characters=True)
            others.append((rest * distillation.tfidf_share, Unfitted(baseline, texts, targets)))
        seeds = range(seed, seed + distillation.teacher_models)
        lstms = [learn(own, member.with_settings(seed=s), rows) for s in seeds]
        return cls(lstms, others)

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the weighted mean of the members' probabilities, (n_texts, n_labels)."""
        lstms = np.mean([lstm.predict_proba(texts) for lstm in self.lstms], axis=0)
        found: Probabilities = (1 - sum(weight for weight, _ in self.others)) * lstms
        for weight, other in self.others:
            found = found + weight * other.model.predict_proba(texts)
        return found

    @property
    def n_parameters(self) -> int:
        """How many numbers its members have."""
        lstms = sum(m.bundle.n_parameters for m in self.lstms)
        return lstms + sum(other.model.n_parameters for _, other in self.others)

    @property
    def size_bytes(self) -> int:
        """What its members would weigh on disk."""
        lstms = sum(m.bundle.size_bytes for m in self.lstms)
        return lstms + sum(other.model.size_bytes for _, other in self.others)


class BlendTeacher:
    """The blends of all folds, each a teacher of what it has not seen; together, one more model.

    Parameters
    ----------
    own : the training rows
    folds : (N,) the fold of each; rows that repeat one another are in one fold
    learn : trains one LSTM on rows of a dataset
    """

    def __init__(
        self,
        own: Dataset,
        config: Config,
        folds: Indices,
        *,
        learn: Learn,
    ) -> None:
        kernel = config.distillation.kernel_share
        pretrained = load_pretrained(config.network.vectors) if kernel else None
        self.blends: list[Blend] = []
        for fold in range(int(folds.max()) + 1):
            seed = (config.training.seed + 1) * 1000 + fold * 100
            rows = np.flatnonzero(folds != fold)
            self.blends.append(
                Blend.fit(own, config, rows, pretrained=pretrained, seed=seed, learn=learn)
            )
        n_lstms = sum(len(blend.lstms) for blend in self.blends)
        n_others = sum(len(blend.others) for blend in self.blends)
        kind = "TF-IDF" if pretrained is None else "shallow"  # TF-IDF and kernel models
        self.name = f"{n_lstms} LSTMs" + (f" and {n_others} {kind} models" if n_others else "")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the report and the model card say of it."""
        return {
            "kind": "blend",
            "name": self.name,
            "parameters": sum(blend.n_parameters for blend in self.blends),
            "size_bytes": sum(blend.size_bytes for blend in self.blends),
        }

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Return the mean of the blends' probabilities: for texts that none has learned from."""
        found = [blend.predict_proba(texts) for blend in self.blends]
        mean: Probabilities = np.mean(found, axis=0)
        return mean

    def label(
        self, texts: Sequence[str], folds: Indices, *, work: Workspace | None = None
    ) -> Probabilities:
        """Return the probabilities (n, L) of texts by the blend that has not seen their fold.

        Texts of fold −1 were made from no row: all blends label them.

        Parameters
        ----------
        work : where the labels of each fold are kept, and what the blends weigh
        """

        def ask(fold: int, asked: list[str]) -> Probabilities:
            labels: Arrays = once(work, f"blend-fold-{fold}", lambda: {"labels": said(fold, asked)})
            return labels["labels"]

        def said(fold: int, asked: list[str]) -> Probabilities:
            return (self if fold < 0 else self.blends[fold]).predict_proba(asked)

        found = out_of_fold(texts, folds, ask)
        kept = None if work is None else work.kept("blend-facts")
        if kept is not None:
            self.facts = kept.facts
        elif work is not None:
            work.keep("blend-facts", {}, self.facts)
        return found
