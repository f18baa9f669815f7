"""Which atoms are near each other, over all periodic images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Mask = NDArray[np.bool_]

OXYGEN: Final = 8  # atomic number; everything else is a metal here
BOND: Final = 1.25  # of the sum of covalent radii: 2.65 Å for Ru-O, 1.65 Å for O-O, 3.65 Å for Ru-Ru


@dataclass(frozen=True, slots=True)
class Contacts:
    """Pairs of atoms, each in both directions; as often as a pair has images in reach, an atom's own images too.

    Parameters
    ----------
    first, second
        Shape (n_contacts,): indices of the atoms.
    images
        Shape (n_contacts, 3): how many cell vectors the second atom is away from where its position says.
    vectors
        Shape (n_contacts, 3): from the first atom to the second, Å.
    distances
        Shape (n_contacts,): their lengths, Å.

    Notes
    -----
    Sorted by first, second and images, hence the same for the same structure, and the contacts of an atom are
    neighbours in the arrays.
    """

    first: IntArray
    second: IntArray
    images: IntArray
    vectors: FloatArray
    distances: FloatArray

    def __len__(self) -> int:
        return len(self.first)

    def select(self, mask: Mask) -> Contacts:
        """Some of the contacts, shape (n_contacts,); a mask should treat both directions of a contact alike."""
        return Contacts(
            self.first[mask], self.second[mask], self.images[mask], self.vectors[mask], self.distances[mask]
        )

    def opposite(self) -> IntArray:
        """Shape (n_contacts,): where each contact stands in the other direction."""
        order = np.lexsort((*-self.images.T[::-1], self.first, self.second))
        index = np.empty(len(self), dtype=np.intp)
        index[order] = np.arange(len(self))
        return index


def find_contacts(atoms: Atoms, reach: float | NDArray[Any]) -> Contacts:
    """Pairs of atoms nearer than a cutoff, over all periodic images.

    Parameters
    ----------
    atoms
        Any cell, also one that is smaller than the cutoff; images are those along which `pbc` is true.
    reach
        The cutoff in Å; or shape (n_atoms,), a radius of each atom in Å, and the cutoff of a pair is their sum.

    Returns
    -------
    contacts
        Those below the cutoff, sorted.
    """
    first, second, images, vectors = neighbor_list("ijSD", atoms, reach)
    # Mirroring one half makes both directions agree to the last digit.
    x, y, z = images.T
    own = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    half = (first < second) | ((first == second) & own)
    first, second, images, vectors = first[half], second[half], images[half], vectors[half]
    first, second = np.concatenate([first, second]), np.concatenate([second, first])
    images, vectors = np.concatenate([images, -images]), np.concatenate([vectors, -vectors])
    order = np.lexsort((*images.T[::-1], second, first))
    vectors = vectors[order]
    return Contacts(first[order], second[order], images[order], vectors, np.linalg.norm(vectors, axis=1))


def bond_radii(atoms: Atoms, scale: float = BOND) -> FloatArray:
    """Covalent radii times `scale`, shape (n_atoms,), Å; two atoms nearer than the sum of theirs are bonded."""
    radii: FloatArray = scale * covalent_radii[atoms.numbers]
    return radii


def find_bonds(atoms: Atoms, scale: float = BOND) -> Contacts:
    """Contacts of atoms nearer than `scale` times the sum of their covalent radii."""
    return find_contacts(atoms, bond_radii(atoms, scale))
