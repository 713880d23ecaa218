"""Make the table of whole words' vectors that training reads beside WordLlama's pieces.

    python scripts/build_word_vectors.py ENCODER_FOLDER

ENCODER_FOLDER holds sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): its weights in
safetensors, its tokenizer and its vocabulary. Each English word that is one piece of its vocabulary
is read alone. What the third layer says of it, the two marks around it left out, is reduced to 64
numbers by principal components and kept in 8 bits.

Why the third layer: the first ones hardly know a word's sense, the last ones fit whole sentences.
docs/explanation/what-default-does.md says what the vectors bring.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch

from tidegate.engine.ngrams import quantised
from tidegate.engine.vectors import cut_words
from tidegate.training.pretrained import load_pretrained, pieces_hash

LAYER, SIZE, BATCH = 3, 64, 512
PLACE = Path(__file__).parents[1] / "src" / "tidegate" / "training" / "word_vectors.safetensors"


def listed(folder: Path) -> list[str]:
    """Return the whole words of two letters and more, the most frequent first."""
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return [piece for piece in pieces if piece.isascii() and piece.isalpha() and len(piece) > 1]


@torch.no_grad()
def read_alone(folder: Path, words: list[str]) -> npt.NDArray[np.float64]:
    """Return the state (n, E) of a layer at each word, which is one piece between two marks."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    body = AutoModel.from_pretrained(folder).eval()
    parts = []
    for start in range(0, len(words), BATCH):
        ids = torch.tensor(tokenizer(words[start : start + BATCH])["input_ids"])  # (B, 3)
        states = body(input_ids=ids, output_hidden_states=True).hidden_states[LAYER]
        parts.append(states[:, 1].double().numpy())
    return np.concatenate(parts)


def reduced(states: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the first principal components (n, SIZE), with standard deviation 1 over all."""
    centred = states - states.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    found = centred @ vectors[:, ::-1][:, :SIZE]
    return (found / found.std()).astype(np.float32)


def main() -> None:
    """Write the table where the package holds it."""
    folder = Path(sys.argv[1])
    words = listed(folder)
    rows, scales = quantised(reduced(read_alone(folder, words)))
    beside = load_pretrained("wordllama")
    if beside is None:
        raise SystemExit("wordllama is needed: its pieces stand beside the words")
    cuts = cut_words(words, beside.pieces)
    arrays = {
        "rows": rows, "scales": scales,
        "cuts": np.concatenate([np.array(cut, np.uint16) for cut in cuts]),
        "cut_lengths": np.array([len(cut) for cut in cuts], np.uint8),
    }  # fmt: skip
    facts = {
        "pieces_sha256": pieces_hash(beside.pieces),
        "words": "\n".join(words),
        "source": "sentence-transformers/all-MiniLM-L6-v2, layer 3, words read alone",
        "licence": "Apache-2.0",
    }
    safetensors.numpy.save_file(arrays, PLACE, facts)
    print(f"{len(words):,} words, {PLACE.stat().st_size / 1e6:.2f} MB: {PLACE}")


if __name__ == "__main__":
    main()
