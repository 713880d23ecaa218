"""The errors people can catch, and what each of them means.

Takes nothing, knows nothing of the other rooms.

    TidegateError
    ├── ConfigError (ValueError)         a setting that does not exist, or cannot have that value
    ├── DataError (ValueError)           a file, row or column that cannot be read
    ├── BundleError (ValueError)         a bundle that is incomplete, changed or unknown
    ├── MissingExtraError (ImportError)  an optional dependency that is not installed
    └── ParityError (RuntimeError)       two engines that must agree do not: a fault of ours

Every message is one line: where, what was found, what to do.
"""

from __future__ import annotations

import re
from typing import Any

_STEERING = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_STEERING_LINES = re.compile(_STEERING.pattern.replace("\x0a-", "\x0b-"))
_SHOWN = 80  # characters of a strange value in a message


def short(value: Any) -> str:
    """Return what a message shows of a value: its start, on one line."""
    try:
        shown = ascii(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return type(value).__name__
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return a text in which what would steer a terminal is written out, as in `\u001b`.

    That is control characters (tabs stay), marks that turn the direction of writing, separators of
    lines and paragraphs, and halves of surrogate pairs, which cannot be printed. In a JSON text
    the result says the same.

    Parameters
    ----------
    lines : whether the text may have several lines

    Examples
    --------
    >>> visible("\x1b[31mred\u202e")
    '\\u001b[31mred\\u202e'
    """
    return (_STEERING_LINES if lines else _STEERING).sub(lambda c: f"\\u{ord(c[0]):04x}", text)


class TidegateError(Exception):
    """Root of everything Tidegate raises on purpose."""


class ConfigError(TidegateError, ValueError):
    """A setting that does not exist, or cannot have the value it was given."""


class DataError(TidegateError, ValueError):
    """A file, row or column that cannot be read as (labelled) messages."""


class BundleError(TidegateError, ValueError):
    """A bundle that is missing, incomplete, changed, or of a format this version does not know."""


class MissingExtraError(TidegateError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""

    def __init__(self, *, needed_for: str, missing: str, extra: str) -> None:
        super().__init__(
            f"{needed_for} needs {missing}, which is not installed: "
            f"run pip install 'tidegate[{extra}]'"
        )


class ParityError(TidegateError, RuntimeError):
    """The NumPy engine and another engine disagree beyond the stated tolerance."""
