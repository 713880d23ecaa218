"""Settings as a TOML file: read on top of a preset, and written so that nothing is left open.

Takes and gives a `Config`. Each section of the config is a table of the file, each setting a key of
it. Two keys stand before all tables: `preset`, which says where the settings that are not in the
file come from, and `automatic`, the settings that follow from the data.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tidegate.config import Config, all_settings, field_names, section_names
from tidegate.errors import ConfigError, short
from tidegate.presets import check_taught, preset

_HEADS = ("preset", "automatic")
_MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What a file of settings says.

    Attributes
    ----------
    settings : by name
    preset : where the others come from; empty if it does not say
    automatic : what follows from the data; None: what the preset says
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ""
    automatic: frozenset[str] | None = None

    def config(self, *, preset_name: str = "", settings: Mapping[str, Any]) -> Config:
        """Return the preset with the file's settings, and with those of the command line.

        Parameters
        ----------
        preset_name : of the command line, which wins; empty: the file's, or `default`
        settings : of the command line, which win

        Raises
        ------
        ConfigError
            A preset or setting that does not exist, or cannot have that value; a setting of a
            teacher, of whom there is none.
        """
        given = {**self.settings, **settings}
        n_labels = 2 if given.get("label_separator") else len(_names(given.get("label", ())))
        teacher = given.get("teacher", "none")
        found = preset(
            preset_name or self.preset or "default", n_label_columns=n_labels,
            teacher=teacher if isinstance(teacher, str) else "none",
        )  # fmt: skip
        found = found.with_settings(**given)
        # A file that names what is automatic is a whole config, as written of a model: it has all
        # settings of a teacher, whether there was one or not.
        check_taught(found, given if self.automatic is None else settings)
        if self.automatic is None:
            return found
        return replace(found, automatic=self.automatic - set(given))


def _names(label: Any) -> tuple[Any, ...]:
    return tuple(label) if isinstance(label, (list, tuple)) else (label,)


def read_config(path: str | Path) -> ConfigFile:
    """Read a file of settings.

    Raises
    ------
    ConfigError
        It cannot be read, is no TOML, or names what does not exist: the message says what.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "settings.toml"
    >>> _ = path.write_text("[training]\\nepochs = 3\\n")
    >>> read_config(path).settings
    {'epochs': 3}
    """
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as fault:
        raise ConfigError(f"{path}: {fault.strerror}; give a TOML file of settings") from None
    if len(raw) > _MOST_BYTES:
        raise ConfigError(f"{path}: over {_MOST_BYTES:,} bytes; give a file of settings")
    try:
        values = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as fault:  # of TOML, of UTF-8, of numbers too long
        raise ConfigError(f"{path}: no TOML ({short(str(fault))[1:-1]}); mend it") from None
    return _checked(values, str(path))


def _checked(values: Mapping[str, Any], place: str) -> ConfigFile:
    """Return what a file says, if all that it names exists."""
    settings: dict[str, Any] = {}
    for name, value in values.items():
        if name in _HEADS:
            continue
        if name not in section_names():
            known = ", ".join((*_HEADS, *(f"[{section}]" for section in section_names())))
            raise ConfigError(f"{place}: {short(name)} does not exist; it may have {known}")
        if not isinstance(value, dict):
            raise ConfigError(f"{place}: {name}: found {short(value)}; write [{name}] and settings")
        for key in value:
            if key not in field_names(name):
                raise ConfigError(f"{place}: [{name}]: {_stray(key)}")
        settings |= value
    start, automatic = values.get("preset", ""), values.get("automatic")
    if not isinstance(start, str):
        raise ConfigError(f"{place}: preset: found {short(start)}; give a preset's name")
    if automatic is None:
        return ConfigFile(settings=settings, preset=start)
    if not isinstance(automatic, list) or not all(
        isinstance(name, str) and name in all_settings() for name in automatic
    ):
        raise ConfigError(f"{place}: automatic: found {short(automatic)}; give names of settings")
    both = next((name for name in automatic if name in settings), None)
    if both is not None:
        raise ConfigError(f"{place}: {both} has a value and is automatic; leave out one of the two")
    return ConfigFile(settings=settings, preset=start, automatic=frozenset(automatic))


def _stray(key: str) -> str:
    """Return what to say of a setting that a section does not have."""
    home = next((s for s in section_names() if key in field_names(s)), None)
    if home is not None:
        return f"{key} belongs in [{home}]; move it there"
    try:
        Config().with_settings(**{key: None})
    except ConfigError as fault:
        return str(fault)
    return f"{short(key)} does not exist"  # pragma: no cover


def to_toml(config: Config) -> str:
    """Return a config as a file that gives it again, its automatic settings left to the data.

    Examples
    --------
    >>> print(to_toml(Config()).splitlines()[3])
    [data]
    """
    known = all_settings()
    lines = [
        "# Every setting of a training: tidegate train DATA -o MODEL --config THIS_FILE",
        f"automatic = {_toml(sorted(config.automatic))}  # these follow from the data",
        "",
    ]
    for section in section_names():
        lines.append(f"[{section}]")
        values = getattr(config, section)
        for name in field_names(section):
            if name not in config.automatic:
                meaning = known[name][2]
                lines.append(f"{name} = {_toml(getattr(values, name))}  # {meaning}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", _slashed(value)) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"found {value}; a setting is a finite number")
        text = repr(value)
        return text if any(mark in text for mark in ".e") else f"{text}.0"
    return str(value)


_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f]")


def _slashed(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
