"""Which atoms are near each other, over all periodic images, and which of them hang together."""

from typing import NamedTuple

import numpy as np
from ase.geometry import complete_cell
from numba import njit
from vesin import NeighborList

from ruo2_voxel.errors import OR_DROP, StructureError
from ruo2_voxel.typing import Array, FloatArray, IntArray

# Beyond these the search would run out of digits, memory or time.
FARTHEST = 1e8  # Å from the origin
THINNEST, WIDEST = 0.1, 1e5  # Å from a cell to its image: between lattice planes
DENSEST = 10.0  # atoms per Å^3; diamond has 0.18
# vesin 0.6.2 sorts atoms into bins as wide as the cutoff; where these are more than 10^5, it makes them wider by one
# factor along all vectors. If no whole bin is left along one of them, it divides by zero, and the process dies.
MOST_BINS = 9e4


class Pairs(NamedTuple):
    """Pairs of atoms, each once; an atom and its own image too, and a pair as often as it has images in reach."""

    first: IntArray  # (pairs,) int64
    second: IntArray  # (pairs,) int64
    distances: FloatArray  # (pairs,) float64, Å


def find_pairs(positions: FloatArray, cell: FloatArray, periodic: Array, cutoff: float) -> Pairs:
    """Pairs of atoms nearer than a cutoff.

    Parameters
    ----------
    positions
        Shape (n_atoms, 3), Å; inside the cell or not.
    cell
        Shape (3, 3), Å; cell vectors in rows. Those along which there are no images may be anything, zero too.
    periodic
        Shape (3,), bool: along which vectors there are images.
    cutoff
        Å, positive.

    Returns
    -------
    pairs
        In no particular order.

    Raises
    ------
    StructureError
        Positions or a cell that are not finite, or that no structure has: atoms 10^8 Å away, lattice planes less than
        0.1 Å or more than 10^5 Å apart, more than 10 atoms per Å^3, cells some 10^5 times as wide as they are thin.
    """
    if len(positions) == 0:
        return Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    near = np.abs(positions) <= FARTHEST  # NaN is not
    if not near.all():
        atom = int(np.flatnonzero(~near.all(axis=1))[0])
        raise StructureError(
            f"positions must be finite and within {FARTHEST:g} Å; found atom {atom} at {positions[atom].tolist()} Å. "
            f"Mend it{OR_DROP}"
        )
    with np.errstate(all="ignore"):  # what comes of impossible cells is checked here
        box = cell
        if not periodic.all():
            positions, box = _enclose(positions, cell, periodic, 1.1 * cutoff)
        volume = abs(np.linalg.det(box))
        inverse = np.linalg.inv(box) if volume > 0.0 else np.zeros((3, 3))
        spacings = 1.0 / np.sqrt((inverse**2).sum(axis=0))
        possible = (spacings >= THINNEST) & (spacings <= WIDEST) & (len(positions) <= DENSEST * volume)
        bins = np.maximum(spacings // cutoff, 1.0)
        sortable = bins.prod() <= MOST_BINS * bins.min() ** 3
    if not (possible.all() and sortable):
        raise StructureError(
            f"lattice planes must be {THINNEST:g} to {WIDEST:g} Å apart, not near and far at once, with at most "
            f"{DENSEST:g} atoms per Å^3; found {len(positions)} atoms in the cell {cell.tolist()} Å. Mend it{OR_DROP}"
        )
    neighbours = NeighborList(cutoff=cutoff, full_list=False, n_threads=1)
    pairs, distances = neighbours.compute(positions, box, True, "Pd")
    first, second = pairs.astype(np.int64).T
    return Pairs(first, second, distances)


def _enclose(positions: FloatArray, cell: FloatArray, periodic: Array, room: float) -> tuple[FloatArray, FloatArray]:
    """Put atoms into a box that is periodic all around, where the same pairs are nearer than `room`.

    Where a direction is not periodic, gaps wider than that are narrowed to it, or else the search would look through
    all the empty space to an atom that has flown off.
    """
    box = np.where(periodic[:, None], cell, 0.0)
    if not (np.isfinite(box).all() and box[periodic].any(axis=1).all()):
        return positions, box  # the caller refuses it
    box = complete_cell(box)  # with unit vectors perpendicular to all others
    for axis in np.flatnonzero(~periodic):
        heights = positions @ box[axis]
        order = np.argsort(heights)
        steps = np.minimum(np.diff(heights[order]), room)
        narrowed = np.empty(len(heights))
        narrowed[order] = np.concatenate([[0.0], np.cumsum(steps)])
        positions = positions + np.outer(narrowed - heights, box[axis])
        box[axis] *= narrowed.max() + room
    return positions, box


@njit(nogil=True, cache=True)
def connect(first: IntArray, second: IntArray, n_atoms: int) -> IntArray:
    """What hangs together by links first[k]-second[k]: for each atom, shape (n_atoms,), the lowest index among them."""
    root = np.arange(n_atoms)
    for k in range(len(first)):
        i, j = first[k], second[k]
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        while root[j] != j:
            root[j] = root[root[j]]
            j = root[j]
        root[max(i, j)] = min(i, j)
    for i in range(n_atoms):
        root[i] = root[root[i]]  # roots are lower, hence final
    return root
