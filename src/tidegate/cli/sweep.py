"""The verb that searches settings: sweep."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tidegate.cli.printing import (
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    Ray,
    config_of,
    names_of,
    put,
    say,
    with_settings,
)
from tidegate.cli.tracking import Track, TrackTo, beginning, tracked

if TYPE_CHECKING:
    from tidegate.training.sweep import Trial


@partial(with_settings, section="data")
def sweep(
    data: DataFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the study; one that is there goes on.")
    ] = Path("sweep"),
    trials: Annotated[int, typer.Option(min=1, help="How many, earlier ones among them.")] = 30,
    metric: Annotated[Literal["accuracy", "f1"], typer.Option(help="What is raised.")] = "accuracy",
    jobs: Annotated[int, typer.Option(min=1, help="Folds at once, each on one core.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search and of training.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Most epochs of a trial, for a quick search.")
    ] = None,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    ray: Ray = None,
    track: Track = None,
    track_to: TrackTo = None,
    **settings: Any,
) -> None:
    """Search settings by cross-validation; the best are written as a file for train --config."""
    from tidegate.config_file import to_toml
    from tidegate.data.dataset import read_dataset
    from tidegate.data.outputs import write_text
    from tidegate.report.sweep import sweep_page, verdict
    from tidegate.training.sweep import sweep as search

    settings = {"folds": 3} | {k: v for k, v in settings.items() if v not in (None, [])}
    config = config_of("default", settings | {"seed": seed})
    dataset = read_dataset(
        data, config.data, format=format, encoding=encoding, columns=names_of(columns)
    )
    say(*dataset.notes)
    callbacks = tracked(track, track_to, output=output)

    def on_trial(trial: Trial) -> None:
        say(trial.line())
        callbacks.on_fold({"number": trial.number, "score": trial.mean, "settings": trial.settings})

    with ExitStack() as held:
        workers = _workers(held, ray)
        held.enter_context(callbacks.watching(beginning(output, dataset, config)))
        found = search(
            dataset, config, output, trials=trials, folds=config.data.folds, metric=metric,
            jobs=jobs, seed=seed, most_epochs=epochs, workers=workers, on_trial=on_trial,
        )  # fmt: skip
    write_text(output / "best.toml", to_toml(found.config))
    write_text(output / "sweep.html", sweep_page(found, title=f"Sweep of {dataset.source}"))
    first = next((t for t in found.trials if t.number == 1), None)
    put(verdict(found, first))
    say(f"tidegate train {data} -o model --config {output / 'best.toml'}; {output / 'sweep.html'}")


def _workers(held: ExitStack, ray: str | None) -> Any:
    """Return what gives folds to a cluster, if one is asked for; it stays connected for so long."""
    if ray is None:
        return None
    from tidegate.cluster.session import connected
    from tidegate.cluster.training import sweep_workers

    held.enter_context(connected(ray))
    return sweep_workers
