"""What a run of the study is: a scale that all runs share, and a chain of recipes that change one thing each.

A recipe is a TOML file named after it. `of` names the recipe that it changes; one without `of` begins a chain and names
a preset. Its tables are those of a configuration of ruo2-wgan, [store] has options of `ruo2-voxel build`, and [judge]
some of `ruo2-wgan evaluate`. `budget` is what a run may spend, in that of the scale; [judge] and `program`, unlike all
else, are not handed on to recipes that change this one. What is a change on one scale may be the rule on another:
tables below [on.SCALE] replace the others there.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruo2_wgan.config import Config, resolve_config
from ruo2_wgan.presets import read_preset

HERE = Path(__file__).resolve().parent
RECIPES = HERE / "recipes"
Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Scale:
    """What all runs on one kind of machine have in common."""

    name: str
    about: str
    tflop: float  # that each run may spend on training
    samples: int  # that are judged
    store: dict[str, Any]  # options of `ruo2-voxel build`
    tables: Tables  # of the configuration, below what recipes change
    over: Tables = field(default_factory=dict)  # of the configuration, above it: what a machine asks for


@dataclass(frozen=True)
class Recipe:
    """A run, resolved."""

    name: str
    title: str  # what is changed, in a few words
    of: str | None  # the recipe that it changes
    budget: float  # of the run, in that of the scale
    store: dict[str, Any]
    judge: dict[str, Any]  # options of `ruo2-wgan evaluate`
    config: Config
    program: str | None  # of this folder, instead of `ruo2-wgan train`


def read_scale(name: str) -> Scale:
    """Of scales/NAME.toml, or of another file whose path is given."""
    path = Path(name) if name.endswith(".toml") else HERE / "scales" / f"{name}.toml"
    tables = _read(path)
    return Scale(path.stem, *(tables.pop(key) for key in ("about", "tflop", "samples", "store")), tables=tables)


def recipe_title(name: str) -> str:
    """What a recipe changes, in a few words."""
    return str(_read(RECIPES / f"{name}.toml")["title"])


def recipe_names() -> list[str]:
    """All recipes, in the order in which their files sort within each chain: what is changed comes first."""
    ofs = {path.stem: _read(path).get("of") for path in sorted(RECIPES.glob("*.toml"))}
    names: list[str] = []

    def add(of: str | None) -> None:
        for name, its in ofs.items():
            if its == of:
                names.append(name)
                add(name)

    add(None)
    return names


def read_recipe(name: str, scale: Scale) -> Recipe:
    """A recipe with all that it inherits: preset, then scale, then the chain of recipes down to it."""
    chain = [_read(RECIPES / f"{name}.toml")]
    while "of" in chain[0]:
        chain.insert(0, _read(RECIPES / f"{chain[0]['of']}.toml"))
    chain = [each | each.pop("on", {}).get(scale.name, {}) for each in chain]
    first, last = chain[0], chain[-1]
    store = dict(scale.store)
    layers: list[tuple[str, Mapping[str, Any]]] = [
        (f"preset {first['preset']}", read_preset(first["preset"]).tables),
        (f"scale {scale.name}", scale.tables),
    ]
    for each in chain:
        store |= each.get("store", {})
        tables = {
            key: value for key, value in each.items() if isinstance(value, dict) and key not in ("store", "judge")
        }
        layers.append((each["title"], tables))
    layers.append((f"scale {scale.name}, for all", scale.over))
    config = resolve_config(layers)
    budget = next((each["budget"] for each in reversed(chain) if "budget" in each), 1.0)
    judge, program = last.get("judge", {}), last.get("program")
    return Recipe(name, last["title"], last.get("of"), budget, store, judge, config, program)


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
