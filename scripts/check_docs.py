"""Hold the documents and the sources against what we promise of them.

Links lead somewhere, verbs and flags that the documents name exist, the README stays short, files
and functions stay small. Prints each fault on a line and exits with 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_README_LINES, MAX_FILE_LINES, MAX_FUNCTION_LINES = 150, 400, 50
# Pages of the site that are written when it is built, see `docs_site`.
WRITTEN = {
    ROOT / "docs" / "reference" / f"{name}.md" for name in ("commands", "settings", "python")
}
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_COMMAND = re.compile(r"(?<!from )(?<!extra )\btidegate ([a-z]+)((?:[^\n`|]*?--[a-z-]+)*)")
_TARGET = re.compile(r"`make ([a-z-]+)`")


def documents() -> list[Path]:
    """Return every Markdown file of the project."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in tracked.stdout.splitlines() if (ROOT / line).exists()]


def document_faults() -> Iterator[str]:
    """Give links that lead nowhere, and verbs, flags and make targets that do not exist."""
    flags = verb_flags()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in documents():
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        for link in _LINK.findall(text):
            if link.startswith(("http", "mailto:")):
                continue
            target = (path.parent / link).resolve()
            if target not in WRITTEN and not target.exists():
                yield f"{name}: the link {link} leads nowhere"
        for verb, rest in _COMMAND.findall(text):
            if path.name == "CHANGELOG.md":
                continue
            if verb not in flags:
                yield f"{name}: tidegate {verb} is no verb"
            for flag in re.findall(r"--[a-z-]+", rest):
                if verb in flags and flag not in flags[verb]:
                    yield f"{name}: tidegate {verb} has no flag {flag}"
        for target in _TARGET.findall(text):
            if target not in targets:
                yield f"{name}: make {target} is no target"
    lines = len((ROOT / "README.md").read_text(encoding="utf-8").splitlines())
    if lines > MAX_README_LINES:
        yield f"README.md: {lines} lines; {MAX_README_LINES} are the limit"


def verb_flags() -> dict[str, set[str]]:
    """Return the flags of every verb, from the command line itself."""
    import typer.main

    from tidegate.cli import app

    group = typer.main.get_command(app)
    return {
        name: {"--help", *(o for p in command.params for o in (*p.opts, *p.secondary_opts))}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


def source_faults() -> Iterator[str]:
    """Give files and functions that have grown too long."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        lines = len(text.splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{name}: {lines} lines; {MAX_FILE_LINES} are the limit"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _function_faults(node, name)


def _function_faults(node: ast.FunctionDef | ast.AsyncFunctionDef, name: Path) -> Iterator[str]:
    # A docstring may take the room it needs: the limit is on what has to be followed.
    documented = ast.get_docstring(node, clean=False)
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    length -= len(documented.splitlines()) + 1 if documented else 0
    if length > MAX_FUNCTION_LINES:
        yield f"{name}: {node.name}: {length} lines of code; {MAX_FUNCTION_LINES} are the limit"


def main() -> int:
    """Print the faults; return 1 if there is one."""
    faults = [*document_faults(), *source_faults()]
    for fault in faults:
        print(fault)
    print(f"docs and sources checked: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
