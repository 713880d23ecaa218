"""A Ray cluster on this machine, for the tests that need one."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
OBJECTS_BYTES = 200 << 20


def begin(nodes: int = 2) -> Any:
    """Start a head without cores, and so many nodes with one core each."""
    # Ray's processes find the sources where this one does, and tell nobody that they run.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": OBJECTS_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(nodes):
        add_node(cluster)
    return cluster


def add_node(cluster: Any) -> Any:
    """Add a node with one core."""
    return cluster.add_node(num_cpus=1, object_store_memory=OBJECTS_BYTES)


def kill_node(cluster: Any, number: int) -> None:
    """Kill all processes of a node: its raylet first, then those it had started."""
    node = cluster.list_all_nodes()[number]
    raylet = node.all_processes["raylet"][0].process.pid
    below = Path(f"/proc/{raylet}/task/{raylet}/children").read_text(encoding="ascii").split()
    for pid in (raylet, *map(int, below)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)
