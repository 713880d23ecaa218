"""The files to deploy a server with, as far as they can be run here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from servers import TOKEN, Start
from tidegate.cli import main

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ROOT / "deploy" / "smoke.py"


def smoke(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SMOKE), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_smoke_script_finds_a_server_well(
    start: Start, served_model: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    server = start(served_model, "--token-file", tokens)
    address = f"http://127.0.0.1:{server.port}"
    done = smoke(address, "--token-file", str(tokens))
    assert done.returncode == 0, done.stdout
    assert "NOT WELL" not in done.stdout
    without = smoke(address)
    assert without.returncode == 1
    assert "is a token needed?" in without.stdout
    server.process.kill()
    server.process.wait()
    assert smoke(address).returncode == 1


def test_the_flags_of_the_files_exist(capsys: object) -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "tidegate", "serve", "--help"], capture_output=True, text=True,
        check=True, env={"COLUMNS": "200", "PATH": "/usr/bin"},
    ).stdout  # fmt: skip
    for name in ("Dockerfile", "tidegate.service"):
        words = (ROOT / "deploy" / name).read_text().replace("\\\n", " ")
        served = words.split("tidegate serve")[-1] if name.endswith("service") else words
        flags = {
            word.strip('",[]') for word in served.split() if word.strip('",[]').startswith("--")
        }
        known = {
            flag
            for flag in flags
            if flag in ("--host", "--port", "--workers", "--token-file", "--feedback")
        }
        assert known
        assert all(flag in help_text for flag in known)
    assert main(["serve", "--help"]) == 0
