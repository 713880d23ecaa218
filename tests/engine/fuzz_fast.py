"""Random shapes, ids and texts for the kernel, good and bad; run in a process of its own.

    python fuzz_fast.py ROUNDS

Built with sanitizers, it ends the process at the first byte read or written out of place.
"""

import contextlib
import sys

import numpy as np
import tidegate_fast as fast


def matrix(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(0, 0.5, shape).astype(np.float32)


def network(rng: np.random.Generator) -> tuple[fast.Network, int, int]:
    """Return a network of a random shape, its directions and the width of its tables."""
    cell, gates = [("lstm", 4), ("gru", 3), ("rnn", 1)][rng.integers(3)]
    units, n_directions = int(rng.integers(1, 50)), int(rng.integers(1, 3))
    pooling = ["last", "mean", "max", "mean_max"][rng.integers(4)]
    layers = [
        [
            fast.Direction(
                recurrent=matrix(rng, units, gates * units),
                hidden_bias=matrix(rng, units) if cell == "gru" else None,
                inputs=matrix(rng, n_directions * units, gates * units) if level else None,
                bias=matrix(rng, gates * units) if level else None,
            )
            for _ in range(n_directions)
        ]
        for level in range(rng.integers(1, 4))
    ]
    features = n_directions * units * (2 if pooling == "mean_max" else 1)
    head, outputs = int(rng.choice([0, 5, 33])), int(rng.choice([1, 3, 40]))
    dense = (matrix(rng, features, head), matrix(rng, head)) if head else None
    made = fast.Network(
        cell=cell, pooling=pooling, layers=layers, dense=dense,
        output=(matrix(rng, head or features, outputs), matrix(rng, outputs)),
        instructions=str(rng.choice(fast.INSTRUCTION_SETS)),
    )  # fmt: skip
    return made, n_directions, gates * units


def ngrams(rng: np.random.Generator, n_words: int, outputs: int) -> fast.Ngrams:
    keys = np.unique(rng.integers(0, (n_words + 2) ** 2, 200))
    bits = 8
    slots = ((keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)).astype(
        int
    )
    numbers = np.full(1 << bits, -1, np.int32)
    numbers[slots] = np.arange(len(keys), dtype=np.int32)
    crowded = np.flatnonzero(numbers[slots] != np.arange(len(keys)))
    return fast.Ngrams(
        n_words=n_words, floor=1e-3, share=0.5, keys=keys, numbers=numbers, crowded=crowded,
        rows=np.abs(matrix(rng, len(keys), outputs + 1)), bias=matrix(rng, outputs),
    )  # fmt: skip


def once(rng: np.random.Generator) -> None:
    made, n_directions, width = network(rng)
    words = int(rng.integers(1, 40))
    lengths = rng.integers(1, 30, int(rng.integers(0, 30)))
    starts = np.cumsum(lengths) - lengths
    ids = rng.integers(0, words, int(lengths.sum()))
    tables = [matrix(rng, words, width) for _ in range(n_directions)]
    tables.append(np.abs(matrix(rng, words, made.n_outputs + 1)))
    branch = ngrams(rng, words, made.n_outputs) if rng.integers(2) else None
    if rng.integers(2) and len(ids):  # something out of place
        wrong = [ids, starts, lengths][rng.integers(3)]
        wrong[rng.integers(len(wrong))] = rng.choice([-1, 0, words, 10**6, -(2**63), 2**63 - 1])
    with contextlib.suppress(ValueError):
        found = made.logits(ids, starts, lengths, tables=tables, ngrams=branch)
        if not np.isfinite(found).all():
            raise SystemExit("a logit is not finite")
    known, more = fast.Surfaces(), fast.Surfaces()
    text = bytes(rng.choice(list(b"ab \0\xe2\x80\xa8\xc2\x85\xe3\xff\n"), size=200)) + b"\0"
    for _ in range(3):
        missed = known.encode(text, int(rng.integers(0, 5)), more)[2]
        for word in missed:
            (known if rng.integers(2) else more).add(word, rng.integers(0, 9, rng.integers(0, 4)))


rounds = int(sys.argv[1])
for seed in range(rounds):
    once(np.random.default_rng(seed))
print(rounds, "rounds")
