"""The verbs that look: inspect a bundle, check a data set."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.printing import config_of, put, with_settings
from tidegate.errors import DataError


def inspect(
    model: Annotated[Path, typer.Argument(help="A bundle: the directory that train wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Print what is in a bundle, after verifying every byte of it."""
    from tidegate.bundle import Bundle

    bundle = Bundle.load(model)
    if as_json:
        put(json.dumps(bundle.manifest(), indent=1))
        return
    size = sum(f.stat().st_size for f in model.iterdir() if f.is_file())
    manifest = bundle.manifest()
    put(
        f"{model}: {bundle.kind} model, {size / 1e6:.1f} MB, verified",
        f"labels: {', '.join(bundle.labels)}",
        f"vocabulary: {len(bundle.tokens)} words; tokens read: {bundle.sequence_length or 'all'}",
        f"thresholds: {', '.join(map(str, bundle.thresholds))}; temperature: {bundle.temperature}",
        f"trained on: {manifest['training_data']}",
    )
    for name, score in bundle.metrics.get("scores", {}).items():
        put(f"{name}: {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})")
    for section, values in manifest["config"].items():
        put(f"{section}: " + ", ".join(f"{name}={value}" for name, value in values.items()))
    for name, array in sorted(bundle.weights.items()):
        put(f"{name}: {tuple(array.shape)} {array.dtype}")


@with_settings
def check(
    data: Annotated[str, typer.Argument(help="CSV, TSV, JSONL or Parquet; - for standard input.")],
    **settings: Any,
) -> None:
    """Say what is wrong with a data set, before training on it."""
    from tidegate.dataset import normalise, read_dataset

    dataset = read_dataset(data, config_of("default", settings).data)
    put(f"{dataset.source}: {len(dataset)} messages, {dataset.kind}", *dataset.notes)
    if dataset.kind == "multilabel":
        for name, count in zip(dataset.labels, dataset.targets.sum(axis=0), strict=True):
            put(f"label {name!r}: {count} rows")
    else:
        counts = Counter(dataset.targets.tolist())
        for number, name in enumerate(dataset.labels):
            put(f"label {name!r}: {counts[number]} rows")
    seen: dict[str, set[bytes]] = {}
    for text, target in zip(dataset.texts, dataset.targets, strict=True):
        seen.setdefault(normalise(text), set()).add(target.tobytes())
    torn = sum(len(labels) > 1 for labels in seen.values())
    repeats = len(dataset) - len(seen)
    put(f"{repeats} rows repeat an earlier message; {torn} messages carry two labels")
    if len(dataset) < 50:
        raise DataError(f"{dataset.source}: {len(dataset)} rows are few to learn from; add some")
