"""What loads what: answering must never load what only training needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import tiny_bundle

HEAVY = ("torch", "sklearn", "pandas", "fastapi", "ray", "wordllama", "pyarrow", "plotly", "scipy")
PROBE = "import json, sys; print(); print(json.dumps(sorted(sys.modules)))"


def modules_after(code: str) -> set[str]:
    """Return the modules a fresh interpreter holds after running code."""
    words = [sys.executable, "-c", f"{code}\n{PROBE}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle().save(tmp_path_factory.mktemp("bundle") / "model")


@pytest.mark.parametrize(
    "verb",
    ["", "predict {model} fire", "inspect {model}", "predict {model} --json fire", "--help"],
)
def test_answering_loads_nothing_of_training(verb: str, model: Path) -> None:
    code = "import tidegate"
    if verb:
        words = [word.format(model=model) for word in verb.split()]
        code = f"from tidegate.cli import main\nassert main({words!r}) == 0"
    assert not modules_after(code) & set(HEAVY)


def test_the_estimator_is_loaded_only_when_asked_for() -> None:
    assert "numpy" not in modules_after("import tidegate")
