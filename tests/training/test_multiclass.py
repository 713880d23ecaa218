"""Multi-class on a real column: the commonest groups of labels of the multi-label reference set."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conftest import shared_file
from tidegate.data.dataset import read_dataset
from tidegate.presets import preset
from tidegate.training.held_out import BASELINE, MAJORITY
from tidegate.training.score import score
from tidegate.training.train import train

N_CLASSES, N_ROWS = 5, 8000


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with shared_file("disaster_messages_train.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = [
        "+".join(name for name, value in row.items() if name != "text" and value == "1") or "none"
        for row in rows
    ]
    common = {name for name, _ in Counter(names).most_common(N_CLASSES)}
    kept = [(row["text"], name) for row, name in zip(rows, names, strict=True) if name in common]
    path = tmp_path_factory.mktemp("groups") / "groups.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "target"])
        writer.writerows(kept[:N_ROWS])
    return path


@pytest.mark.slow
def test_five_real_classes(groups: Path) -> None:
    dataset = read_dataset(groups)
    assert dataset.kind == "multiclass"
    assert len(dataset.labels) == N_CLASSES
    scored = score(train(dataset, preset("default")))
    found = {rival.name: rival.report.scores["accuracy"].value for rival in scored.rivals}
    accuracy = scored.report.scores["accuracy"].value
    assert accuracy > found[MAJORITY] + 0.1
    assert accuracy > found[BASELINE]
    assert np.allclose(scored.probabilities.sum(axis=1), 1.0)
    assert scored.report.confusion is not None
    assert np.asarray(scored.report.confusion).shape == (N_CLASSES, N_CLASSES)
