"""What `train --from` goes on from: a bundle, new rows, and perhaps old ones.

Takes the paths, gives a `GoingOn`, which reads the rows as the bundle's labels say and makes the
learner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.printing import say
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.config import Config, DataConfig
    from tidegate.data.dataset import Dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.training.learner import Learner


@dataclass(slots=True, kw_only=True)
class GoingOn:
    """A model that is gone on from.

    Attributes
    ----------
    bundle : the model
    old : file of rows that it learned from; None: there is none
    replay : how many old rows were read
    """

    bundle: Bundle
    old: str | None
    replay: int = field(default=0, init=False)

    def config(self, settings: Mapping[str, Any]) -> Config:
        """Return the settings to go on with; those given win where they may."""
        from tidegate.training.continuing import continued_config

        given = {name: value for name, value in settings.items() if value not in (None, [])}
        return continued_config(self.bundle, given)

    def read(self, source: str, data: DataConfig, **reading: Any) -> Dataset:
        """Return the new rows, and behind them the old ones; labels behind the model's own."""
        from tidegate.data.dataset import read_dataset

        if "-" == source == self.old:
            raise ConfigError("old: name two files; standard input can be read only once")
        bundle = self.bundle
        several = len(data.label) > 1 or bool(data.label_separator)
        if several != (bundle.kind == "multilabel"):
            gives = "several labels" if bundle.kind == "multilabel" else "one label"
            raise ConfigError(f"label: the model gives a message {gives}; name the column for that")
        if len(data.label) > 1 and len(data.label) != len(bundle.labels):
            raise ConfigError(
                f"label: found {len(data.label)} columns for the model's {len(bundle.labels)} "
                "labels; a new label is learned from one column with --label-separator"
            )
        new = read_dataset(source, data, labels=bundle.labels, unknown_labels="add", **reading)
        if self.old is None:
            return new
        old = read_dataset(self.old, data, labels=new.labels, unknown_labels="add", **reading)
        self.replay = len(old)
        return _joined(new, old)

    def learner(self, dataset: Dataset, config: Config, **more: Any) -> Learner:
        """Return what goes on with the rows that `read` gave."""
        from tidegate.training.continuing import ContinuedLearner

        found = ContinuedLearner(dataset, config, before=self.bundle, replay=self.replay, **more)
        say(*(f"from: {note}" for note in found.notes()))
        return found


def going_from(start: Path | None, old: str | None, *, alone: bool) -> GoingOn | None:
    """Return the model that is gone on from, or None.

    Parameters
    ----------
    alone : whether neither a file of settings, nor a bundle to be like, nor a preset is given

    Raises
    ------
    ConfigError, BundleError
        The bundle cannot be read, or what is given does not belong together.
    """
    if start is None:
        if old is not None:
            raise ConfigError("old: only a model that is gone on from has old rows; give --from")
        return None
    if not alone:
        raise ConfigError(
            "from: found with --preset, --config or --like, but the bundle has all settings; "
            "leave them out"
        )
    from tidegate.engine.bundle import Bundle

    return GoingOn(bundle=Bundle.load(start), old=old)


def _joined(new: Dataset, old: Dataset) -> Dataset:
    """Return new rows and behind them old ones, whose rows are numbered on."""
    import numpy as np

    targets = new.targets
    if new.kind == "multilabel":
        more = len(old.labels) - len(new.labels)
        targets = np.pad(targets, ((0, 0), (0, more)))
    last = max(new.rows)
    note = f"{old.source}: its rows are numbered on from {last + 1:,}"
    return replace(
        old, texts=(*new.texts, *old.texts), targets=np.concatenate([targets, old.targets]),
        rows=(*new.rows, *(last + row for row in old.rows)),
        source=f"{new.source} and {old.source}", notes=(*new.notes, *old.notes, note),
    )  # fmt: skip
