"""Near-copies among structures, found by their structure factors: what a split must not part."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from ruo2_voxel.typing import Array, FloatArray, IntArray

# Small reciprocal vectors, in units of the cell's. Two structures agree in all of their factors only if they agree.
WAVES: Final = np.array(
    [
        *([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, -1, 0], [1, 0, -1], [0, 1, -1]),
        *([2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [0, 1, 2], [1, 1, 1], [1, 1, -1], [1, -1, 1]),
        *([0, 0, 3], [3, 0, 1], [0, 3, 1], [2, 2, 1], [1, 1, 4], [2, 1, 3]),
    ]
)
NEAR: Final = 0.02  # Å, root mean square displacement along a wave


def fingerprints(
    scaled: FloatArray, channels: IntArray, n_channels: int, counts: IntArray, cells: FloatArray
) -> FloatArray:
    """Numbers that are the same for the same structure, whatever the order of its atoms, and close for close ones.

    Parameters
    ----------
    scaled
        Scaled positions of all atoms, shape (atoms, 3), of structures that lie one behind the other.
    channels, n_channels
        A number for each element, shape (atoms,), and how many there are: atoms of different elements do not stand in
        for each other.
    counts, cells
        Atoms of each structure, shape (structures,), and cell vectors in rows, shape (structures, 3, 3), Å.

    Returns
    -------
    fingerprints
        Shape (structures, k), in Å: structures displaced by an rms of d along a wave come within about d of each other
        in each number. Lattice lengths and numbers of atoms are among them.

    Notes
    -----
    F(h) = sum over atoms of exp(2 pi i h . s), for each element, divided by 2 pi |G| sqrt(n / 2). Translated or rotated
    structures have other fingerprints.
    """
    factors = np.zeros((len(counts), n_channels, len(WAVES), 2))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    _sum_waves(np.ascontiguousarray(scaled, dtype=np.float64), channels.astype(np.int64), offsets, WAVES, factors)
    reciprocal = np.linalg.inv(cells).transpose(0, 2, 1)
    lengths = 2.0 * np.pi * np.linalg.norm(WAVES @ reciprocal, axis=2)
    scale = lengths * np.sqrt(np.maximum(counts, 1) / 2.0)[:, None]
    factors /= scale[:, None, :, None]
    of_channel = np.stack([np.add.reduceat(np.append(channels == each, 0), offsets[:-1]) for each in range(n_channels)])
    of_channel = np.where(counts > 0, of_channel, 0)
    sides = np.linalg.norm(cells, axis=2)
    found: FloatArray = np.concatenate([factors.reshape(len(counts), -1), sides, of_channel.T], axis=1)
    return found


@njit(cache=True, nogil=True)
def _sum_waves(scaled: FloatArray, channels: IntArray, offsets: IntArray, waves: IntArray, factors: FloatArray) -> None:
    for structure in range(len(offsets) - 1):
        for atom in range(offsets[structure], offsets[structure + 1]):
            for wave in range(len(waves)):
                phase = 0.0
                for axis in range(3):
                    phase += waves[wave, axis] * scaled[atom, axis]
                phase = 2.0 * np.pi * (phase - np.floor(phase))
                factors[structure, channels[atom], wave, 0] += np.cos(phase)
                factors[structure, channels[atom], wave, 1] += np.sin(phase)


def near_pairs(one: FloatArray, other: FloatArray, near: float = NEAR) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of fingerprints one[i] and other[j] that differ nowhere by more than `near`, Å."""
    if not (len(one) and len(other)):
        return
    tree = cKDTree(other)
    for begin in range(0, len(one), 1024):  # the lists of neighbours of all at once might not fit in memory
        found: Array = tree.query_ball_point(one[begin : begin + 1024], near, p=np.inf)
        for i, neighbours in enumerate(found, begin):
            yield from ((i, int(j)) for j in neighbours)
