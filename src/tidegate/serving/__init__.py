"""A model behind HTTP: an API for systems and a page for people.

Takes     bundles by name, and requests.
Gives     answers of the one `Predictor`, in micro-batches, within stated limits: `app.make_app`,
          and `server.serve`, which runs it in one or several processes.
Knows     nothing of training.
"""

from importlib.util import find_spec

from tidegate.errors import MissingExtraError

for _package in ("fastapi", "uvicorn", "prometheus_client"):
    if find_spec(_package) is None:
        raise MissingExtraError(needed_for="serve", missing=_package, extra="serve")
