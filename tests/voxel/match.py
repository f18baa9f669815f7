"""How well decoded atoms are those that a density was made of: matched by species, one to one, nearest images."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import find_mic, minkowski_reduce
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

SAME = 0.5  # Å: atoms farther apart are not the same


class Match(NamedTuple):
    errors: NDArray[np.float64]  # Å, of the atoms found
    missed: int
    extra: int

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(self.errors**2)))


def match(found: Atoms, expected: Atoms) -> Match:
    """Pair them so that the sum of distances is least."""
    errors, missed, extra = [np.zeros(0)], 0, 0
    for number in np.union1d(found.numbers, expected.numbers):
        here, there = (atoms.positions[atoms.numbers == number] for atoms in (found, expected))
        vectors = (there[None] - here[:, None]).reshape(-1, 3)
        distances = find_mic(vectors, expected.cell, pbc=True)[1] if len(vectors) else np.zeros(0)
        distances = distances.reshape(len(here), len(there))
        paired = distances[linear_sum_assignment(distances)]
        paired = paired[paired < SAME]
        errors.append(paired)
        missed, extra = missed + len(there) - len(paired), extra + len(here) - len(paired)
    return Match(np.concatenate(errors), missed, extra)


def assert_same_atoms(found: Atoms, expected: Atoms, within: float) -> None:
    """The same species and, within so many Å each, the same places."""
    result = match(found, expected)
    assert (result.missed, result.extra) == (0, 0)
    assert result.errors.size == 0 or result.errors.max() < within, result.errors.max()


def lattice_vectors(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest ones, and more, (n, 3) in Å, zero among them."""
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(steps @ minkowski_reduce(cell)[0])


def wrapped(vectors: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Into the reduced cell around the origin."""
    reduced = minkowski_reduce(cell)[0]
    scaled = vectors @ np.linalg.inv(reduced)
    return np.asarray((scaled - np.round(scaled)) @ reduced)


def apart(n_atoms: int, cell: NDArray[np.float64], shortest: float, seed: int) -> Atoms:
    """Random Ru and O no two of which, of either species and counting images, are nearer than `shortest` (Å)."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(cell=cell, pbc=True)
    images = lattice_vectors(cell)
    for _ in range(3000):
        position = rng.random(3) @ cell
        vectors = wrapped(atoms.positions - position, cell)[:, None] + images
        if len(atoms) == 0 or np.linalg.norm(vectors, axis=-1).min() >= shortest:
            atoms += Atoms(rng.choice(["Ru", "O"]), positions=[position])
        if len(atoms) == n_atoms:
            break
    return atoms
