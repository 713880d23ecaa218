"""Id lists to batches: padded arrays for torch, packed steps for NumPy, and pools by length.

Takes lists of ids, gives arrays with their shapes named. Knows nothing of words or weights.

B messages, T tokens, S = all real tokens of a batch together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.text.ids import Flat, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages side by side: token_ids (B, T) padded with 0 on the right, lengths (B,) ≥ 1."""

    token_ids: Ints
    lengths: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Messages sorted from long to short, cut into time steps without padding.

    Step t holds the t-th token of the `counts[t]` messages that are longer than t; they are the
    first `counts[t]` rows of the batch, so a step's states are the leading rows of the step before.

    Attributes
    ----------
    token_ids : (S,) step after step; None where each token has a row of its own, in this order
    counts : (T,) messages still running at each step, never growing
    offsets : (T + 1,) where each step starts in `token_ids`
    lengths : (B,) descending
    """

    token_ids: Ints | None
    counts: Ints
    offsets: Ints
    lengths: Ints


def pad(id_lists: Sequence[Sequence[int]], *, width: int = 0) -> Batch:
    """Pad on the right to the longest list, or to `width` if that is more.

    Examples
    --------
    >>> pad([[5, 6], [7]]).token_ids.tolist()
    [[5, 6], [7, 0]]
    """
    lengths = np.fromiter(map(len, id_lists), dtype=np.int64, count=len(id_lists))
    longest = max(int(lengths.max(initial=1)), width)
    token_ids = np.zeros((len(id_lists), longest), dtype=np.int64)  # (B, T)
    token_ids[np.arange(longest) < lengths[:, None]] = [i for ids in id_lists for i in ids]
    return Batch(token_ids=token_ids, lengths=lengths)


def pack(batch: Batch) -> Packed:
    """Cut a batch whose lengths descend into time steps."""
    running = np.arange(batch.token_ids.shape[1]) < batch.lengths[:, None]  # (B, T)
    counts = running.sum(axis=0, dtype=np.int64)
    counts = counts[counts > 0]
    return Packed(
        token_ids=batch.token_ids.T[running.T],
        counts=counts,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        lengths=batch.lengths,
    )


def pack_flat(flat: Flat, rows: Ints | slice = slice(None)) -> Packed:
    """Cut some messages, given from long to short, into time steps.

    Examples
    --------
    >>> from tidegate.text.ids import flatten
    >>> pack_flat(flatten([[7], [5, 6]]), np.array([1, 0])).token_ids.tolist()
    [5, 7, 6]
    """
    starts, lengths = flat.starts[rows], flat.lengths[rows]
    if len(lengths) == 1:
        n, first = int(lengths[0]), int(starts[0])
        offsets, ids = np.arange(n + 1), flat.ids[first : first + n]
        return Packed(token_ids=ids, counts=np.ones(n, np.int64), offsets=offsets, lengths=lengths)
    steps = np.arange(lengths[0])
    running = steps[:, None] < lengths  # (T, B)
    counts = running.sum(axis=1, dtype=np.int64)
    return Packed(
        token_ids=flat.ids[(starts + steps[:, None])[running]],
        counts=counts,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        lengths=lengths,
    )


def length_pools(lengths: Ints, *, batch_size: int, rng: np.random.Generator) -> list[Ints]:
    """Return shuffled batches of row indices in which lengths are alike.

    Rows are shuffled, cut into pools of 50 batches, sorted by length within a pool, cut into
    batches, and the batches shuffled: random enough to learn from, with little padding.
    """
    order = rng.permutation(len(lengths))
    batches: list[Ints] = []
    for start in range(0, len(order), 50 * batch_size):
        pool = order[start : start + 50 * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
