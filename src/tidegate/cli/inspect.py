"""The verb that looks into a bundle: inspect. It is for people: in order, and rounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.printing import ModelPath, put, put_json

if TYPE_CHECKING:
    from tidegate.engine.bundle import Bundle

_DIGITS = 4
_FIRST = ("kind", "labels", "thresholds", "temperature", "sequence_length", "metrics")


def inspect(
    model: ModelPath,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as JSON, its numbers rounded.")
    ] = False,
) -> None:
    """Print what is in a bundle, after verifying every byte of it."""
    from tidegate.engine.bundle import Bundle
    from tidegate.engine.predictor import Predictor

    bundle = Bundle.load(model)
    if as_json:
        put_json(for_people(bundle.manifest()), indent=1)
        return
    size = sum(f.stat().st_size for f in model.iterdir() if f.is_file())
    predictor = Predictor(bundle)
    read = (
        f"the first {bundle.sequence_length:,} tokens" if bundle.sequence_length else "all tokens"
    )
    decides = "the most probable label"
    if bundle.kind != "multiclass":
        decides = f"threshold {', '.join(map(number, bundle.thresholds))}"
    put(
        f"{model}: {bundle.kind} model, {size / 1e6:.1f} MB, verified",
        f"labels: {', '.join(bundle.labels)}",
        f"decides by: {decides}; temperature {number(bundle.temperature)}",
        f"vocabulary: {len(bundle.tokens):,} words; reads {read} of a message",
        f"engine: {predictor.engine}" + f" ({predictor.engine_note})" * bool(predictor.engine_note),
        *_scores(bundle),
        *_learned(bundle.training_data),
    )
    for section, values in bundle.config.to_dict().items():
        put(f"{section}: " + ", ".join(f"{name}={_value(v)}" for name, v in values.items()))
    for name, array in sorted(bundle.weights.items()):
        put(f"{name}: {tuple(array.shape)} {array.dtype}")


def for_people(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with what people look for first, and its numbers of four digits.

    Examples
    --------
    >>> for_people({"format_version": 1, "temperature": 0.77727510, "kind": "binary"})
    {'kind': 'binary', 'temperature': 0.7773, 'format_version': 1}
    """
    order = [name for name in _FIRST if name in manifest]
    order += [name for name in manifest if name not in _FIRST]
    return {name: _rounded(manifest[name]) for name in order}


def number(value: Any) -> str:
    """Return a number of four digits, without an end of zeros; a dash for none.

    Examples
    --------
    >>> number(0.5563910123), number(0.5), number(1234567.0), number(None)
    ('0.5564', '0.5', '1234567', '–')
    """
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    rounded = _rounded(value)
    return f"{rounded:.0f}" if rounded.is_integer() and abs(rounded) < 1e15 else str(rounded)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(part) for part in value]
    if isinstance(value, float) and abs(value) < 10**_DIGITS:
        return float(f"{value:.{_DIGITS}g}")
    return value


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_value, value)) or "none"
    return "none" if value == "" else number(value)


def _scores(bundle: Bundle) -> list[str]:
    """Return the scores, a line each, behind how many rows they are of."""
    scores = bundle.metrics.get("scores", {})
    rows = bundle.metrics.get("n_rows")
    found = (
        [f"scores on {rows:,} held-out rows, and their 95 % intervals:"] if _is_count(rows) else []
    )
    for name, score in scores.items():
        value, low, high = (_score(score.get(part)) for part in ("value", "low", "high"))
        found.append(f"{name}: {value} ({low} to {high})")
    return found


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _learned(data: Mapping[str, Any]) -> list[str]:
    """Return what it learned from, and what it was made with, as far as the manifest says so."""
    rows, source = data.get("rows"), data.get("source")
    found = []
    if _is_count(rows):
        found.append(f"trained on: {rows:,} rows of {source}, SHA-256 {data.get('sha256')}")
    before = data.get("from")
    if isinstance(before, Mapping):
        found.append(f"went on from: a model of {before.get('rows')} rows")
    run = data.get("run")
    if isinstance(run, Mapping):
        versions = run.get("versions")
        if isinstance(versions, Mapping):
            made = ", ".join(f"{name} {version}" for name, version in versions.items())
            found.append(f"made with: {made}; on {run.get('machine')}")
        automatic = run.get("automatic")
        if isinstance(automatic, list) and automatic:
            found.append(f"settings that followed from the data: {', '.join(map(str, automatic))}")
    return found
