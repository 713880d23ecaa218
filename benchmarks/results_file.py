"""Where the figures go and where the data are: one JSON file a benchmark, with its machine.

The data files are not in the repository. Their folder is named in the environment, as
`TIDEGATE_DATA`, or stands beside the checkout as `shared/data`: it holds `tweets.csv` and, for the
multi-label benchmarks, `disaster_messages_train.csv` and `disaster_messages_validation.csv`.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("TIDEGATE_DATA") or _BESIDE)


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
