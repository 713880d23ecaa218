"""The compiled kernel in place of NumPy, where it is installed and agrees with it.

Takes a network and an encoder, gives what answers the same questions faster: `Kernel` ids to
logits, `Surfaces` texts to ids. Nothing here is needed to answer: without `tidegate-fast`, or where
it differs from NumPy by more than `TOLERANCE`, the engine in NumPy answers as it always does.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.engine.lstm import Floats
from tidegate.errors import ConfigError
from tidegate.text.encoder import MAX_CACHED_SURFACES, Encoder, SurfaceIds
from tidegate.text.ids import Flat, flatten

if TYPE_CHECKING:
    from tidegate.engine.network import Direction, Network
    from tidegate.engine.ngrams import NgramBranch

INTERFACE = 1  # of tidegate_fast, as it is used here
TOLERANCE = 1e-6  # between the probabilities of both engines
ENGINES = ("auto", "fast", "numpy")
LONG_TEXT = 4096  # characters; a longer message's words are read one by one
CHECKED_LENGTHS = (1, 2, 2, 3, 5, 9, 17, 17)  # of the messages that both engines are asked


def installed() -> tuple[Any, str]:
    """Return the module `tidegate_fast`, or None and why it cannot be used."""
    try:
        module = importlib.import_module("tidegate_fast")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "tidegate_fast"
        return None, "tidegate-fast is not installed" if missing else f"tidegate-fast: {error}"
    if getattr(module, "INTERFACE", None) != INTERFACE:
        return None, "tidegate-fast is of another version; install tidegate[fast] again"
    return module, ""


def chosen(engine: str) -> tuple[Any, str]:
    """Return the module to use, or None and why NumPy answers.

    Parameters
    ----------
    engine : `"numpy"`, `"fast"`, or `"auto"`: fast if it is there

    Raises
    ------
    ConfigError
        There is no such engine, or it must be fast and cannot.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine: found {engine!r}; it is one of {', '.join(ENGINES)}")
    if engine == "numpy":
        return None, ""
    module, why = installed()
    if module is None and engine == "fast":
        raise ConfigError(f"engine: {why}; pip install 'tidegate[fast]', or choose auto or numpy")
    return module, why


class Kernel:
    """A network in C.

    Parameters
    ----------
    network : whose folded weights it takes
    module : `tidegate_fast`
    instructions : one of the sets that it lists; by default the processor's best
    """

    def __init__(self, network: Network, module: Any, *, instructions: str = "") -> None:
        self.module = module
        pooling = network.config.pooling
        self._network = module.Network(
            cell=network.config.cell,
            pooling="last" if pooling == "padded_last" else pooling,
            layers=[[_direction(d, module) for d in layer] for layer in network.layers],
            dense=network.dense,
            output=network.output,
            instructions=instructions,
        )
        share = network.config.ngram_share
        self._ngrams = network.ngrams and _ngrams(network.ngrams, share, module)
        self.instructions: str = self._network.instructions

    def logits(self, flat: Flat, tables: Sequence[Floats]) -> Floats:
        """Return the logits (B, C) of messages, those of the n-gram branch blended in."""
        found: Floats = self._network.logits(
            flat.ids, flat.starts, flat.lengths, tables=tables, ngrams=self._ngrams
        )
        return found

    def lstm_logits(self, flat: Flat, tables: Sequence[Floats]) -> Floats:
        """Return the logits (B, C) of messages without the n-gram branch."""
        found: Floats = self._network.logits(flat.ids, flat.starts, flat.lengths, tables=tables)
        return found


def _direction(direction: Direction, module: Any) -> Any:
    return module.Direction(
        inputs=direction.inputs, bias=direction.bias, recurrent=direction.recurrent,
        hidden_bias=direction.hidden_bias,
    )  # fmt: skip


def _ngrams(branch: NgramBranch, share: float, module: Any) -> Any:
    index = branch.pair_index
    return module.Ngrams(
        n_words=branch.n_words, floor=branch.floor, share=share,
        keys=index.keys, numbers=index.numbers, crowded=index.crowded,
        rows=branch.tables["pairs"], bias=branch.bias,
    )  # fmt: skip


def questions(n_words: int, limit: int) -> Flat:
    """Return the messages of ids on which the engines are compared: padding alone, then longer.

    Examples
    --------
    >>> questions(9, 3).lengths.tolist()
    [1, 1, 2, 2, 3, 3, 3, 3, 3]
    """
    known = min(n_words, 64)
    lengths = [min(n, limit or n) for n in CHECKED_LENGTHS]
    return flatten([[0], *([(7 * t * t + 5 * t + n) % known for t in range(n)] for n in lengths)])


def padded(flat: Flat, width: int) -> Flat:
    """Return messages filled up with padding to one length, as `padded_last` reads them."""
    width = max(width, int(flat.lengths.max()))
    ids = np.zeros((len(flat.lengths), width), np.int64)
    places = np.arange(width) < flat.lengths[:, None]
    ids[places] = flat.ids[(flat.starts[:, None] + np.arange(width))[places]]
    starts = np.arange(len(ids)) * width
    return Flat(ids=ids.ravel(), starts=starts, lengths=np.full(len(ids), width))


class Surfaces:
    """An encoder's words in C: a word met before is not looked up in Python.

    Messages of more than 4,096 characters, or with a NUL, are left to the encoder, and with them
    those of the same block.

    Parameters
    ----------
    encoder : one that cuts texts at white space
    module : `tidegate_fast`
    """

    def __init__(self, encoder: Encoder, surfaces: SurfaceIds, module: Any) -> None:
        self._encoder, self._surfaces, self._module = encoder, surfaces, module
        self._known = module.Surfaces()

    def encode_all(self, texts: Sequence[str]) -> Flat:
        """Return what the encoder's `encode_all` gives."""
        if not texts or max(map(len, texts)) > LONG_TEXT:
            return self._encoder.encode_all(texts)
        joined = "\0".join(map(self._surfaces.mended, texts)) + "\0"
        if joined.count("\0") != len(texts):
            return self._encoder.encode_all(texts)
        if len(self._known) >= MAX_CACHED_SURFACES:
            self._known = self._module.Surfaces()
        known, more, limit = self._known, None, self._encoder.limit or 0
        data = joined.encode("utf-8", "surrogatepass")
        ids, ends, missed = known.encode(data, limit)
        if missed:
            more = self._module.Surfaces()  # words that are not remembered
            for word in dict.fromkeys(missed):
                found, kept = self._surfaces.found(word.decode("utf-8", "surrogatepass"))
                (known if kept else more).add(word, np.array(found, np.int64))
            ids, ends, _ = known.encode(data, limit, more)
        lengths = np.diff(ends, prepend=-1) - 1
        return Flat(ids=ids, starts=ends - lengths, lengths=np.maximum(lengths, 1), ends=ends)
