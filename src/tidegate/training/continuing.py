"""Learning from corrections: a model goes on with new rows, and is compared with what it was.

Takes a bundle and rows; gives a `ContinuedLearner`, which trains, scores and ships as others do.
Rows that the model before learned from are never held out: neither it nor the one that goes on from
it could be judged by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.config import Config, field_names
from tidegate.data.dataset import Dataset
from tidegate.data.splits import SMALL_ROWS, apart, known_rows, split
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.training.held_out import BEFORE, Answers, HeldOut, log_odds
from tidegate.training.learner import Learner, undecided, with_config
from tidegate.training.prepare import Indices
from tidegate.training.train import Trained, train
from tidegate.training.warm import Start

# Settings that a model may go on with anew: they change no shape, and no token.
_FREE = ("word_dropout", "channel_dropout", "dropout", "ngram_share")
_UNSEEN_ROWS = 100  # fewer that were never learned from are cross-validated, however many were


def continued_config(bundle: Bundle, settings: Mapping[str, Any]) -> Config:
    """Return the settings with which a model goes on: its own, without its teacher.

    The teacher has not seen the new rows. Where the number of epochs followed from the rows, it
    follows from the new ones again: few of them need many passes to be learned. The learning rate
    follows from the labels.

    Parameters
    ----------
    settings : that were asked for, which win

    Raises
    ------
    ConfigError
        A setting would change the network or the tokens; or the model reads padding, as the
        lesson's do, so that its weights mean nothing beside other messages.
    """
    config = bundle.config
    if config.network.pooling == "padded_last" or config.text.unknown == "drop":
        raise ConfigError(
            "from: a model of the lesson's pipeline cannot be gone on from; train one on all rows"
        )
    fixed = [n for s in ("text", "network") for n in field_names(s) if n not in _FREE]
    fixed += field_names("distillation")
    wrong = next((name for name in settings if name in fixed), None)
    if wrong is not None:
        raise ConfigError(
            f"{wrong}: a model goes on with its own; leave out --{wrong.replace('_', '-')}, or "
            "train without --from"
        )
    chosen = {
        "score": "auto", "teacher": "none", "unlabelled": "", "augment": 0, **settings,
    }  # fmt: skip
    if "name" in settings:
        chosen["name"] = (*config.data.name, *settings["name"])
    run = bundle.training_data.get("run")
    automatic = run.get("automatic", ()) if isinstance(run, dict) else ()
    free = ({"epochs"} & set(automatic)) | {"learning_rate"}  # see `_rated`
    free -= set(settings)
    return replace(config.with_settings(**chosen), automatic=frozenset(free))


class ContinuedLearner(Learner):
    """What goes on from a model with the rows of a dataset.

    Parameters
    ----------
    before : the model
    replay : how many of the dataset's last rows are old ones, given to be learned from again

    Attributes
    ----------
    known : (N,) rows that the model before learned from
    """

    def __init__(
        self, dataset: Dataset, config: Config, *, before: Bundle, replay: int, **more: Any
    ) -> None:
        super().__init__(dataset, _rated(config, before, dataset), **more)
        self.before = before
        self.start = Start(bundle=before, replay=replay > 0)
        hashes = before.extra_files.get(LAYOUT.learned)
        if hashes is None:  # it does not say: old rows are what it learned from
            self.known = np.arange(len(dataset)) >= len(dataset) - replay
        else:
            self.known = known_rows(dataset.texts, hashes)

    @property
    def way(self) -> Literal["split", "cv", "none"]:
        """How held-out figures are made; by default, of few new rows by cross-validation."""
        chosen = self.config.data.score
        if chosen != "auto":
            return chosen
        few = len(self.dataset) < SMALL_ROWS or (~self.known).sum() < _UNSEEN_ROWS
        return "cv" if few else "split"

    @property
    def never_held(self) -> npt.NDArray[np.bool_]:
        """The rows that the model before learned from."""
        return self.known

    def sides(self) -> tuple[Indices, Indices]:
        """Return the split, the rows that the model before learned from on its first side."""
        return apart(split(self.dataset, self.config.data), self.known)

    def learn(self, rows: tuple[Indices, Indices]) -> Trained:
        """Go on with the first rows."""
        return self._train(self.config, rows, work=self.work, name="scored")

    def learn_fold(
        self, dataset: Dataset, config: Config, *, rows: tuple[Indices, Indices], work: Any = None
    ) -> Trained:
        """Go on with the first rows, as one of the models of a cross-validation."""
        return self._train(config, rows, work=work, name="model")

    def learn_all(self) -> Trained:
        """Go on with every row."""
        rows = np.arange(len(self.dataset))
        config = undecided(self.config)
        trained = self._train(config, (rows, rows[:0]), work=self.work, name="shipped")
        return with_config(trained, self.config)

    def _train(
        self, config: Config, rows: tuple[Indices, Indices], *, work: Any, name: str
    ) -> Trained:
        return train(
            self.dataset, config, rows=rows, sample_weight=self.sample_weight, work=work,
            name=name, start=self.start, on_prepared=self.on_prepared, on_epoch=self.on_epoch,
        )  # fmt: skip

    def beside(self, held_out: HeldOut) -> HeldOut:
        """Return held-out answers with those of the model before."""
        answers = answers_before(self.before, held_out.test)
        return replace(held_out, rivals={BEFORE: answers, **held_out.rivals})

    def notes(self) -> list[str]:
        """Return what a person should know before it begins."""
        n, known = len(self.dataset), int(self.known.sum())
        found = []
        if LAYOUT.learned not in self.before.extra_files:
            found.append(
                "the model before does not say which rows it learned from (--private): only those "
                "of --old are taken for such"
            )
        if self.way != "none" and known:
            of = self._held_before()
            found.append(
                f"{of:,} of the rows that would be held out are among those the model before "
                "learned from; they are left out of the comparison"
            )
        if not self.start.replay:
            found.append(
                "no old rows to learn from again: what the model knew may be forgotten where the "
                f"{n:,} new rows say otherwise; --old gives it some"
            )
        new = self.dataset.labels[len(self.before.labels) :]
        if new:
            found.append(f"new {'label' if len(new) == 1 else 'labels'}: {', '.join(new)}")
        if self.before.config.distillation.teacher != "none":
            found.append("the model before had a teacher; it goes on without")
        return found

    def _held_before(self) -> int:
        """Return how many rows would be held out but for the model's having learned from them."""
        if self.way == "cv":
            return int(self.known.sum())
        _, test = split(self.dataset, self.config.data)
        return int(self.known[test].sum())


def _rated(config: Config, before: Bundle, dataset: Dataset) -> Config:
    """Return a config with the learning rate to go on at, unless one was chosen.

    That is half of the model's own, so that it keeps more of what it knows; all of it where there
    are new labels, which begin with no weights.
    """
    if "learning_rate" not in config.automatic:
        return config
    share = 1.0 if len(dataset.labels) > len(before.labels) else 0.5
    return config.with_settings(learning_rate=share * before.config.training.learning_rate)


def answers_before(bundle: Bundle, test: Dataset) -> Answers:
    """Return a model's answers to rows that may have more labels: to those it gives 0.

    Of two classes that have become more, the probability is moved to where it decides by ½, as
    the most probable class does.
    """
    predictor = Predictor(bundle)
    found = np.zeros((len(test), len(test.labels)))
    answers = predictor.predict_proba(test.texts)
    if bundle.kind == "binary" and test.kind != "binary":
        t = np.clip(bundle.thresholds[0], 1e-6, 1 - 1e-6)
        if t != 0.5:
            moved = 1 / (1 + np.exp(log_odds(np.array(t)) - log_odds(answers[:, 1])))
            answers = np.stack([1 - moved, moved], axis=1)
    found[:, : len(bundle.labels)] = answers
    threshold = np.asarray(predictor.threshold, np.float64)
    if test.kind == "multilabel" and threshold.ndim:
        more = len(test.labels) - len(bundle.labels)
        threshold = np.append(threshold, [1.0] * more)
    return Answers(probabilities=found, threshold=threshold)
