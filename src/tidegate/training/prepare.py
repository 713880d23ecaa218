"""Rows to tensors: tokens, vocabulary, ids, pretrained vectors.

Takes a dataset, a config and the row numbers of train and test; gives `Prepared`. The corpus
figures the lesson prints come from here. Knows nothing of networks.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from tidegate.config import Config, NetworkConfig
from tidegate.data.dataset import Dataset
from tidegate.engine.batches import Batch, pad
from tidegate.text.encoder import Encoder
from tidegate.text.tokenizers import make_tokenizer
from tidegate.text.vocabulary import Vocabulary
from tidegate.training.loop import Encoded
from tidegate.training.ngrams import Messages
from tidegate.training.pretrained import Pretrained, load_pretrained
from tidegate.training.soft_labels import SoftLabels
from tidegate.training.warm import Start

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Everything a network needs to learn from a dataset.

    Attributes
    ----------
    encoder : text to ids, fitted
    batch : all rows' ids, padded
    sequence_length : tokens read of a message (0: all)
    tokens : all rows' tokens
    start : the model that is gone on from, with room for the words and labels; None: from nothing
    """

    dataset: Dataset
    config: Config
    train_rows: Indices
    test_rows: Indices
    encoder: Encoder
    batch: Batch
    sequence_length: int
    tokens: list[list[str]]
    pretrained: Pretrained | None
    start: Start | None = None

    @property
    def words(self) -> list[str]:
        """Every word that has an id, those out of vocabulary included, in id order."""
        return [*self.encoder.vocabulary.tokens, *self.encoder.new_words]

    def encoded(self, rows: Indices, weights: npt.NDArray[np.float32] | None = None) -> Encoded:
        """Return rows as tensors on the config's device."""
        device = self.config.training.device
        return Encoded(
            token_ids=torch.from_numpy(self.batch.token_ids[rows]).to(device),
            lengths=torch.from_numpy(self.batch.lengths[rows]).to(device),
            targets=torch.from_numpy(self.dataset.targets[rows]).to(device),
            weights=None if weights is None else torch.from_numpy(weights[rows]).to(device),
        )

    def softly_labelled(self, labels: SoftLabels) -> Encoded:
        """Return texts and soft labels as tensors; words new to the encoder get ids."""
        batch = pad([self.encoder.encode(text) for text in labels.texts])
        device = self.config.training.device
        return Encoded(
            token_ids=torch.from_numpy(batch.token_ids).to(device),
            lengths=torch.from_numpy(batch.lengths).to(device),
            targets=torch.from_numpy(labels.targets).to(device),
        )

    def messages(self, ids: Sequence[Sequence[int]]) -> Messages:
        """Return messages of token ids as the n-gram branch learns from them."""
        vocabulary = self.encoder.vocabulary
        return Messages(
            ids=ids, words=self.words, n_vocabulary=len(vocabulary),
            n_special=2 if vocabulary.unknown_id >= 0 else 1, pretrained=self.pretrained,
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Return the SHA-256 of the training rows' texts and targets."""
        digest = hashlib.sha256()
        for row in self.train_rows:
            digest.update(self.dataset.texts[row].encode("utf-8", "surrogatepass"))
            digest.update(b"\0" + self.dataset.targets[row].tobytes())
        return digest.hexdigest()

    def figures(self) -> list[str]:
        """Return the corpus figures, line by line as the lesson prints them."""
        counts = Counter(token for tokens in self.tokens for token in tokens)
        n_words = len(self.encoder.vocabulary) - 1
        longest = max(map(len, self.tokens))
        width = self.batch.token_ids.shape[1]
        train, test = len(self.train_rows), len(self.test_rows)
        size = self.config.training.batch_size
        rest = [
            (f"y_{side}: (quotient, remainder) = {divmod(n, size)}",
             f"         {size} x {n // size} + {n % size} = {n}")
            for side, n in (("train", train), ("test", test))
        ]  # fmt: skip
        return [
            f"input length: {len(self.dataset)}",
            f"total number of tokens: {sum(counts.values())}",
            f"total number of unique tokens: {len(counts)}",
            f"length of vocabulary: {n_words}",
            f"max number of tokens per row: {longest}",
            f"X_train shape: {(train, width)}",
            f"X_test shape: {(test, width)}",
            f"y_train shape: {(train,)}",
            f"y_test shape: {(test,)}",
            f"batch_size: {size}",
            *(line for lines in rest for line in lines),
        ]


def opens_words(network: NetworkConfig) -> bool:
    """Return whether words out of vocabulary are read: by their vectors, or their characters."""
    return network.vectors != "none" or network.ngrams != "none"


def prepare(
    dataset: Dataset,
    config: Config,
    *,
    train: Indices,
    test: Indices,
    start: Start | None = None,
) -> Prepared:
    """Read every row as the network will.

    The vocabulary is fitted on the training rows alone, unless the config says otherwise (the
    lesson counts all rows). Of a model that is gone on from it is kept, new words behind its own.
    """
    tokenizer = make_tokenizer(config.text)
    tokens = [tokenizer(text) for text in dataset.texts]
    counted = tokens if config.text.vocabulary_rows == "all" else [tokens[i] for i in train]
    if start is None:
        vocabulary = Vocabulary.fit(counted, config.text)
    else:
        vocabulary = Vocabulary(start.bundle.tokens).extended(counted, config.text)
        start = start.widened(vocabulary.tokens, dataset.subset(train))
    pretrained = load_pretrained(config.network.vectors)
    encoder = Encoder(config.text, vocabulary, open_words=opens_words(config.network))
    id_lists = [encoder.encode_tokens(row) for row in tokens]
    batch = pad(id_lists)
    length = config.text.max_tokens
    if config.network.pooling == "padded_last":
        length = batch.token_ids.shape[1]
        batch.lengths[:] = length
    return Prepared(
        dataset=dataset, config=config, train_rows=train, test_rows=test, encoder=encoder,
        batch=batch, sequence_length=length, tokens=tokens, pretrained=pretrained,
        start=start,
    )  # fmt: skip
