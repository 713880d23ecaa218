import pytest

from tidegate.config import Config, DataConfig, all_settings, field_names
from tidegate.errors import ConfigError
from tidegate.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_a_round_trip(name: str) -> None:
    assert Config.from_dict(preset(name).to_dict()) == preset(name)


SECTIONS = ("data", "text", "network", "training", "distillation")


def test_a_field_name_occurs_in_one_section_only() -> None:
    names = [n for s in SECTIONS for n in field_names(s)]
    assert len(names) == len(set(names)) == len(all_settings())


def test_every_field_says_what_it_means() -> None:
    assert all(meaning for _, _, meaning in all_settings().values())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden_sise": 3}, "setting 'hidden_sise' does not exist: did you mean 'hidden_size'?"),
        ({"hidden_size": "x"}, "hidden_size: found 'x'; give a whole number"),
        ({"hidden_size": True}, "hidden_size: found True; give a whole number"),
        ({"hidden_size": 0}, "hidden_size: found 0; it must be at least 1"),
        ({"dropout": 1.0}, "dropout: found 1.0; it must be below 1"),
        ({"dropout": float("nan")}, "dropout: found nan; give a finite number"),
        ({"cell": "tcn"}, "cell: found 'tcn'; choose one of lstm, gru, rnn"),
        ({"label": ("a", "")}, "label: found ('a', ''); give column names"),
    ],
)
def test_a_bad_setting_is_named(setting: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preset("default").with_settings(**setting)
    assert str(caught.value) == message


def test_whole_numbers_are_taken_for_fractions() -> None:
    assert preset("default").with_settings(dropout=0).network.dropout == 0.0


def test_one_label_column_may_be_given_by_its_bare_name() -> None:
    assert DataConfig(label="urgent").label == ("urgent",)  # type: ignore[arg-type]


def test_an_incomplete_dict_is_refused() -> None:
    values = preset("default").to_dict()
    del values["network"]["cell"]
    with pytest.raises(ConfigError, match="section 'network': cell missing; write exactly"):
        Config.from_dict(values)


def test_a_bundle_written_before_a_field_existed_still_has_a_config() -> None:
    values = preset("lesson").to_dict()
    del values["network"]["embedding_scale"]
    found = Config.from_dict(values, complete=False)
    assert found.network.embedding_scale == 0.1
    values["network"]["tomorrow"] = 1
    with pytest.raises(ConfigError, match="tomorrow unknown"):
        Config.from_dict(values, complete=False)


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match="preset 'bset' does not exist: choose one of default"):
        preset("bset")
