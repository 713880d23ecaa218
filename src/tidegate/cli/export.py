"""The verb for other runtimes: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.printing import ModelPath, say


def export(
    model: ModelPath,
    onnx: Annotated[Path, typer.Option("--onnx", help="The ONNX file to write.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="In 8 bits: smaller, and no longer exact.")
    ] = False,
) -> None:
    """Write a bundle as one ONNX file, checked against the engine."""
    from tidegate.engine.bundle import Bundle
    from tidegate.exporting.export import export_onnx

    found = export_onnx(Bundle.load(model), onnx, int8=int8)
    size = found.path.stat().st_size / 1e6
    say(
        f"{found.path}: {size:.1f} MB; on {found.n_messages} messages its probabilities differ "
        f"from the engine's by {found.largest_difference:.1e} at most, and "
        f"{found.labels_changed} labels"
    )
