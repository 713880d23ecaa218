"""The verb that shows the whole tool: demo."""

from __future__ import annotations

import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.printing import put, say


def demo(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep the bundle in this directory.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Train for seconds: to try an installation, not a model."),
    ] = False,
) -> None:
    """Train on the embedded sample, evaluate, predict, walk: the whole tool in a minute."""
    from tidegate.cli.train import named, train_and_report
    from tidegate.cli.walk import show
    from tidegate.data.outputs import write_text
    from tidegate.engine.predictor import Predictor
    from tidegate.pages import walk_page
    from tidegate.presets import preset
    from tidegate.walking.walk import walk

    with (
        as_file(files("tidegate") / "sample" / "messages.csv") as sample,
        tempfile.TemporaryDirectory() as folder,
    ):
        say("training on the embedded sample …")
        output = output and named(output)
        model = output or Path(folder) / "demo"
        config = preset("default")
        if quick:
            config = config.with_settings(epochs=2, score="split")
        bundle = train_and_report(str(sample), model, config)
        predictor = Predictor(bundle)
        put("", "and what it says of a few messages:")
        texts = [
            "the sky was ablaze last night, best sunset of the year",
            "house ablaze on 5th street, people still inside",
            "bridge is under water and cars are stuck, send help",
            "drowning in emails today, send coffee",
            "zxqv blorp zzyzx",
        ]
        answers = predictor.answer(texts)
        for text, row, new in zip(texts, answers.probabilities, answers.unknown, strict=True):
            best = int(row.argmax())
            note = f"   ({new:.0%} of its words are new to the model)".replace("%", " %", 1)
            put(f"  {predictor.labels[best]} ({row[best]:.2f})  {text}{note if new >= 0.5 else ''}")
        put("", "and what its gates did while it read the second:", "")
        sky, house = (walk(predictor, text) for text in texts[:2])
        show(house)
        if output is not None:
            page = output.with_name(f"{output.name}-walk.html")
            write_text(page, walk_page([house, sky], title=output.name))
            put("", f"open {page} in a browser to walk it gate by gate")
