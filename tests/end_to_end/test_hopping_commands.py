"""A search as a user makes one: run, killed, gone on with, summarised, and voxelized."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import Trajectory, read, write

from ruo2_hopping.calculators import BUILT_IN
from ruo2_hopping.config import make_config, read_config
from ruo2_hopping.slabs import build_slab
from ruo2_voxel import open_store
from tests.end_to_end.command import Result
from tests.end_to_end.command import run as run_command

FEW = ["--step-width", 0.5, "--fmax", 0.3, "--relax-steps", 6, "--oxygen-energy", -5.0, "--seed", 4]
QUICK = ["--mu-o", -0.5, "--mu-o", 0, "--steps", 3, *FEW]


def run(*arguments: object) -> Result:
    return run_command(*arguments, program="ruo2-hopping")


def result_of(result: Result) -> dict[str, Any]:
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert isinstance(found, dict)
    return found


def content(path: Path) -> list[Any]:
    return [
        (atoms.positions.tolist(), atoms.get_potential_energy(), sorted(atoms.info.items()))
        for atoms in read(path, ":")
    ]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("search") / "bh.traj"
    found = result_of(run("run", "--out", path, *QUICK, "--jobs", 1, "--json"))
    assert (found["walkers"], found["steps"], found["stopped"]) == (2, 6, [])
    assert found["frames"] == len(read(path, ":")) > 12
    assert found["oxygen_energy_eV"] == -5.0
    return path


def test_several_processes_give_the_trajectory_of_one(searched: Path, tmp_path: Path) -> None:
    out = tmp_path / "bh.traj"
    text = run("run", "--out", out, *QUICK, "--jobs", 2)
    assert text.code == 0, text.err
    assert "6 steps of 2 walkers" in text.out
    assert content(out) == content(searched)


def test_a_search_that_is_killed_goes_on_to_the_same_trajectory(tmp_path: Path) -> None:
    longer = ["--mu-o", -0.5, "--mu-o", 0, "--steps", 12, *FEW]
    whole, out = tmp_path / "whole.traj", tmp_path / "bh.traj"
    result_of(run("run", "--out", whole, *longer, "--jobs", 1, "--json"))
    command = [sys.executable, "-m", "ruo2_hopping", "run", "--out", out, *longer, "--jobs", 2]
    kills = 0
    for number in range(3):
        resume = ["--resume"] if out.exists() else []
        process = subprocess.Popen([*map(str, command), *resume], stdout=subprocess.DEVNULL, start_new_session=True)
        size = out.stat().st_size if out.exists() else 0
        while process.poll() is None and (not out.exists() or out.stat().st_size < size + 20_000 * (number + 1)):
            time.sleep(0.002)
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert kills > 0
    result_of(run("run", "--out", out, *longer, "--jobs", 2, "--resume", "--json"))
    assert content(out) == content(whole)


def test_nothing_but_more_steps_may_change(searched: Path, tmp_path: Path) -> None:
    out = tmp_path / "bh.traj"
    out.write_bytes(searched.read_bytes())
    longer = ["--mu-o", -0.5, "--mu-o", 0, "--steps", 4, *FEW]
    assert result_of(run("run", "--out", out, *longer, "--resume", "--json"))["steps"] == 8
    changed = run("run", "--out", out, *longer, "--temperature", 500, "--resume")
    assert changed.code == 1
    assert "nothing changed but the number of steps; found search.temperature: 1000.0, then 500.0" in changed.err
    assert len(read(out, ":")) > len(read(searched, ":"))


def test_what_is_there_is_kept(searched: Path) -> None:
    before = searched.read_bytes()
    refused = run("run", "--out", searched, *QUICK)
    assert refused.code == 1
    assert "must not exist yet. Name another file, or go on with what is there: --resume" in refused.err
    assert searched.read_bytes() == before


def test_the_trajectory_goes_straight_into_a_store(searched: Path, tmp_path: Path) -> None:
    out = tmp_path / "bh.zarr"
    options = ["--grid", "16,16,32", "--sigma", 0.8, "--label", "info:omega", "--class-method", "quantile"]
    options += ["--split-by", "facet,start,mu_O,run", "--held-out", 0.3, "--classes", 3, "--json"]
    built = run_command("build", "--db", searched, "--out", out, *options)
    assert built.code == 0, built.err
    store, frames = open_store(out), read(searched, ":")
    assert len(store) == len(frames)
    assert store.energy.tolist() == pytest.approx([atoms.get_potential_energy() for atoms in frames])
    held_out = np.asarray(store.split) == 1
    runs = np.array([atoms.info["run"] for atoms in frames])
    assert held_out.any()
    assert not set(runs[held_out]) & set(runs[~held_out])


def test_a_dry_run_prints_what_config_takes(tmp_path: Path) -> None:
    flags = ["--surface", "100", "--termination", "O-rich", "--repeat", 2, 1, "--mu-o", -1, "--steps", 2, *FEW]
    text = run("run", "--out", tmp_path / "bh.traj", *flags, "--dry-run")
    assert text.code == 0, text.err
    assert "# walkers: 1, each of 2 steps" in text.out
    (tmp_path / "run.toml").write_text(text.out)
    tables = read_config(tmp_path / "run.toml")
    assert make_config(tables).starts[0].repeat == (2, 1)
    one, other = tmp_path / "one.traj", tmp_path / "other.traj"
    assert run("run", "--out", one, *flags).code == 0
    assert run("run", "--out", other, "--config", tmp_path / "run.toml").code == 0
    assert content(one) == content(other)
    with Trajectory(one) as trajectory:
        assert trajectory.description["ruo2_hopping"]["config"]["starts"][0]["surface"] == "100"


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("search = { steps = 5, seed = 2 }\nrelaxation = { fmax = 0.5 }\n")
    text = run("run", "--out", tmp_path / "a.traj", "--config", tmp_path / "run.toml", "--steps", 7, "--dry-run")
    (tmp_path / "made.toml").write_text(text.out)
    made = make_config(read_config(tmp_path / "made.toml"))
    assert (made.search.steps, made.search.seed, made.relaxation.fmax) == (7, 2, 0.5)


def test_a_structure_of_a_file_can_be_the_start(tmp_path: Path) -> None:
    write(tmp_path / "mine.traj", build_slab("100", "O-rich"))
    options = ["--steps", 1, *FEW, "--jobs", 1, "--json"]
    result_of(run("run", "--start", tmp_path / "mine.traj", "--out", tmp_path / "bh.traj", *options))
    assert {atoms.info["facet"] for atoms in read(tmp_path / "bh.traj", ":")} == {"100"}


def test_an_oxygen_energy_that_is_not_given_is_fitted_and_remembered(tmp_path: Path) -> None:
    out = tmp_path / "bh.traj"
    fitted = json.loads(run("calibrate", "--calculator", BUILT_IN, "--json").out)["oxygen_energy_ev"]
    found = result_of(run("run", "--out", out, "--steps", 0, "--jobs", 1, "--json"))
    assert found["oxygen_energy_eV"] == pytest.approx(fitted)
    again = result_of(run("run", "--out", out, "--steps", 1, "--jobs", 1, "--resume", "--json"))
    assert again["oxygen_energy_eV"] == found["oxygen_energy_eV"]


def test_a_calculator_that_fails_stops_its_walker_and_is_named(tmp_path: Path) -> None:
    out = tmp_path / "bh.traj"
    failing = run("run", "--out", out, "--calculator", "tests.hopping.toys:Failing", *QUICK, "--jobs", 1)
    assert failing.code == 1
    assert (
        "stopped   walker 0 at step 1: the calculator failed after 0 steps: ArithmeticError: no energy today"
        in failing.out
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--surface", "119"], "119"),
        (["--termination", "O-free"], "O-free"),
        (["--start", "bulk.traj"], "vacuum"),
        (["--calculator", "nowhere.at:All"], "nowhere"),
        (["--config", "nowhere.toml"], "nowhere.toml: must be a TOML file"),
        (["--mu-o", "nan"], "mu_o"),
    ],
)
def test_bad_input_is_one_line(options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("bulk.traj", Atoms("Ru2O4", [[0, 0, z] for z in range(6)], cell=[4, 4, 6], pbc=True))
    refused = run("run", "--out", "bh.traj", *options)
    assert refused.code == 1
    assert refused.err.startswith("error: ")
    assert said in refused.err
    assert refused.err.count("\n") == 1
    assert not Path("bh.traj").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--calculator-args", "[1]"], "--calculator-args"),
        (["--oxygen-energy", "some"], "must be an energy in eV per atom, or auto"),
        (["--start", "slab.traj", "--vacuum", 9], "--vacuum is for slabs that are built"),
    ],
)
def test_usage_errors_name_the_flag(options: list[object], said: str, tmp_path: Path) -> None:
    refused = run("run", "--out", tmp_path / "bh.traj", *options)
    assert refused.code == 2
    assert said in refused.err
