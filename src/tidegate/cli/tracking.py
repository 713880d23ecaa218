"""What `train` and `sweep` share to be watched: --track and --track-to.

Takes the flags, gives callbacks and what they are told first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tidegate.cli.printing import say
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.config import Config
    from tidegate.data.dataset import Dataset
    from tidegate.training.callbacks import Callbacks

Track = Annotated[
    Literal["tensorboard", "mlflow"] | None,
    typer.Option(help="Keep curves for TensorBoard, or in MLflow's local store."),
]
TrackTo = Annotated[
    Path | None, typer.Option(help="Folder of the curves.  [default: runs beside OUTPUT]")
]


def tracked(
    track: Literal["tensorboard", "mlflow"] | None, folder: Path | None, *, output: Path
) -> Callbacks:
    """Return who is told how a training goes.

    Raises
    ------
    ConfigError, MissingExtraError
        A folder is given for nothing, or what should be told is not installed.
    """
    if track is None:
        if folder is not None:
            raise ConfigError("track_to: nothing is kept there; give --track tensorboard or mlflow")
        return no_callbacks()
    from tidegate.training.callbacks import Callbacks
    from tidegate.training.trackers import tracker

    place = folder or output.absolute().parent / "runs"
    say(f"curves: {place}")
    return Callbacks([tracker(track, place, name=output.absolute().name)], say=say)


def no_callbacks() -> Callbacks:
    """Return callbacks that tell nobody."""
    from tidegate.training.callbacks import Callbacks

    return Callbacks()


def beginning(output: Path, dataset: Dataset, config: Config) -> dict[str, Any]:
    """Return what callbacks are told at the beginning."""
    settings = {k: v for section in config.to_dict().values() for k, v in section.items()}
    return {
        "name": output.absolute().name, "source": dataset.source, "rows": len(dataset),
        "settings": {n: "from the data" if n in config.automatic else v
                     for n, v in settings.items()},
    }  # fmt: skip
