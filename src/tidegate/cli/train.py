"""The verb that learns: train."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.inspect import for_people
from tidegate.cli.printing import (
    AsJson,
    Columns,
    DataFile,
    Encoding,
    FileFormat,
    NoClobber,
    Ray,
    check_clobber,
    config_of,
    names_of,
    put_json,
    say,
    tell_people,
    with_settings,
)
from tidegate.cli.signals import told_to_resume
from tidegate.cli.tracking import Track, TrackTo, beginning, no_callbacks, tracked
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.cli.continuing import GoingOn
    from tidegate.cli.repeating import Base
    from tidegate.config import Config
    from tidegate.data.checks import Finding
    from tidegate.data.dataset import Dataset
    from tidegate.engine.bundle import Bundle
    from tidegate.training.callbacks import Callbacks, Facts
    from tidegate.training.checkpoint import Workspace
    from tidegate.training.learner import Learner
    from tidegate.training.loop import Epoch
    from tidegate.training.prepare import Prepared


ConfigPath = Annotated[
    Path | None, typer.Option("--config", help="TOML file of settings; flags win over it.")
]
LikeModel = Annotated[
    Path | None, typer.Option("--like", help="Bundle whose settings are taken; flags win.")
]
FromModel = Annotated[
    Path | None, typer.Option("--from", help="Bundle to go on from, with the rows of DATA.")
]
OldRows = Annotated[
    str | None, typer.Option(help="File of rows that it learned from, to learn from again.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with what an ended run of the same left.")
]
KeepRun = Annotated[
    bool, typer.Option("--keep-run", help="Keep the run directory OUTPUT.run afterwards.")
]
Workers = Annotated[
    int,
    typer.Option(min=1, help="With --ray: workers that train the shipped model, a core each."),
]
_MOST_CHECKED = 100_000  # rows


@with_settings
def train(
    data: DataFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the new bundle.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="Settings to start from: default, best, multilabel, lesson; by default default."
        ),
    ] = None,
    config: ConfigPath = None,
    like: LikeModel = None,
    start: FromModel = None,
    old: OldRows = None,
    resume: Resume = False,
    keep_run: KeepRun = False,
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
    ray: Ray = None,
    workers: Workers = 1,
    track: Track = None,
    track_to: TrackTo = None,
    **settings: Any,
) -> None:
    """Train on labelled messages, score on rows held back, and write a bundle."""
    from tidegate.cli.continuing import going_from
    from tidegate.cli.repeating import base_of

    if cv:
        settings |= {"score": "cv", "folds": cv}
    base = base_of(config, like, with_preset=preset is not None)
    going = going_from(start, old, alone=not (config or like or preset))
    chosen = going.config(settings) if going else config_of(preset or "", settings, base.file)
    reading = {"format": format, "encoding": encoding, "columns": names_of(columns)}
    how = How(
        reading={**base.reading, **{name: value for name, value in reading.items() if value}},
        private=private or base.private, as_json=as_json, ray=ray, workers=workers,
        callbacks=tracked(track, track_to, output=named(output)),
    )  # fmt: skip
    run = Keeping(resume=resume, stays=keep_run, no_clobber=no_clobber)
    _train(data, named(output), chosen, how, run=run, base=base, going=going)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a training reads and tells.

    Attributes
    ----------
    reading : how the file is read, beside the config: arguments of `read_dataset`
    private : whether no message stands in the report
    as_json : whether standard output is for JSON alone
    ray : the address of the cluster that trains the folds; None: they are trained here
    workers : how many of its cores train the model of all rows together; 1: it is trained here
    callbacks : who else is told how it goes; None: nobody
    """

    reading: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False
    as_json: bool = False
    ray: str | None = None
    workers: int = 1
    callbacks: Callbacks | None = None


PLAIN = How()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What becomes of a run's work, and of what lies in the bundle's place.

    Attributes
    ----------
    resume : whether work that lies there is gone on with
    stays : whether it stays when the bundle is written
    no_clobber : whether a bundle that is there is kept, and the run refused
    """

    resume: bool = False
    stays: bool = False
    no_clobber: bool = False


def _train(
    data: str,
    output: Path,
    config: Config,
    how: How,
    *,
    run: Keeping,
    base: Base,
    going: GoingOn | None,
) -> None:
    """Check what was asked for, train, and say how the bundle compares with the one it is like."""
    from tidegate.engine.bundle import is_bundle
    from tidegate.evaluation.thresholds import parse_rule

    if how.workers > 1:
        _check_workers(config, how, going=going)
    parse_rule(config.training.threshold)
    check_clobber(output, there=is_bundle(output), no_clobber=run.no_clobber)

    def kept() -> bool:
        from tidegate.training.run import has_work, run_folder

        return has_work(run_folder(output))

    with told_to_resume("train", kept):
        bundle = train_and_report(data, output, config, how, run=run, going=going)
    say(*base.compared(bundle))
    if how.as_json:
        put_json(for_people(bundle.manifest()), indent=1)


def train_and_report(
    data: str,
    output: Path,
    config: Config,
    how: How = PLAIN,
    *,
    run: Keeping | None = None,
    going: GoingOn | None = None,
) -> Bundle:
    """Train, score, and write a bundle with its report.

    Parameters
    ----------
    run : what becomes of the work, kept in a directory beside the output; None: it is not kept
    going : the model that is gone on from, if there is one
    """
    from tidegate.data.dataset import read_dataset
    from tidegate.engine.bundle import check_target

    output = named(output)
    check_target(output)
    read = read_dataset if going is None else going.read
    dataset = read(data, config.data, **how.reading)
    say(*dataset.notes, *_advice(dataset, config))
    from tidegate.training.provenance import with_provenance
    from tidegate.training.run import open_run

    callbacks = how.callbacks or no_callbacks()
    with ExitStack() as held:
        ended = held.enter_context(callbacks.watching(beginning(output, dataset, config)))
        work = None
        if run is not None:
            work = held.enter_context(
                open_run(
                    output, dataset, config, resume=run.resume, keep=run.stays, say=say,
                    start="" if going is None else going.bundle.fingerprint(),
                    on_epoch=callbacks.on_epoch,
                )
            )  # fmt: skip
        if how.ray is not None:
            from tidegate.cluster.session import connected

            held.enter_context(connected(how.ray))
        tell = say if how.as_json else tell_people
        learner = _learner(dataset, config, tell=tell, work=work, going=going)
        bundle = _trained(learner, how, title=output.name)
        bundle = with_provenance(bundle, config, reading=how.reading, private=how.private)
        saved = _saved(bundle, output, work)
        ended["scores"] = bundle.metrics.get("scores", {})
    there = (saved / "report.html").exists()
    where = f"; its report is {saved / 'report.html'}" if there else ""
    (say if how.as_json else tell_people)("", f"model written to {saved}{where}")
    return bundle


def _saved(bundle: Bundle, output: Path, work: Workspace | None) -> Path:
    """Write the bundle; what a kill leaves half-written lies among the work, and goes with it."""
    if work is None:
        return bundle.save(output)
    place = work.within("bundle")
    saved = bundle.save(output, folder=place.folder)
    place.clear()
    return saved


def _advice(dataset: Dataset, config: Config) -> list[str]:
    """Return what to know before a training that may not be worth its time."""
    from tidegate.data.splits import SMALL_ROWS

    if config.distillation.teacher != "blend" or len(dataset) >= SMALL_ROWS:
        return []
    return [
        f"below {SMALL_ROWS:,} rows a blend's student has not been better than default; an "
        "encoder's has: --teacher"
    ]


def _check_workers(config: Config, how: How, *, going: GoingOn | None) -> None:
    """Raise a `ConfigError` if several workers cannot train the model together."""
    if how.ray is None:
        raise ConfigError("workers: they are a cluster's; give --ray, too")
    if config.distillation.teacher != "none":
        raise ConfigError("workers: a student learns on one core; leave out --workers")
    if going is not None:
        raise ConfigError("workers: --from goes on with a model on one core; leave out --workers")


def _trained(learner: Learner, how: How, *, title: str) -> Bundle:
    """Return the bundle of what a learner trains, with its report if it is scored."""
    from tidegate.data.splits import untested
    from tidegate.report.card import unscored, with_report
    from tidegate.training.learner import train_and_score, train_on_all

    dataset, tell = learner.dataset, say if how.as_json else tell_people
    if how.ray is not None:
        from tidegate.cluster.training import spread

        learner.spread = spread
        if how.workers > 1:
            from tidegate.cluster.together import together

            learner.together = together(how.workers)
    if learner.way == "none":
        return unscored(train_on_all(learner).bundle, title=title, private=how.private)

    def on_fold(facts: Facts) -> None:
        say(fold_line(facts))
        if how.callbacks is not None:
            how.callbacks.on_fold(facts)

    scored = train_and_score(learner, on_fold=on_fold, on_stage=say)
    tell("", *scored.lines())
    note = untested(dataset, scored.test)
    if note:
        say("", note)
    found = _findings(dataset, learner.config)
    return with_report(scored, title=title, private=how.private, findings=found)


def _findings(dataset: Dataset, config: Config) -> list[Finding]:
    """Return what `check` finds in the rows, for the report's head; of very many nothing."""
    from tidegate.data.checks import check_dataset
    from tidegate.text.tokenizers import make_tokenizer

    if len(dataset) > _MOST_CHECKED:
        return []
    return check_dataset(
        dataset, tokenize=make_tokenizer(config.text), limit=config.text.max_tokens or None
    )


def _learner(
    dataset: Dataset,
    config: Config,
    *,
    tell: Callable[..., None],
    work: Workspace | None,
    going: GoingOn | None,
) -> Learner:
    """Return what trains the config: from nothing or on from a model, with a teacher or without."""

    lesson = config.text.tokenizer == "lesson"  # whose figures are the notebook's, one by one

    def on_prepared(prepared: Prepared) -> None:
        if lesson:
            tell(*prepared.figures(), "")

    def on_epoch(epoch: Epoch) -> None:
        if lesson:
            tell(epoch_line(epoch))
        else:
            say(f"epoch {epoch.number}: loss {epoch.loss:.3f}")

    if going is not None:
        return going.learner(dataset, config, work=work, on_prepared=on_prepared, on_epoch=on_epoch)
    if config.distillation.teacher == "none":
        from tidegate.training.learner import Learner

        return Learner(dataset, config, work=work, on_prepared=on_prepared, on_epoch=on_epoch)
    from tidegate.distillation.student import StudentLearner

    return StudentLearner(
        dataset, config, work=work, on_stage=say, on_prepared=on_prepared, on_epoch=on_epoch
    )


def named(output: Path) -> Path:
    """Return a path that ends in a name, as `.` and `..` do not: other names are made from it."""
    return output if output.name not in ("", "..") else output.resolve()


def fold_line(facts: Facts) -> str:
    """Return the line that a fold of a cross-validation prints."""
    return (
        f"fold {facts['number']} of {facts['of']}: {facts['rows']} rows held out, "
        f"{facts['right']:.4f} right"
    )


def epoch_line(epoch: Epoch) -> str:
    """Return the line the lesson prints after each epoch."""
    return (
        f"Epoch: {epoch.number}, loss: {epoch.last_loss:.5f}, "
        f"Train accuracy: {epoch.train_accuracy:.5f}, Test accuracy: {epoch.test_accuracy:.5f}"
    )
