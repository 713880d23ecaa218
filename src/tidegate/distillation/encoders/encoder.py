"""A pretrained encoder from a hub's name or a local folder, with a head for our labels.

Takes a name, gives a network from texts to logits. Only weights in the safetensors format are read
and only a tokenizer in the `tokenizers` format, so that no code or pickle of others ever runs.

Sentence vector: the mean of the last layer's states over real tokens (Reimers & Gurevych 2019).
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tidegate.errors import ConfigError
from tidegate.text.tweet import TweetTokenizer

MAX_PIECES = 64  # word pieces read of a text
_DROPOUT = 0.1
_REACH_S = 5.0  # that a hub has to answer a first request
_TOKENIZER = TweetTokenizer()


class Encoder(nn.Module):
    """A pretrained encoder, mean pooling, and one linear layer.

    Parameters
    ----------
    name : a hub's model, or a folder that holds one
    n_outputs : logits a text
    seed : of the linear layer's weights
    """

    def __init__(self, name: str, *, n_outputs: int, seed: int) -> None:
        super().__init__()
        self.name = name
        self.tokenizer, self.body = _loaded(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Linear(self.body.config.hidden_size, n_outputs)
        self.dropout = nn.Dropout(_DROPOUT)

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text's word pieces, 64 at most, and one at least."""
        clean = [plain(text) for text in texts]
        if not clean:
            return []
        found: list[list[int]] = self.tokenizer(
            clean, truncation=True, max_length=MAX_PIECES, padding=False
        )["input_ids"]
        nothing = [self.tokenizer.unk_token_id or 0]
        return [row or nothing for row in found]

    def forward(self, pieces: Sequence[Sequence[int]]) -> Tensor:
        """Return logits (B, C) of texts as word pieces."""
        device = self.head.weight.device
        width = max(map(len, pieces))
        pad = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in pieces], device=device)
        lengths = torch.tensor([len(row) for row in pieces], device=device)
        real = (torch.arange(width, device=device) < lengths[:, None]).long()  # (B, T)
        states = self.body(input_ids=ids, attention_mask=real).last_hidden_state  # (B, T, E)
        mean = (states * real[:, :, None]).sum(dim=1) / lengths[:, None]
        logits: Tensor = self.head(self.dropout(mean))
        return logits

    @property
    def n_parameters(self) -> int:
        """How many numbers it has."""
        return sum(p.numel() for p in self.parameters())

    @property
    def size_bytes(self) -> int:
        """What its weights weigh."""
        return sum(p.numel() * p.element_size() for p in self.parameters())

    def licence(self) -> str:
        """Return the licence that its model card states, or "unknown"."""
        from transformers.utils.hub import cached_file

        try:
            card = _local_first(partial(cached_file, self.name, "README.md"), name=self.name)
        except OSError:
            return "unknown"
        for line in (
            Path(card or "").read_text(encoding="utf-8", errors="replace").splitlines()[:60]
        ):
            if line.startswith("license:"):
                return line.removeprefix("license:").strip() or "unknown"
        return "unknown"


def plain(text: str) -> str:
    """Return a message as an encoder should read it: repaired, its links cut short.

    Examples
    --------
    >>> plain("Fire &amp; smoke https://t.co/a1B2")
    'Fire & smoke http'
    """
    # That there is a link says much; what its characters spell says nothing, and costs ten pieces.
    surfaces = _TOKENIZER.surfaces(text)
    words = ("http" if _TOKENIZER.read(s) == ("<url>",) else _TOKENIZER.repair(s) for s in surfaces)
    return " ".join(words).encode("utf-8", "replace").decode("utf-8")


def _loaded(name: str) -> tuple[Any, Any]:
    """Return the tokenizer and the encoder of a name, or say why there is none."""
    folder = Path(name)
    if folder.is_dir():
        _check_folder(folder)
    elif folder.is_absolute() or name.startswith((".", "~")):
        raise ConfigError(f"teacher: no folder {name}; name one, or a model of a hub")
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    read_tokenizer = partial(
        AutoTokenizer.from_pretrained, name, use_fast=True, trust_remote_code=False
    )
    read_body = partial(
        AutoModel.from_pretrained, name, use_safetensors=True, dtype=torch.float32,
        trust_remote_code=False,
    )  # fmt: skip
    try:
        tokenizer = _local_first(read_tokenizer, name=name)
        body = _local_first(read_body, name=name)
    except (OSError, ValueError, ImportError, SafetensorError) as fault:
        reason = str(fault).strip().splitlines()[0]
        raise ConfigError(
            f"teacher: {name!r} cannot be had ({reason}); a hub's name needs a network or its "
            "cache, and weights as safetensors; a folder needs neither network nor hub"
        ) from fault
    if not tokenizer.is_fast:
        raise ConfigError(f"teacher: {name!r} has no fast tokenizer (tokenizer.json); name another")
    return tokenizer, body


def _local_first(read: Callable[..., Any], *, name: str) -> Any:
    """Read what is on this machine; ask the hub only for what is not, and only if it is there.

    The hub's own library tries a name for a minute when there is no network.
    """
    try:
        return read(local_files_only=True)
    except (OSError, ValueError) as fault:
        if Path(name).is_dir():
            raise
        why = _unreachable()
        if why:
            raise OSError(f"it is not in the cache, and {why}") from fault
    return read()


def _unreachable() -> str:
    """Return why no hub can be asked, or nothing if one can: one attempt of a few seconds."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_REACH_S).close()  # nosec B310
    except urllib.error.HTTPError:
        return ""  # an answer, whichever
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "reason", fault)
        if isinstance(
            reason, ssl.SSLError
        ):  # the hub's library may know certificates that we do not
            return ""
        return f"{constants.ENDPOINT} cannot be reached ({reason})"
    return ""


def _check_folder(folder: Path) -> None:
    """Raise unless a folder holds what an encoder needs, and nothing pickled in its stead."""
    if not (folder / "config.json").is_file():
        raise ConfigError(f"teacher: {folder} holds no config.json; name a model's folder")
    if not any(folder.glob("*.safetensors")):
        pickled = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
        if pickled:
            raise ConfigError(
                f"teacher: {folder} holds pickled weights ({pickled[0].name}), which can run any "
                "code; convert them to safetensors"
            )
        raise ConfigError(f"teacher: {folder} holds no *.safetensors; name a model's folder")
    if not (folder / "tokenizer.json").is_file():
        raise ConfigError(
            f"teacher: {folder} has no fast tokenizer (tokenizer.json); save it with one"
        )
