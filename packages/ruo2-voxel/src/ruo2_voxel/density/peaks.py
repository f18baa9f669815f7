"""Numba kernels that find the local maxima of a periodic grid, and where between the nodes they stand."""

import math

import numpy as np

from ruo2_voxel.density.distances import square_of
from ruo2_voxel.density.kernels import part, wrap
from ruo2_voxel.density.windows import Window
from ruo2_voxel.typing import FloatArray, IntArray

APART = 1.0  # in units of sigma: of maxima nearer to each other only the highest counts
FAINTEST = 0.02  # of a peak's height: neighbours below it tell nothing of where the peak stands


@part
def find_neighbours(window: Window) -> IntArray:
    """Steps to the voxels that a maximum must exceed, (n, 3): the 26 around it, and all within APART; nearest first."""
    rx, ry, rz = window.constant.shape[0] // 2, window.constant.shape[1] // 2, window.constant.shape[2] // 2
    steps = np.empty((window.constant.size + 27, 3), dtype=np.int64)
    squares = np.empty(len(steps))
    n = 0
    for x in range(-max(rx, 1), max(rx, 1) + 1):
        for y in range(-max(ry, 1), max(ry, 1) + 1):
            for z in range(-max(rz, 1), max(rz, 1) + 1):
                square = square_of(x, y, z, window.metric)
                if (x, y, z) != (0, 0, 0) and (square <= APART * APART or max(abs(x), abs(y), abs(z)) == 1):
                    steps[n, 0], steps[n, 1], steps[n, 2] = x, y, z
                    squares[n] = square
                    n += 1
    return steps[np.argsort(squares[:n], kind="mergesort")]


@part
def find_peaks(grid: FloatArray, least: float, neighbours: IntArray) -> IntArray:
    """Voxels (n, 3) that exceed `least` and their neighbours, highest first; of equal neighbours the first counts.

    A grid without hills has no peaks: some neighbour must be lower.
    """
    nx, ny, nz = grid.shape
    peaks = np.empty((grid.size, 3), dtype=np.int64)
    values = np.empty(grid.size)
    n = 0
    for x in range(nx):
        for y in range(ny):
            high = 0
            for z in range(nz):  # in lanes: most rows have nothing to look at
                high += grid[x, y, z] >= least
            if high == 0:
                continue
            for z in range(nz):
                value = grid[x, y, z]
                if value < least or grid[x - 1, y, z] > value or grid[x, y - 1, z] > value:  # most end here
                    continue
                if is_peak(grid, x, y, z, neighbours):
                    peaks[n, 0], peaks[n, 1], peaks[n, 2] = x, y, z
                    values[n] = -value
                    n += 1
    return peaks[np.argsort(values[:n], kind="mergesort")]


@part
def is_peak(grid: FloatArray, x: int, y: int, z: int, neighbours: IntArray) -> bool:
    nx, ny, nz = grid.shape
    value, here = grid[x, y, z], (x * ny + y) * nz + z
    higher = False
    for n in range(neighbours.shape[0]):
        i, j, k = wrap(x + neighbours[n, 0], nx), wrap(y + neighbours[n, 1], ny), wrap(z + neighbours[n, 2], nz)
        other = grid[i, j, k]
        if other > value or (other == value and (i * ny + j) * nz + k < here):
            return False
        higher |= other < value
    return higher


@part
def refine_peak(grid: FloatArray, peak: IntArray, inverse_metric: FloatArray, farthest: float, t: FloatArray) -> None:
    """Where, in voxel steps, the Gaussian stands whose nearest node a peak is, `farthest` sigmas from it at most.

    Its logarithm is a parabola of known curvature: half its difference between the two neighbours along axis i is
    (M u)_i, in a cell of any shape.
    """
    nx, ny, nz = grid.shape
    x, y, z = peak[0], peak[1], peak[2]
    faintest = FAINTEST * grid[x, y, z]
    slopes, u = np.empty(3), np.empty(3)
    slopes[0] = slope(grid[wrap(x + 1, nx), y, z], grid[wrap(x - 1, nx), y, z], faintest)
    slopes[1] = slope(grid[x, wrap(y + 1, ny), z], grid[x, wrap(y - 1, ny), z], faintest)
    slopes[2] = slope(grid[x, y, wrap(z + 1, nz)], grid[x, y, wrap(z - 1, nz)], faintest)
    square = 0.0
    for i in range(3):
        u[i] = 0.0
        for j in range(3):
            u[i] += inverse_metric[i, j] * slopes[j]
        square += u[i] * slopes[i]
    shorter = min(1.0, farthest / math.sqrt(square)) if square > 0.0 else 1.0
    for axis in range(3):
        t[axis] = peak[axis] + shorter * u[axis]


@part
def slope(ahead: float, behind: float, faintest: float) -> float:
    return 0.5 * (math.log(max(ahead, faintest)) - math.log(max(behind, faintest)))
