"""Numba kernels for distances between atoms and all their periodic images, exact in cells of any shape."""

import math

import numpy as np
from numba import njit

from ruo2_voxel.density.kernels import part
from ruo2_voxel.typing import Array, FloatArray, IntArray

PERPENDICULAR = 1e-10  # cosine between voxel steps below which rounding alone finds the nearest image


@part
def square_of(x: float, y: float, z: float, metric: FloatArray) -> float:
    """Square of a vector in voxel steps, in the units of the metric."""
    plain = x * x * metric[0, 0] + y * y * metric[1, 1] + z * z * metric[2, 2]
    return float(plain + 2.0 * (x * y * metric[0, 1] + x * z * metric[0, 2] + y * z * metric[1, 2]))


@part
def within_slabs(
    square: float, t: FloatArray, i: int, j: int, shape: tuple[int, int, int], inverse_metric: FloatArray
) -> bool:
    """False if a single axis shows that no image of atom j is within sqrt(square) of atom i: true of most pairs."""
    for axis in range(3):
        away = abs(t[i, axis] - t[j, axis])
        if away > 0.5 * shape[axis]:
            away -= shape[axis] * math.floor(away / shape[axis] + 0.5)
        if away * away > square * inverse_metric[axis, axis]:
            return False
    return True


@part
def shortest_vector(
    a: FloatArray,
    b: FloatArray,
    shape: tuple[int, int, int],
    metric: FloatArray,
    inverse_metric: FloatArray,
    itself: bool,
    vector: FloatArray,
) -> float:
    """From a to the nearest image of b, in voxel steps; returns its length. To another image if b is a itself."""
    for axis in range(3):
        away = b[axis] - a[axis]
        if abs(away) > 0.5 * shape[axis]:
            away -= shape[axis] * math.floor(away / shape[axis] + 0.5)
        vector[axis] = away
    x, y, z = vector[0], vector[1], vector[2]
    least = square_of(x, y, z, metric)
    if itself:
        least = np.inf
        for axis in range(3):
            least = min(least, shape[axis] ** 2 * metric[axis, axis])
    elif perpendicular(metric):
        return math.sqrt(least)
    # Whatever is nearer lies within the ellipsoid of that square, hence within these images.
    nx = int(math.sqrt(least * inverse_metric[0, 0]) / shape[0] + 0.5)
    ny = int(math.sqrt(least * inverse_metric[1, 1]) / shape[1] + 0.5)
    nz = int(math.sqrt(least * inverse_metric[2, 2]) / shape[2] + 0.5)
    for i in range(-nx, nx + 1):
        for j in range(-ny, ny + 1):
            for k in range(-nz, nz + 1):
                if itself and i == 0 and j == 0 and k == 0:
                    continue
                square = square_of(x + i * shape[0], y + j * shape[1], z + k * shape[2], metric)
                if square < least:
                    least = square
                    vector[0], vector[1], vector[2] = x + i * shape[0], y + j * shape[1], z + k * shape[2]
    return math.sqrt(least)


@part
def perpendicular(metric: FloatArray) -> bool:
    for i in range(3):
        for j in range(i):
            if metric[i, j] ** 2 > PERPENDICULAR**2 * metric[i, i] * metric[j, j]:
                return False
    return True


@part
def nearest_pair(
    channel: IntArray,
    t: FloatArray,
    present: Array,
    limits: FloatArray,
    shape: tuple[int, int, int],
    metric: FloatArray,
    inverse_metric: FloatArray,
    vector: FloatArray,
) -> tuple[int, int, float]:
    """Of the pairs nearer than the limit of their channels, the nearest, and its distance; (-1, -1, inf) if none."""
    first, second, least = -1, -1, np.inf
    trial = np.empty(3)
    for i in range(t.shape[0]):
        for j in range(i):
            if not (present[i] and present[j]):
                continue
            limit = min(limits[channel[i], channel[j]], least)
            if not within_slabs(limit**2, t, i, j, shape, inverse_metric):
                continue
            distance = shortest_vector(t[i], t[j], shape, metric, inverse_metric, False, trial)
            if distance < limit:
                first, second, least = i, j, distance
                vector[:] = trial
    return first, second, least


@njit(nogil=True, cache=True)
def shortest_distances(
    channel: IntArray,
    t: FloatArray,
    limits: FloatArray,
    shape: tuple[int, int, int],
    metric: FloatArray,
    inverse_metric: FloatArray,
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Shortest distance between each two channels (inf if none), and the pairs nearer than their limits.

    An atom's distance to its own images counts as one within its channel, not as a pair.
    """
    n_channels = limits.shape[0]
    shortest = np.full((n_channels, n_channels), np.inf)
    vector = np.empty(3)
    pairs, distances = np.empty((8, 2), dtype=np.int64), np.empty(8)
    n = 0
    for i in range(t.shape[0]):
        c = channel[i]
        if i == 0 or channel[i - 1] != c:
            own = shortest_vector(t[i], t[i], shape, metric, inverse_metric, True, vector)
            shortest[c, c] = min(shortest[c, c], own)
        for j in range(i):
            d = channel[j]
            if not within_slabs(max(shortest[c, d], limits[c, d]) ** 2, t, i, j, shape, inverse_metric):
                continue
            distance = shortest_vector(t[i], t[j], shape, metric, inverse_metric, False, vector)
            shortest[c, d] = min(shortest[c, d], distance)
            shortest[d, c] = shortest[c, d]
            if distance < limits[c, d]:
                if n == pairs.shape[0]:
                    pairs, distances = np.concatenate((pairs, pairs)), np.concatenate((distances, distances))
                pairs[n, 0], pairs[n, 1], distances[n] = j, i, distance
                n += 1
    return shortest, pairs[:n], distances[:n]
