"""Settings in a TOML file: written and read back, on top of presets, under flags; refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import Config
from tidegate.config_file import read_config, to_toml
from tidegate.errors import ConfigError
from tidegate.presets import PRESETS, preset


def read_back(text: str, folder: Path) -> Config:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path).config(settings={})


@pytest.mark.parametrize("name", PRESETS)
def test_a_written_config_is_read_back(name: str, tmp_path: Path) -> None:
    config = PRESETS[name]
    found = read_back(to_toml(config), tmp_path)
    chosen = [
        (section, key) for section, values in config.to_dict().items() for key in values
        if key not in config.automatic
    ]  # fmt: skip
    assert found.automatic == config.automatic
    assert all(found.to_dict()[s][k] == config.to_dict()[s][k] for s, k in chosen)
    assert to_toml(found) == to_toml(config)


@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_name_of_a_column_is_read_back(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = Config().with_settings(text=text, label=(text + "1", "b"), learning_rate=1e-05)
    assert read_back(to_toml(config), tmp_path_factory.mktemp("toml")) == config


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('preset = "lesson"\n[training]\nseed = 3\nepochs = 2\n')
    found = read_config(path).config(settings={"epochs": 5})
    assert found == preset("lesson").with_settings(seed=3, epochs=5)
    found = read_config(path).config(preset_name="default", settings={})
    assert found.training.seed == 3
    assert "epochs" not in found.automatic
    assert "batch_size" in found.automatic


def test_a_teachers_settings_without_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[distillation]\naugment = 3\nteacher_folds = 4\n")
    assert read_config(path).config(settings={"teacher": "blend"}).distillation.augment == 3
    with pytest.raises(ConfigError, match="augment: found 3, but there is no teacher"):
        read_config(path).config(preset_name="best", settings={})
    several = read_config(path).config(preset_name="best", settings={"label": ("a", "b")})
    assert several.distillation.augment == 3  # a blend is its teacher
    # A whole config has them all, and may have had a teacher once.
    path.write_text(to_toml(preset("default").with_settings(augment=3)))
    assert read_config(path).config(settings={}).distillation.augment == 3
    with pytest.raises(ConfigError, match="teacher_folds: found 8"):
        read_config(path).config(settings={"teacher_folds": 8})


def test_several_label_columns_and_a_teacher_choose_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[data]\nlabel = ["a", "b"]\n')
    assert read_config(path).config(settings={}).network.hidden_size == 192
    path.write_text('[distillation]\nteacher = "blend"\n')
    assert read_config(path).config(settings={}).distillation.teacher_folds == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3\n", "'epochs' does not exist; it may have preset, automatic, [data], [text]"),
        ("[training]\nhidden_size = 3\n", r"[training]: hidden_size belongs in [network]; move it"),
        ("[training]\nepoch = 3\n", "setting 'epoch' does not exist: did you mean 'epochs'?"),
        ("[training]\nepochs = 3.5\n", "epochs: found 3.5; give a whole number"),
        ("[training]\nepochs = 1979-05-27\n", "epochs: found datetime.date(1979, 5, 27); give a"),
        ("[data]\nlabel = 3\n", "label: found 3; give column names"),
        ("[distillation]\nteacher = 3\n", "teacher: found 3; give a text"),
        ("[distillation]\naugment = 3\n", "augment: found 3, but there is no teacher; give one"),
        ("training = 3\n", "training: found 3; write [training] and settings"),
        ("preset = 3\n", "preset: found 3; give a preset's name"),
        ('preset = "bset"\n', "preset 'bset' does not exist"),
        ('automatic = ["epochs", "no"]\n', "automatic: found ['epochs', 'no']; give names of set"),
        ('automatic = ["epochs"]\n[training]\nepochs = 3\n', "epochs has a value and is automatic"),
        ("[training\n", "no TOML ("),
        ("x = " + "[" * 9000, "no TOML ("),
        ("#" * 200_000, "over 100,000 bytes; give a file of settings"),
    ],
)
def test_what_a_file_cannot_say_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as fault:
        read_back(text, tmp_path)
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


WORDS = "[ ] training epochs = 3 ' . data label { } 1e999 nan true automatic preset , #"
PIECES = st.sampled_from([*WORDS.split(), '"', "\n", "\x00", "1979-05-27", "9" * 5000])


@given(raw=st.one_of(st.binary(), st.lists(PIECES).map(lambda found: "".join(found).encode())))
def test_any_bytes_are_settings_or_one_line(
    raw: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "settings.toml"
    path.write_bytes(raw)
    try:
        read_config(path).config(settings={})
    except ConfigError as fault:
        assert "\n" not in str(fault)


def test_a_file_that_is_missing_or_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml: No such file or directory; give a TOML file"):
        read_config(tmp_path / "no.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"bytes\.toml: no TOML \(.*; mend it"):
        read_config(tmp_path / "bytes.toml")
