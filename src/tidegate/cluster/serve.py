"""The server's application as a Ray Serve deployment: replicas on many machines, more under load.

    serve run tidegate.cluster.serve:app models=crisis=models/crisis,tickets=models/tickets

Takes bundles by name, whose directories every machine sees; gives `app`, which builds what Serve
runs: in each replica the application of `serving.app`, with its limits, and all of the models.

A replica keeps nothing that another one needs. So a model is replaced by deploying again, which
Serve does replica by replica, and corrections are not taken.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import serve

from tidegate.errors import ConfigError
from tidegate.serving.app import make_app
from tidegate.serving.models import Models
from tidegate.serving.settings import ADMIN_VARIABLE, TOKENS_VARIABLE, Settings, read_tokens

NAME = "tidegate"
ONGOING = 64  # requests of a replica at once; the others wait at the proxy
_TARGET = 16  # requests of a replica at once, on average, beyond which there should be more
_NUMBERS = {"min_replicas": 1, "max_replicas": 4}


class _Replica:
    """What Serve wraps around the application."""


def app(arguments: Mapping[str, Any]) -> serve.Application:
    """Return the application that Ray Serve runs.

    Parameters
    ----------
    arguments : `models`, as in `crisis=models/crisis,tickets=models/tickets`, the first of which
        answers where none is named; `min_replicas` (1) and `max_replicas` (4); `cores` of a replica
        (1). Tokens are read from the environment, as `tidegate serve` reads them

    Raises
    ------
    BundleError
        A model cannot answer: nothing is deployed then.
    ConfigError
        An argument is missing, unknown or no number.

    Examples
    --------
    >>> serve.run(app({"models": "crisis=models/crisis"}))  # doctest: +SKIP
    """
    paths = _paths(arguments)
    least, most = (_number(arguments, name, value) for name, value in _NUMBERS.items())
    cores = _number(arguments, "cores", 1)
    if most < least:
        raise ConfigError(f"max_replicas: found {most}, less than min_replicas, {least}")
    Models.load(paths)  # what is wrong is said here, and not in a replica's log
    settings = Settings(
        tokens=read_tokens(None, TOKENS_VARIABLE), admin_tokens=read_tokens(None, ADMIN_VARIABLE)
    )

    def build() -> Any:
        return make_app(Models.load(paths), settings=settings)[0]

    deployed: Any = serve.deployment(
        serve.ingress(build)(_Replica), name=NAME, max_ongoing_requests=ONGOING,
        ray_actor_options={"num_cpus": cores},
        autoscaling_config={
            "min_replicas": least, "max_replicas": most, "target_ongoing_requests": _TARGET,
        },
    )  # fmt: skip
    return deployed.bind()  # type: ignore[no-any-return]


def _paths(arguments: Mapping[str, Any]) -> dict[str, Path]:
    unknown = set(arguments) - {"models", "cores", *_NUMBERS}
    if unknown:
        raise ConfigError(f"{sorted(unknown)[0]}: no such argument of the deployment")
    found: dict[str, Path] = {}
    for word in str(arguments.get("models", "")).split(","):
        name, _, place = word.strip().rpartition("=")
        if place:
            # Replicas work in a folder of their own.
            path = Path(os.path.abspath(place))  # noqa: PTH100
            found[name or path.name] = path
    if not found:
        raise ConfigError("models: none; give models=NAME=DIRECTORY, several by commas")
    return found


def _number(arguments: Mapping[str, Any], name: str, usual: int) -> int:
    try:
        found = int(arguments.get(name, usual))
    except (TypeError, ValueError):
        found = 0
    if found < 1:
        raise ConfigError(f"{name}: found {arguments[name]!r}; give a whole number from 1")
    return found
