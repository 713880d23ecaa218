"""What a training starts from beside its flags: a file of settings, or a bundle to be like.

Takes the paths, gives a `Base`: settings that the flags win over. A bundle's manifest also says how
its data were read, and what its bytes depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.printing import say
from tidegate.config import all_settings, field_names, section_names
from tidegate.config_file import ConfigFile, read_config
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.engine.bundle import Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a training starts from.

    Attributes
    ----------
    file : settings
    reading : how the data were read, as arguments of `read_dataset`
    private : whether the report showed no message
    place, manifest, fingerprint : of the bundle to be like: where it is, what its manifest says,
        and the hash of all that it holds; empty without one
    """

    file: ConfigFile = field(default_factory=ConfigFile)
    reading: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False
    place: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def compared(self, bundle: Bundle) -> list[str]:
        """Return in words whether a new bundle is the one it was to be like, and why not."""
        if not self.place:
            return []
        if bundle.fingerprint() == self.fingerprint:
            return [f"the same bytes as {self.place}"]
        before, now = self.manifest, bundle.manifest()
        found = []
        if before["training_data"].get("sha256") != now["training_data"]["sha256"]:
            found.append("other data")
        if before["training_data"].get("source") != now["training_data"]["source"]:
            found.append("the file has another name")
        old, new = before["config"], now["config"]
        found += [
            f"another {key}" for part in new for key in new[part]
            if old[part].get(key) != new[part][key]
        ]  # fmt: skip
        made, makes = before["training_data"].get("run", {}), now["training_data"]["run"]
        old, new = made.get("versions", {}), makes["versions"]
        found += [f"another {name}" for name in new if old.get(name) != new[name]]
        if made.get("machine") != makes["machine"]:
            found.append("another machine")
        why = ", ".join(found[:6]) + ", …" * (len(found) > 6)
        return [f"not the same bytes as {self.place}: {why or 'the model has another name'}"]


def base_of(config: Path | None, like: Path | None, *, with_preset: bool) -> Base:
    """Return what a training starts from.

    Raises
    ------
    ConfigError, BundleError
        The file or the bundle cannot be read; both are given, or one of them and a preset.
    """
    if config is not None and like is not None:
        raise ConfigError("like: found with --config; give one of them")
    if config is not None:
        return Base(file=read_config(config))
    if like is None:
        return Base()
    if with_preset:
        raise ConfigError(
            "like: found with --preset, but the bundle has all settings; leave it out"
        )
    from tidegate.engine.bundle import Bundle

    bundle = Bundle.load(like)
    run = bundle.training_data.get("run")
    run = run if isinstance(run, dict) else {}
    if not run:
        say(
            f"{like}: written before bundles said which settings follow from the data: all are "
            "taken as they were"
        )
    if "from" in bundle.training_data:
        say(f"{like}: it went on from another model; this one begins from nothing")
    known = all_settings()
    automatic = frozenset(name for name in run.get("automatic", ()) if name in known)
    values = {
        name: getattr(getattr(bundle.config, section), name)
        for section in section_names()
        for name in field_names(section)
        if name not in automatic
    }
    return Base(
        file=ConfigFile(settings=values, automatic=automatic),
        reading=_reading(run.get("reading")), private=run.get("private") is True,
        place=str(like), manifest=bundle.manifest(), fingerprint=bundle.fingerprint(),
    )  # fmt: skip


def _reading(found: Any) -> dict[str, Any]:
    """Return how a manifest says the data were read, as far as it says so plainly."""
    if not isinstance(found, dict):
        return {}
    kept = {
        name: found[name] for name in ("format", "encoding") if isinstance(found.get(name), str)
    }
    columns = found.get("columns")
    if isinstance(columns, list) and all(isinstance(column, str) for column in columns):
        kept["columns"] = tuple(columns)
    return kept
