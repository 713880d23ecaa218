"""The network in PyTorch, as it learns.

Takes the network's config and sizes; gives logits for padded batches, exactly what `network` gives
for packed ones. Knows nothing of text, files or optimisers.

B messages, T tokens, E values of a word, H units, D directions, C outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from tidegate.config import NetworkConfig
from tidegate.engine.network import weight_names

_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class MessageNet(nn.Module):
    """Embedding, recurrent layers, pooling, dense head.

    Parameters
    ----------
    config : the network's shape
    n_words : rows of the trained embedding (V)
    n_outputs : logits a message (C)
    vectors : (n_ids, P) frozen pretrained vectors of every id, those out of vocabulary included
    """

    vectors: Tensor | None

    def __init__(
        self,
        config: NetworkConfig,
        *,
        n_words: int,
        n_outputs: int,
        vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.random_states = config.initial_state == "xavier"
        self.embedding = nn.Embedding(n_words, config.embedding_size, padding_idx=0)
        self.register_buffer("vectors", vectors, persistent=False)
        width = config.embedding_size
        self.projection: nn.Linear | None = None
        if vectors is not None:
            self.projection = nn.Linear(vectors.shape[1], config.vector_size, bias=False)
            width += config.vector_size
        directions = 2 if config.bidirectional else 1
        out = config.hidden_size * directions
        self.cells = nn.ModuleList()
        for layer in range(config.num_layers):
            inputs = out if layer else width
            cell = _CELLS[config.cell]
            self.cells.extend(
                cell(inputs, config.hidden_size, batch_first=True) for _ in range(directions)
            )
        self.dropout = nn.Dropout(config.dropout)
        pooled = out * (2 if config.pooling == "mean_max" else 1)
        self.dense = nn.Linear(pooled, config.head_size) if config.head_size else None
        self.output = nn.Linear(config.head_size or pooled, n_outputs)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        config = self.config
        self.embedding.weight *= config.embedding_scale
        for cell in self.cells:
            if config.recurrent_init == "orthogonal":
                recurrent = cast("Tensor", cell.weight_hh_l0)  # (G·H, H)
                for block in recurrent.split(config.hidden_size):
                    nn.init.orthogonal_(block)
            if config.cell == "lstm" and config.forget_bias:
                forget = slice(config.hidden_size, 2 * config.hidden_size)
                cast("Tensor", cell.bias_ih_l0)[forget] = config.forget_bias
                cast("Tensor", cell.bias_hh_l0)[forget] = 0.0

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, C) of token_ids (B, T), zeros after each row's length (B,)."""
        x, real = self.states(token_ids, lengths)
        return self._head(self.pooled(x, real, lengths))

    def states(self, token_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last layer's states (B, T, D·H), and which are of a token (B, T)."""
        x = self._inputs(token_ids)  # (B, T, E)
        steps = torch.arange(token_ids.shape[1], device=token_ids.device)
        real = steps < lengths[:, None]  # (B, T)
        # The backward direction is a second cell on each row's own tokens turned round: a row of
        # its own length, so that it never reads padding. Turning twice restores the order.
        turned = torch.where(real, lengths[:, None] - 1 - steps, steps)  # (B, T)
        directions = 2 if self.config.bidirectional else 1
        initial = self._initial_states(len(token_ids))
        for layer in range(self.config.num_layers):
            outputs = []
            for d in range(directions):
                cell = self.cells[layer * directions + d]
                state = None if initial is None else initial[layer * directions + d]
                if d == 0:
                    outputs.append(cell(x, state)[0])  # (B, T, H)
                else:
                    outputs.append(_turn(cell(_turn(x, turned), state)[0], turned))
            x = torch.cat(outputs, dim=2)  # (B, T, D·H)
        return x, real

    def _inputs(self, token_ids: Tensor) -> Tensor:
        """Return what the first layer reads: (B, T, E)."""
        n_words = self.embedding.num_embeddings
        trained = self.embedding(torch.where(token_ids < n_words, token_ids, min(1, n_words - 1)))
        x = trained
        if self.vectors is not None:
            x = torch.cat([self._pretrained(self.vectors, token_ids), trained], dim=2)
        config = self.config
        if self.training and config.word_dropout:
            seen = torch.rand(token_ids.shape, device=x.device) >= config.word_dropout
            x = x * seen[:, :, None]
        if self.training and config.channel_dropout:
            # One mask for all tokens of a message (Gal & Ghahramani 2016).
            shape = (x.shape[0], 1, x.shape[2])
            keep = 1.0 - config.channel_dropout
            x = x * ((torch.rand(shape, device=x.device) < keep) / keep)
        return cast("Tensor", x)

    def _pretrained(self, vectors: Tensor, token_ids: Tensor) -> Tensor:
        """Return the projected pretrained vectors (B, T, P) of vectors (n_ids, …)."""
        found = vectors[token_ids]
        return found if self.projection is None else self.projection(found)

    def settle(self, projected: Tensor | None) -> None:
        """Become the network that the bundle holds, to be compared with the engine.

        States start at zero, and `projected` (n_ids, P), the vectors as the bundle rounds them,
        take the place of the projection.
        """
        self.eval()
        self.random_states = False
        if projected is not None:
            self.vectors, self.projection = projected, None

    def _initial_states(self, n: int) -> list[Tensor | tuple[Tensor, Tensor]] | None:
        """Return h_0 (and c_0) drawn as the lesson draws them, for each layer and direction."""
        config = self.config
        if not self.random_states:
            return None
        count = len(self.cells)
        # Xavier's normal over a (layers, B, H) tensor: PyTorch takes H as the receptive field.
        std = math.sqrt(2.0 / ((n + count) * config.hidden_size))
        device = self.output.weight.device
        h = torch.randn(count, 1, n, config.hidden_size, device=device) * std
        c = torch.randn(count, 1, n, config.hidden_size, device=device) * std
        return [(h[k], c[k]) if config.cell == "lstm" else h[k] for k in range(count)]

    def pooled(self, x: Tensor, real: Tensor, lengths: Tensor) -> Tensor:
        """Return one vector a message (B, F) from its states (B, T, D·H), real where of a token."""
        how = self.config.pooling
        if how == "padded_last":
            return x[:, -1]
        if how == "last":
            return x[torch.arange(len(x), device=x.device), lengths - 1]
        pooled = []
        if how in ("mean", "mean_max"):
            pooled.append((x * real[:, :, None]).sum(dim=1) / lengths[:, None])
        if how in ("max", "mean_max"):
            pooled.append(x.masked_fill(~real[:, :, None], -torch.inf).amax(dim=1))
        return torch.cat(pooled, dim=1)

    def _head(self, pooled: Tensor) -> Tensor:
        """Return logits (B, C) of pooled states (B, F)."""
        x = self.dropout(pooled)
        if self.dense is not None:
            x = self.dropout(torch.relu(self.dense(x)))  # (B, head)
        return cast("Tensor", self.output(x))

    def bundle_weights(self) -> dict[str, Tensor]:
        """Return the weights under PyTorch's names for one stacked LSTM, as a bundle holds them."""
        return {name: p.detach().float().cpu() for name, p in self._parameters_by_name().items()}

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights that `bundle_weights` of a network of this shape returned."""
        for name, parameter in self._parameters_by_name().items():
            parameter.data.copy_(weights[name])

    def _parameters_by_name(self) -> dict[str, Tensor]:
        config = self.config
        found = {"embedding.weight": self.embedding.weight}
        directions = [False, True] if config.bidirectional else [False]
        cells = iter(self.cells)
        for layer in range(config.num_layers):
            for reverse in directions:
                cell = next(cells)
                names = weight_names(config, layer, reverse=reverse)
                found |= {name: getattr(cell, f"{part}_l0") for part, name in names.items()}
        for name in ("dense", "output"):
            linear = getattr(self, name)
            if linear is not None:
                found |= {f"{name}.weight": linear.weight, f"{name}.bias": linear.bias}
        return found


def _turn(x: Tensor, turned: Tensor) -> Tensor:
    """Reorder the tokens of x (B, T, F) by turned (B, T)."""
    return x.gather(1, turned[:, :, None].expand_as(x))
