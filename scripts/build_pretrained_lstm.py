"""Make the weights that `default`'s LSTM starts from.

    python scripts/build_pretrained_lstm.py WORDNET_FOLDER ENCODER_FOLDER

WORDNET_FOLDER holds WordNet 3.0's database (Debian's package wordnet-base), ENCODER_FOLDER
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0). The LSTM reads WordNet's definitions and
examples, some 208,000 short texts without labels, and learns what the encoder makes of them:

    the sentence   the encoder's vector of the text, from the pooled states: the cosine between
                   both, and the similarities to the other texts of the batch
    each word      the encoder's states at the word, those of its fourth and of its last layer in
                   64 principal components each, from the LSTM's states at the word

What was learned on top of the LSTM for that is thrown away. The file has a projection of the
word vectors and an LSTM for each size that `fitted` in `presets.py` chooses.

Encoding takes six to twelve minutes on two cores, and each size five to ten. The encoder is run in
bfloat16: another processor may give other last digits, and so another file.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.config import Config
from tidegate.presets import PRETRAINED_SIZES
from tidegate.text.tokenizers import make_tokenizer
from tidegate.training.model import MessageNet
from tidegate.training.pretrained import load_pretrained
from tidegate.training.pretrained_lstm import LSTM, lstm_name

EPOCHS, BATCH, POOL = 6, 128, 50
LAYER, COMPONENTS, SENTENCE = 4, 64, 384
DROPPED = 0.1  # share of words, and of input channels, hidden in training
SHARPNESS = 20.0  # of the similarities within a batch
# The encoder knows the marks that the tokeniser puts in place of numbers and such as common words.
SPOKEN = {"<num>": "5", "<url>": "http", "<user>": "user"}


def texts_of(folder: Path) -> list[str]:
    """Return WordNet's definitions, each part by itself, its examples, and some of its entries."""
    found: list[str] = []
    for name in ("noun", "verb", "adj", "adv"):
        for number, line in enumerate((folder / f"data.{name}").open(encoding="latin-1")):
            if line.startswith("  "):
                continue  # the licence
            head, _, gloss = line.partition(" | ")
            examples = re.findall(r'"([^"]+)"', gloss)
            definition = re.sub(r';?\s*"[^"]*"(?:\s*-[^;]*)?', "", gloss.strip()).strip(" ;")
            found += definition.split("; ")
            found += examples
            if number % 3 == 0:
                word = re.sub(r"\(.*\)", "", head.split()[4]).replace("_", " ")
                found.append(f"{word}: {definition.split(';')[0]}")
    return [text for text in dict.fromkeys(found) if len(text.split()) >= 3]


@dataclass(frozen=True)
class Texts:
    """What is read, and what is to be made of it, the shortest texts first.

    `words` are the texts' words (N texts), `sentences` (N, 384), `states` (all words, 128), and
    `starts` (N + 1) where each text's words begin among them.
    """

    words: list[list[str]]
    sentences: Tensor
    states: Tensor
    starts: npt.NDArray[np.int64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many words each text has, (N,)."""
        return np.diff(self.starts)


class Encoder:
    """Reads texts of known words with the encoder."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.body = AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def read(self, texts: list[list[str]]) -> tuple[Tensor, list[Tensor]]:
        """Return sentences' vectors (B, 384) of length 1, and words' states of two layers."""
        spoken = [[SPOKEN.get(word, word) for word in words] for words in texts]
        pieces = self.tokenizer(
            spoken, is_split_into_words=True, padding=True, truncation=True, max_length=96,
            return_tensors="pt",
        )  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16):
            layers = self.body(**pieces, output_hidden_states=True).hidden_states
        real = pieces["attention_mask"].float()[:, :, None]
        last = layers[-1].float()
        sentences = functional.normalize((last * real).sum(1) / real.sum(1), dim=1)
        longest = max(map(len, texts))
        owners = [[-1 if w is None else w for w in pieces.word_ids(b)] for b in range(len(texts))]
        owned = torch.tensor(owners)[:, None] == torch.arange(longest)[None, :, None]
        share = owned.float() / owned.sum(2, keepdim=True).clamp(min=1)  # (B, T, pieces)
        ours = torch.tensor([len(words) for words in texts])[:, None] > torch.arange(longest)
        return sentences, [(share @ layer.float())[ours] for layer in (layers[LAYER], last)]


def components(encoder: Encoder, texts: list[list[str]]) -> list[tuple[Tensor, Tensor]]:
    """Return for two layers the mean state (384,) and scaled principal components (384, 64)."""
    starts = np.random.default_rng(0).integers(0, len(texts) - 256, 24)
    parts = [encoder.read(texts[start : start + 256])[1] for start in starts.tolist()]
    found = []
    for layer in zip(*parts, strict=True):
        states = torch.cat(layer).double()
        mean = states.mean(0)
        _, vectors = torch.linalg.eigh((states - mean).T @ (states - mean))
        chosen = vectors.flip(1)[:, :COMPONENTS]
        found.append((mean.float(), (chosen / ((states - mean) @ chosen).std()).float()))
    return found


def encoded(texts: list[str], folder: Path) -> Texts:
    """Return texts with what the encoder makes of them."""
    split = make_tokenizer(Config().text)
    words = [found for found in (split(text)[:40] for text in texts) if len(found) > 1]
    words.sort(key=len)
    encoder = Encoder(folder)
    reduce = components(encoder, words)
    sentences, states = [], []
    for start in range(0, len(words), 256):
        vectors, layers = encoder.read(words[start : start + 256])
        sentences.append(vectors.half())
        pairs = zip(layers, reduce, strict=True)
        states.append(torch.cat([(x - mean) @ to for x, (mean, to) in pairs], dim=1).half())
        if start // 256 % 100 == 0:
            print(f"encoded {start:,} of {len(words):,} texts", flush=True)
    starts = np.concatenate([[0], np.cumsum([len(text) for text in words])])
    return Texts(words, torch.cat(sentences), torch.cat(states), starts)


class Student(nn.Module):
    """The network of a size, with what it learns the encoder's vectors by on top."""

    def __init__(self, texts: Texts, hidden: int, size: int) -> None:
        super().__init__()
        vectors = load_pretrained("words")
        if vectors is None:
            raise SystemExit("wordllama is needed")
        known = sorted({word for words in texts.words for word in words})
        place = {word: n for n, word in enumerate(known, 1)}
        self.texts = texts
        self.ids = [torch.tensor([place[word] for word in words]) for words in texts.words]
        rows = np.vstack([np.zeros((1, vectors.table.shape[1]), np.float32), vectors.rows(known)])
        settings = {"hidden_size": hidden, "vector_size": size, "embedding_size": 1}
        network = Config().with_settings(**settings, channel_dropout=DROPPED, dropout=0.0)
        self.net = MessageNet(
            network.with_settings(word_dropout=DROPPED).network, n_words=1, n_outputs=SENTENCE,
            vectors=torch.from_numpy(rows),
        )  # fmt: skip
        self.net.embedding.weight.requires_grad_(False).zero_()  # nothing is known but the vectors
        self.of_words = nn.Linear(2 * hidden, 2 * COMPONENTS)

    def forward(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the losses of texts: 1 − cosine, similarities' cross-entropy, words' squares."""
        lengths = torch.from_numpy(self.texts.lengths[rows])
        token_ids = nn.utils.rnn.pad_sequence([self.ids[i] for i in rows], batch_first=True)
        states, real = self.net.states(token_ids, lengths)  # (B, T, 2H)
        made = functional.normalize(self.net.output(self.net.pooled(states, real, lengths)), dim=1)
        wanted = self.texts.sentences[rows].float()
        near = torch.softmax(wanted @ wanted.T * SHARPNESS, dim=1)
        parts = [self.texts.states[slice(*self.texts.starts[i : i + 2])] for i in rows]
        words = functional.mse_loss(self.of_words(states[real]), torch.cat(parts).float())
        similar = functional.cross_entropy(made @ wanted.T * SHARPNESS, near)
        return 1 - (made * wanted).sum(1).mean(), similar, words


def batches(
    lengths: npt.NDArray[np.int64], rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield an epoch's batches, texts of like length together."""
    found = []
    order = rng.permutation(len(lengths))
    for pool in np.array_split(order, max(1, len(order) // (BATCH * POOL))):
        near = pool[np.argsort(lengths[pool], kind="stable")]
        found += [near[i : i + BATCH] for i in range(0, len(near) - BATCH + 1, BATCH)]
    yield from (found[i] for i in rng.permutation(len(found)))


def pretrained(texts: Texts, hidden: int, size: int) -> dict[str, npt.NDArray[np.float16]]:
    """Return the weights of a network of a size, by their names in the file."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    student = Student(texts, hidden, size)
    learned = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, 3e-3, betas=(0.9, 0.99), weight_decay=0.01)
    steps = EPOCHS * (len(texts.words) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    for epoch in range(EPOCHS):
        sums = np.zeros(3)
        for rows in batches(texts.lengths, rng):
            losses = student(rows)
            optimizer.zero_grad()
            (2 * losses[0] + 0.5 * losses[1] + losses[2]).backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            schedule.step()
            sums += [loss.item() for loss in losses]
        print(
            f"{hidden} units, {size} values, epoch {epoch + 1}: {sums * BATCH / len(texts.words)}",
            flush=True,
        )
    net = student.net
    assert net.projection is not None
    weights = {"projection": net.projection.weight}
    for d, cell in enumerate(net.cells):
        weights |= {f"{d}.{name}": tensor for name, tensor in cell.named_parameters()}
        weights[f"{d}.weight_ih_l0"] = weights[f"{d}.weight_ih_l0"][:, :size]
    return {
        lstm_name(hidden, size, name): tensor.detach().contiguous().half().numpy()
        for name, tensor in weights.items()
    }


def main() -> None:
    """Write the weights where the package holds them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("wordnet", type=Path)
    parser.add_argument("encoder", type=Path)
    options = parser.parse_args()
    texts = encoded(texts_of(options.wordnet), options.encoder)
    arrays: dict[str, npt.NDArray[np.float16]] = {}
    torch.set_num_threads(1)  # so that a size's bytes do not depend on the number of cores
    for hidden, size in PRETRAINED_SIZES:
        arrays |= pretrained(texts, hidden, size)
    facts = {
        "source": "states of sentence-transformers/all-MiniLM-L6-v2 on the texts of WordNet 3.0",
        "licence": "Apache-2.0 (all-MiniLM-L6-v2); WordNet 3.0's licence",
    }
    safetensors.numpy.save_file(arrays, LSTM, facts)
    print(f"{len(texts.words):,} texts, {LSTM.stat().st_size / 1e6:.2f} MB: {LSTM}")


if __name__ == "__main__":
    main()
