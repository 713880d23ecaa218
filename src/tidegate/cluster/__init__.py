"""Many machines: scoring, training and serving on a Ray cluster.

Takes     what the same work on one machine takes, and a cluster's address.
Gives     the same answers and figures as one machine, from as many as there are: `scoring`,
          `training`, `serve`.
Knows     Ray; how work is split and what to do when a machine is lost. What is computed, the rooms
          below know.
"""

from importlib.util import find_spec

from tidegate.errors import MissingExtraError

for _package in ("ray", "pyarrow"):
    if find_spec(_package) is None:
        raise MissingExtraError(needed_for="the cluster", missing=_package, extra="ray")
