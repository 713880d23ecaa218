"""Learning from corrections: a model goes on with new rows, and with old ones if they are given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import WORDS, made_up, rows, tiny_bundle, with_ngrams, with_vectors
from kills import TINY, files_of, write
from tidegate.cli import main
from tidegate.data.dataset import Dataset, from_lists, read_dataset
from tidegate.engine.bundle import Bundle
from tidegate.engine.predictor import Predictor
from tidegate.training.held_out import BEFORE
from tidegate.training.warm import widened

NEW = [["zorb", "blip"], ["quux", "flim"]]  # words that the model before never met, by label


def topic(n: int, labels: tuple[str, str] = ("0", "1")) -> Dataset:
    """Return messages of a topic the model before knows nothing of."""
    rng = np.random.default_rng(3)
    targets = np.arange(n) % 2
    texts = [f"{rng.choice(NEW[y])} {' '.join(rng.choice(WORDS, size=4))}" for y in targets]
    return replace(from_lists(texts, [labels[y] for y in targets]), labels=labels, targets=targets)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    data = write(folder / "old.csv", made_up())
    words = ["--vectors=none", "--embedding-size=8", "--hidden-size=6", "--min-count=1"]
    model = folder / "model"
    assert main(["train", str(data), "-o", str(model), *words, "--score=none"]) == 0
    return model


def go_on(before: Path, data: Path, *words: str, name: str = "new") -> Path:
    output = data.parent / name
    more = ["--from", str(before), "-o", str(output), "--folds=3", *words]
    assert main(["train", str(data), *more]) == 0
    return output


def compared(model: Path) -> dict[str, float]:
    found = json.loads((model / "report.json").read_text())
    ahead = next(r["ahead"]["accuracy"] for r in found["rivals"] if r["name"] == BEFORE)
    assert isinstance(ahead, dict)
    return ahead


@pytest.mark.parametrize("replayed", [False, True], ids=["new rows", "old rows, too"])
def test_new_rows_improve_on_messages_of_a_new_topic(
    replayed: bool, before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "more.csv", topic(160))
    old = before.parent / "old.csv"
    model = go_on(before, data, *(["--old", str(old)] if replayed else []))
    said = capsys.readouterr()
    assert compared(model)["low"] > 0.1
    assert "Of 160 held-out messages that the model before had not learned from, before" in said.out
    assert ("may be forgotten" in said.err) == (not replayed)
    known = "240 of the rows that would be held out are among those the model before learned from"
    assert (known in said.err) == replayed
    bundle = Bundle.load(model)
    first = Bundle.load(before)
    assert bundle.labels == first.labels
    assert bundle.tokens[: len(first.tokens)] == first.tokens
    assert {"zorb", "blip", "quux", "flim"} <= set(bundle.tokens[len(first.tokens) :])
    assert bundle.training_data["from"]["replay"] is replayed
    learned = {f["learned.bin"] for f in map(files_of, (before, model))}
    assert len(learned) == 2
    if replayed:  # what it knew is kept
        data = read_dataset(old)
        right = Predictor(bundle).choose(Predictor(bundle).predict_proba(data.texts))
        assert (right == data.targets).mean() > 0.9


@pytest.mark.parametrize(
    "replayed",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["new rows", "old rows, too"],
)
def test_a_new_label_is_learned_behind_the_others(
    replayed: bool, before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "more.csv", topic(160, ("1", "-5")))
    old = ["--old", str(before.parent / "old.csv")] if replayed else []
    bundle = Bundle.load(go_on(before, data, *old))
    assert "new label: -5" in capsys.readouterr().err
    assert (bundle.kind, bundle.labels) == ("multiclass", ("0", "1", "-5"))
    model = Predictor(bundle)
    assert model.predict(["quux flim quux flim"]) == ["-5"]
    assert compared(data.parent / "new")["value"] > 0.3


def test_a_new_label_among_several_is_learned(tmp_path: Path) -> None:
    lines = ["text,tags"]
    lines += [f"{t},{'|'.join(np.array(['x', 'y'])[y == 1])}" for t, y in _several()]
    (tmp_path / "old.csv").write_text("\n".join(lines) + "\n")
    words = ["--label=tags", "--label-separator=|", *TINY[:3], "--min-count=1", "--epochs=8"]
    model = tmp_path / "model"
    assert main(["train", str(tmp_path / "old.csv"), "-o", str(model), *words, "--score=none"]) == 0
    lines = ["text,tags", *(f"quux {w} {k},a|y" for k, w in enumerate(WORDS * 3))]
    lines += [f"flim {w} {k},x" for k, w in enumerate(WORDS * 3)]
    (tmp_path / "more.csv").write_text("\n".join(lines) + "\n")
    bundle = Bundle.load(go_on(model, tmp_path / "more.csv", "--epochs=20"))
    assert (bundle.kind, bundle.labels) == ("multilabel", ("x", "y", "a"))
    assert Predictor(bundle).predict(["quux fire"])[0][-1] == "a"


def _several() -> list[tuple[str, np.ndarray]]:
    data = rows(160, "multilabel")
    return list(zip(data.texts, data.targets, strict=True))


@pytest.mark.parametrize("make", [tiny_bundle, with_vectors, with_ngrams])
@pytest.mark.parametrize("labels", [("0", "1"), ("0", "1", "z")])
def test_room_for_words_and_labels_changes_no_answer(
    make: object, labels: tuple[str, ...], messages: list[str]
) -> None:
    bundle = make(4)  # type: ignore[operator]
    texts = [*messages, "firestorm near the riverbank", "riverbank"]
    kind = "binary" if len(labels) == 2 else "multiclass"
    data = replace(made_up(), labels=labels, kind=kind)
    wide = widened(bundle, (*bundle.tokens, "riverbank", "firestorm"), data, rows=1000)
    assert wide.labels == labels
    theirs = Predictor(bundle).predict_proba(texts)
    ours = Predictor(wide).predict_proba(texts)
    assert ours[:, 2:].max(initial=0.0) < 0.01
    ours = ours[:, :2] / ours[:, :2].sum(axis=1, keepdims=True)
    # A new word's row of the linear branch has eight bits now.
    np.testing.assert_allclose(ours, theirs, atol=2e-3 if "ngrams.bias" in wide.weights else 1e-5)


@pytest.mark.slow
def test_an_ended_run_is_gone_on_with(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "more.csv", topic(60))
    whole = go_on(before, data, "--keep-run", name="one")
    work = tmp_path / "one.run" / "work"
    (work / "held-out.safetensors").unlink(missing_ok=True)
    (work / "shipped.safetensors").unlink()
    first = files_of(whole)
    again = go_on(before, data, "--resume", name="one")
    assert "going on with the work" in capsys.readouterr().err
    assert files_of(again) == first
    go_on(before, data, "--keep-run", name="one")
    other = tmp_path / "other"
    assert main(["train", str(data), "-o", str(other), *TINY, "--score=none"]) == 0
    words = ["train", str(data), "--from", str(other), "--folds=3", "-o", str(whole), "--resume"]
    assert main(words) == 2
    assert "holds the work of other data or settings (" in capsys.readouterr().err


def test_rows_that_were_all_learned_from_compare_nothing(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = str(before.parent / "old.csv")
    words = ["train", "--from", str(before), old, "-o", str(tmp_path / "new")]
    assert main(words) == 2
    assert "is one that the model before has learned from; give rows" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main([*words, "--score=none"]) == 0


def test_what_cannot_be_gone_on_from_is_one_line(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(write(tmp_path / "more.csv", topic(20)))
    columns = str(write(tmp_path / "columns.csv", rows(20, "multilabel")))
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("text,target\n" + "".join(f"fire {i},{i}\n" for i in range(20)))
    lesson = tmp_path / "lesson"
    shape = ["--embedding-size=8", "--hidden-size=8", "--head-size=8", "--epochs=1"]
    words = ["train", data, "--preset=lesson", "-o", str(lesson), *shape, "--score=none"]
    assert main(words) == 0
    output = tmp_path / "new"
    for more, message in (
        ([data, "--from", str(tmp_path / "no")], "no bundle there"),
        ([data, "--old", data], "old: only a model that is gone on from has old rows; give --from"),
        ([data, "--from", str(before), "--preset=best"], "from: found with --preset, --config or"),
        ([data, "--from", str(before), "--hidden-size=9"], "hidden_size: a model goes on with its"),
        ([data, "--from", str(before), "--teacher=blend"], "teacher: a model goes on with its own"),
        ([columns, "--from", str(before), "--label=x", "--label=y"], "gives a message one label"),
        ([str(numbers), "--from", str(before)], "found 18 new labels in 20 rows; name the column"),
        ([data, "--from", str(lesson)], "a model of the lesson's pipeline cannot be gone on from"),
        ([data, "--from", str(before), "--old", str(tmp_path / "x.csv")], "x.csv"),
        (["-", "--from", str(before), "--old=-"], "standard input can be read only once"),
    ):
        capsys.readouterr()
        assert main(["train", *more, "-o", str(output)]) == 2
        said = capsys.readouterr().err
        assert message in said.splitlines()[-1]
        assert not output.exists()
