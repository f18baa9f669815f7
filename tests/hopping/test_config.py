import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruo2_hopping.config import (
    Config,
    Search,
    Start,
    choose_moves,
    config_tables,
    config_toml,
    differing_keys,
    make_config,
    read_config,
)
from ruo2_hopping.errors import ConfigError
from ruo2_hopping.plan import plan_search

OTHER = Config(
    starts=(Start(surface="100", repeat=(2, 1), name="a"), Start(file="slab.traj")),
    search=Search(mu_o=(-1.0, 0.25), steps=7, snapshots="minima"),
    moves=choose_moves(step_width=0.4, exchange=0.1, rattle=0.2),
)


@pytest.mark.parametrize("config", [Config(), OTHER])
def test_a_configuration_is_what_its_toml_says(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config))
    assert make_config(read_config(path)) == config
    assert make_config(config_tables(config)) == config


def test_the_defaults_are_those_of_the_thesis() -> None:
    tables = tomllib.loads(config_toml(Config()))
    assert tables["layers"] == {"displaced": 2, "buffer": 2}
    assert tables["search"]["temperature"] == 1000.0
    assert tables["moves"][0] == {"kind": "displace", "weight": 0.75, "options": {"step_width": 1.2, "modes": 0.25}}
    assert sum(move["weight"] for move in tables["moves"] if move["kind"] in ("insert", "remove")) == 0.25


@given(st.floats(0, 1), st.floats(0, 1))
def test_weights_of_moves_are_shares(exchange: float, rattle: float) -> None:
    if exchange + rattle > 1.0:
        return
    weights = {move.kind: move.weight for move in choose_moves(exchange=exchange, rattle=rattle)}
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights.get("insert", 0.0) == weights.get("remove", 0.0) == exchange / 2
    assert weights.get("rattle", 0.0) == rattle


@pytest.mark.parametrize(("exchange", "rattle"), [(-0.1, 0.0), (0.5, -0.2), (float("nan"), 0.0), (0.7, 0.4)])
def test_shares_that_cannot_be_are_refused(exchange: float, rattle: float) -> None:
    with pytest.raises(ConfigError, match="shares of all moves"):
        choose_moves(exchange=exchange, rattle=rattle)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"serch": {}}, r"run\.toml: serch"),
        ({"search": {"steps": -1}}, r"search\.steps: .*found -1"),
        ({"search": {"mu_o": []}}, r"search\.mu_o"),
        ({"search": {"temperature": 0}}, r"search\.temperature"),
        ({"starts": []}, r"starts"),
        ({"starts": [{"surfac": "110"}]}, r"starts\.0\.surfac"),
        ({"starts": [{"vacuum": float("inf")}]}, r"starts\.0\.vacuum"),
        ({"calculator": {"oxygen_energy": "often"}}, r"calculator\.oxygen_energy"),
        ({"relaxation": {"fmax": 0}}, r"relaxation.*fmax must be a positive number"),
        ({"moves": [{"weight": 1}]}, r"moves\.0\.kind"),
    ],
)
def test_what_cannot_be_is_named_in_its_place(tables: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_config(tables, "run.toml")


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file"), ("search = [", "must be TOML"), ("\xff", "must be TOML")]
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "run.toml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=said):
        read_config(path)


def test_differences_are_told_with_both_values() -> None:
    found = differing_keys(config_tables(Config()), config_tables(OTHER))
    assert "search.steps: 100, then 7" in found
    assert any(each.startswith("starts.1: None, then") for each in found)
    assert not any("temperature" in each for each in found)
    assert differing_keys(config_tables(OTHER), config_tables(OTHER)) == []


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"moves": [{"kind": "jump"}]}, r"move jump: must be one of displace, insert, remove, rattle, or MODULE:CLASS"),
        ({"moves": [{"kind": "nowhere:Move"}]}, r"move nowhere:Move: must be importable; ModuleNotFoundError"),
        ({"moves": [{"kind": "tests.hopping.toys:Jump"}]}, r"must be importable; AttributeError"),
        ({"moves": [{"kind": "tests.hopping.toys:Springs"}]}, r"must have a name and propose"),
        ({"moves": [{"kind": "displace", "options": {"step": 1}}]}, r"move displace: must accept its options"),
        ({"starts": [{}, {}]}, r"must differ in facet or name; found 110 stoichiometric twice"),
        ({"starts": [{"file": "nowhere.traj"}]}, r"start nowhere.traj: must be a structure file of ASE"),
        ({"layers": {"displaced": 9}}, r"start \(110\) stoichiometric"),
    ],
)
def test_a_plan_that_cannot_be_is_named(tables: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plan_search(make_config(tables))


def test_a_move_of_ones_own_is_found_by_its_name() -> None:
    plan = plan_search(make_config({"moves": [{"kind": "tests.hopping.toys:AddOxygen", "weight": 2.0}]}))
    assert [(each.move.name, each.weight) for each in plan.moves] == [("add", 2.0)]


def test_starts_and_chemical_potentials_are_walked_from_each_by_as_many() -> None:
    search = Search(mu_o=(-1.0, 0.0), walkers=3)
    plan = plan_search(Config(starts=(Start(), Start(termination="O-rich")), search=search))
    assert [walker.run for walker in plan.walkers] == list(range(12))
    assert [len(plan.walkers_of(origin)) for origin in plan.origins] == [6, 6]
    assert len({(walker.start, walker.mu_o) for walker in plan.walkers}) == 4
