"""Delocalised internal coordinates: collective motions along stretches, bends and torsions of the bonds."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import get_angles_derivatives, get_dihedrals_derivatives, get_distances_derivatives
from numpy.typing import NDArray
from scipy import sparse

from ruo2_hopping.contacts import OXYGEN, Contacts, FloatArray, IntArray, Mask, find_bonds
from ruo2_hopping.errors import HoppingError

STRAIGHT: Final = 5.0  # degrees; derivatives of a bend and of torsions over it grow as 1 / sin of its angle
METALLIC: Final = 1.0  # of the sum of radii: 2.92 Å for Ru-Ru, 2.65 Å in the metal and 3.11 Å along c of the oxide
# Of the largest singular value. Those of a Gram matrix are known to the root of its rounding errors, about 1e-7.
TOLERANCE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Primitives:
    """Stretches, bends and torsions, as indices into bonds.

    Parameters
    ----------
    bonds
        In both directions.
    stretches
        Shape (n_stretches,): bonds, each in one direction.
    bends
        Shape (n_bends, 2): two bonds from one atom, the centre.
    torsions
        Shape (n_torsions, 3): a bond from the second atom to the first, from the second to the third, and from the
        third to the fourth.
    """

    bonds: Contacts
    stretches: IntArray
    bends: IntArray
    torsions: IntArray

    def __len__(self) -> int:
        return len(self.stretches) + len(self.bends) + len(self.torsions)


def find_primitives(atoms: Atoms, moved: Mask) -> Primitives:
    """All stretches, bends and torsions made of bonds in which a moved atom takes part.

    Parameters
    ----------
    atoms
        Any cell; a bond to an image is one of its own, and so is everything made of it.
    moved
        Shape (n_atoms,), bool.

    Returns
    -------
    primitives
        Without bends within 5 degrees of straight (or of 0) and torsions over them, whose derivatives blow up.

    Notes
    -----
    Bonds are those of `find_bonds`, but two metal atoms are bonded only below the sum of their covalent radii: the
    oxygen between them, not their contacts of 3.1 to 3.6 Å, holds an oxide together.
    """
    bonds = find_bonds(atoms)
    metal = atoms.numbers != OXYGEN
    both = metal[bonds.first] & metal[bonds.second]
    radii = covalent_radii[atoms.numbers]
    metallic = bonds.distances < METALLIC * (radii[bonds.first] + radii[bonds.second])
    bonds = bonds.select((moved[bonds.first] | moved[bonds.second]) & (~both | metallic))

    opposite = bonds.opposite()
    everything = np.arange(len(bonds))
    stretches = everything[everything < opposite]
    count = np.bincount(bonds.first, minlength=len(atoms))
    start = np.cumsum(count) - count  # bonds of an atom are neighbours in the arrays

    left, offset = _ragged(start[bonds.first] + count[bonds.first] - everything - 1)
    bends = np.stack([left, left + 1 + offset], axis=1)
    bends = bends[_bent(bonds.vectors[bends[:, 0]], bonds.vectors[bends[:, 1]])]

    second, third = bonds.first[stretches], bonds.second[stretches]
    which, offset = _ragged(count[second] * count[third])
    middle = stretches[which]
    outer = count[third][which]
    left = start[second][which] + offset // outer
    right = start[third][which] + offset % outer
    # Three atoms in a ring have no torsion: the first would be the fourth.
    ring = (bonds.second[left] == bonds.second[right]) & (
        bonds.images[left] == bonds.images[middle] + bonds.images[right]
    ).all(axis=1)
    torsions = np.stack([left, middle, right], axis=1)[~ring]
    a, b, c = (bonds.vectors[torsions[:, column]] for column in range(3))
    # A bond and itself, or itself turned round, are not bent either: no torsion goes back the way it came.
    return Primitives(bonds, stretches, bends, torsions[_bent(a, b) & _bent(b, c)])


def wilson_matrix(primitives: Primitives, n_atoms: int) -> sparse.csr_array:
    """Wilson's B: derivatives of primitives with respect to Cartesian positions.

    Parameters
    ----------
    primitives
        As from `find_primitives`.
    n_atoms
        Of the structure.

    Returns
    -------
    B
        Shape (n_primitives, 3 n_atoms): stretches in Å/Å, bends and torsions in rad/Å; x, y and z of the first atom,
        then of the next. Where an atom takes part more than once, as its own images do, its derivatives add up.

    Notes
    -----
    B_qi = dq/dx_i, with vectors to the very images that are bonded, never the nearest ones.
    Source: Wilson, Decius and Cross, Molecular Vibrations (1955), chapter 4.
    """
    bonds = primitives.bonds
    stretch = primitives.stretches
    one, two = primitives.bends.T
    left, middle, right = primitives.torsions.T
    first, second, vectors = bonds.first, bonds.second, bonds.vectors
    parts: list[tuple[IntArray, FloatArray]] = [
        (np.stack([first[stretch], second[stretch]], axis=1), get_distances_derivatives(vectors[stretch])),
        (
            np.stack([second[one], first[one], second[two]], axis=1),
            np.radians(get_angles_derivatives(vectors[one], vectors[two])),
        ),
        (
            np.stack([second[left], first[middle], second[middle], second[right]], axis=1),
            np.radians(get_dihedrals_derivatives(-vectors[left], vectors[middle], vectors[right])),
        ),
    ]
    blocks = [_scatter(sites, derivatives, n_atoms) for sites, derivatives in parts]
    return sparse.csr_array(sparse.vstack(blocks))


def delocalised_modes(atoms: Atoms, moved: Mask) -> tuple[FloatArray, FloatArray]:
    """Independent collective motions of some atoms along their internal coordinates.

    Parameters
    ----------
    atoms
        Any cell.
    moved
        Shape (n_atoms,), bool: the atoms that take part; all others stay where they are.

    Returns
    -------
    values
        Shape (k,): singular values, largest (stiffest) first; per Å and root of the atomic mass unit.
    modes
        Shape (k, n_moved, 3): Cartesian displacements of the moved atoms in their order, orthonormal with respect to
        their masses. No modes at all of atoms without bonds.

    Raises
    ------
    HoppingError
        A mask of another shape or type.

    Notes
    -----
    B M^(-1/2) = U S V^T, and mode k is M^(-1/2) v_k; those with singular values below 1e-5 of the largest change no
    primitive and are left out. V and S^2 are found as eigenvectors and eigenvalues of the small matrix M^(-1/2) B^T B
    M^(-1/2), whose rounding errors of about 1e-14 S_max^2 are far below the limit, 1e-10 S_max^2.
    Where moved atoms are bonded to others that stay, there are usually 3 n_moved modes: they are another basis of the
    same displacements.
    Source: Baker, Kessi and Delley, J. Chem. Phys. 105, 192 (1996), doi:10.1063/1.471864; for moves in basin hopping,
    Panosetti et al., Nano Lett. 15, 8044 (2015), doi:10.1021/acs.nanolett.5b03388, and Krautgasser et al., J. Chem.
    Phys. 145, 084117 (2016), doi:10.1063/1.4961259, whose program winak does this for molecules on surfaces.
    """
    if moved.shape != (len(atoms),) or moved.dtype != np.bool_:
        raise HoppingError(f"moved must be a mask of {len(atoms)} atoms; found shape {moved.shape} of {moved.dtype}")
    n_moved = int(moved.sum())
    primitives = find_primitives(atoms, moved)
    if not len(primitives):
        return np.empty(0), np.empty((0, n_moved, 3))
    weights = np.repeat(atoms.get_masses()[moved] ** -0.5, 3)
    B = wilson_matrix(primitives, len(atoms))[:, np.flatnonzero(np.repeat(moved, 3))]
    gram = (B.T @ B).toarray() * np.outer(weights, weights)
    squares, V = np.linalg.eigh(gram)
    kept = squares > TOLERANCE**2 * squares[-1]
    modes = (weights[:, None] * V[:, kept]).T.reshape(-1, n_moved, 3)
    return np.sqrt(squares[kept])[::-1], modes[::-1]


def _scatter(sites: IntArray, derivatives: FloatArray, n_atoms: int) -> sparse.csr_array:
    """Rows of B, of atoms (rows, n) and derivatives (rows, n, 3)."""
    n_rows, n_sites = sites.shape
    columns = 3 * sites[:, :, None] + np.arange(3)
    rows = np.repeat(np.arange(n_rows), 3 * n_sites)
    # Entries of the same place add up on conversion.
    return sparse.coo_array((derivatives.ravel(), (rows, columns.ravel())), shape=(n_rows, 3 * n_atoms)).tocsr()


def _ragged(counts: NDArray[np.intp]) -> tuple[IntArray, IntArray]:
    """For groups of these sizes, one behind the other: the group of each member, and its number within the group."""
    group = np.repeat(np.arange(len(counts)), counts)
    return group, np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)


def _bent(one: FloatArray, two: FloatArray) -> Mask:
    """Whether two vectors are neither parallel nor antiparallel, by more than 5 degrees."""
    sine = np.linalg.norm(np.cross(one, two), axis=1)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    bent: Mask = sine > np.sin(np.radians(STRAIGHT)) * lengths
    return bent
