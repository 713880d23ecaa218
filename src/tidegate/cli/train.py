"""The verb that learns: train."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.printing import AsJson, DataFile, config_of, put, say, with_settings
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.config import Config
    from tidegate.data.dataset import Dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.training.loop import Epoch
    from tidegate.training.prepare import Prepared
    from tidegate.training.score import Scored


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
    cv: Annotated[int, typer.Option(help="Also cross-validate in so many folds.")] = 0,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Train on labelled messages, score on rows held back, and write a bundle."""
    config = config_of(preset, settings)
    if config.distillation.teacher == "none":
        if resume:
            raise ConfigError("resume: only work with a teacher is kept; give --teacher too")
        if config.distillation.unlabelled:
            raise ConfigError("unlabelled: only a teacher labels texts; give --teacher too")
    bundle = train_and_report(data, output, config, cv=cv, as_json=as_json, resume=resume)
    if as_json:
        put(json.dumps(bundle.manifest(), indent=1))


def train_and_report(
    data: str,
    output: Path,
    config: Config,
    *,
    cv: int = 0,
    as_json: bool = False,
    resume: bool = False,
) -> Bundle:
    """Train, score, and write a bundle with its report."""
    from tidegate.data.dataset import read_dataset
    from tidegate.engine.bundle import check_target

    output = named(output)
    check_target(output)
    dataset = read_dataset(data, config.data)
    say(*dataset.notes)
    from tidegate.distillation.student import train_as_configured
    from tidegate.report.card import with_report
    from tidegate.training.cross_validation import cross_validate, lines

    tell = say if as_json else put
    found = None
    if cv:
        found = cross_validate(dataset, config, folds=cv, learn=train_as_configured, on_fold=say)
        tell(*lines(found), "")
    work = output.with_name(f".{output.name}.teacher")
    scored = _scored(dataset, config, tell=tell, work=work, resume=resume)
    tell("", *scored.lines())
    scored = replace(scored, cross_validation=found)
    saved = with_report(scored, title=output.name).save(output)
    if config.distillation.teacher != "none":
        shutil.rmtree(work, ignore_errors=True)
    tell("", f"model written to {saved}; its report is {saved / 'report.html'}")
    return scored.bundle


def _scored(
    dataset: Dataset, config: Config, *, tell: Callable[..., None], work: Path, resume: bool
) -> Scored:
    """Train with the config's teacher or without one, and score on the held-out rows."""
    from tidegate.training.score import score

    def on_prepared(prepared: Prepared) -> None:
        tell(*prepared.figures(), "")

    def on_epoch(epoch: Epoch) -> None:
        tell(epoch_line(epoch))

    if config.distillation.teacher == "none":
        from tidegate.training.train import train as learn

        return score(learn(dataset, config, on_prepared=on_prepared, on_epoch=on_epoch))
    from tidegate.distillation.student import train_student

    distilled = train_student(
        dataset, config, folder=work, resume=resume,
        on_stage=say, on_prepared=on_prepared, on_epoch=on_epoch,
    )  # fmt: skip
    return score(
        distilled.trained, contestants=distilled.contestants(), teacher=distilled.teacher.facts
    )


def named(output: Path) -> Path:
    """Return a path that ends in a name, as `.` and `..` do not: other names are made from it."""
    return output if output.name not in ("", "..") else output.resolve()


def epoch_line(epoch: Epoch) -> str:
    """Return the line the lesson prints after each epoch."""
    return (
        f"Epoch: {epoch.number}, loss: {epoch.last_loss:.5f}, "
        f"Train accuracy: {epoch.train_accuracy:.5f}, Test accuracy: {epoch.test_accuracy:.5f}"
    )
