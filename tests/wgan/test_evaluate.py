"""Verdicts through the library and the command: of runs and of other programs' samples; what is refused, and how."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from ruo2_voxel import Grid, build, open_store
from ruo2_wgan.config import make_config
from ruo2_wgan.errors import CalculatorError, ConfigError, DataError, RunError
from ruo2_wgan.evaluate import EnergyChoice, OtherStoreWarning, evaluate_file, evaluate_run
from ruo2_wgan.generate import generate
from ruo2_wgan.training.train import train
from ruo2_wgan.verdict.file import find_verdict, read_verdict, write_verdict
from tests.wgan.conftest import GRID, slab

SMALL = {"latent": 4, "generator_channels": [4, 3], "critic_channels": [3, 4], "lattice_hidden": 4}
IN_SPACE = make_config({"model": {"dimensions": 3}})


def train_tiny(store: Path, folder: Path, **model: Any) -> Path:
    values = {
        "model": {**SMALL, **model},
        "loss": {"n_critic": 1},
        "training": {"batch": 8, "max_steps": 2},
        "output": {"n_samples": 1, "watch": 8},
    }
    train(store, folder, make_config(values), device="cpu")
    return folder


@pytest.fixture(scope="module")
def run(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of structures, with classes and lattice heads."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    return train_tiny(tiny_store, folder, conditioning="onehot", condition_size=10, lattice=True)


def call(*arguments: Any, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ruo2_wgan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_a_run_is_judged_beside_its_own_store(run: Path, tiny_store: Path):
    verdict = evaluate_run(run, count=12, seed=3)
    assert verdict["samples"]["n"] == verdict["held_out"]["n"] == 12
    made = verdict["made"]
    assert (made["step"], made["seed"], made["checkpoint"]) == (2, 3, "step-00000002.ckpt")
    assert made["data"] == str(tiny_store)
    assert [each["label"] for each in verdict["evidence"]["structures"]["samples"][:6]] == [0, 1, 2, 3, 4, 0]
    assert evaluate_run(run, count=12, seed=3)["samples"] == verdict["samples"]
    assert evaluate_run(run, count=12, seed=4)["samples"] != verdict["samples"]
    one = evaluate_run(run, count=4, label=2)
    assert {each["label"] for each in one["evidence"]["structures"]["samples"]} == {2}


def test_samples_in_a_store_are_judged_as_those_of_the_run(run: Path, tiny_store: Path, tmp_path: Path):
    """But for the 256 levels of a store."""
    generate(run, tmp_path / "fake.zarr", 12, seed=3)
    stored = evaluate_file(tmp_path / "fake.zarr", tiny_store, IN_SPACE)["samples"]
    drawn = evaluate_run(run, count=12, seed=3)["samples"]
    assert stored["ssim_train"] == pytest.approx(drawn["ssim_train"], abs=0.02)
    assert stored["lattice_w1"] == pytest.approx(drawn["lattice_w1"])


def test_atoms_are_judged_as_their_grids_are(tiny_store: Path, tmp_path: Path):
    held_out = [slab(index) for index in range(100, 112)]
    write(tmp_path / "others.xyz", held_out)
    build(str(tmp_path / "others.xyz"), tmp_path / "others.zarr", GRID, label="none")
    atoms = evaluate_file(tmp_path / "others.xyz", tiny_store, IN_SPACE)["samples"]
    grids = evaluate_file(tmp_path / "others.zarr", tiny_store, IN_SPACE)["samples"]
    assert atoms["decode_residual"] == 0.0
    assert atoms["ssim_train"] == pytest.approx(grids["ssim_train"], abs=1e-3)
    assert atoms["composition_w1"] == pytest.approx(grids["composition_w1"], abs=1.0)


def test_slices_are_judged_beside_slices(tiny_store: Path, tiny_slices: Path, tmp_path: Path):
    run = train_tiny(tiny_slices, tmp_path / "run", dimensions=2)
    generate(run, tmp_path / "fake.zarr", 8)
    verdict = evaluate_run(run, count=8)
    assert verdict["data"]["dimensions"] == 2
    in_plane = make_config({"model": {"dimensions": 2}, "data": {"planes": "yz"}})
    of_file = evaluate_file(tmp_path / "fake.zarr", tiny_store, in_plane)
    assert of_file["data"]["n_train"] < verdict["data"]["n_train"]
    with pytest.raises(ConfigError, match="energies are those of structures in three dimensions"):
        evaluate_run(run, count=8, energies=EnergyChoice("tests.wgan.verdict.wells:KnownEnergy"))


def test_a_store_that_has_moved_or_changed(run: Path, tiny_store: Path, tmp_path: Path):
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    provenance = json.loads((copied / "provenance.json").read_text())
    provenance["store"]["location"] = str(tmp_path / "gone.zarr")
    (copied / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(Exception, match=r"gone\.zarr: must be a voxel store"):
        evaluate_run(copied, count=4)
    assert evaluate_run(copied, count=4, data=tiny_store)["made"]["data"] == str(tiny_store)
    write(tmp_path / "others.traj", [slab(index) for index in range(40)])
    options = {"n_classes": 5, "class_method": "quantile", "split_by": ("run",), "held_out": 0.2}
    build(str(tmp_path / "others.traj"), tmp_path / "other.zarr", GRID, **options)
    with (
        pytest.warns(OtherStoreWarning, match="is not the store that the run was trained on"),
        pytest.raises(RunError, match="must have the species, grid and classes that the run was trained on"),
    ):
        evaluate_run(copied, count=4, data=tmp_path / "other.zarr")
    (copied / "provenance.json").unlink()
    with pytest.raises(RunError, match=r"must be known; found none in .*provenance\.json. Name it with --data"):
        evaluate_run(copied, count=4)


def test_bad_samples_are_refused(run: Path, tiny_store: Path, tiny_slices: Path, tmp_path: Path):
    def refuse(samples: Any, words: str, error: type[Exception] = DataError) -> None:
        with pytest.raises(error, match=words):
            evaluate_file(samples, tiny_store, IN_SPACE)

    refuse(tmp_path / "none.zarr", "must be a voxel store; found nothing there", Exception)
    refuse(tiny_slices, "must have the grid of the data, Ru,O on 8 x 8 x 12 voxels")
    write(tmp_path / "h.traj", [*[slab(0)] * 2, Atoms("H", cell=[5, 5, 9], pbc=True)])
    refuse(tmp_path / "h.traj", r"frame 2 of .*h\.traj: species must be those of the data, Ru,O; found H")
    write(tmp_path / "one.traj", slab(0))
    refuse(tmp_path / "one.traj", "must hold 2 or more samples to compare; found 1")
    slanted = slab(0)
    slanted.set_cell([[5, 0, 0], [1, 6, 0], [0, 0, 9]])
    write(tmp_path / "slanted.traj", [slanted] * 2)
    refuse(tmp_path / "slanted.traj", "cell vectors must lie along x, y and z.*ruo2-voxel prepare --orthogonal")
    build(str(tmp_path / "one.traj"), tmp_path / "wide.zarr", Grid(shape=(8, 8, 12), sigma=0.8), label="none")
    refuse(tmp_path / "wide.zarr", r"with sigma 0\.7 Å; found Ru,O on 8 x 8 x 12 voxels with sigma 0\.8 Å")
    with pytest.raises(DataError, match="samples of two-dimensional data must be a store of slices"):
        evaluate_file(tmp_path / "one.traj", tiny_store, make_config({"model": {"dimensions": 2}}))
    with pytest.raises(ConfigError, match="must lie from 0 to 4; found 5"):
        evaluate_run(run, count=4, label=5)
    with pytest.raises(ConfigError, match="must be 2 or more samples"):
        evaluate_run(run, count=1)


def test_calculators_are_refused_before_work_is_done_and_failures_are_counted(run: Path):
    with pytest.raises(CalculatorError, match="no_such_module must be installed"):
        evaluate_run(run, count=4, energies=EnergyChoice("no_such_module:Calculator"))
    choice = EnergyChoice("ase.calculators.emt:EMT", most=3)
    labels = evaluate_run(run, count=4, energies=choice)["labels"]
    assert labels["samples"]["n"] == labels["control"]["n"] == 3
    assert labels["samples"]["failed"] == len(labels["samples"]["failures"]) == 3  # EMT knows no Ru
    assert labels["label"] == "energy-per-atom"


def test_verdicts_are_written_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "verdict.json"
    sections = ("made", "data", "limits", "samples", "held_out", "control", "labels", "signs", "evidence")
    verdict: dict[str, Any] = {"format": 1, **{key: {} for key in sections}}
    write_verdict(verdict, path)
    assert read_verdict(path) == read_verdict(tmp_path) == verdict
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_verdict({**verdict, "samples": {"n": np.nan}}, path, overwrite=True)
    assert read_verdict(path) == verdict
    assert [each.name for each in tmp_path.iterdir()] == ["verdict.json"]
    assert find_verdict(tmp_path) == path


@pytest.mark.slow
def test_the_command(run: Path, tiny_store: Path, tmp_path: Path):
    done = call("evaluate", run, "--count", 6, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "of the samples are valid, unique and new" in done.stdout
    assert f"The verdict is {run}/verdict.json" in done.stdout
    assert read_verdict(run)["samples"]["n"] == 6
    (checkpoint,) = (run / "checkpoints").glob("step-*.ckpt")
    before = checkpoint.read_bytes()
    done = call("evaluate", checkpoint, "--count", 4, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert read_verdict(run)["samples"]["n"] == 4
    assert checkpoint.read_bytes() == before
    store = open_store(tiny_store)
    write(tmp_path / "others.xyz", [store.atoms(row) for row in np.flatnonzero(store.split == 0)[:8].tolist()])
    command = ["evaluate", "--samples", "others.xyz", "--data", tiny_store, "--out", "verdict.json", "--json"]
    done = call(*command, "--reference", 20, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "evidence" not in told
    assert told["data"]["n_reference"] == 20
    assert told["samples"]["ssim_train"] == pytest.approx(1.0, abs=1e-3)
    assert read_verdict(tmp_path)["samples"] == told["samples"]
    again = call(*command, cwd=tmp_path)
    assert again.returncode == 1
    assert "must not exist yet. Name another" in again.stderr
    assert len(read(tmp_path / "others.xyz", index=":")) == 8
