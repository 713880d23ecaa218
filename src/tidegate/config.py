"""Every choice a model is made from, as frozen values.

Takes names and values from people, gives a checked `Config`. Knows nothing of files or torch.

The presets are in `presets`.
Each field is declared on one line with its meaning and unit, from which the command line makes its
flags (`hidden_size` → `--hidden-size`) and the bundle's manifest its keys.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tidegate.errors import ConfigError

Kind = Literal["binary", "multiclass", "multilabel"]  # of labels
Cell = Literal["lstm", "gru", "rnn"]
Pooling = Literal["padded_last", "last", "mean", "max", "mean_max"]
Tokenizer = Literal["tweet", "lesson"]
Ngrams = Literal["linear", "none"]
Lemmas = Literal["nltk-3.8", "nltk-3.9+"]


def setting(default: Any, help: str, *, before: Any = None, **bounds: float) -> Any:
    """Declare one config field: its default, its meaning with the unit, and its bounds.

    `before` is what a bundle means that was written before the field existed; by default the
    default.
    """
    old = default if before is None else before
    return field(default=default, metadata={"help": help, "before": old, **bounds})


class _Section:
    """What every section shares: each field is checked against its type and bounds when made."""

    __slots__ = ()

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):  # type: ignore[arg-type]
            value = _checked(item.name, getattr(self, item.name), hints[item.name])
            _check_bounds(item.name, value, item.metadata)
            object.__setattr__(self, item.name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig(_Section):
    """Which columns are read, and how rows are kept apart."""

    text: str = setting("text", "column that holds the message")
    label: tuple[str, ...] = setting(("target",), "label column; several columns: multi-label")
    label_separator: str = setting("", "what stands between the labels of one cell, such as |")
    name: tuple[str, ...] = setting((), "a label's name, where the file has another: 1=disaster")
    extra: tuple[str, ...] = setting((), "further text columns, joined in before the message")
    split: Literal["grouped", "random"] = setting("grouped", "how test rows are chosen")
    test_share: float = setting(0.2, "share of the rows held back for the test", above=0, below=1)
    split_seed: int = setting(20231116, "seed of the split", at_least=0)
    score: Literal["auto", "split", "cv", "none"] = setting(
        "auto", "how held-out figures are made; auto: cv under 2,000 rows, else split"
    )
    folds: int = setting(5, "folds of a cross-validation", at_least=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig(_Section):
    """How a message becomes token ids."""

    tokenizer: Tokenizer = setting("tweet", "pipeline from text to tokens")
    lemmas: Lemmas = setting("nltk-3.8", "whose lemma rules the lesson's pipeline follows")
    max_tokens: int = setting(
        40, "tokens read of one message; 0: all", at_least=0, at_most=1_000_000
    )
    num_words: int = setting(0, "most frequent words kept; 0: all", at_least=0)
    min_count: int = setting(2, "occurrences a word needs to be kept", at_least=1)
    vocabulary_rows: Literal["training", "all"] = setting("training", "rows words are counted on")
    unknown: Literal["unk", "drop"] = setting("unk", "words out of vocabulary: <unk>, or dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig(_Section):
    """The shape of the network."""

    vectors: str = setting(
        "words", "pretrained word vectors: words, wordllama (its pieces alone), none, or a file"
    )
    vector_size: int = setting(
        64, "values a pretrained vector is projected to", at_least=1, at_most=65_536
    )
    embedding_size: int = setting(64, "values of a trained word vector", at_least=1, at_most=65_536)
    cell: Cell = setting("lstm", "recurrent cell; rnn and gru are for comparison")
    hidden_size: int = setting(32, "units of a layer, per direction", at_least=1, at_most=65_536)
    num_layers: int = setting(1, "recurrent layers", at_least=1, at_most=64)
    bidirectional: bool = setting(True, "also read from the last token to the first")
    pooling: Pooling = setting("mean_max", "how the states of a message become one vector")
    head_size: int = setting(
        0, "units of the dense layer before the output; 0: none", at_least=0, at_most=65_536
    )
    initial_state: Literal["zeros", "xavier"] = setting("zeros", "h and c before the first token")
    embedding_scale: float = setting(0.1, "spread of trained word vectors at the start", above=0)
    recurrent_init: Literal["uniform", "orthogonal", "pretrained"] = setting(
        "orthogonal", "how its weights start; pretrained: those of an LSTM that can read"
    )
    forget_bias: float = setting(1.0, "start value of the forget gate's bias")
    word_dropout: float = setting(0.3, "share of words hidden in training", at_least=0, below=1)
    channel_dropout: float = setting(0.5, "share of input channels hidden", at_least=0, below=1)
    dropout: float = setting(0.5, "dropout before the dense layers", at_least=0, below=1)
    ngrams: Ngrams = setting(
        "linear",
        "a linear model of words, pairs and characters beside the LSTM; none",
        before="none",
    )
    ngram_share: float = setting(
        0.6, "weight of its logits; the rest is the LSTM's", at_least=0, below=1, before=0.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(_Section):
    """How the weights are learned."""

    seed: int = setting(0, "seed of weights, dropout and batch order", at_least=0)
    epochs: int = setting(6, "passes over the training rows", at_least=1)
    batch_size: int = setting(32, "messages a step", at_least=1)
    batches: Literal["pools", "in_order"] = setting("pools", "shuffled by length, or file order")
    optimizer: Literal["adamw", "rmsprop"] = setting("adamw", "update rule")
    learning_rate: float = setting(2e-3, "step size (the schedule's peak)", above=0)
    weight_decay: float = setting(0.01, "decoupled weight decay", at_least=0)
    beta2: float = setting(0.99, "memory of AdamW's second moment", at_least=0, below=1)
    schedule: Literal["one_cycle", "constant"] = setting("one_cycle", "learning rate over steps")
    warmup_share: float = setting(0.15, "share of the steps that warm up", above=0, below=1)
    clip_norm: float = setting(1.0, "largest norm of the gradient; 0: no clipping", at_least=0)
    label_smoothing: float = setting(0.1, "share of the label spread out", at_least=0, below=1)
    class_weights: Literal["none", "balanced"] = setting("none", "weight of each class in the loss")
    precision: Literal["float32", "bfloat16"] = setting("float32", "arithmetic of training")
    threads: int = setting(1, "cores used to learn; 0: all, bytes may then vary", at_least=0)
    refit: bool = setting(True, "ship a model of all rows; false: the one that was scored")
    device: Literal["cpu", "cuda"] = setting("cpu", "where training runs")
    threshold: str = setting("half", "decision rule: half, f1, f2, precision:0.9, cost:5:1")
    calibrate: bool = setting(True, "fit a temperature on held-out rows", before=False)
    validation_share: float = setting(
        0.1, "training rows kept to choose a threshold on", above=0, below=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationConfig(_Section):
    """Who teaches, and what the student learns from."""

    teacher: str = setting("none", "whom to learn from too: none, blend, or an encoder by name")
    teacher_folds: int = setting(4, "folds; each is labelled by who has not seen it", at_least=2)
    cross_fit: bool = setting(True, "an encoder for each fold; false: one that has seen them all")
    teacher_models: int = setting(3, "LSTMs of a blend, beside TF-IDF", at_least=1, at_most=99)
    blend_share: float = setting(
        0.4, "weight of a blend beside an encoder; 0: none", at_least=0, below=1
    )
    tfidf_share: float = setting(0.4, "weight of TF-IDF in a blend", at_least=0, below=1)
    kernel_share: float = setting(
        0.0, "weight of a kernel model of word vectors in a blend", at_least=0, below=1
    )
    soft_share: float = setting(
        0.5, "weight of a teacher's word on its labelled rows", at_least=0, at_most=1
    )
    temperature: float = setting(1.0, "what a teacher's logits are divided by", above=0)
    augment: int = setting(0, "texts made from each message for a teacher to label", at_least=0)
    swap_share: float = setting(
        0.3, "share of a made text's words swapped for near ones", at_least=0, at_most=1
    )
    unlabelled: str = setting("", "file of texts without labels, for a teacher to label")


_SECTIONS: dict[str, type[_Section]] = {
    "data": DataConfig,
    "text": TextConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "distillation": DistillationConfig,
}
# The sections of a manifest, and those of a `Config` whose fields each holds.
_ON_DISK = {
    "data": ("data",),
    "text": ("text",),
    "network": ("network",),
    "training": ("training", "distillation"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All choices of one model, in five sections.

    Attributes
    ----------
    data, text, network, training, distillation : the sections
    automatic : fields whose value is set from the data before training, see `presets.fitted`; one
        that is chosen by `with_settings` no longer is
    followed : fields whose value was so set, which another config of the same data need not keep

    Examples
    --------
    >>> config = Config().with_settings(hidden_size=64)
    >>> config.network.hidden_size
    64
    >>> Config.from_dict(config.to_dict()) == config
    True
    """

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    automatic: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    followed: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def with_settings(self, **settings: Any) -> Config:
        """Return a copy with the named fields replaced; names are unique over all sections.

        Raises
        ------
        ConfigError
            A name that is no field, or a value that the field cannot have.
        """
        owners = {name: section for section in _SECTIONS for name in field_names(section)}
        changes: dict[str, dict[str, Any]] = {}
        for name, value in settings.items():
            if name not in owners:
                raise ConfigError(_unknown(name, owners))
            changes.setdefault(owners[name], {})[name] = value
        return replace(
            self,
            automatic=self.automatic - set(settings),
            followed=self.followed - set(settings),
            **{s: replace(getattr(self, s), **c) for s, c in changes.items()},
        )

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain JSON-ready values, as a bundle's manifest holds them.

        There, distillation's fields stand among training's, as they have since format 1.
        """
        sections = {name: asdict(getattr(self, name)) for name in _SECTIONS}
        found = {s: {k: _plain(v) for k, v in d.items()} for s, d in sections.items()}
        found["training"] |= found.pop("distillation")
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, complete: bool = True) -> Config:
        """Make a config from `to_dict`'s result; every field must be there and no other.

        With `complete=False` a field may be missing, so that a bundle written before the field
        existed still loads. The field then says what was done before, see `setting`.

        Raises
        ------
        ConfigError
            A section or field that is missing, unknown, or of the wrong type.
        """
        _same_names("the config", values, _ON_DISK)
        made: dict[str, Any] = {}
        for name, sections in _ON_DISK.items():
            if not isinstance(values[name], Mapping):
                raise ConfigError(f"config section {name!r}: found no mapping; write one")
            known = {field: section for section in sections for field in field_names(section)}
            _same_names(f"config section {name!r}", values[name], known, complete=complete)
            for section in sections:
                old = {} if complete else _before(section)
                given = {k: v for k, v in values[name].items() if known[k] == section}
                made[section] = _SECTIONS[section](**{**old, **given})
        return cls(**made)


def _before(section: str) -> dict[str, Any]:
    """Return what the fields of a section mean in bundles that do not name them."""
    return {item.name: item.metadata["before"] for item in fields(_SECTIONS[section])}  # type: ignore[arg-type]


def section_names() -> tuple[str, ...]:
    """Return the names of a config's sections, in order."""
    return tuple(_SECTIONS)


def field_names(section: str) -> list[str]:
    """Return the field names of one section, in order."""
    return [item.name for item in fields(_SECTIONS[section])]  # type: ignore[arg-type]


def all_settings() -> dict[str, tuple[type, Any, str]]:
    """Return every field: its name → (type, default, meaning), in order, for flags and docs."""
    found: dict[str, tuple[type, Any, str]] = {}
    for section in _SECTIONS.values():
        hints = get_type_hints(section)
        for item in fields(section):  # type: ignore[arg-type]
            found[item.name] = (hints[item.name], item.default, item.metadata["help"])
    return found


def _checked(name: str, value: Any, kind: Any) -> Any:
    """Return `value` as `kind`, or say what it should have been."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            options = ", ".join(get_args(kind))
            raise ConfigError(f"{name}: found {value!r}; choose one of {options}")
        return value
    if get_origin(kind) is tuple:
        found = (value,) if isinstance(value, str) else value
        if not isinstance(found, (tuple, list)) or not all(_is_name(part) for part in found):
            raise ConfigError(f"{name}: found {value!r}; give column names")
        return tuple(found)
    if kind is float and type(value) is int and abs(value) < 2**1000:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ConfigError(f"{name}: found {value!r}; give a {_KINDS[kind]}")
    return value


def _is_name(part: Any) -> bool:
    return isinstance(part, str) and bool(part)


_KINDS = {int: "whole number", float: "finite number", bool: "true or false", str: "text"}


def _check_bounds(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    """Hold a number against the bounds of its field."""
    tests = {
        "at_least": operator.ge, "above": operator.gt, "below": operator.lt, "at_most": operator.le
    }  # fmt: skip
    for word, holds in tests.items():
        if word in bounds and not holds(value, bounds[word]):
            words = word.replace("_", " ")
            raise ConfigError(f"{name}: found {value}; it must be {words} {bounds[word]}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the fields are {', '.join(known)}"
    return f"setting {name!r} does not exist: {hint}"


def _same_names(
    where: str, found: Mapping[str, Any], wanted: Any, *, complete: bool = True
) -> None:
    """Raise unless the keys found are exactly the ones wanted (or some of them)."""
    missing = [name for name in wanted if name not in found] if complete else []
    extra = [name for name in found if name not in wanted]
    if missing or extra:
        what = [f"{', '.join(missing)} missing"] * bool(missing)
        what += [f"{', '.join(map(str, extra))} unknown"] * bool(extra)
        raise ConfigError(f"{where}: {'; '.join(what)}; write exactly {', '.join(wanted)}")
