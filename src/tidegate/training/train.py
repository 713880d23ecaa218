"""One call from a dataset to a trained bundle, scored on rows it never saw.

Takes a `Dataset` and a `Config`, gives `Trained`. Knows nothing of files or terminals: who wants to
show progress passes `on_prepared` and `on_epoch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tidegate.config import Config, Kind
from tidegate.data.dataset import Dataset
from tidegate.data.splits import split as split_rows
from tidegate.data.splits import two_sides
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.evaluation.thresholds import choose_threshold, parse_rule
from tidegate.presets import fitted
from tidegate.training.checkpoint import Workspace, once
from tidegate.training.export import to_bundle
from tidegate.training.loop import Epoch, fit, predict_logits
from tidegate.training.model import MessageNet
from tidegate.training.ngrams import corrected, fit_ngrams
from tidegate.training.prepare import Indices, Prepared, prepare
from tidegate.training.pretrained_lstm import take_pretrained
from tidegate.training.soft_labels import SoftLabels
from tidegate.training.team import Team
from tidegate.training.threads import torch_threads
from tidegate.training.warm import Start

Weights = npt.NDArray[np.float32]
# Trains a network of prepared rows, and their weights, into a workspace under a name.
Together = Callable[[Prepared, Weights | None, Workspace, str], None]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training gave.

    Attributes
    ----------
    bundle : the model
    history : what happened in each epoch
    prepared : the rows as the network read them
    kept_rows : training rows kept to choose thresholds on
    state_changes : test rows whose label random initial states change, for a config that has them
    """

    bundle: Bundle
    history: list[Epoch]
    prepared: Prepared
    kept_rows: Indices
    state_changes: int | None = None

    @property
    def test(self) -> Dataset:
        """The held-back rows."""
        return self.prepared.dataset.subset(self.prepared.test_rows)


def train(
    dataset: Dataset,
    config: Config,
    *,
    rows: tuple[Indices, Indices] | None = None,
    sample_weight: Weights | None = None,
    work: Workspace | None = None,
    name: str = "model",
    start: Start | None = None,
    together: Together | None = None,
    on_prepared: Callable[[Prepared], None] = lambda prepared: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Split, read, train, and export.

    Parameters
    ----------
    rows : (train, test) row numbers; by default the config's split. Test rows may be empty.
    sample_weight : (N,) how much each row counts in the loss
    work, name : where unfinished work is kept and gone on with, by default nowhere, and its name
    start : the model to go on from, of the config's shape; its labels are the dataset's first
    together : trains the network elsewhere and leaves its last checkpoint in `work`
    on_prepared, on_epoch : called with the prepared rows, and after each epoch

    Raises
    ------
    ConfigError, DataError
        A setting or the data do not allow it; training diverges; or the config names a teacher,
        whose student `distillation.student.train_student` trains.
    ParityError
        The exported engine disagrees with torch.
    """
    if config.distillation.teacher != "none":
        raise ConfigError("teacher: this trains without one; call train_student, or leave it out")
    prepared, validation = read_rows(dataset, config, rows, start=start)
    on_prepared(prepared)
    if together is not None and work is not None:
        together(prepared, sample_weight, work, name)
    with torch_threads(config.training.threads):
        return trained_on(
            prepared, validation, sample_weight=sample_weight, work=work, name=name,
            on_epoch=on_epoch,
        )  # fmt: skip


def read_rows(
    dataset: Dataset,
    config: Config,
    rows: tuple[Indices, Indices] | None,
    *,
    start: Start | None = None,
) -> tuple[Prepared, Indices]:
    """Split a dataset and read it; return it prepared, and the rows kept to choose thresholds on.

    Raises
    ------
    ConfigError
        The config's device is not on this machine.
    """
    if config.training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: found 'cuda', which this machine does not have; use cpu")
    train_rows, test_rows = rows if rows is not None else split_rows(dataset, config.data)
    kept, validation = _hold_back(dataset, config, train_rows)
    config = fitted_to(dataset, config, kept)
    return prepare(dataset, config, train=kept, test=test_rows, start=start), validation


def trained_on(
    prepared: Prepared,
    validation: Indices,
    *,
    sample_weight: Weights | None = None,
    soft_labels: SoftLabels | None = None,
    work: Workspace | None = None,
    name: str = "student",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Fit, export, and choose thresholds; count what random initial states would change.

    Parameters
    ----------
    soft_labels : what is learned from in place of the rows' own labels
    work, name : as in `train`
    """
    test_rows = prepared.test_rows
    model, history = fit_network(
        prepared, sample_weight, soft_labels, work=work, name=name, on_epoch=on_epoch
    )
    random_logits = None
    if model.random_states and len(test_rows):
        with torch.random.fork_rng(devices=[]):  # else a resumed run would draw other states
            torch.manual_seed(prepared.config.training.seed)
            random_logits = predict_logits(model, prepared.encoded(test_rows)).cpu().numpy()
    ngrams = None
    if prepared.config.network.ngrams != "none":
        ngrams = once(work, f"{name}.linear", lambda: _ngrams(prepared, sample_weight))
    bundle = _decided(to_bundle(model, prepared, ngrams=ngrams), prepared, validation)
    changes = None
    if random_logits is not None:
        settled = predict_logits(model, prepared.encoded(test_rows)).cpu().numpy()
        changes = int(((settled >= 0) != (random_logits >= 0)).any(axis=1).sum())
    return Trained(
        bundle=bundle, history=history, prepared=prepared, kept_rows=validation,
        state_changes=changes,
    )  # fmt: skip


def fitted_to(dataset: Dataset, config: Config, rows: Indices) -> Config:
    """Return a config whose automatic fields follow from the rows that are learned from."""
    words = sum(len(dataset.texts[i].split()) for i in rows.tolist()) / max(len(rows), 1)
    classes = 2 if dataset.kind == "multilabel" else len(dataset.labels)
    return fitted(config, rows=max(len(rows), 1), classes=classes, words=words)


def _hold_back(dataset: Dataset, config: Config, rows: Indices) -> tuple[Indices, Indices]:
    """Return the rows to learn from, and those kept to choose thresholds on.

    Raises
    ------
    ConfigError
        No threshold rule is so written, or no row can be kept.
    """
    training = config.training
    rule = parse_rule(training.threshold)
    if rule.name == "half" or dataset.kind == "multiclass":
        return rows, rows[:0]
    learned = dataset.subset(rows)
    kept, held = two_sides(
        learned, training.validation_share, seed=config.data.split_seed,
        needed=(1,) * (dataset.kind == "binary"),
    )  # fmt: skip
    if not len(held):
        raise ConfigError(
            f"validation_share: none of {len(rows)} training rows can be kept to choose a "
            "threshold on; add rows, or use --threshold half"
        )
    return rows[kept], rows[held]


def fit_network(
    prepared: Prepared,
    sample_weight: Weights | None,
    soft_labels: SoftLabels | None,
    *,
    work: Workspace | None,
    name: str,
    team: Team | None = None,
    on_epoch: Callable[[Epoch], None],
) -> tuple[MessageNet, list[Epoch]]:
    """Build the network and train it, random numbers drawn from the config's seed alone.

    Parameters
    ----------
    prepared, sample_weight, soft_labels, work, name, on_epoch : as in `train` and `trained_on`
    team : those who train it together, by default this process alone
    """
    config, dataset = prepared.config, prepared.dataset
    if soft_labels is not None:
        learned = prepared.softly_labelled(soft_labels)  # before the vectors: it may meet new words
    else:
        learned = prepared.encoded(prepared.train_rows, sample_weight)
    vectors = None
    if prepared.pretrained is not None:
        rows = prepared.pretrained.rows(prepared.words)
        rows[0] = 0.0
        vectors = torch.from_numpy(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model = MessageNet(
            config.network,
            n_words=len(prepared.encoder.vocabulary),
            n_outputs=1 if dataset.kind == "binary" else len(dataset.labels),
            vectors=vectors,
        )
        if config.network.recurrent_init == "pretrained":
            take_pretrained(model)
        model = model.to(config.training.device)
        if prepared.start is not None:
            prepared.start.load_into(model, prepared.pretrained)
        history = fit(
            model,
            learned,
            config.training,
            kind=dataset.kind,
            watched=prepared.encoded(prepared.test_rows),
            work=work,
            name=name,
            team=team,
            on_epoch=on_epoch,
        )
    return model, history


def _ngrams(prepared: Prepared, sample_weight: Weights | None) -> dict[str, npt.NDArray[Any]]:
    """Train the linear branch on the rows' own labels.

    A student's, too: on the soft labels of made texts the branch alone lost four points on a small
    data set, where the network gains.
    """
    config, dataset = prepared.config, prepared.dataset
    if config.text.unknown == "drop" or config.network.pooling == "padded_last":
        raise ConfigError(
            "ngrams: found with unknown=drop or pooling=padded_last, which hide words from it or "
            "add some; choose ngrams=none"
        )
    rows, batch = prepared.train_rows, prepared.batch
    lengths = batch.lengths[rows].tolist()
    ids = [row[:n].tolist() for row, n in zip(batch.token_ids[rows], lengths, strict=True)]
    targets = label_shares(dataset, rows)
    weights = None if sample_weight is None else sample_weight[rows, None]
    if config.training.class_weights == "balanced":
        balanced = row_weights(targets, kind=dataset.kind)
        weights = balanced if weights is None else weights * balanced
    messages, start = prepared.messages(ids), prepared.start
    if start is not None and not start.replay:
        return corrected(start.bundle, messages, targets, weights=weights)
    return fit_ngrams(messages, targets, kind=dataset.kind, weights=weights)


def label_shares(dataset: Dataset, rows: Indices) -> npt.NDArray[np.float32]:
    """Return the rows' labels as shares (n, L), of 0 and 1."""
    targets = dataset.targets[rows]
    shares = targets if dataset.kind == "multilabel" else np.eye(len(dataset.labels))[targets]
    return np.asarray(shares, np.float32)


def row_weights(targets: npt.NDArray[np.float32], *, kind: Kind) -> npt.NDArray[np.float32]:
    """Return weights (n, 1) by which every class counts alike; multi-label: (n, L), 0 and 1 do."""
    if kind == "multilabel":
        share = targets.mean(axis=0).clip(1e-3, 1 - 1e-3)
        return np.asarray(np.where(targets >= 0.5, 0.5 / share, 0.5 / (1 - share)), np.float32)
    counts = targets.sum(axis=0).clip(min=1)
    found = len(targets) / ((targets.sum(axis=0) > 0).sum() * counts)
    return np.asarray(targets @ found, np.float32)[:, None]


def _decided(bundle: Bundle, prepared: Prepared, validation: Indices) -> Bundle:
    """Return the bundle with thresholds chosen on the validation rows."""
    training = prepared.config.training
    if not len(validation) or training.threshold == "half" or bundle.kind == "multiclass":
        return bundle
    texts = [prepared.dataset.texts[i] for i in validation]
    targets = prepared.dataset.targets[validation]
    probabilities = Predictor(bundle).predict_proba(texts)
    chosen = thresholds(targets, probabilities, kind=bundle.kind, rule=training.threshold)
    return replace(bundle, thresholds=chosen)


def thresholds(
    targets: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    *,
    kind: Kind,
    rule: str,
) -> tuple[float, ...]:
    """Return the threshold a rule chooses on held-back rows, or one for each of several labels.

    One of several labels that no row carries says nothing of its threshold: it stays at ½.
    """
    if kind == "binary":
        return (choose_threshold(targets, probabilities[:, 1], rule=rule),)
    return tuple(
        choose_threshold(targets[:, k], probabilities[:, k], rule=rule)
        if targets[:, k].any()
        else 0.5
        for k in range(targets.shape[1])
    )
