"""Structures to read, and files of them in any format that ASE writes."""

from pathlib import Path

import ase.db
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import iread, write

from ruo2_voxel.structures.frames import Frames


def slab(seed: int, n_atoms: int = 4) -> Atoms:
    rng = np.random.default_rng(seed)
    numbers = rng.choice([44, 8], n_atoms)
    atoms = Atoms(numbers=numbers, positions=rng.random((n_atoms, 3)) * 5, cell=[5, 6, 7 + seed], pbc=True)
    atoms.info = {"mu_O": -0.25 * seed, "run": seed, "facet": "r110"}
    atoms.set_tags(np.arange(n_atoms))
    if seed % 3:
        atoms.calc = SinglePointCalculator(atoms, energy=-10.5 * seed, forces=rng.random((n_atoms, 3)))
    if seed % 2:
        atoms.set_constraint(FixAtoms([0, n_atoms - 1]))
    return atoms


def store(path: Path, structures: list[Atoms]) -> Path:
    """Write them in the format that the name asks for."""
    if path.suffix in (".db", ".json"):
        with ase.db.connect(path) as database:
            for atoms in structures:
                database.write(atoms, key_value_pairs=atoms.info, data={"scalar": 1.5, "curve": np.arange(3.0)})
    else:
        write(path, structures)
    return path


def by_ase(path: Path) -> list[Atoms]:
    return list(iread(path, ":"))


def positions(frames: Frames, start: int = 0) -> list[bytes]:
    return [frame.positions.tobytes() for _, frame in frames.iterate(start)]
