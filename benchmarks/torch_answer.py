"""Answer one message with torch from a bundle: what a command would cost without the engine."""

from __future__ import annotations

import sys

import torch

from tidegate.engine.batches import pad
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import to_probabilities
from tidegate.text.encoder import Encoder
from tidegate.text.vocabulary import Vocabulary
from tidegate.training.model import MessageNet


def network_of(bundle: Bundle, new_words: list[str] | None = None) -> MessageNet:
    """Return a bundle's network in torch; `new_words` are those it may meet out of vocabulary."""
    vectors, rows = bundle.word_vectors, None
    if vectors is not None:
        rows = torch.from_numpy(vectors.rows([*bundle.tokens, *(new_words or [])]))
        rows[0] = 0.0
    outputs = 1 if bundle.kind == "binary" else len(bundle.labels)
    model = MessageNet(
        bundle.config.network, n_words=len(bundle.tokens), n_outputs=outputs, vectors=rows
    )
    with torch.no_grad():
        for name, tensor in model.bundle_weights().items():
            tensor.copy_(torch.from_numpy(bundle.weights[name].copy()))
    model.settle(rows)
    return model


def main() -> None:
    bundle, text = Bundle.load(sys.argv[1]), sys.argv[2]
    encoder = Encoder(
        bundle.config.text, Vocabulary(bundle.tokens),
        open_words=bool(bundle.pieces), length=bundle.sequence_length,
    )  # fmt: skip
    ids = encoder.encode(text)
    model = network_of(bundle, list(encoder.new_words))
    padded = bundle.config.network.pooling == "padded_last"
    batch = pad([ids], width=bundle.sequence_length if padded else 0)
    lengths = torch.tensor([batch.token_ids.shape[1]])
    with torch.no_grad():
        logits = model(torch.from_numpy(batch.token_ids), lengths).numpy()
    print(to_probabilities(logits, kind=bundle.kind, temperature=bundle.temperature)[0])


if __name__ == "__main__":
    main()
