"""A store of slabs, no two alike, that a verdict is judged beside; and samples that are made from its rows."""

from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ruo2_voxel import Grid, build, build_surface
from ruo2_wgan.config import make_config
from ruo2_wgan.data import Rows, open_rows
from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.structure_set import StructureSet

GRID = Grid(species=("Ru", "O"), shape=(16, 16, 32), sigma=0.45)
N_STRUCTURES = 160
N_HELD_OUT = 40
CLASSES = 4


@cache
def _bare_slab(oxygen: str) -> Atoms:
    return build_surface("110", oxygen, n_layers=3, vacuum=10.0).repeat((2, 1, 1))


def make_slab(number: int) -> Atoms:
    """RuO2(110) with some oxygen on top, all atoms displaced; its energy follows the number of oxygen atoms."""
    random = np.random.default_rng(number)
    slab = _bare_slab(("O-poor", "stoichiometric", "O-rich")[number % 3]).copy()
    lengths = slab.cell.lengths() * random.uniform(0.98, 1.02, 3)
    slab.set_cell(lengths, scale_atoms=True)
    slab.positions += random.normal(0.0, 0.12, slab.positions.shape)
    slab.info["group"] = int(number >= N_STRUCTURES - N_HELD_OUT)
    slab.calc = SinglePointCalculator(slab, energy=energy_of(slab))
    return slab


def energy_of(atoms: Atoms) -> float:
    """eV: falls with each oxygen atom, and depends a little on where atoms are."""
    waves = np.sin(2.0 * np.pi * atoms.get_scaled_positions())
    return -8.0 * len(atoms) - float(np.count_nonzero(atoms.numbers == 8)) + 0.5 * float(waves.sum())


def build_slabs(folder: Path) -> Path:
    """The store, with the last structures held out."""
    write(folder / "slabs.traj", [make_slab(number) for number in range(N_STRUCTURES)])
    build(
        str(folder / "slabs.traj"),
        folder / "slabs.zarr",
        GRID,
        label="energy",
        n_classes=CLASSES,
        class_method="quantile",
        split_by=("group",),
        held_out=N_HELD_OUT / N_STRUCTURES,
    )
    return folder / "slabs.zarr"


def open_slabs(path: Path, dimensions: int = 3) -> Rows:
    """Its rows."""
    return open_rows(path, make_config({"model": {"dimensions": dimensions}}))


def take(rows: Rows, indices: np.ndarray) -> StructureSet:
    """Some of them as samples."""
    return Reals(rows).take(np.asarray(indices))


def with_density(of: StructureSet, density: np.ndarray) -> StructureSet:
    """Other densities in the same cells."""
    return StructureSet(np.clip(density, 0.0, 1.0).astype(np.float32), of.lattice, of.asked, of.spec)
