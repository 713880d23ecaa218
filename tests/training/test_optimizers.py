"""Optimizers that do without PyTorch's compiler do what PyTorch's own do."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from tidegate.training.optimizers import uncompiled

KINDS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "AdamW, fused": (torch.optim.AdamW, {"fused": True, "weight_decay": 0.1}),
    "Adam": (torch.optim.Adam, {}),
    "RMSprop": (torch.optim.RMSprop, {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_weights_are_those_of_pytorchs_own(name: str) -> None:
    kind, settings = KINDS[name]
    found = []
    for made in (kind, uncompiled(kind)):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        optimizer = made([weight], lr=0.1, **settings)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 9, cycle_momentum=False)
        for step in range(8):
            if step == 4:  # as a run that is gone on with
                kept = optimizer.state_dict()
                optimizer = made([weight], lr=0.1, **settings)
                optimizer.load_state_dict(kept)
                schedule.optimizer = optimizer
            optimizer.zero_grad()
            (weight**2 + weight).sum().backward()
            optimizer.step()
            schedule.step()
        found.append(weight.detach())
    assert torch.equal(*found)
    assert not torch.equal(found[0], torch.linspace(-1, 1, 12).reshape(3, 4))


def test_the_compiler_is_not_loaded() -> None:
    code = (
        "import sys, torch; from tidegate.training.optimizers import uncompiled;"
        "weight = torch.nn.Parameter(torch.ones(1)); weight.sum().backward();"
        "optimizer = uncompiled(torch.optim.AdamW)([weight], fused=True); optimizer.step();"
        "optimizer.zero_grad(); optimizer.load_state_dict(optimizer.state_dict());"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
