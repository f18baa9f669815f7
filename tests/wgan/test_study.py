"""The study of recipes: what each run is follows from its file, its scale and what it changes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from quality.recipes import Scale, read_recipe, read_scale, recipe_names  # noqa: E402
from study import changes  # noqa: E402

SCALES = sorted(path.stem for path in (ROOT / "benchmarks" / "quality" / "scales").glob("*.toml"))


@pytest.fixture(params=SCALES)
def scale(request: pytest.FixtureRequest) -> Scale:
    return read_scale(request.param)


def test_every_recipe_stands_behind_the_one_that_it_changes(scale: Scale) -> None:
    names = recipe_names()
    assert sorted(names) == sorted(path.stem for path in (ROOT / "benchmarks" / "quality" / "recipes").glob("*.toml"))
    for name in names:
        of = read_recipe(name, scale).of
        assert of is None or names.index(of) < names.index(name)


def test_every_recipe_changes_what_its_file_names_and_nothing_else(scale: Scale) -> None:
    for name in recipe_names():
        recipe = read_recipe(name, scale)
        if recipe.of is not None:
            of = read_recipe(recipe.of, scale)
            changed = changes(recipe, of)
            text = (ROOT / "benchmarks" / "quality" / "recipes" / f"{name}.toml").read_text()
            assert changed or recipe.program != of.program or recipe.budget != of.budget, name
            for key in changed:
                section, _, word = key.partition(".")
                assert f"[{section}]" in text, name
                assert f"\n{word} = " in text, name


def test_what_a_run_may_spend_is_handed_on_and_its_judge_and_program_are_not(scale: Scale) -> None:
    for name in recipe_names():
        recipe = read_recipe(name, scale)
        text = (ROOT / "benchmarks" / "quality" / "recipes" / f"{name}.toml").read_text()
        if recipe.of is not None and "budget = " not in text:
            assert recipe.budget == read_recipe(recipe.of, scale).budget
        assert bool(recipe.judge) == ("[judge]" in text)
        assert (recipe.program is not None) == ("program = " in text)


def test_what_a_machine_asks_for_stands_above_all_recipes(scale: Scale) -> None:
    over = replace(scale, over={"training": {"precision": "float64"}})
    assert all(read_recipe(name, over).config.training.precision == "float64" for name in recipe_names())


def test_no_two_recipes_are_the_same_run(scale: Scale) -> None:
    recipes = [read_recipe(name, scale) for name in recipe_names()]
    runs = [(recipe.config, sorted(recipe.store.items()), recipe.program, recipe.budget) for recipe in recipes]
    assert all(run not in runs[:number] for number, run in enumerate(runs))


TINY = """
about = "a test"
tflop = 2e-4
samples = 6
[store]
db = "data/ruo2-bh-mini.traj@::30"
grid = "8,8,16"
sigma = 0.8
label = "energy"
class_method = "quantile"
classes = 3
split_by = "facet,run"
[model]
latent = 4
generator_channels = [8, 4]
critic_channels = [4, 8]
lattice = true
lattice_hidden = 4
[training]
batch = 8
"""


@pytest.mark.slow
def test_a_study_trains_judges_and_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    command = [sys.executable, "benchmarks/study.py", "recommended", "--scale", tmp_path / "tiny.toml"]
    command += ["--out", tmp_path / "results", "--work", tmp_path / "work"]
    command += ["--set", "optimizer.beta1=0.1"]
    first = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    (result,) = (tmp_path / "results" / "tiny").iterdir()
    record = json.loads(result.read_text())
    # As many steps as the budget pays for, the last of them begun.
    assert 0 <= record["steps"] * record["GFLOP_per_step"] - 0.2 <= record["GFLOP_per_step"]
    assert record["over"] == {"optimizer": {"beta1": 0.1}}
    assert record["run"]["command"].endswith("tiny.toml --set=optimizer.beta1=0.1")
    assert record["verdict"]["samples"]["n"] == 6
    assert set(record["verdict"]["samples"]) == set(record["verdict"]["held_out"])
    again = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, "")  # nothing was left to do
