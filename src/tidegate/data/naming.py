"""Labels by other names than a file gives them.

Takes pairs such as 1=disaster and `Labels`, gives the same under their new names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidegate.data.labels import Labels
from tidegate.errors import ConfigError

_SHOWN = 10


def new_names(pairs: Sequence[str]) -> dict[str, str]:
    """Return the new name of each label that is renamed.

    Parameters
    ----------
    pairs : each as label=name

    Raises
    ------
    ConfigError
        A pair is not so written, or a label is named twice.

    Examples
    --------
    >>> new_names(["0=no disaster", "1=disaster"])
    {'0': 'no disaster', '1': 'disaster'}
    """
    found: dict[str, str] = {}
    for pair in pairs:
        label, mark, name = (part.strip() for part in pair.partition("="))
        if not (mark and label and name):
            raise ConfigError(f"name: found {pair!r}; write it as label=name, such as 1=disaster")
        if label in found:
            raise ConfigError(f"name: label {label!r} is named twice; name it once")
        found[label] = name
    return found


def renamed(
    labels: Labels, new: Mapping[str, str], written: Sequence[str], *, source: str
) -> Labels:
    """Return labels under new names, in the order that they have without.

    Parameters
    ----------
    written : the labels as the file has them

    Raises
    ------
    ConfigError
        The file has no such label, or two labels would have one name.
    """
    for label in new:
        if label not in written:
            shown = ", ".join(map(repr, written[:_SHOWN])) + ", …" * (len(written) > _SHOWN)
            raise ConfigError(f"name: {source} has no label {label!r}; it has {shown}")
    names = tuple(new.get(label, label) for label in written)
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise ConfigError(f"name: two labels would be called {twice!r}; give each its own name")
    return replace(labels, names=names)
