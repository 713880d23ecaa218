"""Those who train one network together, each on a part of every batch.

Takes a batch's rows, gives this one's. How they talk with one another is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Team(Protocol):
    """Those who train one network together: each learns from a part of every batch.

    Attributes
    ----------
    rank, size : this one's number, from 0, and how many there are
    """

    rank: int
    size: int

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put into each tensor the sum of what all have in it."""


def part_of(batch: Tensor, team: Team | None) -> tuple[Tensor, float]:
    """Return this one's rows of a batch, and what share of it they are.

    Who would have none, in a batch of fewer rows than members, reads one that counts nothing.
    """
    if team is None:
        return batch, 1.0
    mine = batch[team.rank :: team.size]
    return (mine, len(mine) / len(batch)) if len(mine) else (batch[:1], 0.0)
