"""Structural similarity of two densities, species by species, with the window of the thesis (section 4.1)."""

import numpy as np
from numba import njit

from ruo2_wgan.verdict.typing import FloatArray

WINDOW = 5  # voxels, about as wide as a Gaussian
Real = float | np.float32
C1, C2 = 0.01**2, 0.03**2  # of values in [0, 1]


def similarity(first: FloatArray, second: FloatArray) -> FloatArray:
    """SSIM of each species, shape (species,): 1 for the same density, near 0 where nothing agrees.

    Parameters
    ----------
    first, second
        Shape (species, x, y, z) or (species, u, z), float32 in [0, 1].

    Notes
    -----
    SSIM (doi:10.1109/TIP.2003.819861) averaged over all windows of the periodic grid, so that rolling both changes
    nothing. It is scikit-image's `structural_similarity` of grids that are continued by half a window all around, in a
    tenth of the time. Empty windows count as alike, and a slab's vacuum is full of them: figures are to be read beside
    those of held-out structures.
    """
    # A window along an axis of one voxel is that voxel several times: slices are structures of one.
    values = WINDOW ** (first.ndim - 1)
    a, b = (np.ascontiguousarray(each if each.ndim == 4 else each[:, :, None]) for each in (first, second))
    found = np.empty(len(first))
    _similarity(a, b, values / (values - 1.0), found)
    return found


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"}, inline="always")
def _mean(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, e: FloatArray, share: Real, into: FloatArray
) -> None:
    for z in range(len(into)):
        into[z] = (a[z] + b[z] + c[z] + d[z] + e[z]) * share


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _similarity(first: FloatArray, second: FloatArray, unbiased: Real, found: FloatArray) -> None:
    """Means over windows of a, b, a^2, b^2 and a b, an axis after the other; the last one gives the similarity."""
    n_species, nx, ny, nz = first.shape
    reach = WINDOW // 2
    along_z = np.empty((5, nx, ny, nz), dtype=np.float32)
    along_yz = np.empty((5, nx, ny, nz), dtype=np.float32)
    line = np.empty((5, nz + 2 * reach), dtype=np.float32)
    mean = np.empty((5, nz), dtype=np.float32)
    c1, c2, sample = np.float32(C1), np.float32(C2), np.float32(unbiased)
    one, two, share = np.float32(1.0), np.float32(2.0), np.float32(1.0 / WINDOW)
    for species in range(n_species):
        for x in range(nx):
            for y in range(ny):
                a, b = first[species, x, y], second[species, x, y]
                for z in range(nz):
                    line[0, reach + z] = a[z]
                    line[1, reach + z] = b[z]
                    line[2, reach + z] = a[z] * a[z]
                    line[3, reach + z] = b[z] * b[z]
                    line[4, reach + z] = a[z] * b[z]
                for of in range(5):
                    row = line[of]
                    for z in range(reach):
                        row[z], row[nz + reach + z] = row[reach + (z - reach) % nz], row[reach + z % nz]
                    _mean(row, row[1:], row[2:], row[3:], row[4:], share, along_z[of, x, y])
        for of in range(5):
            for x in range(nx):
                box, into = along_z[of, x], along_yz[of, x]
                for y in range(ny):
                    _mean(
                        box[(y - 2) % ny],
                        box[(y - 1) % ny],
                        box[y],
                        box[(y + 1) % ny],
                        box[(y + 2) % ny],
                        share,
                        into[y],
                    )
        total: Real = 0.0
        for x in range(nx):
            for y in range(ny):
                for of in range(5):
                    box = along_yz[of]
                    _mean(
                        box[(x - 2) % nx, y],
                        box[(x - 1) % nx, y],
                        box[x, y],
                        box[(x + 1) % nx, y],
                        box[(x + 2) % nx, y],
                        share,
                        mean[of],
                    )
                in_row: Real = np.float32(0.0)
                for z in range(nz):
                    ab = mean[0, z] * mean[1, z]
                    squares = mean[0, z] * mean[0, z] + mean[1, z] * mean[1, z]
                    scatter = sample * (mean[2, z] + mean[3, z] - squares)
                    together = sample * (mean[4, z] - ab)
                    in_row += (two * ab + c1) * (two * together + c2) * (one / ((squares + c1) * (scatter + c2)))
                total += in_row
        found[species] = total / (nx * ny * nz)
