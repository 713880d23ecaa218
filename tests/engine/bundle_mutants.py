"""Bundles as an attacker would write them: mutated at random, with every hash right.

python bundle_mutants.py KIND N SEED FOLDER tries N of a kind (manifest, weights, vocabulary,
pieces) and prints how many were refused and how many answer, the slowest in seconds and the
process' largest memory in MB.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import tiny_bundle, with_ngrams, with_vectors
from tidegate.engine.bundle import LAYOUT, Bundle
from tidegate.engine.predictor import Predictor
from tidegate.errors import BundleError

DEEP = "[" * 200 + "]" * 200
NASTY = [
    None, True, False, 0, 1, -1, -5, 2, 3, 2.5, -0.0, 1e300, -1e300, 5e-324, 2**31, 2**63, 10**30,
    10**400, float("nan"), float("inf"), float("-inf"), "", "x", "0", "lstm", "\x1b[31mred",
    "\ud800", "a" * 5000, "none", "wordllama", "padded_last", [], {}, [[]], [0], [0.5], [0.5] * 9,
    ["a", "a"], ["a", "b"], ["a", None], [1, 2], {"a": 1}, json.loads(DEEP), [0.0] * 3000,
    {"value": "x"}, 10**6, 10**9, "../../etc/passwd", 0.5, 1.5, 1e-300, 64, 40, 4096, 65536,
]  # fmt: skip
Values = Any


def places(tree: Values, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all that is in a JSON value."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(tree[key], (dict, list)):
            found += places(tree[key], (*path, key))
    return found


def mutated(tree: Values, rng: np.random.Generator) -> Values:
    """Return a JSON value with one to three things in it changed."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.integers(1, 4)):
        every = places(tree)
        if not every:
            return NASTY[rng.integers(len(NASTY))]
        *path, key = every[rng.integers(len(every))]
        inside = tree
        for step in path:
            inside = inside[step]
        value = inside[key]
        how = rng.integers(7)
        if how == 0:
            del inside[key]
        elif how == 1 and isinstance(inside, list):
            inside.insert(key, copy.deepcopy(value))
        elif how == 1:
            inside[f"{key}{rng.integers(3) or ''}_"] = value
        elif how == 2 and isinstance(value, (int, float)) and abs(value) < 1e6:
            inside[key] = value + [1, -1, 0.5, 1e-9, 1000][rng.integers(5)]
        elif how == 3 and isinstance(value, (int, float)) and abs(value) < 1e6:
            inside[key] = value * [-1, 2, 10**9, 0, 1e-9][rng.integers(5)]
        elif how == 4:
            other = every[rng.integers(len(every))]
            found = tree
            for step in other:
                found = found[step] if isinstance(found, dict) and step in found else value
            inside[key] = copy.deepcopy(found)
        else:
            inside[key] = copy.deepcopy(NASTY[rng.integers(len(NASTY))])
    return tree


def written(value: Values) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def seal(manifest: Values) -> bytes:
    """Return a manifest's bytes with its own hash in it, whatever it is."""
    if not isinstance(manifest, dict):
        return written(manifest)
    rest = written({k: v for k, v in manifest.items() if k != "manifest_sha256"})
    return rest[:-3] + f',\n "manifest_sha256": "{hashlib.sha256(rest).hexdigest()}"\n}}\n'.encode()


@dataclass
class Target:
    """A bundle in a folder, whose files are changed and put back."""

    folder: Path

    def __post_init__(self) -> None:
        self.files = {file.name: file.read_bytes() for file in self.folder.iterdir()}
        self.manifest = json.loads(self.files[LAYOUT.manifest])
        del self.manifest["manifest_sha256"]

    def put(self, name: str, data: bytes) -> None:
        """Write a file and the manifest that goes with it."""
        manifest = copy.deepcopy(self.manifest)
        digest = hashlib.sha256(data).hexdigest()
        manifest["files"][name] = {"sha256": digest, "size_bytes": len(data)}
        (self.folder / name).write_bytes(data)
        (self.folder / LAYOUT.manifest).write_bytes(seal(manifest))

    def put_back(self) -> None:
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)

    def manifest_mutant(self, rng: np.random.Generator) -> None:
        (self.folder / LAYOUT.manifest).write_bytes(seal(mutated(self.manifest, rng)))

    def weights_mutant(self, rng: np.random.Generator) -> None:
        """Write weights with a mutated header, or length of it, or values."""
        data = self.files[LAYOUT.weights]
        end = 8 + int.from_bytes(data[:8], "little")
        header, values = data[8:end], bytearray(data[end:])
        length = None
        how = rng.integers(6)
        if how < 3:
            header = json.dumps(mutated(json.loads(header), rng)).encode()
        elif how == 3:
            changed = bytearray(header)
            for place in rng.integers(0, len(header), rng.integers(1, 4)):
                changed[place] = rng.integers(256)
            header = bytes(changed)
        elif how == 4:
            length = int(rng.choice([0, 1, len(header) - 1, len(data), 2**31, 2**62]))
        else:
            place = 4 * rng.integers(0, len(values) // 4)
            bad = np.float32(rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e7]))
            values[place : place + 4] = bad.tobytes()
        size = (len(header) if length is None else length).to_bytes(8, "little")
        self.put(LAYOUT.weights, size + header + bytes(values))

    def json_mutant(self, name: str, rng: np.random.Generator) -> None:
        self.put(name, written(mutated(json.loads(self.files[name]), rng)))

    def mutant_of(self, kind: str) -> Callable[[np.random.Generator], None]:
        if kind == "manifest":
            return self.manifest_mutant
        if kind == "weights":
            return self.weights_mutant
        name = {"vocabulary": LAYOUT.vocabulary, "pieces": LAYOUT.pieces}[kind]
        return lambda rng: self.json_mutant(name, rng)


def bundles() -> list[Bundle]:
    return [
        with_ngrams(), with_vectors(), tiny_bundle(kind="multiclass"),
        replace(tiny_bundle(kind="multilabel"), thresholds=(0.2, 0.5, 0.7)),
        tiny_bundle(tokenizer="lesson", pooling="padded_last", num_layers=2, unknown="drop"),
    ]  # fmt: skip


def check_answers(bundle: Bundle) -> None:
    """Raise unless a bundle that was accepted answers with probabilities."""
    predictor = Predictor(bundle)
    with np.errstate(all="raise"):
        p = predictor.predict_proba(["fire near the firefly", "", "lost"])
    predictor.decide(p)
    if p.shape != (3, len(predictor.labels)) or not ((p >= 0) & (p <= 1)).all():
        raise AssertionError(f"{p}")


@dataclass
class Outcome:
    """What became of some mutants."""

    refused: int = 0
    accepted: int = 0
    slowest_s: float = 0.0


def try_mutants(kind: str, n: int, *, seed: int, folder: Path) -> Outcome:
    """Load n mutants; raises whatever is raised but BundleError."""
    outcome = Outcome()
    kinds = bundles()[:1] if kind == "pieces" else bundles()
    targets = [Target(b.save(folder / f"model{k}")) for k, b in enumerate(kinds)]
    rng = np.random.default_rng(seed)
    for number in range(n):
        target = targets[number % len(targets)]
        target.mutant_of(kind)(rng)
        start = time.perf_counter()
        try:
            loaded = Bundle.load(target.folder)
        except BundleError as error:
            outcome.refused += 1
            if "\n" in str(error) or len(str(error)) > 800:
                raise AssertionError(f"no short line: {error!r}") from None
        else:
            outcome.accepted += 1
            check_answers(loaded)
        outcome.slowest_s = max(outcome.slowest_s, time.perf_counter() - start)
        target.put_back()
    return outcome


def peak_mb() -> int:
    """Return the most memory this process has held.

    The system's `ru_maxrss` would also count what its parent held when it was started.
    """
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    kind, n, seed, folder = sys.argv[1:]
    found = try_mutants(kind, int(n), seed=int(seed), folder=Path(folder))
    print(found.refused, found.accepted, round(found.slowest_s, 3), peak_mb())
