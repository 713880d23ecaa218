"""The presets: configs that people start from.

Takes a preset's name and what the labels and the teacher are; gives a `Config`. A preset is a
value, never a code path: whatever differs between two presets is a field of the config.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.config import (
    Config,
    DataConfig,
    DistillationConfig,
    NetworkConfig,
    TextConfig,
    TrainingConfig,
    field_names,
)
from tidegate.errors import ConfigError, short

LESSON = Config(
    data=DataConfig(split="random", score="split"),
    text=TextConfig(
        tokenizer="lesson", max_tokens=0, num_words=9300, min_count=1, vocabulary_rows="all",
        unknown="drop",
    ),
    network=NetworkConfig(
        vectors="none", embedding_size=256, hidden_size=256, num_layers=2, bidirectional=False,
        pooling="padded_last", head_size=256, initial_state="xavier", embedding_scale=1.0,
        recurrent_init="uniform",
        forget_bias=0.0, word_dropout=0.0, channel_dropout=0.0, dropout=0.5, ngrams="none",
    ),
    training=TrainingConfig(
        epochs=20, batch_size=128, batches="in_order", optimizer="rmsprop", learning_rate=1e-3,
        weight_decay=0.0, schedule="constant", clip_norm=0.0, label_smoothing=0.0, refit=False,
        calibrate=False,
    ),
)  # fmt: skip

# Rare labels have few rows to learn from: a wider network, far less regularised, read further,
# that knows words by their pretrained vectors more than by its own.
# Whole words' vectors have not been measured there, and would take 4 MB at this width.
# Smoothing would pull the probability of every absent label towards ½, most of them labels a
# message never has.
MULTILABEL = Config(
    text=TextConfig(max_tokens=80),
    network=NetworkConfig(
        vectors="wordllama", vector_size=128, embedding_size=16, hidden_size=192,
        word_dropout=0.1, channel_dropout=0.1, dropout=0.2,
    ),
    training=TrainingConfig(learning_rate=4e-3, label_smoothing=0.0, threshold="f1"),
)  # fmt: skip

# A blend's word on one made text a row helps; more of them cost F1. The more rows its members learn
# from, the better it labels the rest: eight folds, where they are quickly trained. With several
# labels none of this has been measured.
_SEVERAL_BY_BLEND: dict[str, Any] = {"teacher": "blend", "label_smoothing": 0.0}
_BY_BLEND: dict[str, Any] = _SEVERAL_BY_BLEND | {
    "teacher_folds": 8, "augment": 1, "word_dropout": 0.1,
}  # fmt: skip
# An encoder's soft labels on many made texts are what regularises: less of the rest is needed. An
# LSTM takes up much more of them than n-grams can, which would hold it back, and some more of them
# with 64 units than with 32.
_BY_ENCODER: dict[str, Any] = {
    "label_smoothing": 0.0, "word_dropout": 0.05, "channel_dropout": 0.15, "dropout": 0.15,
    "hidden_size": 64, "ngrams": "none",
}  # fmt: skip
_SEVERAL_BY_ENCODER: dict[str, Any] = {"augment": 2, "epochs": 4}

# What follows from the rows, their classes and their length, see `fitted`.
AUTOMATIC = frozenset(
    {"epochs", "batch_size", "learning_rate", "hidden_size", "min_count", "ngram_share"}
    | {"vector_size", "word_dropout", "channel_dropout", "dropout", "recurrent_init"}
)
# Of a blend too, so that it takes minutes whatever the rows and the classes.
BLEND_AUTOMATIC = frozenset({"teacher_folds", "teacher_models", "tfidf_share"})
# Of an encoder's student: the fewer rows, the more texts are made of each, up to 32.
ENCODER_AUTOMATIC = frozenset({"augment", "epochs"})
MANY_CLASSES = 20
# The hidden units, and the values of a projected word vector, of the LSTMs that have learned to
# read before: those that `fitted` chooses, and an encoder's student's.
PRETRAINED_SIZES = ((32, 64), (64, 64), (64, 32), (128, 64))
WIDE_UNITS = 128  # of `best`, below MANY_CLASSES
BLEND_READS = 900_000  # messages that a blend's LSTMs of 32 units read in training, all together
TAUGHT_TEXTS = 54_000  # rows and texts made of them, for an encoder to label
TAUGHT_READS = 216_000  # messages that its student reads in training
DEFAULT = replace(Config(), automatic=AUTOMATIC)


def _with(base: Config, settings: dict[str, Any], automatic: frozenset[str]) -> Config:
    """Return a config with settings, and others set from the data."""
    found = base.with_settings(**settings)
    return replace(found, automatic=found.automatic | automatic)


PRESETS: dict[str, Config] = {
    "default": DEFAULT,
    # Still automatic: `fitted` keeps it only where the bundle does not become too large.
    "best": _with(DEFAULT, {"hidden_size": WIDE_UNITS}, frozenset({"hidden_size"})),
    "lesson": LESSON,
    "multilabel": MULTILABEL,
}


def preset(name: str, *, n_label_columns: int = 1, teacher: str = "none") -> Config:
    """Return a preset by name.

    Parameters
    ----------
    n_label_columns : of several, `default` is `multilabel`, and `best` that with a blend as teacher
    teacher : with one, `default` and `best` are the same: the settings for that kind of teacher

    Raises
    ------
    ConfigError
        No preset has that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} does not exist: choose one of {', '.join(PRESETS)}")
    several = n_label_columns > 1
    if several and name == "best" and teacher == "none":
        teacher = "blend"
    if name not in ("default", "best") or teacher == "none":
        return PRESETS["multilabel" if several and name == "default" else name]
    base = MULTILABEL if several else DEFAULT
    automatic = frozenset[str]()
    if not several:
        automatic = BLEND_AUTOMATIC if teacher == "blend" else ENCODER_AUTOMATIC
    return _with(base, _taught(teacher, several=several), automatic)


def check_taught(config: Config, given: Mapping[str, Any]) -> None:
    """Check that no setting of a teacher was given where there is no teacher.

    Parameters
    ----------
    config : with the settings given
    given : settings by name, as someone gave them; a preset's own are not among them

    Raises
    ------
    ConfigError
        A setting of a teacher differs from its default, but nobody teaches: it would do nothing.

    Examples
    --------
    >>> config = PRESETS["default"].with_settings(augment=2)
    >>> check_taught(config, {"augment": 2})
    Traceback (most recent call last):
    tidegate.errors.ConfigError: augment: found 2, but there is no teacher; give one or leave it out
    """
    if config.distillation.teacher != "none":
        return
    plain = DistillationConfig()
    for name in field_names("distillation"):
        value = getattr(config.distillation, name)
        if name in given and value != getattr(plain, name):
            raise ConfigError(
                f"{name}: found {short(value)}, but there is no teacher; give one or leave it out"
            )


def untaught(config: Config, *, several: bool) -> Config:
    """Return the config without its teacher, regularised as a model is that has none.

    Parameters
    ----------
    several : whether a message carries several labels
    """
    base = MULTILABEL if several else DEFAULT
    taught = _taught(config.distillation.teacher, several=several)
    settings = {k: v for section in base.to_dict().values() for k, v in section.items()}
    chosen = {k: v for section in config.to_dict().values() for k, v in section.items()}
    # What somebody chose stays: only what the teacher's preset set is set back.
    names = [name for name, value in taught.items() if chosen[name] == value]
    names += sorted(config.followed & ENCODER_AUTOMATIC)
    plain = {name: settings[name] for name in (*names, "teacher", "augment")}
    found = config.with_settings(unlabelled="", **plain)
    return replace(found, automatic=found.automatic | (base.automatic & set(names)))


def _taught(teacher: str, *, several: bool) -> dict[str, Any]:
    """Return what differs from the plain preset where a teacher teaches: by what it is."""
    if teacher == "blend":
        return _SEVERAL_BY_BLEND if several else _BY_BLEND
    return {"teacher": teacher} | (_SEVERAL_BY_ENCODER if several else _BY_ENCODER)


def fitted(config: Config, *, rows: int, classes: int, words: float) -> Config:
    """Return a config whose automatic fields have the values that the data ask for.

    The rule was chosen by out-of-fold scores on eleven data sets of 400 to 18,000 rows and 2 to 150
    classes; `docs/explanation/what-default-does.md` says what was measured.

    Parameters
    ----------
    rows, classes : to learn from, and of the labels
    words : the mean number of words of a message

    Examples
    --------
    >>> fitted(PRESETS["default"], rows=500, classes=3, words=15.0).training.epochs
    19
    """
    many = min(1.0, max(0.0, math.log2(classes / 2) / 4))  # 0 at 2 classes, 1 from 32 on
    # An LSTM that can read makes more of 64 units, but answers half as fast; two classes hardly
    # gain by it. With many classes a wide one would make the bundle larger than 12 MB.
    units = 32 if classes == 2 else 64
    if config.network.hidden_size == WIDE_UNITS and classes < MANY_CLASSES:
        units = WIDE_UNITS
    sizes = {
        "hidden_size": units,
        # Every piece has a row of so many values in the bundle, and of many classes 48 more.
        "vector_size": 64 if classes < MANY_CLASSES else 32,
    }
    config = _set_now(config, sizes)
    read_before = has_pretrained(config.network)
    config = _set_now(config, {"recurrent_init": "pretrained" if read_before else "orthogonal"})
    # More classes need more passes, and so do few rows; an LSTM that can read needs fewer. Of large
    # data 200,000 messages are read at most, in all passes.
    passes = 3 * classes
    if config.network.recurrent_init == "pretrained":
        passes = max(6, round(1.5 * classes))
    epochs = min(20, max(3, round(passes * (6000 / rows) ** 0.4)), max(3, 200_000 // rows))
    steps = 150 if classes == 2 else 300
    # A wide LSTM that can read is worth as much as its n-grams, a narrow one less. With few rows a
    # class, either has hardly seen any of them.
    share = 0.5 if config.network.hidden_size >= WIDE_UNITS else 0.6
    values: dict[str, Any] = {
        "epochs": max(epochs, math.ceil(steps / math.ceil(rows / 32))),
        "batch_size": 32 if rows < 10_000 else 64,
        "learning_rate": 2e-3 if rows < 10_000 else 3e-3,
        "min_count": 1 if rows < 1000 else 2,
        "ngram_share": share if rows >= 20 * classes else 0.9,
        "word_dropout": min(0.3, max(0.1, words / 50)),  # a short message has no word to spare
        "channel_dropout": 0.5 - 0.3 * many,
        "dropout": 0.5 - 0.2 * many,
    }
    values |= _blend_size(rows * int(values["epochs"]) * config.network.hidden_size // 32, classes)
    if config.distillation.teacher not in ("none", "blend"):
        values |= _taught_size(rows)
    return _set_now(config, values)


def has_pretrained(network: NetworkConfig) -> bool:
    """Return whether there are weights for a network's LSTM that has learned to read before.

    Examples
    --------
    >>> has_pretrained(NetworkConfig(hidden_size=32)), has_pretrained(NetworkConfig(hidden_size=48))
    (True, False)
    """
    shape = (network.cell, network.num_layers, network.bidirectional, network.vectors)
    sizes = (network.hidden_size, network.vector_size)
    return shape == ("lstm", 1, True, "words") and sizes in PRETRAINED_SIZES


def _set_now(config: Config, values: dict[str, Any]) -> Config:
    """Return a config with those of the values whose fields are automatic."""
    found = {k: v for k, v in values.items() if k in config.automatic}
    return replace(config.with_settings(**found), followed=config.followed | frozenset(found))


def _taught_size(rows: int) -> dict[str, Any]:
    """Return how many texts are made for an encoder to label, and how the student reads them."""
    augment = min(32, max(1, round(TAUGHT_TEXTS / rows) - 1))
    reads = TAUGHT_READS / (rows * (1 + augment))
    return {"augment": augment, "epochs": min(8, max(4, round(reads)))}


def _blend_size(reads: int, classes: int) -> dict[str, Any]:
    """Return how many models a blend has.

    Parameters
    ----------
    reads : messages that one LSTM reads in training, times its units over 32
    """
    lstms = BLEND_READS // max(reads, 1)
    sizes = ((24, 8, 3), (18, 6, 3), (12, 4, 3), (8, 4, 2))
    folds, models = next(((f, m) for least, f, m in sizes if lstms >= least), (4, 1))
    # Each LSTM has its n-gram branch. TF-IDF beside them is worth something with two classes, and
    # with several it costs a point or two.
    share = 0.3 if classes == 2 else 0.0
    return {"teacher_folds": folds, "teacher_models": models, "tfidf_share": share}
