"""What a training depends on beside its data and settings: versions, and the machine.

Takes nothing, gives plain values. The same of all of these, of the data and of the settings give
the same bytes.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from tidegate.version import VERSION

# Those whose arithmetic, or whose vectors, a model comes from.
_PACKAGES = ("numpy", "scikit-learn", "scipy", "tokenizers", "torch", "transformers", "wordllama")


def versions() -> dict[str, str]:
    """Return the version of Python, of tidegate, and of every library that learning uses.

    Examples
    --------
    >>> sorted(versions())[:2]
    ['numpy', 'python']
    """
    found = {"python": platform.python_version(), "tidegate": VERSION}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed
    return dict(sorted(found.items()))


def machine() -> str:
    """Return what of the machine decides the last bits: its kind, and the instructions used.

    Examples
    --------
    >>> machine().startswith(platform.machine())
    True
    """
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
