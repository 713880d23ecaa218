"""What the documentation site makes of the code when it is built: MkDocs calls these by name.

The pages on commands and settings are written from the command line itself and from the config, so
that they cannot fall behind. The explorer of the sample's model is laid beside the pages.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are written from the code."""
    from mkdocs.structure.files import File

    for uri, text in (
        ("reference/commands.md", commands()),
        ("reference/settings.md", settings()),
        ("reference/python.md", python()),
    ):
        files.append(File.generated(config, uri, content=text))
    icon = ROOT / "src" / "tidegate" / "pages" / "assets" / "icon.svg"  # the server's page has it
    files.append(File.generated(config, "images/logo.svg", content=icon.read_text("utf-8")))
    return files


def on_post_build(config: Any) -> None:
    """Lay the explorer beside the pages, if it was built (`make explorer`)."""
    page = ROOT / "explorer.html"
    if page.exists():
        shutil.copy(page, Path(config["site_dir"]) / "explorer.html")


def commands() -> str:
    """Return a page of every verb with its arguments and flags."""
    import typer.main

    from tidegate.cli import app

    group: Any = typer.main.get_command(app)
    parts = [
        "# Commands",
        "",
        "Written from the command line itself: `tidegate VERB --help` says the same. Settings are "
        "on a page of their own, [Settings](settings.md).",
    ]
    for name, command in group.commands.items():
        parts += ["", f"## tidegate {name}", "", _plain(command.help or ""), ""]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [
            p
            for p in command.params
            if p.param_type_name == "option" and getattr(p, "rich_help_panel", "") != "Settings"
        ]
        parts += ["| | |", "|---|---|"]
        for one in arguments:
            parts.append(f"| `{one.name.upper()}` | {_cell(one.help or '')} |")
        for one in options:
            flags = ", ".join(f"`{flag}`" for flag in (*one.opts, *one.secondary_opts))
            parts.append(f"| {flags} | {_cell(one.help or '')} |")
        if any(getattr(p, "rich_help_panel", "") == "Settings" for p in command.params):
            parts.append("| *settings* | see [Settings](settings.md) |")
    return "\n".join(parts) + "\n"


def settings() -> str:
    """Return a page of every setting: its key, its flag, the default preset's value."""
    from tidegate.config import all_settings, field_names, section_names
    from tidegate.presets import AUTOMATIC

    known = all_settings()
    parts = [
        "# Settings",
        "",
        "Each setting is a flag of `tidegate train`, a key of a TOML file for `--config`, an "
        "argument of `TidegateClassifier`, and a key of a bundle's manifest. Values are the "
        "default preset's.",
    ]
    for section in section_names():
        parts += ["", f"## {section}", "", "| setting | flag | default | meaning |"]
        parts.append("|---|---|---|---|")
        for name in field_names(section):
            _, default, meaning = known[name]
            value = "from the data" if name in AUTOMATIC else f"`{_shown(default)}`"
            flag = f"`--{name.replace('_', '-')}`"
            parts.append(f"| `{name}` | {flag} | {value} | {_cell(meaning)} |")
    return "\n".join(parts) + "\n"


def python() -> str:
    """Return a page of the public names, made from their docstrings."""
    import tidegate

    parts = ["# Python", "", "What `import tidegate` gives. It loads NumPy, never torch.", ""]
    parts += [f"::: tidegate.{name}\n" for name in sorted(tidegate.__all__) if name[0] != "_"]
    return "\n".join(parts) + "\n"


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(default) or "none"
    return str(default) if default != "" else "none"


def _plain(text: str) -> str:
    return text.replace("\b", "").strip()


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")
