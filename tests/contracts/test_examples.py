"""The examples run: every cell of a notebook, in order, in one fresh interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"


def shown(source: list[str]) -> str:
    """Return a cell that prints what a notebook would show of its last line."""
    body = ast.parse("".join(source)).body
    if not isinstance(body[-1], ast.Expr) or isinstance(body[-1].value, ast.Call):
        return "".join(source)
    return "".join(source[:-1]) + f"print(({source[-1]})._repr_html_())"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_says_what_it_said(path: Path, tmp_path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    written = [cell for cell in cells if cell["cell_type"] == "code"]
    script = tmp_path / "cells.py"
    marks = [f"print('cell', {k})\n{shown(cell['source'])}" for k, cell in enumerate(written)]
    script.write_text("\n\n".join(marks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    for k, cell in enumerate(written):
        said = done.stdout.split(f"cell {k}\n")[1].split("\ncell ")[0].splitlines()
        if "not-stored" in cell["metadata"].get("tags", ()):
            assert said[0].startswith("<iframe")
            continue
        assert cell["outputs"], f"code cell {k} is stored without what it prints"
        output = cell["outputs"][0]
        stored = "".join(output.get("text") or output["data"]["text/html"]).splitlines()
        assert len(said) == len(stored)
    residual = done.stdout.split("residual: ")[1].split()[0]
    assert float(residual) <= 1e-6  # 0.0, but where the kernel in C answers
    assert "c: token 1 [ 0.6708 -0.3808], token 2 [0.2338 0.0945]" in done.stdout


@pytest.mark.slow
def test_the_demo_trains_predicts_walks_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "-o", str(tmp_path / "model")]) == 0
    said = capsys.readouterr().out
    assert "1 (0." in said and "people still inside" in said
    assert "4  Decide what to output." in said
    assert (tmp_path / "model" / "report.html").exists()
    assert (tmp_path / "model-walk.html").stat().st_size < 1_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model-walk.html"]
