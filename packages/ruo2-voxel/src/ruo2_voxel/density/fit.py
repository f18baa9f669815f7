"""Numba kernels that fit Gaussians to a periodic grid by least squares, one atom at a time, until none moves.

What is minimised is sum over voxels of (data - sum over atoms i of a_i exp(-|r - r_i|^2 / 2 sigma^2))^2 in positions
and, if wanted, heights. Each visit to an atom takes its own Gaussian out of the residual, fits that alone to what is
left, the others being where they are, and puts it back. The height enters linearly, so it is eliminated: Gauss-Newton
steps run in the position only, along the analytic gradient, and are halved until they lower the sum. Atoms apart feel
nothing of each other and are done after one visit; those that overlap wake each other until both are at rest.

A voxel that is saturated counts only as long as the fit stays below it. Arrays in, arrays out, nothing checked.
"""

import math

import numpy as np

from ruo2_voxel.density.distances import shortest_vector, square_of, within_slabs
from ruo2_voxel.density.kernels import part
from ruo2_voxel.density.windows import N_MOMENTS, Window, add_gaussian, replace_gaussian, take_moments
from ruo2_voxel.typing import Array, FloatArray, IntArray

# Lengths in units of sigma.
MOST_STEPS = 20  # of a visit
LONGEST_STEP = 0.7
FARTHEST = 1.5  # of a visit, all steps together: farther off, the window would hold too little of the Gaussian
LAST_STEP = 1e-2  # a step shorter than this ends a visit: the error left is about its square
NEAR = 0.1  # within such a step, a visit's first one needs no trial
BOLD_SWEEPS = 20  # after so many every step is tried first, for such steps may also go to and fro
AT_REST = 3e-4  # an atom that moves no more than this, by itself or by the pull of another, is left alone
MOST_SWEEPS = 200  # over all atoms that are awake
MOST_VISITS = 1000  # for each peak, all calls together: two atoms in one hill need hundreds, and noise would never rest
DAMPING = 1e-5  # of the normal matrix, for grids so coarse that few voxels see an atom
FREE = 0.0  # as a fixed height: fit it


@part
def nearest_node(t: FloatArray, node: IntArray, u: FloatArray) -> None:
    """Split a place, in voxel steps, into a node and the offset from it."""
    for axis in range(3):
        node[axis] = math.floor(t[axis] + 0.5)
        u[axis] = t[axis] - node[axis]


@part
def add_atom(grid: FloatArray, height: float, window: Window, t: FloatArray) -> None:
    """Add a Gaussian of that height at a place in voxel steps."""
    node, u = np.empty(3, dtype=np.int64), np.empty(3)
    nearest_node(t, node, u)
    add_gaussian(grid, height, window, node, u)


@part
def fit_atom(
    residual: FloatArray,
    data: FloatArray,
    level: float,
    window: Window,
    inverse_metric: FloatArray,
    t: FloatArray,
    height: float,
    fixed: float,
    most_steps: int,
) -> float:
    """Fit one Gaussian to a residual that does not hold it yet: moves t, in voxel steps; returns its height."""
    node, u, trial, step = np.empty(3, dtype=np.int64), np.empty(3), np.empty(3), np.zeros(3)
    moments, begin, away = np.empty(N_MOMENTS), np.empty(3), np.empty(3)
    nearest_node(t, node, u)
    least = np.inf
    begin[:] = u
    trial[:] = u
    for _ in range(most_steps):
        away[:] = trial - begin
        if step_length(away, window.metric) > FARTHEST:
            break
        take_moments(residual, data, level, height, window, node, trial, moments)
        if not moments[4] > 0.0:
            break
        a = moments[0] / moments[4] if fixed == FREE else fixed
        left = moments[14] - a * (2.0 * moments[0] - a * moments[4])
        if left > least:
            step *= 0.5
            if step_length(step, window.metric) < AT_REST:
                break
            trial[:] = u + step
            continue
        least = left
        u[:] = trial
        height = a
        if height <= 0.0:
            break
        gauss_newton_step(moments, height, u, inverse_metric, fixed == FREE, step)
        length = step_length(step, window.metric)
        if length > LONGEST_STEP:
            step *= LONGEST_STEP / length
        trial[:] = u + step
        if length < LAST_STEP:
            u[:] = trial
            break
    for axis in range(3):
        t[axis] = node[axis] + u[axis]
    return height


@part
def step_length(step: FloatArray, metric: FloatArray) -> float:
    """Length, in units of sigma, of a vector in voxel steps."""
    return math.sqrt(max(square_of(step[0], step[1], step[2], metric), 0.0))


@part
def gauss_newton_step(
    moments: FloatArray, height: float, u: FloatArray, inverse_metric: FloatArray, free: bool, step: FloatArray
) -> None:
    """The step, in voxel steps, that solves the normal equations of the position, the height being eliminated if free.

    The derivative of a g along u is a g M (m - u): with C = sum g^2 (m - u)(m - u)' and q = sum (r - a g) g (m - u)
    the equations are a^2 M C M step = a M q.
    """
    gg = moments[4]
    first, q = np.empty(3), np.empty(3)
    for i in range(3):
        first[i] = moments[5 + i] - u[i] * gg
        q[i] = (moments[1 + i] - u[i] * moments[0]) - height * first[i]
    c = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            raw = moments[8 + i] if i == j else moments[10 + i + j]
            c[i, j] = raw - u[i] * moments[5 + j] - u[j] * moments[5 + i] + u[i] * u[j] * gg
            if free:
                c[i, j] -= first[i] * first[j] / gg
            c[i, j] += DAMPING * gg * inverse_metric[i, j]
    if free:
        pull = (moments[0] - height * gg) / gg
        for i in range(3):
            q[i] -= first[i] * pull
    solve(c, q)
    for i in range(3):
        step[i] = (inverse_metric[i, 0] * q[0] + inverse_metric[i, 1] * q[1] + inverse_metric[i, 2] * q[2]) / height


@part
def solve(c: FloatArray, q: FloatArray) -> None:
    """Replace q by c^-1 q, c being symmetric and positive definite; destroys c."""
    for i in range(3):
        for k in range(i):
            factor = c[i, k] / c[k, k]
            for j in range(k, 3):
                c[i, j] -= factor * c[k, j]
            q[i] -= factor * q[k]
    for i in range(2, -1, -1):
        for j in range(i + 1, 3):
            q[i] -= c[i, j] * q[j]
        q[i] /= c[i, i]


@part
def settle(
    residual: FloatArray,
    data: FloatArray,
    level: float,
    window: Window,
    inverse_metric: FloatArray,
    t: FloatArray,
    height: FloatArray,
    kept: Array,
    awake: Array,
    fixed: float,
    visits: IntArray,
) -> None:
    """Visit the atoms that are awake, over and over, until all rest; only those that are kept are there.

    `visits` holds how many there may still be, and is counted down.
    """
    before, apart, u, after = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    step, trial, moments = np.empty(3), np.empty(3), np.empty(N_MOMENTS)
    node, other = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    for sweep in range(MOST_SWEEPS):
        at_rest = True
        for i in range(t.shape[0]):
            if not (awake[i] and kept[i]):
                continue
            at_rest = False
            awake[i] = False
            visits[0] -= 1
            old = height[i]
            before[:] = t[i]
            nearest_node(t[i], node, u)
            take_moments(residual, data, level, 0.0, window, node, u, moments)
            for m in range(4):  # as if its Gaussian were back in the residual
                moments[m] += old * moments[4 + m]
            new = moments[0] / moments[4] if fixed == FREE else fixed
            if moments[4] > 0.0 and new > 0.0:
                gauss_newton_step(moments, new, u, inverse_metric, fixed == FREE, step)
                length = step_length(step, window.metric)
            else:
                length = np.inf
            if length + abs(new - old) < AT_REST:
                continue
            if length < NEAR and sweep < BOLD_SWEEPS:
                trial[:] = u + step
                t[i] += step
                height[i] = new
                nearest_node(t[i], other, after)
                if other[0] == node[0] and other[1] == node[1] and other[2] == node[2]:
                    replace_gaussian(residual, window, node, old, u, new, trial)
                else:
                    add_gaussian(residual, old, window, node, u)
                    add_gaussian(residual, -new, window, other, after)
                awake[i] = length > LAST_STEP
            else:
                add_gaussian(residual, old, window, node, u)
                height[i] = fit_atom(residual, data, level, window, inverse_metric, t[i], old, fixed, MOST_STEPS)
                add_atom(residual, -height[i], window, t[i])
            apart[:] = t[i] - before
            moved = step_length(apart, window.metric) + abs(height[i] - old)
            if moved > AT_REST:
                wake_neighbours(i, moved, t, awake, residual.shape, window.metric, inverse_metric)
        if at_rest:
            return
        if visits[0] <= 0:
            break
    awake[:] = False


@part
def wake_neighbours(
    i: int,
    moved: float,
    t: FloatArray,
    awake: Array,
    shape: tuple[int, int, int],
    metric: FloatArray,
    inverse_metric: FloatArray,
) -> None:
    """Wake every atom that atom i, having moved so far, pulls along by more than AT_REST."""
    vector = np.empty(3)
    # Gaussians overlap by exp(-d^2 / 4), and by up to d^2 / 2 times that in the derivatives along d.
    farthest = 4.0 * math.log(32.0 * moved / AT_REST)  # squared: beyond it that pull, d^2 / 2 < 32, is too weak
    for j in range(t.shape[0]):
        if j == i or awake[j] or not within_slabs(farthest, t, i, j, shape, inverse_metric):
            continue
        square = shortest_vector(t[i], t[j], shape, metric, inverse_metric, False, vector) ** 2
        if moved * max(1.0, 0.5 * square) * math.exp(-0.25 * square) > AT_REST:
            awake[j] = True
