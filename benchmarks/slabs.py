"""Trajectories to build stores from: rattled rutile slabs of 576 atoms, or of other sizes."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import TrajectoryWriter
from ase.spacegroup import crystal

RATTLE = 0.1  # Å
VACUUM = 6.0  # Å, on either side
ENERGY_PER_ATOM = -6.6  # eV, about


def rutile_slab(repeat: tuple[int, int, int] = (4, 4, 6)) -> Atoms:
    """RuO2 slab of six atoms for each of the repeated cells; 576 as it stands."""
    bulk = crystal(
        ["Ru", "O"], [(0, 0, 0), (0.306, 0.306, 0)], spacegroup=136, cellpar=[4.492, 4.492, 3.107, 90, 90, 90]
    )
    slab = bulk.repeat(repeat)
    slab.center(vacuum=VACUUM, axis=2)
    slab.pbc = True
    return slab


def write_trajectory(path: Path, n_frames: int, slab: Atoms, seed: int = 0) -> Path:
    """Rattled copies of a slab with energies and an info key, as a search would leave them."""
    rng = np.random.default_rng(seed)
    with TrajectoryWriter(path) as trajectory:
        for i in range(n_frames):
            atoms = slab.copy()
            atoms.positions += rng.normal(scale=RATTLE, size=atoms.positions.shape)
            atoms.info = {"run": i // 50}
            atoms.calc = SinglePointCalculator(atoms, energy=ENERGY_PER_ATOM * len(atoms) + rng.normal())
            trajectory.write(atoms)
    return path
