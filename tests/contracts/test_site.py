"""The documentation site: built with warnings as errors, and its code run as a reader would."""

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from conftest import with_ngrams

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# A fence with more than the language, such as `{ .sh .no-test }`, is for reading.
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str = "") -> list[tuple[str, str]]:
    found = _BLOCK.findall(path.read_text(encoding="utf-8"))
    return [(kind, code) for kind, code in found if language in ("", kind)]


def run(kind: str, code: str, folder: Path) -> None:
    command = [sys.executable, "-c", code] if kind == "python" else ["bash", "-ec", code]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {
        p.parent.relative_to(tmp_path / "site").as_posix() for p in tmp_path.rglob("index.html")
    }
    assert {"tutorial", "reference/commands", "reference/python", "reference/settings"} <= pages
    html = (tmp_path / "site" / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    assert "predict_proba" in html
    asked = re.findall(r'(?:src|href)="(https?://[^"]+)"', html)
    assert not [url for url in asked if re.search(r"\.(?:js|css|woff2?)(?:\?|$)", url)]


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    found = blocks(DOCS / "tutorial.md")
    assert len(found) >= 8
    for kind, code in found:
        run(kind, code, tmp_path)
    assert (tmp_path / "scored.csv").read_text().count("\n") > 1000
    assert {"walk.html", "explorer.html", "model"} <= {p.name for p in tmp_path.iterdir()}


# The tutorial runs as a whole, above; the cluster's page in tests/cluster.
ELSEWHERE = ("tutorial", "cluster")
PAGES = [p for p in sorted(DOCS.rglob("*.md")) if p.stem not in ELSEWHERE and blocks(p, "python")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_in_the_documents_runs(page: Path, tmp_path: Path) -> None:
    with_ngrams().save(tmp_path / "model")
    sample = files("tidegate") / "sample" / "messages.csv"
    (tmp_path / "messages.csv").write_bytes(sample.read_bytes())
    if page.stem == "export":
        run("sh", "tidegate export model --onnx model.onnx", tmp_path)
    for kind, code in blocks(page, "python"):
        run(kind, code, tmp_path)
