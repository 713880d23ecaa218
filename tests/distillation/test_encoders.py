"""A pretrained encoder as a teacher: a tiny random one, taught, killed, resumed, refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from conftest import WORDS, rows, some_slow
from kills import killed
from tidegate.cli import main
from tidegate.config import Config
from tidegate.distillation.encoders.encoder import Encoder
from tidegate.distillation.encoders.finetune import answer, finetune, fingerprint
from tidegate.distillation.encoders.teacher import EncoderTeacher
from tidegate.distillation.student import train_student
from tidegate.engine.predictor import Predictor
from tidegate.errors import ConfigError
from tidegate.estimator import TidegateClassifier
from tidegate.presets import preset
from tidegate.training.checkpoint import Arrays, Workspace

SMALL = {
    "vectors": "none", "embedding_size": 6, "hidden_size": 4, "epochs": 1, "augment": 2,
    "teacher_models": 1, "teacher_folds": 2,
}  # fmt: skip


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer and 16 units, untrained, in the form that hubs have them."""
    folder = tmp_path_factory.mktemp("encoder")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *WORDS, *map(str, range(10))]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=80,
    )  # fmt: skip
    BertModel(shape).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    return folder


def config_of(kind: str, encoder: Path) -> Config:
    labels = ("x", "y") if kind == "multilabel" else ("target",)
    return preset("best", n_label_columns=len(labels), teacher=str(encoder)).with_settings(
        label=labels, teacher=str(encoder), **SMALL
    )


@pytest.mark.parametrize(
    "kind", some_slow(["binary", "multiclass", "multilabel"], {"multiclass", "multilabel"})
)
def test_an_encoder_teaches_every_kind_of_label(kind: str, encoder: Path) -> None:
    data = rows(160, kind)
    config = config_of(kind, encoder)
    learned, held = np.arange(120), np.arange(120, 160)
    distilled = train_student(data, config, rows=(learned, held))
    assert distilled.teacher.facts["licence"] == "apache-2.0"
    found = distilled.teacher.predict_proba(data.texts[:7])
    assert found.shape == (7, len(data.labels))
    if kind != "multilabel":
        assert found.sum(axis=1) == pytest.approx(np.ones(7))
    again = train_student(data, config, rows=(learned, held))
    one, other = (Predictor(t.trained.bundle).predict_proba(data.texts) for t in (distilled, again))
    assert one.tobytes() == other.tobytes()


@pytest.mark.slow
def test_fine_tuning_learns(encoder: Path) -> None:
    data = rows(1200)
    network = Encoder(str(encoder), n_outputs=1, seed=0)
    shares = np.eye(2, dtype=np.float32)[data.targets]
    before = answer(network, data.texts, kind="binary", precision="float32")
    for k in range(4):
        finetune(network, data.texts, shares, kind="binary", seed=k, precision="float32")
    after = answer(network, data.texts, kind="binary", precision="float32")

    def loss(p: np.ndarray) -> float:
        return float(-np.log(p[np.arange(len(p)), data.targets]).mean())

    assert loss(after) < loss(before) - 0.02


def test_answers_depend_on_no_batch_mates(encoder: Path) -> None:
    network = Encoder(str(encoder), n_outputs=3, seed=0)
    texts = ["fire", "", "flood near the river " * 40, "fire \ud800 \x00 🔥", *rows(40).texts]
    together = answer(network, texts, kind="multiclass", precision="float32")
    alone = [answer(network, [t], kind="multiclass", precision="float32")[0] for t in texts]
    assert np.abs(together - np.array(alone)).max() < 1e-6


def test_a_stopped_fine_tuning_ends_with_the_same_weights(encoder: Path, tmp_path: Path) -> None:
    data = rows(200)
    shares = np.eye(2, dtype=np.float32)[data.targets]

    def run(folder: Path, stop_after: int | None = None) -> dict[str, torch.Tensor]:
        network = Encoder(str(encoder), n_outputs=1, seed=0)
        workspace = Workspace(folder)
        keep = workspace.keep

        def stopping(name: str, arrays: Arrays, facts: dict[str, Any]) -> None:
            keep(name, arrays, facts)
            if facts["step"] == stop_after:
                raise KeyboardInterrupt

        workspace.keep = stopping  # type: ignore[method-assign, assignment]
        finetune(
            network, data.texts, shares, kind="binary", seed=3, precision="float32",
            workspace=workspace, save_every_s=0.0,
        )  # fmt: skip
        return dict(network.named_parameters())

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", stop_after=5)
    resumed = run(tmp_path / "stopped")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_no_encoder_learns_from_what_it_labels(encoder: Path) -> None:
    """Labels of one fold, turned round, change every encoder but the one that labels that fold."""
    data, folds = rows(120), np.arange(120) % 3
    config = config_of("binary", encoder).with_settings(teacher_folds=3)
    turned = replace(data, targets=np.where(folds == 1, 1 - data.targets, data.targets))
    taught = []
    for own in (data, turned):
        teacher = EncoderTeacher.of(own, config)
        teacher.learn(own, folds, seed=config.training.seed)
        taught.append(teacher)
    same = [
        fingerprint(one) == fingerprint(other)
        for one, other in zip(taught[0].encoders, taught[1].encoders, strict=True)
    ]
    assert same == [False, True, False]
    teacher, texts = taught[0], ["fire", "a quiet day", "flood here"]
    found = teacher.label(texts, np.array([1, -1, 2]))
    alone = [answer(e, texts, kind="binary", precision=teacher.precision) for e in teacher.encoders]
    assert found[0] == pytest.approx(alone[1][0], abs=1e-6)
    assert found[1] == pytest.approx(np.mean(alone, axis=0)[1], abs=1e-6)
    assert found[2] == pytest.approx(alone[2][2], abs=1e-6)
    assert teacher.facts["parameters"] == 3 * teacher.encoders[0].n_parameters


def test_one_encoder_may_teach_alone(encoder: Path) -> None:
    data = rows(60)
    config = config_of("binary", encoder).with_settings(cross_fit=False, blend_share=0.0)
    distilled = train_student(data, config, rows=(np.arange(40), np.arange(40, 60)))
    assert distilled.teacher.facts["encoders"] == 1


def write_rows(path: Path) -> Path:
    data = rows(400)
    lines = [f"{text},{y}" for text, y in zip(data.texts, data.targets, strict=True)]
    path.write_text("\n".join(["text,target", *lines]) + "\n", encoding="utf-8")
    return path


def words_of(data: Path, model: Path, encoder: Path) -> list[str]:
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    return ["train", str(data), "-o", str(model), f"--teacher={encoder}", *settings]


@pytest.mark.slow
def test_ten_kills_of_a_run_with_an_encoder(encoder: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv")
    words = words_of(data, tmp_path, encoder)
    words = [word for word in words[1:] if word not in ("-o", str(tmp_path))]
    found = killed(words, tmp_path, kills=10, twice=3, seed=10)
    assert (found["code"], found["differ"], found["left"]) == (0, [], [])
    assert found["killed"] == 10
    card = (tmp_path / "whole" / "model" / "README.md").read_text(encoding="utf-8")
    assert "licence: apache-2.0" in card
    report = json.loads((tmp_path / "whole" / "model" / "report.json").read_text())
    rivals = [r["name"] for r in report["rivals"]]
    assert rivals[1] == "default, no teacher"
    assert rivals[2].startswith("teacher: ")


def test_work_of_another_encoder_is_not_gone_on_with(tmp_path: Path) -> None:
    Workspace(tmp_path / "work").bind("the weights of one")
    Workspace(tmp_path / "work").bind("the weights of one")
    with pytest.raises(ConfigError, match=r"work holds the work of another teacher or other texts"):
        Workspace(tmp_path / "work").bind("the weights of another")


def test_unlabelled_texts_are_learned_from(encoder: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("text\n" + "storm over the sea\n" * 3 + "\n", encoding="utf-8")
    data, split = rows(120), (np.arange(90), np.arange(90, 120))
    config = config_of("binary", encoder)
    with_more = train_student(data, config.with_settings(unlabelled=str(more)), rows=split)
    without = train_student(data, config, rows=split)
    assert any(
        not np.array_equal(with_more.trained.bundle.weights[k], without.trained.bundle.weights[k])
        for k in without.trained.bundle.weights
    )


def test_unlabelled_texts_that_are_rows_are_left_out(encoder: Path, tmp_path: Path) -> None:
    """A file that holds the held-back rows too teaches nothing of them."""
    data, split = rows(120), (np.arange(90), np.arange(90, 120))
    more = tmp_path / "more.csv"
    more.write_text("text\n" + "\n".join(t.upper() for t in data.texts) + "\n", encoding="utf-8")
    config = config_of("binary", encoder)
    stages: list[str] = []
    with_more = train_student(
        data, config.with_settings(unlabelled=str(more)), rows=split, on_stage=stages.append
    )
    assert stages[0] == "unlabelled: 120 of 120 left out: rows' own"
    without = train_student(data, config, rows=split)
    assert all(
        np.array_equal(with_more.trained.bundle.weights[k], without.trained.bundle.weights[k])
        for k in without.trained.bundle.weights
    )


def test_a_network_that_reads_padding_has_no_teacher(encoder: Path) -> None:
    config = preset("lesson").with_settings(teacher=str(encoder))
    with pytest.raises(ConfigError, match="padded_last"):
        train_student(rows(60), config)


def test_the_estimator_takes_a_teacher(encoder: Path) -> None:
    data = rows(80)
    clf = TidegateClassifier(teacher=str(encoder), settings=SMALL).fit(data.texts, data.targets)
    assert clf.bundle_.config.distillation.teacher == str(encoder)
    assert clf.predict_proba(["fire"]).shape == (1, 2)


def broken(encoder: Path, folder: Path, *, without: str, instead: str = "") -> Path:
    for path in encoder.iterdir():
        if path.name != without:
            (folder / path.name).write_bytes(path.read_bytes())
    if instead:
        (folder / instead).write_bytes(b"\x80\x04")
    return folder


@pytest.mark.parametrize(
    ("without", "instead", "said"),
    [
        ("config.json", "", "holds no config.json"),
        ("model.safetensors", "", "holds no *.safetensors"),
        ("model.safetensors", "pytorch_model.bin", "pickled weights (pytorch_model.bin)"),
        ("tokenizer.json", "", "has no fast tokenizer"),
    ],
)
def test_a_folder_that_cannot_teach_is_refused(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    without: str, instead: str, said: str,
) -> None:  # fmt: skip
    (tmp_path / "broken").mkdir()
    folder = broken(encoder, tmp_path / "broken", without=without, instead=instead)
    words = words_of(write_rows(tmp_path / "rows.csv"), tmp_path / "model", folder)
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.run").exists()


@pytest.mark.parametrize("name", ["/no/such/folder", "./nothing", "~/nothing"])
def test_a_teachers_folder_that_is_nowhere_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(write_rows(tmp_path / "rows.csv"), tmp_path / "model", Path("x"))
    words = [w if not w.startswith("--teacher") else f"--teacher={name}" for w in words]
    assert main(words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"tidegate: teacher: no folder {name}; ")


NOWHERE = "http://127.0.0.1:9"  # a hub that refuses every connection, as without a network


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, f"{NOWHERE} cannot be reached"),
        pytest.param({"HF_HUB_OFFLINE": "1"}, "network", marks=pytest.mark.slow),
    ],
)
def test_a_hubs_name_without_a_network_is_told_at_once(
    more: dict[str, str], said: str, tmp_path: Path
) -> None:
    words = words_of(write_rows(tmp_path / "rows.csv"), tmp_path / "model", Path("no/such-model"))
    environment = {name: value for name, value in os.environ.items() if "HF_" not in name} | more
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", *words], capture_output=True, text=True, check=False,
        env={**environment, "HF_ENDPOINT": NOWHERE, "HF_HOME": str(tmp_path / "hub")}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Retrying" not in done.stderr  # as the hub's library does for a minute
    last = done.stderr.splitlines()[-1]
    assert "teacher: 'no/such-model' cannot be had (it is not in the cache, and" in last
    assert said in last
    assert not (tmp_path / "model").exists()


def test_a_hubs_name_in_the_cache_needs_no_network(encoder: Path, tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "hub" / "models--some--one"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots").mkdir()
    (cached / "snapshots" / "abc").symlink_to(encoder)
    code = (
        "from tidegate.distillation.encoders.encoder import Encoder\n"
        "encoder = Encoder('some/one', n_outputs=1, seed=0)\n"
        "print(encoder.n_parameters > 0, encoder.licence())"
    )
    environment = {name: value for name, value in os.environ.items() if "HF_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**environment, "HF_ENDPOINT": NOWHERE, "HF_HOME": str(tmp_path / "hub")}, timeout=120,
    )  # fmt: skip
    assert done.stdout == "True apache-2.0\n", done.stderr
    assert "Retrying" not in done.stderr


def test_work_that_others_broke_is_one_line(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    work.keep("half", {"w": np.ones(2)}, {"step": 1})
    work.keep_answers("all", np.ones(2))
    for name in ("half.safetensors", "all.npy"):
        (tmp_path / "work" / name).write_bytes(b"\x93NUM")
    for read in (lambda: work.kept("half"), lambda: work.answers("all")):
        with pytest.raises(ConfigError, match=r"broken .*; or leave out --resume to begin"):
            read()
