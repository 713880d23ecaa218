"""The command line: arguments → one call → print; nothing else.

Takes `sys.argv`, gives an exit code: 0 done, 1 our fault, 2 yours or the machine's, 130
interrupted, 143 and 129 ended by SIGTERM and SIGHUP. Data goes to standard output, words for people
to standard error. A fault is one line; `--debug` shows the traceback. Who reads a pipe may leave it
early: what it wanted, it has, and that is no fault.

Each verb lives in a file of its own and imports what it needs when it runs, so that `predict` never
loads torch.
"""

from __future__ import annotations

import errno
import re
import sys
import warnings

import typer

from tidegate.cli import (
    check,
    demo,
    evaluate,
    explore,
    export,
    fetch,
    inspect,
    memory,
    predict,
    review,
    serve,
    suggest,
    sweep,
    train,
    walk,
)
from tidegate.cli.printing import say, silence
from tidegate.cli.signals import Ended, raised_signals
from tidegate.errors import ConfigError, ParityError, TidegateError
from tidegate.version import VERSION

app = typer.Typer(
    name="tidegate",
    help="Compact LSTM classifiers for short messages, with every gate shown.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("walk")(walk.walk)
app.command("memory")(memory.memory)
app.command("explore")(explore.explore)
app.command("export")(export.export)
app.command("fetch")(fetch.fetch)
app.command("inspect")(inspect.inspect)
app.command("check")(check.check)
app.command("review")(review.review)
app.command("sweep")(sweep.sweep)
app.command("suggest")(suggest.suggest)
app.command("serve")(serve.serve)

# Newer typer ships its own copy of click: its exceptions are reached by name.
_USAGE_FAULT: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)


# Who writes a file names it in the fault; these without a name are standard output's.
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

_LACK_OF_MEMORY = (
    "not enough memory; give it more, fewer or shorter rows, or a smaller --batch-size or "
    "--hidden-size"
)

# What begins with a dash and is a text: a number comes next, or a space somewhere, or no letter.
_DASHED_TEXT = re.compile(r"-(-?[^\w-]|-?\d|[^=]*\s)")


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
    options = words[: words.index("--")] if "--" in words else words
    words = [*_with_address(options), *words[len(options) :]]
    options = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in options
    if debug:
        words = ["--debug", *(w for w in options if w != "--debug"), *words[len(options) :]]
    if not debug:
        warnings.filterwarnings("ignore")
    try:
        with raised_signals():
            code = app(words, prog_name="tidegate", standalone_mode=False)
            if sys.stdout is not None:
                sys.stdout.flush()
        return int(code or 0)
    except typer.Abort:
        return 130
    except typer.Exit as done:
        return int(done.exit_code)
    except SystemExit as done:
        if not isinstance(done.__context__, BrokenPipeError):
            raise
        silence(sys.stdout)  # click and rich end the program when a reader leaves
        return 0
    except _USAGE_FAULT as fault:
        message = getattr(fault, "format_message", fault.__str__)()
        message = message.rstrip(".") or "nothing to do; see tidegate --help"
        return _fault(message + _hint(options), code=2)
    except BrokenPipeError:
        silence(sys.stdout)
        return 0
    except (TidegateError, OSError) as fault:
        if debug:
            raise
        hint = _hint(options) if isinstance(fault, ConfigError) else ""
        return _fault(_words(fault) + hint, code=1 if isinstance(fault, ParityError) else 2)
    except KeyboardInterrupt:
        return 130
    except Ended as end:
        return _fault(f"ended by {end.name}", code=end.code)
    except Exception as fault:
        if debug:
            raise
        if _is_lack_of_memory(fault):
            return _fault(_LACK_OF_MEMORY, code=2)
        return _fault(f"internal fault, {type(fault).__name__}: {fault}; see --debug", code=1)


def _with_address(words: list[str]) -> list[str]:
    """Return words in which a `--ray` that is not followed by an address has the usual one."""
    found: list[str] = []
    for word, following in zip(words, [*words[1:], "-"], strict=False):
        bare = word == "--ray" and following.startswith("-")
        found.append("--ray=auto" if bare else word)
    return found


def _is_lack_of_memory(fault: Exception) -> bool:
    """Return whether a fault says that there is not enough memory, in Python's way or torch's."""
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
        return True
    return isinstance(fault, RuntimeError) and "can't allocate memory" in str(fault)


def _words(fault: TidegateError | OSError) -> str:
    """Return what to say of a fault that a user, or the machine, is the cause of."""
    if isinstance(fault, TidegateError):
        return str(fault)
    if isinstance(fault.filename, str) or fault.errno not in _UNWRITABLE:
        place = f"{fault.filename}: " if fault.filename else ""
        return f"{place}{fault.strerror or fault}"
    silence(sys.stdout)  # what else is still to be written to it cannot be, either
    return f"standard output: {fault.strerror or fault}"


def _hint(words: list[str]) -> str:
    """Return how to give a message that begins with a dash, if one of the words looks like it."""
    if not any(verb in words[:2] for verb in ("predict", "walk")):
        return ""
    text = next((word for word in words if _DASHED_TEXT.match(word)), None)
    verb = "predict" if "predict" in words[:2] else "walk"
    return (
        ""
        if text is None
        else (
            f"; a message that begins with a dash goes after --: tidegate {verb} MODEL -- {text!r}"
        )
    )


def _fault(message: str, *, code: int) -> int:
    say("tidegate: " + " ".join(message.split("\n")).strip())
    return code


def run() -> None:
    """Be the `tidegate` program."""
    sys.exit(main())
