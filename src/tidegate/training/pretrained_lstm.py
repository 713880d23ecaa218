"""The weights that an LSTM starts from, where it has learned to read before it learns labels.

Takes a network, changes its weights. `scripts/build_pretrained_lstm.py` made them: the LSTM read
WordNet's definitions and examples and learned what an encoder makes of them. Nothing is downloaded,
and nothing of the encoder is needed. `docs/explanation/what-default-does.md` says what it brings.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from tidegate.errors import ConfigError
from tidegate.presets import PRETRAINED_SIZES, has_pretrained
from tidegate.training.model import MessageNet

LSTM = Path(__file__).with_name("pretrained_lstm.safetensors")


def lstm_name(hidden: int, size: int, part: str) -> str:
    """Return the name in the file of a part of the network of a size.

    Examples
    --------
    >>> lstm_name(32, 64, "projection")
    '32x64.projection'
    """
    return f"{hidden}x{size}.{part}"


@torch.no_grad()
def take_pretrained(model: MessageNet) -> None:
    """Give a network the projection of word vectors and the LSTM that have learned to read.

    The inputs from the words' own vectors stay as they are: they are learned from labels alone.

    Raises
    ------
    ConfigError
        There are no such weights for a network of this shape.
    """
    config = model.config
    if model.projection is None or not has_pretrained(config):
        sizes = " or ".join(f"hidden_size={h} with vector_size={v}" for h, v in PRETRAINED_SIZES)
        raise ConfigError(
            "recurrent_init: found 'pretrained', but only one bidirectional LSTM layer over "
            f"vectors=words has such weights, with {sizes}; choose one of these, or "
            "recurrent_init=orthogonal"
        )
    with safe_open(LSTM, framework="pt") as stream:

        def part(name: str) -> torch.Tensor:
            found: torch.Tensor = stream.get_tensor(
                lstm_name(config.hidden_size, config.vector_size, name)
            )
            return found.float()

        model.projection.weight.copy_(part("projection"))
        for direction, cell in enumerate(model.cells):
            for name, weight in cell.named_parameters():
                found = part(f"{direction}.{name}")
                target = weight[:, : config.vector_size] if name == "weight_ih_l0" else weight
                target.copy_(found)
