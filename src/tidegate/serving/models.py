"""The models that are served, by name; each is replaced whole or not at all.

A request takes a `Served` once and answers from it alone, so that no answer is of two models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError, TidegateError
from tidegate.evaluation.profile import Profile
from tidegate.evaluation.report import reliability_of
from tidegate.serving.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model that answers.

    Attributes
    ----------
    fingerprint : the hash of its bundle
    profile : what its held-out rows were like; None for a bundle that does not say
    calibration : how often held-out answers of each probability were right, or None
    """

    name: str
    path: Path
    predictor: Predictor
    fingerprint: str
    profile: Profile | None
    calibration: dict[str, Any] | None

    @classmethod
    def load(cls, name: str, path: Path) -> Served:
        """Load a bundle, check all of it, and answer once.

        Raises
        ------
        BundleError
            It is no bundle that can answer.
        """
        predictor = Predictor.load(path)
        predictor.answer(["the first message makes the tables"])
        bundle = predictor.bundle
        return cls(
            name=name, path=path, predictor=predictor, fingerprint=bundle.fingerprint(),
            profile=Profile.from_dict(bundle.metrics.get("profile")),
            calibration=reliability_of(bundle.extra_files.get("report.json", b"")),
        )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """Return what a list of models says of it."""
        return {
            "name": self.name, "kind": self.predictor.kind, "labels": list(self.predictor.labels),
            "fingerprint": self.fingerprint, "engine": self.predictor.engine,
        }  # fmt: skip

    def detail(self) -> dict[str, Any]:
        """Return all that is said of it."""
        bundle = self.predictor.bundle
        data = bundle.config.data
        return {
            **self.summary(),
            "thresholds": list(bundle.thresholds),
            "metrics": dict(bundle.metrics),
            "calibration": self.calibration,
            "engine_note": self.predictor.engine_note,
            "cell": bundle.config.network.cell,
            "columns": {"text": data.text, "extra": list(data.extra), "label": list(data.label)},
            "card": bundle.extra_files.get("README.md", b"").decode("utf-8", "replace"),
        }


class Models:
    """The models by name, the first of which answers where none is named."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = {model.name: model for model in served}
        self.default = served[0].name

    @classmethod
    def load(cls, paths: Mapping[str, Path]) -> Models:
        """Load all bundles.

        Raises
        ------
        BundleError
            One of them cannot answer.
        ConfigError
            There are none.
        """
        if not paths:
            raise ConfigError("serve: no model; give a bundle's directory, or NAME=DIRECTORY")
        return cls([Served.load(name, path) for name, path in paths.items()])

    def __iter__(self) -> Any:
        return iter(self._served.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, the default's first."""
        return tuple(self._served)

    def get(self, name: str | None) -> Served:
        """Return a model, or raise a `Problem` (404)."""
        found = self._served.get(self.default if name is None else name)
        if found is None:
            raise Problem(404, f"model: no {name!r}; there are {', '.join(self._served)}")
        return found

    def fresh(self, name: str) -> Served:
        """Return a model read again from its place; `put` makes it the one that answers.

        Raises a `Problem` (409) if it cannot answer: then the one before goes on.
        """
        before = self.get(name)
        try:
            return Served.load(name, before.path)
        except (TidegateError, OSError) as fault:
            raise Problem(409, f"{fault}; the model before it goes on answering") from fault

    def put(self, model: Served) -> bool:
        """Let a model answer from now on; return whether it is another one than before."""
        changed = self._served[model.name].fingerprint != model.fingerprint
        self._served[model.name] = model
        return changed
