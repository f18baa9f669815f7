"""A configuration is checked whole, and an error names the key."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruo2_wgan.config import (
    Config,
    config_tables,
    config_toml,
    differing_keys,
    make_config,
    parse_assignments,
    read_config,
    resolve_config,
)
from ruo2_wgan.errors import ConfigError
from ruo2_wgan.presets import NAMES, read_preset, read_presets


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_resolves_and_survives_toml(name: str) -> None:
    config = resolve_config([(name, read_preset(name).tables)])
    assert make_config(tomllib.loads(config_toml(config))) == config
    assert config.model.dimensions == int(name[-2])


def test_defaults_are_the_thesis() -> None:
    config = make_config({})
    assert (config.loss.n_critic, config.loss.gp_weight, config.training.seed) == (5, 10.0, 100)
    assert (config.optimizer.beta1, config.optimizer.beta2, config.optimizer.critic_lr) == (0.5, 0.9, 1e-3)
    assert config.loss.lattice_weight == 0.1
    assert resolve_config([("vanilla-3d", read_preset("vanilla-3d").tables)]).model == config.model


def test_presets_reproduce_the_table_of_variants() -> None:
    found = {
        preset.name: (config.model.conditioning, config.model.lattice)
        for preset in read_presets()
        for config in [make_config(preset.tables)]
    }
    for dimension in ("2d", "3d"):
        assert found[f"vanilla-{dimension}"] == ("none", False)
        assert found[f"integer-{dimension}"] == ("integer", False)
        assert found[f"onehot-{dimension}"] == ("onehot", False)
        assert found[f"embedding-{dimension}"] == ("embedding", False)
        assert found[f"lattice-{dimension}"] == ("none", True)
        assert found[f"recommended-{dimension}"] == ("none", False)
    assert found["embedding-lattice-3d"] == ("embedding", True)


def test_later_layers_win_key_by_key() -> None:
    layers = [
        ("preset", {"training": {"batch": 64, "epochs": 3}}),
        ("--set", parse_assignments(["training.batch=96", "model.conditioning=onehot", 'data.augment=["roll"]'])),
    ]
    config = resolve_config(layers)
    assert (config.training.batch, config.training.epochs) == (96, 3)
    assert config.model.conditioning == "onehot"
    assert config.data.augment == ("roll",)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("training.bacth=3", "unknown key training.bacth; did you mean batch?"),
        ("modle.latent=3", "unknown key modle; did you mean model?"),
        ("training.batch=0", "training.batch must be greater than or equal to 1; found 0"),
        ("model.conditioning=gamma", "model.conditioning must be 'none', 'integer', 'onehot' or 'embedding'"),
        ("training.seed=1.5", "training.seed must be a valid integer"),
        ("optimizer.beta1=1.0", "optimizer.beta1 must be less than 1"),
        ("loss.gp_weight=nan", "loss.gp_weight must be"),
        ("model.generator_channels=[4, 0]", "model.generator_channels.1 must be"),
        ("model.minibatch_std=5", "groups of model.minibatch_std; found 32 and 5"),
        ("training.accumulate=5", "training.accumulate parts; found 32 and 5"),
        ("training.batch_growth=[[9, 64], [3, 128]]", "training.batch_growth must increase; found [9, 3]"),
    ],
)
def test_an_error_names_the_key(assignment: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config([("--set", parse_assignments([assignment]))])
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["batch=3", "training.batch", "=3", "training.=3"])
def test_an_assignment_needs_section_and_value(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.name=value"):
        parse_assignments([text])


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean vanilla-2d"):
        read_preset("vanila-2d")


def test_files_that_are_not_toml_are_refused(tmp_path: object) -> None:
    path = f"{tmp_path}/run.toml"
    with pytest.raises(ConfigError, match="must be a TOML file"):
        read_config(path)
    with open(path, "w") as file:
        file.write("batch: 3")
    with pytest.raises(ConfigError, match="must be TOML"):
        read_config(path)


@given(batch=st.integers(1, 4096), rate=st.floats(1e-6, 1), steps=st.none() | st.integers(1, 10**9))
def test_any_configuration_comes_back_from_toml(batch: int, rate: float, steps: int | None) -> None:
    tables = {"training": {"batch": batch, "max_steps": steps}, "optimizer": {"critic_lr": rate}}
    config = make_config(tables)
    assert make_config(tomllib.loads(config_toml(config))) == config
    assert config_tables(config)["training"]["batch"] == batch


def test_differing_keys_are_named_with_both_values() -> None:
    other = make_config({"model": {"latent": 3}, "output": {"log_every": 7}})
    assert differing_keys(Config(), other, ["model", "data"]) == ["model.latent (512 and 3)"]
    assert differing_keys(Config(), Config(), ["model", "output"]) == []
