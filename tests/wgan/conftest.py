"""Stores that many tests read, made once. Tests that alter one copy it first."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ruo2_voxel import Grid, SliceView, build, build_slices, open_store

GRID = Grid(shape=(8, 8, 12), sigma=0.7)
N_STRUCTURES = 80


def slab(index: int) -> Atoms:
    """A few atoms in the lower half of a cell of one of two sizes; no two alike."""
    random = np.random.default_rng(index)
    n_atoms = 4 + index % 3
    cell = (5.0, 6.0 + index % 2, 9.0)
    positions = random.uniform((0, 0, 1), (cell[0], cell[1], 5), (n_atoms, 3))
    atoms = Atoms(["Ru", *["O"] * (n_atoms - 1)], positions=positions, cell=cell, pbc=True)
    atoms.info["run"] = index // 4
    atoms.calc = SinglePointCalculator(atoms, energy=-8.0 * n_atoms + random.normal())
    return atoms


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 structures on 8 x 8 x 12 voxels, five classes, some runs held out."""
    folder = tmp_path_factory.mktemp("tiny")
    write(folder / "bh.traj", [slab(index) for index in range(N_STRUCTURES)])
    build(
        str(folder / "bh.traj"),
        folder / "tiny.zarr",
        GRID,
        n_classes=5,
        class_method="quantile",
        split_by=("run",),
        held_out=0.2,
        shard=32,
        chunk=8,
    )
    return folder / "tiny.zarr"


@pytest.fixture(scope="session")
def tiny_slices(tiny_store: Path) -> Path:
    """All even slices of it."""
    path = tiny_store.parent / "slices.zarr"
    build_slices(SliceView(open_store(tiny_store)), path)
    return path


@pytest.fixture(scope="session")
def unlabelled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few structures without classes."""
    folder = tmp_path_factory.mktemp("unlabelled")
    write(folder / "bh.traj", [slab(index) for index in range(16)])
    build(str(folder / "bh.traj"), folder / "plain.zarr", GRID, label="none")
    return folder / "plain.zarr"
