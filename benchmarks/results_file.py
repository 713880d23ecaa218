"""Where the figures go: one JSON file a benchmark, with the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version()}


def write(name: str, figures: dict[str, Any], *, command: str) -> Path:
    """Write a benchmark's figures and return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    whole = {"command": command, "machine": machine(), **figures}
    path.write_text(json.dumps(whole, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    return path
