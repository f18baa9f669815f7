"""The Numba kernel that turns one structure's densities into atoms: peaks, fits, and peaks of what the fits left over.

Channel by channel: the maxima of the grid, highest first, each become a Gaussian that is taken out of the grid at once,
so that its own shoulders are no peaks any more; then all are fitted together. Two atoms so near that they show one
maximum leave others in the residual: the next round finds these. Heights too small for an atom are taken away, and
peaks too near another to be one are merged with it. Arrays in, arrays out, nothing checked.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ruo2_voxel.density.distances import nearest_pair, shortest_vector, within_slabs
from ruo2_voxel.density.fit import FREE, MOST_STEPS, MOST_VISITS, add_atom, fit_atom, settle, wake_neighbours
from ruo2_voxel.density.kernels import part
from ruo2_voxel.density.peaks import find_neighbours, find_peaks, refine_peak
from ruo2_voxel.density.windows import Window, make_window
from ruo2_voxel.typing import Array, FloatArray, IntArray

MOST_ROUNDS = 6
FIRST_STEPS = 2  # of the fit that places an atom, before its neighbours are known
OF_NOISE = 5.0  # standard deviations by which a peak must stand out
CERTAIN = 0.8  # as the least height of an atom, where noise asks for more
BLENDED = 2.0  # distance, in units of sigma, below which two Gaussians show one maximum
KEPT, DROPPED = -1, -2  # instead of the atom that a peak was merged into


class Geometry(NamedTuple):
    """What the kernel needs to know of one cell; vectors in voxel steps."""

    shape: tuple[int, int, int]
    metric: FloatArray  # (3, 3): products of the voxel steps, divided by sigma^2
    inverse_metric: FloatArray
    farthest: float  # that an atom can be from the node nearest to it, in units of sigma
    squares: float  # sum over the voxels of a Gaussian of height 1, squared, if the grid is fine


class Rules(NamedTuple):
    """What counts as an atom."""

    threshold: float  # the least height
    exclusion: FloatArray  # (channels, channels): no two atoms are nearer than this, in units of sigma
    level: float  # from here on voxels are saturated
    free: bool  # the heights of the final fit are fitted, not 1


class Peaks(NamedTuple):
    """The peaks of one structure, channel by channel; those merged or dropped are among them."""

    channel: IntArray  # (n,)
    t: FloatArray  # (n, 3): places, voxel steps from the cell's corner
    height: FloatArray  # (n,): of one that was merged, before that
    into: IntArray  # (n,): KEPT, DROPPED for being too low, or the peak that it was merged into
    distance: FloatArray  # (n,): from that peak, in units of sigma


@njit(nogil=True, cache=True)
def find_atoms(
    density: FloatArray, geometry: Geometry, rules: Rules, residual: FloatArray
) -> tuple[Peaks, float, float]:
    """Atoms of one density (channels, nx, ny, nz); sums over its grid of (density - unit Gaussians)^2 and density^2.

    residual, float64 of the same shape, is overwritten with what stands squared in the first, its axes reordered.
    """
    order = coarsest_first(geometry.metric)
    geometry = reorder(geometry, order)
    data = density.transpose((0, order[0] + 1, order[1] + 1, order[2] + 1))
    residual = residual.reshape((len(density), geometry.shape[0], geometry.shape[1], geometry.shape[2]))
    levels = np.full(len(density), np.inf)
    window = make_window(geometry.metric, geometry.inverse_metric)
    neighbours = find_neighbours(window)
    channel, t, height = np.empty(0, dtype=np.int64), np.empty((0, 3)), np.empty(0)
    into, distance = np.empty(0, dtype=np.int64), np.empty(0)
    for c in range(density.shape[0]):
        copy_channel(data[c], residual[c])
        if count_from(density[c].reshape(-1), rules.level) > 0:
            levels[c] = rules.level
        found = find_channel(
            data[c],
            geometry,
            Rules(rules.threshold, rules.exclusion, levels[c], rules.free),
            rules.exclusion[c, c],
            window,
            neighbours,
            residual[c],
        )
        n = len(height)
        channel = np.concatenate((channel, np.full(len(found[1]), c)))
        t, height = np.concatenate((t, found[0])), np.concatenate((height, found[1]))
        into = np.concatenate((into, np.where(found[2] >= 0, found[2] + n, found[2])))
        distance = np.concatenate((distance, found[3]))
    peaks = Peaks(channel, t, height, into, distance)
    part_species(peaks, geometry, rules, window, residual)
    left = compare_with_atoms(data, peaks, levels, window, residual)
    in_order = np.empty_like(t)
    for axis in range(3):
        in_order[:, order[axis]] = t[:, axis]
    return Peaks(channel, in_order, height, into, distance), left, sum_of_squares(density.reshape(-1))


@part
def coarsest_first(metric: FloatArray) -> tuple[int, int, int]:
    """The axes from the widest voxel to the narrowest: kernels work along the last one, where rows are then longest."""
    order = np.argsort(-np.diag(metric), kind="mergesort")
    return int(order[0]), int(order[1]), int(order[2])


@part
def reorder(geometry: Geometry, order: tuple[int, int, int]) -> Geometry:
    metric, inverse_metric = np.empty((3, 3)), np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            metric[i, j] = geometry.metric[order[i], order[j]]
            inverse_metric[i, j] = geometry.inverse_metric[order[i], order[j]]
    shape = (geometry.shape[order[0]], geometry.shape[order[1]], geometry.shape[order[2]])
    return Geometry(shape, metric, inverse_metric, geometry.farthest, geometry.squares)


@part
def copy_channel(data: FloatArray, residual: FloatArray) -> None:
    """By planes of the middle axis: there the cache holds both the plane read and the one written."""
    for j in range(data.shape[1]):
        for i in range(data.shape[0]):
            for k in range(data.shape[2]):
                residual[i, j, k] = data[i, j, k]


@part
def count_from(values: FloatArray, level: float) -> int:
    """How many values are at `level` or above."""
    count = 0
    for v in range(values.size):
        count += values[v] >= level
    return count


@part
def find_channel(
    data: FloatArray,
    geometry: Geometry,
    rules: Rules,
    exclusion: float,
    window: Window,
    neighbours: IntArray,
    residual: FloatArray,
) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Places, heights, fates and distances of one channel's peaks; residual is left without those that are kept."""
    t, height = np.empty((0, 3)), np.empty(0)
    into, distance = np.empty(0, dtype=np.int64), np.empty(0)
    visits = np.zeros(1, dtype=np.int64)
    # An atom between nodes shows less than its height. Noise may reach as high; what it builds the fit will tell.
    noise = rms_below_zero(residual.reshape(-1))
    uncertainty = noise / math.sqrt(geometry.squares)  # of a height
    threshold = max(rules.threshold, min(OF_NOISE * uncertainty, CERTAIN))
    lowest = math.exp(-0.5 * geometry.farthest**2) * threshold
    least = max(0.5 * lowest, min(OF_NOISE * noise, lowest))
    for n_round in range(MOST_ROUNDS):
        peaks = find_peaks(residual, least, neighbours)
        n = len(height)
        t, height = np.concatenate((t, np.zeros((len(peaks), 3)))), np.concatenate((height, np.zeros(len(peaks))))
        into = np.concatenate((into, np.full(len(peaks), DROPPED)))
        distance = np.concatenate((distance, np.zeros(len(peaks))))
        awake = np.zeros(len(height), dtype=np.bool_)
        kept = np.count_nonzero(into == KEPT)
        n = place_atoms(
            peaks,
            n,
            data,
            geometry,
            rules,
            exclusion if n_round else 0.0,
            threshold,
            least,
            window,
            residual,
            t,
            height,
            into,
            awake,
        )
        visits[0] += MOST_VISITS * (n - len(t) + len(peaks))
        t, height, into, distance, awake = t[:n], height[:n], into[:n], distance[:n], awake[:n]
        while awake.any():
            settle(
                residual,
                data,
                rules.level,
                window,
                geometry.inverse_metric,
                t,
                height,
                into == KEPT,
                awake,
                FREE,
                visits,
            )
            drop_lowest(threshold, geometry, window, residual, t, height, into, awake)
            if not awake.any():
                merge_nearest(data, geometry, rules, exclusion, window, residual, t, height, into, distance, awake)
        if np.count_nonzero(into == KEPT) <= kept:
            break
        rms = math.sqrt(sum_of_squares(residual.reshape(-1)) / residual.size)
        least = max(0.5 * lowest, OF_NOISE * rms)
    if not rules.free:
        fit_places(data, geometry, rules, window, residual, t, height, into)
    return t, height, into, distance


@njit(nogil=True, cache=True, fastmath={"reassoc"})  # sums in lanes: one alone would wait for itself at every voxel
def rms_below_zero(values: FloatArray) -> float:
    """Root mean square of the negative values, which are noise whatever else there is; 0 if there are none."""
    squares, count = 0.0, 0.0
    for v in range(values.size):
        below = values[v] < 0.0
        squares += values[v] * values[v] if below else 0.0
        count += 1.0 if below else 0.0
    return math.sqrt(squares / max(count, 1.0))


@part
def place_atoms(
    peaks: IntArray,
    n: int,
    data: FloatArray,
    geometry: Geometry,
    rules: Rules,
    exclusion: float,
    threshold: float,
    least: float,
    window: Window,
    residual: FloatArray,
    t: FloatArray,
    height: FloatArray,
    into: IntArray,
    awake: Array,
) -> int:
    """Make Gaussians of peaks, highest first, and take them out of the residual; returns how many there are then.

    Peaks nearer than `exclusion` to an atom are left where they are.
    """
    vector = np.empty(3)
    for p in range(peaks.shape[0]):
        x, y, z = peaks[p]
        if residual[x, y, z] < least:
            continue
        refine_peak(residual, peaks[p], geometry.inverse_metric, geometry.farthest, t[n])
        crowded = False
        for i in range(n):
            if exclusion > 0.0 and into[i] == KEPT and not crowded:
                away = shortest_vector(
                    t[n], t[i], geometry.shape, geometry.metric, geometry.inverse_metric, False, vector
                )
                crowded = away < exclusion
        if crowded:
            continue
        height[n] = fit_atom(residual, data, rules.level, window, geometry.inverse_metric, t[n], 1.0, FREE, FIRST_STEPS)
        if height[n] < 0.5 * threshold:
            continue
        add_atom(residual, -height[n], window, t[n])
        into[n] = KEPT
        awake[n] = True
        n += 1
        wake_neighbours(n - 1, 1.0, t[:n], awake, geometry.shape, geometry.metric, geometry.inverse_metric)
    return n


@part
def drop_lowest(
    threshold: float,
    geometry: Geometry,
    window: Window,
    residual: FloatArray,
    t: FloatArray,
    height: FloatArray,
    into: IntArray,
    awake: Array,
) -> None:
    """Take away the atoms that are too low, lowest first, and none beside one just taken: it may grow in its place.

    Three Gaussians can pass for two that are hardly told apart: with another within BLENDED, an atom must be higher,
    half-way from the threshold to 1. Wakes those beside.
    """
    vector = np.empty(3)
    for i in np.argsort(height, kind="mergesort"):
        if height[i] >= 0.5 * (threshold + 1.0):
            break
        if into[i] != KEPT or awake[i]:
            continue
        low = height[i] < threshold
        for j in range(len(into)):
            if low or j == i or into[j] != KEPT:
                continue
            if within_slabs(BLENDED**2, t, i, j, geometry.shape, geometry.inverse_metric):
                apart = shortest_vector(
                    t[i], t[j], geometry.shape, geometry.metric, geometry.inverse_metric, False, vector
                )
                low = apart < BLENDED
        if low:
            add_atom(residual, height[i], window, t[i])
            into[i] = DROPPED
            wake_neighbours(i, 1.0, t, awake, geometry.shape, geometry.metric, geometry.inverse_metric)
    for i in range(len(into)):
        awake[i] &= into[i] == KEPT


@part
def merge_nearest(
    data: FloatArray,
    geometry: Geometry,
    rules: Rules,
    exclusion: float,
    window: Window,
    residual: FloatArray,
    t: FloatArray,
    height: FloatArray,
    into: IntArray,
    distance: FloatArray,
    awake: Array,
) -> None:
    """Make one atom of the two that are nearest to each other, if they are too near, and wake it and those beside."""
    vector, limits = np.empty(3), np.full((1, 1), exclusion)
    i, j, apart = nearest_pair(
        np.zeros(len(height), dtype=np.int64),
        t,
        into == KEPT,
        limits,
        geometry.shape,
        geometry.metric,
        geometry.inverse_metric,
        vector,
    )
    if i < 0:
        return
    if height[j] > height[i]:
        i, j = j, i
        vector *= -1.0
    add_atom(residual, height[i], window, t[i])
    add_atom(residual, height[j], window, t[j])
    into[j], distance[j] = i, apart
    t[i] += vector * (height[j] / (height[i] + height[j]))
    height[i] = fit_atom(
        residual, data, rules.level, window, geometry.inverse_metric, t[i], height[i] + height[j], FREE, MOST_STEPS
    )
    add_atom(residual, -height[i], window, t[i])
    wake_neighbours(i, 1.0, t, awake, geometry.shape, geometry.metric, geometry.inverse_metric)
    awake[i] = True
    for k in range(len(into)):
        awake[k] &= into[k] == KEPT


@part
def fit_places(
    data: FloatArray,
    geometry: Geometry,
    rules: Rules,
    window: Window,
    residual: FloatArray,
    t: FloatArray,
    height: FloatArray,
    into: IntArray,
) -> None:
    """Fit the places of all atoms anew with their heights held at 1; the heights stay those of the free fit."""
    ones = np.ones(len(height))
    for i in range(len(height)):
        if into[i] == KEPT:
            add_atom(residual, height[i] - 1.0, window, t[i])
    visits, kept = np.array([MOST_VISITS * len(height)]), into == KEPT
    settle(residual, data, rules.level, window, geometry.inverse_metric, t, ones, kept, kept.copy(), 1.0, visits)
    for i in range(len(height)):
        if into[i] == KEPT:
            add_atom(residual, 1.0 - height[i], window, t[i])


@part
def part_species(peaks: Peaks, geometry: Geometry, rules: Rules, window: Window, residual: FloatArray) -> None:
    """Of two atoms of different channels nearer than they may be, merge the lower into the higher, nearest first."""
    vector, between = np.empty(3), rules.exclusion.copy()
    for c in range(between.shape[0]):
        between[c, c] = 0.0
    while True:
        i, j, apart = nearest_pair(
            peaks.channel,
            peaks.t,
            peaks.into == KEPT,
            between,
            geometry.shape,
            geometry.metric,
            geometry.inverse_metric,
            vector,
        )
        if i < 0:
            return
        if peaks.height[j] > peaks.height[i]:
            i, j = j, i
        add_atom(residual[peaks.channel[j]], peaks.height[j], window, peaks.t[j])
        peaks.into[j], peaks.distance[j] = i, apart


@part
def compare_with_atoms(
    data: FloatArray, peaks: Peaks, levels: FloatArray, window: Window, residual: FloatArray
) -> float:
    """Make the residual that of Gaussians of height 1; returns its sum of squares. Channels have their own levels."""
    for i in range(len(peaks.height)):
        if peaks.into[i] == KEPT:
            add_atom(residual[peaks.channel[i]], peaks.height[i] - 1.0, window, peaks.t[i])
    for c in range(len(levels)):
        if levels[c] < np.inf:
            lift_saturated(data[c], levels[c], residual[c])
    return sum_of_squares(residual.reshape(-1))


@part
def lift_saturated(data: FloatArray, level: float, residual: FloatArray) -> None:
    """Where voxels are saturated, a fit above them leaves nothing."""
    for j in range(data.shape[1]):
        for i in range(data.shape[0]):
            for k in range(data.shape[2]):
                if data[i, j, k] >= level:
                    residual[i, j, k] = max(residual[i, j, k], 0.0)


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def sum_of_squares(values: FloatArray) -> float:
    total = 0.0
    for v in range(values.size):
        total += float(values[v]) ** 2
    return total
