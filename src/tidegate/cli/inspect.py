"""The verb that looks into a bundle: inspect."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.printing import ModelPath, put, put_json


def inspect(
    model: ModelPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Print what is in a bundle, after verifying every byte of it."""
    from tidegate.engine.bundle import Bundle
    from tidegate.engine.predictor import Predictor

    bundle = Bundle.load(model)
    if as_json:
        put_json(bundle.manifest(), indent=1)
        return
    size = sum(f.stat().st_size for f in model.iterdir() if f.is_file())
    manifest = bundle.manifest()
    predictor = Predictor(bundle)
    put(
        f"{model}: {bundle.kind} model, {size / 1e6:.1f} MB, verified",
        f"labels: {', '.join(bundle.labels)}",
        f"vocabulary: {len(bundle.tokens)} words; tokens read: {bundle.sequence_length or 'all'}",
        f"thresholds: {', '.join(map(str, bundle.thresholds))}; temperature: {bundle.temperature}",
        f"trained on: {manifest['training_data']}",
        f"engine: {predictor.engine}" + f" ({predictor.engine_note})" * bool(predictor.engine_note),
    )
    for name, score in bundle.metrics.get("scores", {}).items():
        value, low, high = (_number(score.get(part)) for part in ("value", "low", "high"))
        put(f"{name}: {value} ({low} to {high})")
    for section, values in manifest["config"].items():
        put(f"{section}: " + ", ".join(f"{name}={value}" for name, value in values.items()))
    for name, array in sorted(bundle.weights.items()):
        put(f"{name}: {tuple(array.shape)} {array.dtype}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
