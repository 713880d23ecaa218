"""The verb that learns: train."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.printing import (
    AsJson,
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    NoClobber,
    check_clobber,
    config_of,
    names_of,
    put_json,
    say,
    tell_people,
    with_settings,
)
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidegate.config import Config
    from tidegate.data.dataset import Dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.training.learner import Learner
    from tidegate.training.loop import Epoch
    from tidegate.training.prepare import Prepared


@with_settings
def train(
    data: DataFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the new bundle.")],
    preset: Annotated[
        str, typer.Option(help="Settings to start from: default, best, multilabel, lesson.")
    ] = "default",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a killed run's work with a teacher.")
    ] = False,
    cv: Annotated[
        int, typer.Option(help="Score by cross-validation in so many folds: --score cv --folds N.")
    ] = 0,
    no_clobber: NoClobber = False,
    private: Annotated[
        bool,
        typer.Option("--private", help="No message in the report, no hashes of those learned."),
    ] = False,
    format: FileFormat = None,
    encoding: Encoding = None,
    columns: Columns = None,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Train on labelled messages, score on rows held back, and write a bundle."""
    from tidegate.engine.bundle import is_bundle
    from tidegate.evaluation.thresholds import parse_rule

    if cv:
        settings |= {"score": "cv", "folds": cv}
    config = config_of(preset, settings)
    if config.distillation.teacher == "none":
        if resume:
            raise ConfigError("resume: only work with a teacher is kept; give --teacher too")
        if config.distillation.unlabelled:
            raise ConfigError("unlabelled: only a teacher labels texts; give --teacher too")
    parse_rule(config.training.threshold)
    output = named(output)
    check_clobber(output, there=is_bundle(output), no_clobber=no_clobber)
    reading = {"format": format, "encoding": encoding, "columns": names_of(columns)}
    bundle = train_and_report(
        data, output, config, reading=reading, as_json=as_json, resume=resume, private=private
    )  # fmt: skip
    if as_json:
        put_json(bundle.manifest(), indent=1)


def train_and_report(
    data: str,
    output: Path,
    config: Config,
    *,
    reading: Mapping[str, Any] | None = None,
    as_json: bool = False,
    resume: bool = False,
    private: bool = False,
) -> Bundle:
    """Train, score, and write a bundle with its report, if it is private without any message.

    Parameters
    ----------
    reading : how the file is read, beside the config: arguments of `read_dataset`
    """
    from tidegate.data.dataset import read_dataset
    from tidegate.data.splits import untested
    from tidegate.engine.bundle import check_target

    output = named(output)
    check_target(output)
    dataset = read_dataset(data, config.data, **(reading or {}))
    say(*dataset.notes)
    from tidegate.report.card import unscored, with_report
    from tidegate.training.learner import train_and_score, train_on_all

    work = output.with_name(f".{output.name}.teacher")
    tell = say if as_json else tell_people
    learner = _learner(dataset, config, tell=tell, work=work, resume=resume)
    if learner.way == "none":
        bundle = unscored(train_on_all(learner).bundle, title=output.name, private=private)
    else:
        scored = train_and_score(learner, on_fold=say, on_stage=say)
        tell("", *scored.lines())
        note = untested(dataset, scored.test)
        if note:
            say("", note)
        bundle = with_report(scored, title=output.name, private=private)
    saved = bundle.save(output)
    if config.distillation.teacher != "none":
        shutil.rmtree(work, ignore_errors=True)
    where = f"; its report is {saved / 'report.html'}" if learner.way != "none" else ""
    tell("", f"model written to {saved}{where}")
    return bundle


def _learner(
    dataset: Dataset, config: Config, *, tell: Callable[..., None], work: Path, resume: bool
) -> Learner:
    """Return what trains the config, with its teacher or without one."""

    def on_prepared(prepared: Prepared) -> None:
        tell(*prepared.figures(), "")

    def on_epoch(epoch: Epoch) -> None:
        tell(epoch_line(epoch))

    if config.distillation.teacher == "none":
        from tidegate.training.learner import Learner

        return Learner(dataset, config, on_prepared=on_prepared, on_epoch=on_epoch)
    from tidegate.distillation.student import StudentLearner

    return StudentLearner(
        dataset, config, folder=work, resume=resume,
        on_stage=say, on_prepared=on_prepared, on_epoch=on_epoch,
    )  # fmt: skip


def named(output: Path) -> Path:
    """Return a path that ends in a name, as `.` and `..` do not: other names are made from it."""
    return output if output.name not in ("", "..") else output.resolve()


def epoch_line(epoch: Epoch) -> str:
    """Return the line the lesson prints after each epoch."""
    return (
        f"Epoch: {epoch.number}, loss: {epoch.last_loss:.5f}, "
        f"Train accuracy: {epoch.train_accuracy:.5f}, Test accuracy: {epoch.test_accuracy:.5f}"
    )
