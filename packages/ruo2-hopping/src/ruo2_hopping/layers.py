"""Metal layers of a slab, and which of them are displaced, which relax, which are fixed."""

from typing import Final

import numpy as np
from ase import Atoms
from ase.geometry import get_distances

from ruo2_hopping.contacts import OXYGEN, FloatArray, IntArray, find_bonds
from ruo2_hopping.errors import SlabError

DISPLACED: Final = 2  # tags: displaced by moves and relaxed,
BUFFER: Final = 1  # relaxed only,
BULK: Final = 0  # fixed

LEAST_VACUUM: Final = 6.0  # Å, between a slab and its next image along z
LAYER_GAP: Final = 1.0  # Å; Ru planes of the low-index facets of rutile are 1.5 to 3.2 Å apart, and rumple by 0.3 Å
FLOOR: Final = 1.0  # Å; height of the lowest atom of a rolled slab, so that rounding takes none across the border


def settle_slab(atoms: Atoms) -> Atoms:
    """A copy of a slab that lies in its cell in one piece, the vacuum above (and below) it.

    Parameters
    ----------
    atoms
        A slab whose first two cell vectors lie in the plane and whose third is along z.

    Returns
    -------
    settled
        Equal to `atoms` where all heights are inside the cell and the widest gap is at its border. Otherwise the slab
        straddles the border, and all of it is moved along z, atoms at the bottom of the gap by one cell more, until
        its lowest atom is at 1 Å. Positions along x and y stay. Periodic along all vectors.

    Raises
    ------
    SlabError
        Another cell, no atoms, or a vacuum thinner than 6 Å.
    """
    cell = np.asarray(atoms.cell)
    if np.any(cell[[0, 1], 2]) or np.any(cell[2, :2]) or not cell[2, 2] > 0.0 or not np.any(np.cross(cell[0], cell[1])):
        raise SlabError(
            "cell vectors 1 and 2 must lie in the xy plane and vector 3 along z; found "
            f"{cell.round(3).tolist()}. Turn the slab so that its surface normal is z."
        )
    if not len(atoms):
        raise SlabError("a slab must have atoms; found none")
    if not np.isfinite(atoms.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise SlabError(f"positions must be finite; found atom {atom} at {atoms.positions[atom].tolist()}")
    settled: Atoms = atoms.copy()
    settled.pbc = True
    period = float(cell[2, 2])
    heights: FloatArray = atoms.positions[:, 2]
    levels = np.sort(heights % period)
    gaps = np.diff(levels, append=levels[0] + period)  # each above its level
    widest = int(gaps.argmax())
    if gaps[widest] < LEAST_VACUUM:
        raise SlabError(
            f"the vacuum along z must be at least {LEAST_VACUUM:g} Å; found {gaps[widest]:.2f} Å in a cell of "
            f"{period:.2f} Å. Make the third cell vector longer."
        )
    inside = heights.min() >= 0.0 and heights.max() < period
    if not (inside and widest == len(levels) - 1):
        lowest = levels[(widest + 1) % len(levels)]
        half = gaps[widest] / 2.0  # the seam is in the middle of the vacuum, far from any atom
        settled.positions[:, 2] = (heights - lowest + half) % period - half + FLOOR
    return settled


def find_layers(atoms: Atoms, gap: float = LAYER_GAP) -> IntArray:
    """The metal layer that each atom belongs to, counted from the top.

    Parameters
    ----------
    atoms
        A slab in one piece, as from `settle_slab`. Everything that is not oxygen is metal.
    gap
        Å; metal atoms are of two layers where none is between them and their heights differ by more.

    Returns
    -------
    layers
        Shape (n_atoms,): 0 for the highest metal layer. An oxygen atom belongs to the highest layer that it is bonded
        to, and to that of the nearest metal atom where it is bonded to none.

    Raises
    ------
    SlabError
        A structure without metal.

    Notes
    -----
    Source: thesis, section 3.1.2, for layers of Ru with connected oxygen.
    """
    metal = np.flatnonzero(atoms.numbers != OXYGEN)
    oxygen = np.flatnonzero(atoms.numbers == OXYGEN)
    if not len(metal):
        raise SlabError(f"a slab must have metal atoms; found {atoms.get_chemical_formula() or 'no atoms'}")
    downwards = metal[np.argsort(-atoms.positions[metal, 2], kind="stable")]
    steps = -np.diff(atoms.positions[downwards, 2])
    layers = np.full(len(atoms), len(atoms), dtype=np.intp)  # below all layers
    layers[downwards] = np.concatenate([[0], np.cumsum(steps > gap)])

    bonds = find_bonds(atoms)
    to_metal = (atoms.numbers[bonds.first] == OXYGEN) & (atoms.numbers[bonds.second] != OXYGEN)
    np.minimum.at(layers, bonds.first[to_metal], layers[bonds.second[to_metal]])
    lonely = oxygen[layers[oxygen] == len(atoms)]
    if len(lonely):
        _, distances = get_distances(atoms.positions[lonely], atoms.positions[metal], cell=atoms.cell, pbc=atoms.pbc)
        layers[lonely] = layers[metal[distances.argmin(axis=1)]]
    return layers


def assign_layers(atoms: Atoms, displaced: int = 2, buffer: int = 2, gap: float = LAYER_GAP) -> Atoms:
    """A copy of a slab whose tags say what is displaced, what relaxes and what is fixed.

    Parameters
    ----------
    atoms
        As for `settle_slab`.
    displaced, buffer
        Metal layers, from the top, that are displaced and relaxed (tag 2), and relaxed only (tag 1). Those below are
        fixed (tag 0), at least one.
    gap
        As for `find_layers`.

    Returns
    -------
    tagged
        As from `settle_slab`, with tags.

    Raises
    ------
    SlabError
        As for `settle_slab` and `find_layers`; layers that cannot be, or too few of them.

    Notes
    -----
    Source: thesis, section 3.1.2: two layers of Ru each, with connected oxygen.
    """
    if displaced < 1 or buffer < 0:
        raise SlabError(f"displaced must be at least 1 and buffer at least 0 layers; found {displaced} and {buffer}")
    tagged = settle_slab(atoms)
    layers = find_layers(tagged, gap)
    n_layers = int(layers.max()) + 1
    if n_layers <= displaced + buffer:
        raise SlabError(
            f"a slab must have at least one fixed metal layer below {displaced} displaced and {buffer} buffer layers, "
            f"hence {displaced + buffer + 1} or more; found {n_layers}. Build it with more layers, or displace fewer."
        )
    tagged.set_tags(np.where(layers < displaced, DISPLACED, np.where(layers < displaced + buffer, BUFFER, BULK)))
    return tagged
