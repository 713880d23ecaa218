"""The command line: arguments → one call → print; nothing else.

Takes `sys.argv`, gives an exit code: 0 done, 1 our fault, 2 yours, 130 interrupted. Data goes to
standard output, words for people to standard error. A fault is one line; `--debug` shows the
traceback.

Each verb lives in a file of its own and imports what it needs when it runs, so that `predict` never
loads torch.
"""

from __future__ import annotations

import os
import sys
import warnings

import typer

from tidegate.cli import check, demo, evaluate, export, inspect, memory, predict, train, walk
from tidegate.cli.printing import say
from tidegate.errors import ParityError, TidegateError
from tidegate.version import VERSION

app = typer.Typer(
    name="tidegate",
    help="Compact LSTM classifiers for short messages, with every gate shown.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("walk")(walk.walk)
app.command("memory")(memory.memory)
app.command("export")(export.export)
app.command("inspect")(inspect.inspect)
app.command("check")(check.check)

# Newer typer ships its own copy of click: its exceptions are reached by name.
_USAGE_FAULT: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)


def _version(asked: bool) -> None:
    if asked:
        print(f"tidegate {VERSION}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of a fault."),
) -> None:
    """Compact LSTM classifiers for short messages, with every gate shown."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : the words after `tidegate`; by default those of the process
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = ["--debug", *(w for w in words if w != "--debug")] if debug else words
    if not debug:
        warnings.filterwarnings("ignore")
    try:
        code = app(words, prog_name="tidegate", standalone_mode=False)
        return int(code or 0)
    except typer.Abort:
        return 130
    except typer.Exit as done:
        return int(done.exit_code)
    except _USAGE_FAULT as fault:
        message = getattr(fault, "format_message", fault.__str__)()
        return _fault(message or "nothing to do; see tidegate --help", code=2)
    except TidegateError as fault:
        if debug:
            raise
        return _fault(str(fault), code=1 if isinstance(fault, ParityError) else 2)
    except BrokenPipeError:
        # The reader of a pipe left; what it wanted, it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        if debug:
            raise
        return _fault(f"internal fault, {type(fault).__name__}: {fault}; see --debug", code=1)


def _fault(message: str, *, code: int) -> int:
    say("tidegate: " + " ".join(message.split("\n")).strip())
    return code


def run() -> None:
    """Be the `tidegate` program."""
    sys.exit(main())
