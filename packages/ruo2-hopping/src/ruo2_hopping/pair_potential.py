"""A toy of a potential for Ru and O: fast, smooth and wrong, for tests and demonstrations."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from ruo2_hopping.errors import CalculatorError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]

CUTOFF: Final = 5.0  # Å
SWITCH: Final = 4.0  # Å, from where on pairs fade out

# Of Ru-Ru, Ru-O and O-O, that is by the number of O atoms in a pair. Fitted to the lattice of RuO2, without forces, and
# to slabs that hold together.
STRENGTH: Final = np.array([0.8, 3.1, 0.85])  # eV
DISTANCE: Final = np.array([3.707, 1.887, 2.591])  # Å
DECAY: Final = np.array([0.8, 3.0, 1.45])  # 1/Å
ATTRACTION: Final = np.array([1.0, 1.0, 0.0])  # 1 for a Morse well, 0 for its wall alone


class PairPotential(Calculator):
    """Energies, forces and stresses of Ru and O atoms by pairs: a toy, good for no statement about RuO2.

    Notes
    -----
    E = sum over pairs of S w (w - 2 A) f(r), with w = exp(-k (r - d)): Morse wells of Ru-Ru and Ru-O (A = 1), a wall of
    O-O (A = 0), so that there is no O2. f falls smoothly from 1 at 4 Å to 0 at 5 Å. Rutile RuO2 is a minimum, with its
    measured lattice; slabs of it and hexagonal Ru hold together. The same structure has the same numbers to the last
    bit, whatever was calculated before.

    Asking about other elements raises CalculatorError.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - as ASE declares it

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Fill `results`: eV, eV/Å, eV/Å^3; a stress only where the cell has a volume."""
        if atoms is not None:
            self.atoms = atoms.copy()  # with it ASE tells whether a structure has changed
        structure: Any = self.atoms
        strangers = sorted(set(structure.symbols) - {"Ru", "O"})
        if strangers:
            raise CalculatorError(
                f"PairPotential: elements must be Ru and O, for it is a toy; found {', '.join(strangers)}. Name a real "
                "calculator instead"
            )
        cell = structure.cell.complete().array
        n_oxygen = (structure.numbers == 8).astype(int)
        energy, forces, virial = _evaluate(structure.positions, cell, structure.pbc, n_oxygen)
        self.results = {"energy": energy, "forces": forces}
        if structure.cell.rank == 3:
            stress = virial / structure.cell.volume
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _evaluate(
    positions: FloatArray, cell: FloatArray, pbc: NDArray[np.bool_], n_oxygen: IntArray
) -> tuple[float, FloatArray, FloatArray]:
    """Energy, forces (n_atoms, 3) and virial (3, 3), of all pairs and all images within the cutoff."""
    n_atoms = len(positions)
    reciprocal = np.linalg.inv(cell).astype(np.float64)
    first, second = np.triu_indices(n_atoms)
    vectors = positions[second] - positions[first]
    vectors -= (np.round(vectors @ reciprocal) * pbc) @ cell
    everywhere = vectors + _translations(cell, reciprocal, pbc)[:, None]
    squares = np.einsum("ijk,ijk->ij", everywhere, everywhere)
    near = squares < CUTOFF**2
    near[0, first == second] = False  # an atom and itself, in the cell where it is
    image, pair = np.nonzero(near)

    first, second, vectors = first[pair], second[pair], everywhere[image, pair]
    distances = np.sqrt(squares[image, pair])
    energies, slopes = _pair_energies(distances, n_oxygen[first] + n_oxygen[second])
    weights = np.where(first == second, 0.5, 1.0)  # an atom sees its image on either side
    pulls = (slopes / np.maximum(distances, 1e-9))[:, None] * vectors  # atoms in one place know no direction
    forces = np.stack(
        [
            np.bincount(first, pull, minlength=n_atoms) - np.bincount(second, pull, minlength=n_atoms)
            for pull in pulls.T
        ],
        axis=1,
    )
    return float((weights * energies).sum()), forces, np.einsum("p,pi,pj->ij", weights, pulls, vectors)


def _translations(cell: FloatArray, reciprocal: FloatArray, pbc: NDArray[np.bool_]) -> FloatArray:
    """Where images may lie within the cutoff of atoms that are at most half a cell apart; none first."""
    reach = np.floor(CUTOFF * np.linalg.norm(reciprocal, axis=0) + 0.5)
    counts = np.where(pbc, reach, 0).astype(int)
    steps = np.stack(np.meshgrid(*(np.r_[0 : n + 1, -n:0] for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    translations: FloatArray = steps @ cell
    return translations


def _pair_energies(distances: FloatArray, kind: IntArray) -> tuple[FloatArray, FloatArray]:
    """Energies of pairs, eV, and their derivatives, eV/Å."""
    strength, attraction, decay = STRENGTH[kind], ATTRACTION[kind], DECAY[kind]
    wall = np.exp(-decay * (distances - DISTANCE[kind]))
    energies = strength * wall * (wall - 2.0 * attraction)
    slopes = -2.0 * strength * decay * wall * (wall - attraction)
    x = np.clip((distances - SWITCH) / (CUTOFF - SWITCH), 0.0, 1.0)
    fade = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2)
    steepness = -30.0 * (x * (1.0 - x)) ** 2 / (CUTOFF - SWITCH)
    return energies * fade, slopes * fade + energies * steepness
