"""What one call works on: word ids and tables that no other call takes away from it.

Takes a network, an encoder and word tables that belong together; gives ids of texts, and logits of
ids. Knows nothing of probabilities, labels or files.

A `Predictor` has one reader at a time, which all its threads share, and words are only added to
it. When it has met more words out of vocabulary than `MAX_OPEN_WORDS`, the predictor goes on with
another. Calls that are running keep the old one until they are done. Ids mean something to the
reader that gave them, and to no other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidegate.engine.batches import Packed, pack, pack_flat, pad
from tidegate.engine.blas import one_thread
from tidegate.engine.kernel import Kernel, Surfaces, padded
from tidegate.engine.lstm import Floats
from tidegate.engine.network import Network
from tidegate.engine.words import WordTables
from tidegate.text.encoder import MAX_OPEN_WORDS, MAX_SURFACE_CHARACTERS, Encoder
from tidegate.text.ids import Flat, Ints, flatten
from tidegate.text.vocabulary import PAD_ID

Doubles = npt.NDArray[np.float64]
CHUNK_VALUES = 192 * 1024  # of a step's gates, so that they stay in the processor's cache
CHUNK_MESSAGES = 384  # at least: fewer rows make slow matrix products
CHUNK_TOKENS = 131_072  # of a chunk at most, for messages of many tokens
_ONLY = np.zeros(1, np.int64)  # one message needs no order


class Reader:
    """Texts to ids, and ids to logits, for any number of threads.

    Parameters
    ----------
    network : the weights
    encoder : texts to ids
    tables : the network's tables, by the encoder's ids
    kernel : what answers in place of NumPy, if it is there
    """

    def __init__(
        self,
        network: Network,
        encoder: Encoder,
        tables: WordTables,
        *,
        kernel: Kernel | None = None,
    ) -> None:
        self.network = network
        self.encoder = encoder
        self.kernel = kernel
        self._tables = tables
        self._flat = encoder.encode_all  # texts to ids
        by_surfaces = encoder.by_surfaces
        if kernel is not None and by_surfaces is not None:
            self._flat = Surfaces(encoder, by_surfaces, kernel.module).encode_all

    @classmethod
    def new(cls, network: Network, encoder: Encoder) -> Reader:
        """Return a reader that has met no word yet."""
        n_words = len(encoder.vocabulary)
        tables = WordTables(network.word_rows, network.table_widths, n_words=n_words)
        return cls(network, encoder, tables)

    def with_kernel(self, kernel: Kernel) -> Reader:
        """Return this reader with a kernel that answers."""
        return Reader(self.network, self.encoder, self._tables, kernel=kernel)

    @property
    def full(self) -> bool:
        """Whether it has met more words out of vocabulary than are remembered."""
        encoder = self.encoder
        many = len(encoder.new_words) > MAX_OPEN_WORDS
        return many or encoder.new_characters > MAX_OPEN_WORDS * MAX_SURFACE_CHARACTERS

    def without_new_words(self) -> Reader:
        """Return another reader that remembers of the words only those of the vocabulary."""
        tables = self._tables.without_new_words()
        encoder = self.encoder.without_new_words()
        return Reader(self.network, encoder, tables, kernel=self.kernel)

    def tables(self, ids: npt.NDArray[np.int64]) -> tuple[Floats, ...]:
        """Return the first layer's folded W x + b by word id, a table a direction.

        The rows of `ids` are filled in; others may not be.
        """
        return self._tables.of(np.append(ids, PAD_ID), self.encoder.new_words)

    def packed(self, id_lists: Sequence[Sequence[int]]) -> Packed:
        """Return id lists, sorted from long to short, as the network reads them."""
        if self.network.config.pooling != "padded_last":
            return pack_flat(flatten(id_lists))
        batch = pad(id_lists, width=self.encoder.limit or 0)
        batch.lengths[:] = batch.token_ids.shape[1]
        return pack(batch)

    def logits(self, id_lists: Sequence[Sequence[int]]) -> Floats:
        """Return logits (n, n_outputs) of encoded messages, in their order."""
        return self.flat_logits(flatten(id_lists))

    def text_logits(self, texts: Sequence[str]) -> Floats:
        """Return logits (n, n_outputs) of texts."""
        return self.flat_logits(self._flat(texts))

    def answer(self, texts: Sequence[str]) -> tuple[Floats, Ints, Doubles]:
        """Return logits (n, n_outputs) of texts, tokens read (n,), and the share unknown (n,)."""
        flat = self._flat(texts)
        n_known, unknown_id = len(self.encoder.vocabulary), self.encoder.vocabulary.unknown_id
        # A running sum and not `reduceat`, which takes no end past the last row.
        unknown = np.append(0, np.cumsum((flat.ids >= n_known) | (flat.ids == unknown_id)))
        n_unknown = unknown[flat.starts + flat.lengths] - unknown[flat.starts]
        padding = (flat.lengths == 1) & (flat.ids.take(flat.starts, mode="clip") == PAD_ID)
        tokens = np.where(padding, 0, flat.lengths)
        return self.flat_logits(flat), tokens, n_unknown / flat.lengths

    def with_ngrams(self, logits: Floats, texts: Sequence[str]) -> Floats:
        """Return an LSTM's logits (n, n_outputs) of texts with those of the n-gram branch."""
        flat = self.encoder.encode_all(texts)
        return self.network.with_ngrams(logits, flat, self.tables(flat.ids))

    def flat_logits(self, flat: Flat) -> Floats:
        """Return logits (n, n_outputs) of encoded messages that lie in one array."""
        lengths, network = flat.lengths, self.network
        logits = np.empty((len(lengths), network.n_outputs), np.float32)
        if not len(lengths):
            return logits
        if self.kernel is not None:
            return self._by_kernel(self.kernel, flat)
        order = np.argsort(-lengths, kind="stable") if len(lengths) > 1 else _ONLY
        fills_up = network.config.pooling == "padded_last"
        size = max(CHUNK_VALUES // (4 * network.config.hidden_size), CHUNK_MESSAGES)
        start = 0
        with one_thread():
            tables = self.tables(flat.ids)
            while start < len(order):
                longest = max(int(lengths[order[start]]), 1)
                rows = order[start : start + max(min(size, CHUNK_TOKENS // longest), 1)]
                packed = self.packed(flat.lists(rows)) if fills_up else pack_flat(flat, rows)
                logits[rows] = network.logits(packed, tables)
                start += len(rows)
            return network.with_ngrams(logits, flat, tables)

    def _by_kernel(self, kernel: Kernel, flat: Flat) -> Floats:
        with one_thread():
            tables = self.tables(flat.ids)
        if self.network.config.pooling != "padded_last":
            return kernel.logits(flat, tables)
        longer = padded(flat, self.encoder.limit or 0)
        return self.network.with_ngrams(kernel.lstm_logits(longer, tables), flat, tables)
