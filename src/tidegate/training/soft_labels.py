"""What a network may learn from in place of the rows' own labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftLabels:
    """Texts, and a probability of each label for each of them.

    Attributes
    ----------
    texts : n of them: the training rows' own, made ones, unlabelled ones
    targets : (n, L) the probability of each label, also where labels are binary
    """

    texts: tuple[str, ...]
    targets: npt.NDArray[np.float32]
