"""The verbs that learn and score: train, evaluate, demo."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.printing import config_of, put, say, with_settings
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.bundle import Bundle
    from tidegate.config import Config
    from tidegate.training.loop import Epoch

DataFile = Annotated[str, typer.Argument(help="CSV, TSV, JSONL or Parquet; - for standard input.")]
ModelPath = Annotated[Path, typer.Argument(help="A bundle: the directory that train wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


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
    if config.training.teacher == "none":
        if resume:
            raise ConfigError("resume: only work with a teacher is kept; give --teacher too")
        if config.training.unlabelled:
            raise ConfigError("unlabelled: only a teacher labels texts; give --teacher too")
    bundle = _train(data, output, config, cv=cv, as_json=as_json, resume=resume)
    if as_json:
        put(json.dumps(bundle.manifest(), indent=1))


def _train(
    data: str,
    output: Path,
    config: Config,
    *,
    cv: int = 0,
    as_json: bool = False,
    resume: bool = False,
) -> Bundle:
    from tidegate.bundle import check_target
    from tidegate.dataset import read_dataset

    output = _named(output)
    check_target(output)
    dataset = read_dataset(data, config.data)
    say(*dataset.notes)
    from tidegate.report.card import with_report
    from tidegate.training import crossval
    from tidegate.training.score import score
    from tidegate.training.train import train as learn

    tell = say if as_json else put
    found = crossval.cross_validate(dataset, config, folds=cv, on_fold=say) if cv else None
    if found is not None:
        tell(*crossval.lines(found), "")
    work = output.with_name(f".{output.name}.teacher")
    trained = learn(
        dataset,
        config,
        folder=work,
        resume=resume,
        on_stage=say,
        on_prepared=lambda prepared: tell(*prepared.figures(), ""),
        on_epoch=lambda epoch: tell(epoch_line(epoch)),
    )
    scored = replace(score(trained), cross_validation=found)
    tell("", *scored.lines())
    saved = with_report(scored, title=output.name).save(output)
    if trained.teacher is not None:
        shutil.rmtree(work, ignore_errors=True)
    tell("", f"model written to {saved}; its report is {saved / 'report.html'}")
    return scored.bundle


def _named(output: Path) -> Path:
    """Return a path that ends in a name, as `.` and `..` do not: other names are made from it."""
    return output if output.name not in ("", "..") else output.resolve()


def epoch_line(epoch: Epoch) -> str:
    """Return the line the lesson prints after each epoch."""
    return (
        f"Epoch: {epoch.number}, loss: {epoch.last_loss:.5f}, "
        f"Train accuracy: {epoch.train_accuracy:.5f}, Test accuracy: {epoch.test_accuracy:.5f}"
    )


def evaluate(model: ModelPath, data: DataFile, as_json: AsJson = False) -> None:
    """Score a bundle on labelled messages: scores with intervals, confusion, calibration."""
    from tidegate.bundle import Bundle
    from tidegate.dataset import read_dataset
    from tidegate.evaluation import evaluate as score
    from tidegate.runtime import Predictor

    bundle = Bundle.load(model)
    dataset = read_dataset(data, bundle.config.data, labels=bundle.labels)
    say(*dataset.notes)
    predictor = Predictor(bundle)
    report = score(
        dataset.targets,
        predictor.predict_proba(dataset.texts),
        labels=bundle.labels,
        kind=bundle.kind,
        threshold=predictor.threshold,
    )
    put(*([json.dumps(report.to_dict(), indent=1)] if as_json else report.lines()))


def demo(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep the bundle in this directory.")
    ] = None,
) -> None:
    """Train on the embedded sample, evaluate, predict, walk: the whole tool in a minute."""
    from tidegate.cli.walking import show
    from tidegate.config import preset
    from tidegate.outputs import write_text
    from tidegate.pages import walk_page
    from tidegate.runtime import Predictor
    from tidegate.walk import walk

    with (
        as_file(files("tidegate") / "sample" / "messages.csv") as sample,
        tempfile.TemporaryDirectory() as folder,
    ):
        say("training on the embedded sample …")
        output = output and _named(output)
        model = output or Path(folder) / "demo"
        bundle = _train(str(sample), model, preset("default"))
        predictor = Predictor(bundle)
        put("", "and what it says of a few messages:")
        texts = [
            "the sky was ablaze last night, best sunset of the year",
            "house ablaze on 5th street, people still inside",
            "bridge is under water and cars are stuck, send help",
            "drowning in emails today, send coffee",
        ]
        for text, row in zip(texts, predictor.predict_proba(texts), strict=True):
            best = int(row.argmax())
            put(f"  {predictor.labels[best]} ({row[best]:.2f})  {text}")
        put("", "and what its gates did while it read the second:", "")
        sky, house = (walk(predictor, text) for text in texts[:2])
        show(house)
        if output is not None:
            page = output.with_name(f"{output.name}-walk.html")
            write_text(page, walk_page([house, sky], title=output.name))
            put("", f"open {page} in a browser to walk it gate by gate")
