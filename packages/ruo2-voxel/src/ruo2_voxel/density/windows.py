"""Numba kernels for one Gaussian at a time on a periodic grid: its window of voxels, its moments, adding it.

In voxel steps, with M the metric of one step in units of sigma, m the offset of a voxel from the node that a window
is laid around and u the Gaussian's own offset from that node, in any cell,

    exp(-(m-u)' M (m-u) / 2) = exp(-u' M u / 2) * prod_i exp((M u)_i m_i) * exp(-m' M m / 2):

three short tables for each Gaussian, times a constant table that belongs to the cell. Float64 throughout: a residual
is what remains when large numbers have been taken from each other many times. Nothing is checked here.

Rows along z are passed over in runs that do not cross the border of the cell, so that lanes of neighbouring voxels are
computed at once: that pays best where voxels are narrowest along z. Numbers of voxels are unsigned, or every index
would be asked whether it counts from the end, and no lanes come of that.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ruo2_voxel.density.kernels import part
from ruo2_voxel.typing import FloatArray, IntArray

REACH = 3.5  # widths that a window reaches at least, wherever between nodes its Gaussian sits: exp(-u^2 / 2) = 0.002
SEEN = 2.2  # the same for what a fit looks at: beyond, a Gaussian tells next to nothing of where it stands
N_MOMENTS = 15  # see `take_moments`


class Window(NamedTuple):
    """The voxels around a node that a Gaussian near it is taken to reach, the same for all atoms of a cell."""

    metric: FloatArray  # (3, 3): products of the voxel steps, divided by sigma^2
    rows: IntArray  # (kx, ky, 2): first and last + 1 voxel of each row along z within reach
    constant: FloatArray  # (kx, ky, kz): exp(-m' M m / 2)
    seen: IntArray  # (kx, ky, 2): the part of them that a fit looks at
    offsets: FloatArray  # (kz,): of its voxels along z, from the middle
    factors: FloatArray  # (2, 3, longest side): scratch, the factors of one or two Gaussians along each axis
    voxels: IntArray  # (3, longest side): scratch, which voxels of the cell they fall on


@part
def half_diagonal(metric: FloatArray) -> float:
    """Farthest, in units of sigma, that a point can be from the node nearest to it in scaled coordinates."""
    longest = 0.0
    for sx, sy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        square = metric[0, 0] + metric[1, 1] + metric[2, 2]
        square += 2.0 * (sx * sy * metric[0, 1] + sx * metric[0, 2] + sy * metric[1, 2])
        longest = max(longest, square)
    return 0.5 * math.sqrt(longest)


@njit(nogil=True, cache=True)
def make_window(metric: FloatArray, inverse_metric: FloatArray) -> Window:
    """A window wide enough for a Gaussian up to half a voxel step off its middle along each axis."""
    reach, sight = REACH + half_diagonal(metric), SEEN + half_diagonal(metric)
    radius = np.empty(3, dtype=np.int64)
    for axis in range(3):
        radius[axis] = int(reach * math.sqrt(inverse_metric[axis, axis]))
    rx, ry, rz = radius
    rows = np.zeros((2 * rx + 1, 2 * ry + 1, 2), dtype=np.uintp)
    seen = np.zeros((2 * rx + 1, 2 * ry + 1, 2), dtype=np.uintp)
    constant = np.zeros((2 * rx + 1, 2 * ry + 1, 2 * rz + 1), dtype=np.float64)
    for i in range(2 * rx + 1):
        for j in range(2 * ry + 1):
            x, y = i - rx, j - ry
            flat = x * x * metric[0, 0] + y * y * metric[1, 1] + 2.0 * x * y * metric[0, 1]
            slant = 2.0 * (x * metric[0, 2] + y * metric[1, 2])
            for k in range(2 * rz + 1):
                z = k - rz
                square = flat + z * (slant + z * metric[2, 2])
                if square <= reach * reach:
                    if rows[i, j, 1] == 0:
                        rows[i, j, 0] = k
                    rows[i, j, 1] = k + 1
                    constant[i, j, k] = math.exp(-0.5 * square)
                if square <= sight * sight:
                    if seen[i, j, 1] == 0:
                        seen[i, j, 0] = k
                    seen[i, j, 1] = k + 1
    longest = 2 * radius.max() + 1
    offsets = np.arange(-rz, rz + 1).astype(np.float64)
    factors, voxels = np.empty((2, 3, longest)), np.empty((3, longest), dtype=np.uintp)
    return Window(metric, rows, constant, seen, offsets, factors, voxels)


@part
def lay_window(
    window: Window, shape: tuple[int, int, int], node: IntArray, u: FloatArray, height: float, factors: FloatArray
) -> None:
    """Fill the scratch tables for a Gaussian of that height at u from a node."""
    metric, voxels = window.metric, window.voxels
    square = 0.0
    for axis in range(3):
        slope = metric[axis, 0] * u[0] + metric[axis, 1] * u[1] + metric[axis, 2] * u[2]
        square += slope * u[axis]
        k = window.constant.shape[axis]
        ratio, factor = math.exp(slope), math.exp(-slope * (k // 2))
        voxel = (node[axis] - k // 2) % shape[axis]
        for m in range(k):
            factors[axis, m] = factor
            factor *= ratio
            voxels[axis, m] = voxel
            voxel = voxel + 1 if voxel + 1 < shape[axis] else 0
    own = height * math.exp(-0.5 * square)
    for m in range(window.constant.shape[0]):
        factors[0, m] *= own


@part
def add_gaussian(grid: FloatArray, height: float, window: Window, node: IntArray, u: FloatArray) -> None:
    """Add a Gaussian of that height, at u from a node, to a periodic grid."""
    rows, constants, factors, voxels = window.rows, window.constant, window.factors[0], window.voxels
    nz = np.uintp(grid.shape[2])
    lay_window(window, grid.shape, node, u, height, factors)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            begin, end = rows[i, j, 0], rows[i, j, 1]
            scale = factors[0, i] * factors[1, j]
            x, y = voxels[0, i], voxels[1, j]
            while begin < end:
                first = voxels[2, begin]
                n = min(end - begin, nz - first)
                for k in range(n):
                    grid[x, y, first + k] += scale * factors[2, begin + k] * constants[i, j, begin + k]
                begin += n


@part
def replace_gaussian(
    grid: FloatArray,
    window: Window,
    node: IntArray,
    old_height: float,
    old_u: FloatArray,
    new_height: float,
    new_u: FloatArray,
) -> None:
    """Add one Gaussian and take another away, both within the window of one node, in one pass."""
    rows, constants, voxels = window.rows, window.constant, window.voxels
    old, new = window.factors[0], window.factors[1]
    nz = np.uintp(grid.shape[2])
    lay_window(window, grid.shape, node, old_u, old_height, old)
    lay_window(window, grid.shape, node, new_u, -new_height, new)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            begin, end = rows[i, j, 0], rows[i, j, 1]
            of_old, of_new = old[0, i] * old[1, j], new[0, i] * new[1, j]
            x, y = voxels[0, i], voxels[1, j]
            while begin < end:
                first = voxels[2, begin]
                n = min(end - begin, nz - first)
                for k in range(n):
                    both = of_old * old[2, begin + k] + of_new * new[2, begin + k]
                    grid[x, y, first + k] += both * constants[i, j, begin + k]
                begin += n


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})  # sums in lanes
def take_moments(
    residual: FloatArray,
    data: FloatArray,
    level: float,
    height: float,
    window: Window,
    node: IntArray,
    u: FloatArray,
    moments: FloatArray,
) -> None:
    """Sums over what is seen of a window, g being the Gaussian of height 1 at u from a node, r the residual to explain.

    moments holds sum r g (1), sum r g m (3), sum g^2 (1), sum g^2 m (3), sum g^2 m m' (xx, yy, zz, xy, xz, yz) and
    sum r^2 (1), m being the offset of a voxel from the node. Voxels of `data` at or above `level` are saturated: they
    tell that the density is at least so much, hence those that a Gaussian of `height` fills are left out.
    """
    seen, constants, offsets = window.seen, window.constant, window.offsets
    factors, voxels = window.factors[0], window.voxels
    nz = np.uintp(residual.shape[2])
    lay_window(window, residual.shape, node, u, 1.0, factors)
    rx, ry = constants.shape[0] // 2, constants.shape[1] // 2
    moments[:] = 0.0
    for i in range(seen.shape[0]):
        x = float(i - rx)
        for j in range(seen.shape[1]):
            y, scale = float(j - ry), factors[0, i] * factors[1, j]
            rg, rgz, gg, ggz, ggzz, rr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            begin, end = seen[i, j, 0], seen[i, j, 1]
            vx, vy = voxels[0, i], voxels[1, j]
            while begin < end:
                first = voxels[2, begin]
                n = min(end - begin, nz - first)
                for k in range(n):
                    g = scale * factors[2, begin + k] * constants[i, j, begin + k]
                    r, gz = residual[vx, vy, first + k], g * offsets[begin + k]
                    if data[vx, vy, first + k] >= level and r < height * g:
                        continue
                    rg += r * g
                    rgz += r * gz
                    gg += g * g
                    ggz += g * gz
                    ggzz += gz * gz
                    rr += r * r
                begin += n
            moments[0] += rg
            moments[1] += rg * x
            moments[2] += rg * y
            moments[3] += rgz
            moments[4] += gg
            moments[5] += gg * x
            moments[6] += gg * y
            moments[7] += ggz
            moments[8] += gg * x * x
            moments[9] += gg * y * y
            moments[10] += ggzz
            moments[11] += gg * x * y
            moments[12] += ggz * x
            moments[13] += ggz * y
            moments[14] += rr
