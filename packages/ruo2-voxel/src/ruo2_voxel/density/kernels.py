"""Numba kernels that render atoms as Gaussians on a periodic grid. Arrays in, arrays out, nothing checked.

The atoms of a structure are put into a canonical order (so that the sums do not depend on the order in which they
came); then, channel by channel, each atom adds its window of voxels to a scratch grid that stays in cache, which is
copied out and cleared in one pass.

Two ways lead from an atom to its window. Where the cell vectors are perpendicular the Gaussian separates into three
short tables. In a general cell, with M the metric of one voxel step in units of sigma, m the integer offset from the
atom's nearest node and t the atom's own offset from that node,

    exp(-(m-t)' M (m-t) / 2) = exp(-t' M t / 2) * prod_i exp((M t)_i m_i) * exp(-m' M m / 2):

three tables again, times a constant one that belongs to the cell. Either way the innermost loop adds a weighted table
to rows along z, eight or sixteen lanes at aligned addresses. Where voxels are so coarse or slanted that the factors
would leave the range of float32, though their product does not, rows are computed one by one instead.

The scratch grid runs on past the end of the cell along y and z, and what lies there is folded back once per channel
instead of once per atom.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import njit

from ruo2_voxel.density.simd import LANES, add_product_rows, add_rows, aligned_zeros, exp2_lanes
from ruo2_voxel.typing import Array, FloatArray, IntArray

Function = TypeVar("Function", bound=Callable[..., Any])

ATOMS_PER_BLOCK = 32  # atoms whose tables are made together: enough to overlap their latencies, few enough for L1

_F = np.float32
_LOG2_E = math.log2(math.e)
_EXPONENT = -0.5 * _LOG2_E  # exp(-x / 2) = 2^(_EXPONENT x)
_ZERO = _F(0.0)
_ONE = _F(1.0)
_HALF = _F(0.5)
_FULL_SCALE = _F(255.0)
_STEP = _F(LANES)
_CLIPPED = _F(1.0001)  # the rounded peak of a lone atom is not counted as clipped


class Batch(NamedTuple):
    """Structures of any size, one behind the other. A voxel step along axis i is cell vector i divided by n_i."""

    positions: FloatArray  # (atoms, 3) float64, Å
    channel: IntArray  # (atoms,) int64
    offsets: IntArray  # (structures + 1,) int64: atoms offsets[s] to offsets[s + 1] belong to structure s
    inverse_cells: FloatArray  # (structures, 3, 3) float64, 1/Å
    metrics: FloatArray  # (structures, 3, 3) float64: products of the voxel steps, divided by sigma^2
    cutoffs: FloatArray  # (structures,) float64: where Gaussians are truncated, in units of sigma
    radii: FloatArray  # (structures, 3) float64: the cutoff in units of the spacing of voxel planes
    separable: Array  # (structures,) bool: the cell vectors are perpendicular
    factored: Array  # (structures,) bool: the factors of the general kernel stay within the range of float32


class Workspace(NamedTuple):
    """Scratch arrays of one thread; the scratch grid is zero between calls."""

    shape: tuple[int, int, int]
    scratch: FloatArray  # (nx, rows, row), aligned: room for the cell and for windows that begin at its last voxels
    table_x: FloatArray  # (ATOMS_PER_BLOCK, lanes): the one-dimensional factors of each atom
    table_y: FloatArray
    table_z: FloatArray
    first: (
        IntArray  # (ATOMS_PER_BLOCK, 4): first voxel of the window, along z moved left to an aligned one; by how much
    )
    vectors: IntArray  # (ATOMS_PER_BLOCK,): vectors that a row of the window takes
    constant: FloatArray  # (kx, ky, lanes): exp(-m' M m / 2), a row being LANES zeros, the window, zeros
    rows_y: IntArray  # (kx, 2): first and last + 1 row of each plane of the window that reaches into the cutoff
    bins: IntArray  # (n_species * nx * ny + 1,)


def make_workspace(shape: tuple[int, int, int], n_species: int, window: tuple[int, int, int]) -> Workspace:
    """Scratch arrays for windows of up to `window` voxels."""
    nx, ny, nz = shape
    kx, ky, kz = window
    rows, row = ny - 1 + ky, _round_up(nz - 1 + kz)
    lanes_z = _round_up(kz + LANES - 1)  # a window is moved right by up to seven lanes to an aligned beginning
    return Workspace(
        shape=shape,
        scratch=aligned_zeros(nx * rows * row).reshape(nx, rows, row),
        table_x=np.zeros((ATOMS_PER_BLOCK, _round_up(kx)), dtype=np.float32),
        table_y=np.zeros((ATOMS_PER_BLOCK, _round_up(ky)), dtype=np.float32),
        table_z=np.zeros((ATOMS_PER_BLOCK, lanes_z), dtype=np.float32),
        first=np.zeros((ATOMS_PER_BLOCK, 4), dtype=np.int64),
        vectors=np.zeros(ATOMS_PER_BLOCK, dtype=np.int64),
        constant=np.zeros((kx, ky, LANES + lanes_z), dtype=np.float32),
        rows_y=np.zeros((kx, 2), dtype=np.int64),
        bins=np.zeros(n_species * nx * ny + 1, dtype=np.int64),
    )


def window_of(radii: FloatArray) -> IntArray:
    """Voxels that the windows of cutoff `radii` (in voxel planes) take along each axis, in either kernel."""
    window: IntArray = 2 * np.floor(radii + 0.5).astype(np.int64) + 1
    return window


def _round_up(n: int) -> int:
    return -(-n // LANES) * LANES


def part(function: Function) -> Function:
    """Compile what compiled code alone calls: without wrappers for Python it takes a third less time to compile."""
    compile_part: Callable[[Function], Function] = njit(  # type: ignore[call-overload]
        nogil=True, cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )
    return compile_part(function)


@njit(nogil=True, cache=True)
def render(
    batch: Batch, begin: int, end: int, work: Workspace, exact: FloatArray, quantised: IntArray, clipped: IntArray
) -> None:
    """Densities of structures begin to end - 1 into one of two arrays (structures, species, nx, ny, nz).

    Into `exact`, float32, as they are; or, if that has no rows, into `quantised`, uint8, clipped to [0, 1] in steps of
    1/255, with the number of voxels clipped in each structure in `clipped`.
    """
    for s in range(begin, end):
        t, order, channel_begin = arrange(batch, s, work)
        prepare_window(batch, s, work)
        clipped[s] = 0
        for c in range(channel_begin.shape[0] - 1):
            accumulate(batch, s, t, order[channel_begin[c] : channel_begin[c + 1]], work)
            if exact.shape[0] > 0:
                copy_out(work, exact[s, c])
            else:
                clipped[s] += quantise_out(work, quantised[s, c])


@part
def arrange(batch: Batch, s: int, work: Workspace) -> tuple[FloatArray, IntArray, IntArray]:
    """Atoms of structure s in voxel steps, their canonical order, and where each channel begins in it."""
    nx, ny, _ = work.shape
    begin, end = batch.offsets[s], batch.offsets[s + 1]
    t = np.empty((end - begin, 3), dtype=np.float64)
    order = np.empty(end - begin, dtype=np.int64)
    wrap_to_voxels(batch.positions[begin:end], batch.inverse_cells[s], work.shape, t)
    order_atoms(t, batch.channel[begin:end], nx, ny, work.bins, order)
    return t, order, work.bins[:: nx * ny].copy()


@part
def wrap_to_voxels(positions: FloatArray, inverse_cell: FloatArray, shape: tuple[int, int, int], t: FloatArray) -> None:
    """Positions (Å) in voxel steps from the cell's corner, wrapped to [0, n)."""
    for a in range(positions.shape[0]):
        for axis in range(3):
            scaled = 0.0
            for k in range(3):
                scaled += positions[a, k] * inverse_cell[k, axis]
            value = (scaled - math.floor(scaled)) * shape[axis]
            t[a, axis] = value if value < shape[axis] else 0.0  # rounding may reach the far end, which is node 0


@part
def order_atoms(t: FloatArray, channel: IntArray, nx: int, ny: int, bins: IntArray, order: IntArray) -> None:
    """Order by channel, x and y voxel, then exact coordinates; afterwards bins[c * nx * ny] is where channel c begins.

    A counting sort over columns of voxels and an insertion sort within each, where few atoms meet. Neighbours in the
    order touch neighbouring memory.
    """
    bins[:] = 0
    for a in range(t.shape[0]):
        bins[(channel[a] * nx + int(t[a, 0])) * ny + int(t[a, 1]) + 1] += 1
    for b in range(1, bins.shape[0]):
        bins[b] += bins[b - 1]
    for a in range(t.shape[0]):
        b = (channel[a] * nx + int(t[a, 0])) * ny + int(t[a, 1])
        order[bins[b]] = a
        bins[b] += 1
    for b in range(bins.shape[0] - 1, 0, -1):  # each now holds where its column ends: shift back to where it begins
        bins[b] = bins[b - 1]
    bins[0] = 0
    for b in range(bins.shape[0] - 1):
        for i in range(bins[b] + 1, bins[b + 1]):
            a = order[i]
            j = i
            while j > bins[b] and precedes(t, a, order[j - 1]):
                order[j] = order[j - 1]
                j -= 1
            order[j] = a


@part
def precedes(t: FloatArray, a: int, b: int) -> bool:
    for axis in range(3):
        if t[a, axis] != t[b, axis]:
            return bool(t[a, axis] < t[b, axis])
    return False


@part
def accumulate(batch: Batch, s: int, t: FloatArray, atoms: IntArray, work: Workspace) -> None:
    """Add the Gaussians of `atoms`, of structure s, to the scratch grid."""
    metric, radius = batch.metrics[s], batch.radii[s]
    for b in range(0, atoms.shape[0], ATOMS_PER_BLOCK):
        block = atoms[b : b + ATOMS_PER_BLOCK]
        if batch.separable[s]:
            make_separable_tables(metric, radius, t, block, work)
            add_separable(block.shape[0], work, window_length(radius[0]))
        elif batch.factored[s]:
            make_general_tables(metric, radius, t, block, work)
            add_general(block.shape[0], work, window_length(radius[0]))
        else:
            add_row_by_row(metric, radius, t, block, work)


@part
def window_length(radius: float) -> int:
    """Voxels along one axis that may lie within `radius` of an atom less than half a voxel from the middle one."""
    return 2 * int(radius + 0.5) + 1


@part
def prepare_window(batch: Batch, s: int, work: Workspace) -> None:
    """What the windows of all atoms of structure s share."""
    select_rows(batch.metrics[s], batch.cutoffs[s], batch.radii[s], work)
    if not batch.separable[s] and batch.factored[s]:
        make_constant_table(batch.metrics[s], batch.radii[s], work)


@part
def select_rows(metric: FloatArray, cutoff: float, radius: FloatArray, work: Workspace) -> None:
    """Rows of each plane of a window that come within the cutoff of an atom less than half a voxel from its middle."""
    rx, ry = int(radius[0] + 0.5), int(radius[1] + 0.5)
    # How far, across z, such an atom can be from the middle: the far corner of half a voxel's shadow.
    xx = metric[0, 0] - metric[0, 2] ** 2 / metric[2, 2]
    yy = metric[1, 1] - metric[1, 2] ** 2 / metric[2, 2]
    xy = metric[0, 1] - metric[0, 2] * metric[1, 2] / metric[2, 2]
    reach = cutoff + 0.5 * math.sqrt(xx + yy + 2.0 * abs(xy))
    for i in range(2 * rx + 1):
        work.rows_y[i, 0] = 2 * ry + 1
        work.rows_y[i, 1] = 0
        for j in range(2 * ry + 1):
            mx, my = i - rx, j - ry
            if xx * mx * mx + yy * my * my + 2.0 * xy * mx * my <= reach * reach:
                work.rows_y[i, 0] = min(work.rows_y[i, 0], j)
                work.rows_y[i, 1] = j + 1


@part
def place_window(t: FloatArray, radius: FloatArray, i: int, work: Workspace) -> tuple[float, float, float]:
    """Set where the window of the block's i-th atom, at t, begins; returns the atom's offset from its middle."""
    x, y, z = math.floor(t[0] + 0.5), math.floor(t[1] + 0.5), math.floor(t[2] + 0.5)
    rz = int(radius[2] + 0.5)
    first_z = wrap(int(z) - rz, work.shape[2])
    shift = first_z & (LANES - 1)
    work.first[i, 0] = wrap(int(x) - int(radius[0] + 0.5), work.shape[0])
    work.first[i, 1] = wrap(int(y) - int(radius[1] + 0.5), work.shape[1])
    work.first[i, 2] = first_z - shift
    work.first[i, 3] = shift
    work.vectors[i] = (shift + 2 * rz + LANES) // LANES
    return t[0] - x, t[1] - y, t[2] - z


@part
def make_separable_tables(
    metric: FloatArray, radius: FloatArray, t: FloatArray, atoms: IntArray, work: Workspace
) -> None:
    """Three one-dimensional Gaussians for each atom, over its window."""
    cx, cy, cz = _F(_EXPONENT * metric[0, 0]), _F(_EXPONENT * metric[1, 1]), _F(_EXPONENT * metric[2, 2])
    rx, ry, rz = int(radius[0] + 0.5), int(radius[1] + 0.5), int(radius[2] + 0.5)
    lanes_x, lanes_y = 2 * rx + 1, 2 * ry + 1
    width_x, width_y, width_z = work.table_x.shape[1], work.table_y.shape[1], work.table_z.shape[1]
    for i in range(atoms.shape[0]):
        tx, ty, tz = place_window(t[atoms[i]], radius, i, work)
        x, y, z = _F(-rx - tx), _F(-ry - ty), _F(-rz - tz - work.first[i, 3])  # from the atom to the first lane
        for k in range(i * width_x, i * width_x + lanes_x, LANES):
            exp2_lanes(work.table_x, k, x, _ZERO, _ZERO, cx)
            x += _STEP
        for k in range(i * width_y, i * width_y + lanes_y, LANES):
            exp2_lanes(work.table_y, k, y, _ZERO, _ZERO, cy)
            y += _STEP
        for k in range(i * width_z, i * width_z + work.vectors[i] * LANES, LANES):
            exp2_lanes(work.table_z, k, z, _ZERO, _ZERO, cz)
            z += _STEP


@part
def add_separable(n_atoms: int, work: Workspace, kx: int) -> None:
    """Add each atom's window to the scratch grid: plane by plane, the rows of it that come within the cutoff."""
    nx = work.shape[0]
    rows, row = work.scratch.shape[1], work.scratch.shape[2]
    table, weights = work.table_z, work.table_y
    for a in range(n_atoms):
        v = 0
        while v < work.vectors[a]:
            wide = work.vectors[a] - v > 1
            x = work.first[a, 0]
            start = work.first[a, 1] * row + work.first[a, 2] + v * LANES
            z = a * table.shape[1] + v * LANES
            for i in range(kx):
                j = work.rows_y[i, 0]
                n = work.rows_y[i, 1] - j
                at = (x * rows + j) * row + start
                w = a * weights.shape[1] + j
                if wide:
                    add_rows(2, work.scratch, at, row, n, work.table_x[a, i], weights, w, table, z)
                else:
                    add_rows(1, work.scratch, at, row, n, work.table_x[a, i], weights, w, table, z)
                x = x + 1 if x + 1 < nx else 0
            v += 2


@part
def make_constant_table(metric: FloatArray, radius: FloatArray, work: Workspace) -> None:
    """exp(-m' M m / 2) over the window of a general cell."""
    rx, ry, rz = int(radius[0] + 0.5), int(radius[1] + 0.5), int(radius[2] + 0.5)
    width = work.constant.shape[2]
    curvature = _F(_EXPONENT * metric[2, 2])
    for i in range(2 * rx + 1):
        for j in range(2 * ry + 1):
            nearest, square = row_through(metric, float(i - rx), float(j - ry))
            begin = (i * work.constant.shape[1] + j) * width + LANES
            for k in range(0, 2 * rz + 1, LANES):
                exp2_lanes(work.constant, begin + k, _F(k - rz - nearest), _F(_EXPONENT * square), _ZERO, curvature)
            for k in range(LANES + 2 * rz + 1, width):
                work.constant[i, j, k] = _ZERO


@part
def row_through(metric: FloatArray, x: float, y: float) -> tuple[float, float]:
    """Where along z the row at (x, y), in voxel steps, comes nearest to the origin, and its squared distance there.

    Expanded about that point, an exponent along the row loses nothing by cancellation.
    """
    cross = x * metric[0, 2] + y * metric[1, 2]
    nearest = -cross / metric[2, 2]
    return nearest, x * x * metric[0, 0] + y * y * metric[1, 1] + 2.0 * x * y * metric[0, 1] + cross * nearest


@part
def make_general_tables(
    metric: FloatArray, radius: FloatArray, t: FloatArray, atoms: IntArray, work: Workspace
) -> None:
    """The factors exp((M t)_i m_i) of each atom over its window; the one along x carries exp(-t' M t / 2) as well."""
    rx, ry, rz = int(radius[0] + 0.5), int(radius[1] + 0.5), int(radius[2] + 0.5)
    lanes_x, lanes_y = 2 * rx + 1, 2 * ry + 1
    width_x, width_y, width_z = work.table_x.shape[1], work.table_y.shape[1], work.table_z.shape[1]
    for i in range(atoms.shape[0]):
        tx, ty, tz = place_window(t[atoms[i]], radius, i, work)
        gx = metric[0, 0] * tx + metric[0, 1] * ty + metric[0, 2] * tz
        gy = metric[1, 0] * tx + metric[1, 1] * ty + metric[1, 2] * tz
        gz = metric[2, 0] * tx + metric[2, 1] * ty + metric[2, 2] * tz
        own = _F(_EXPONENT * (gx * tx + gy * ty + gz * tz))
        lx, ly, lz = _F(_LOG2_E * gx), _F(_LOG2_E * gy), _F(_LOG2_E * gz)
        x, y, z = _F(-rx), _F(-ry), _F(-rz - work.first[i, 3])  # from the middle of the window to the first lane
        for k in range(i * width_x, i * width_x + lanes_x, LANES):
            exp2_lanes(work.table_x, k, x, own, lx, _ZERO)
            x += _STEP
        for k in range(i * width_y, i * width_y + lanes_y, LANES):
            exp2_lanes(work.table_y, k, y, _ZERO, ly, _ZERO)
            y += _STEP
        for k in range(i * width_z, i * width_z + work.vectors[i] * LANES, LANES):
            exp2_lanes(work.table_z, k, z, _ZERO, lz, _ZERO)
            z += _STEP


@part
def add_general(n_atoms: int, work: Workspace, kx: int) -> None:
    """As `add_separable`, with the constant table as a third factor of each row."""
    nx = work.shape[0]
    rows, row, width = work.scratch.shape[1], work.scratch.shape[2], work.constant.shape[2]
    table, weights, constant = work.table_z, work.table_y, work.constant
    for a in range(n_atoms):
        v = 0
        while v < work.vectors[a]:
            wide = work.vectors[a] - v > 1
            x = work.first[a, 0]
            start = work.first[a, 1] * row + work.first[a, 2] + v * LANES
            z = a * table.shape[1] + v * LANES
            lane = LANES - work.first[a, 3] + v * LANES
            for i in range(kx):
                j = work.rows_y[i, 0]
                n = work.rows_y[i, 1] - j
                at = (x * rows + j) * row + start
                w = a * weights.shape[1] + j
                c = (i * constant.shape[1] + j) * width + lane
                scale = work.table_x[a, i]
                if wide:
                    add_product_rows(2, work.scratch, at, row, n, scale, weights, w, table, z, constant, c, width)
                else:
                    add_product_rows(1, work.scratch, at, row, n, scale, weights, w, table, z, constant, c, width)
                x = x + 1 if x + 1 < nx else 0
            v += 2


@part
def add_row_by_row(metric: FloatArray, radius: FloatArray, t: FloatArray, atoms: IntArray, work: Workspace) -> None:
    """Add each atom's window with an exponential for every voxel: slower, and exact whatever the cell."""
    rx, ry, rz = int(radius[0] + 0.5), int(radius[1] + 0.5), int(radius[2] + 0.5)
    rows, row = work.scratch.shape[1], work.scratch.shape[2]
    curvature = _F(_EXPONENT * metric[2, 2])
    work.table_y[0, 0] = _ONE
    for a in atoms:
        tx, ty, tz = place_window(t[a], radius, 0, work)
        for i in range(2 * rx + 1):
            plane = wrap(work.first[0, 0] + i, work.shape[0]) * rows + work.first[0, 1]
            for j in range(work.rows_y[i, 0], work.rows_y[i, 1]):
                nearest, square = row_through(metric, i - rx - tx, j - ry - ty)
                z = _F(-rz - tz - work.first[0, 3] - nearest)
                at = (plane + j) * row + work.first[0, 2]
                for k in range(0, work.vectors[0] * LANES, LANES):
                    exp2_lanes(work.table_z, 0, z + _F(k), _F(_EXPONENT * square), _ZERO, curvature)
                    add_rows(1, work.scratch, at + k, row, 1, _ONE, work.table_y, 0, work.table_z, 0)


@part
def wrap(i: int, n: int) -> int:
    """i modulo n, for i above -n in most cases: then without a branch, let alone a division."""
    i += n * (i < 0)
    while i < 0:
        i += n
    while i >= n:
        i -= n
    return i


@part
def fold(work: Workspace) -> None:
    """Add what lies beyond the end of the cell to where it belongs in it."""
    nx, ny, nz = work.shape
    scratch = work.scratch
    rows, row = scratch.shape[1], scratch.shape[2]
    for x in range(nx):
        for y in range(ny, rows):
            for k in range(row):
                scratch[x, y % ny, k] += scratch[x, y, k]
    for begin in range(nz, row, nz):
        n = min(nz, row - begin)
        for x in range(nx):
            for y in range(ny):
                for k in range(n):
                    scratch[x, y, k] += scratch[x, y, begin + k]


@part
def copy_out(work: Workspace, out: FloatArray) -> None:
    """Copy the scratch grid to out (nx, ny, nz) and clear it."""
    fold(work)
    nx, ny, nz = work.shape
    for x in range(nx):
        for y in range(ny):
            for k in range(nz):
                out[x, y, k] = work.scratch[x, y, k]
    work.scratch[:] = _ZERO


@part
def quantise_out(work: Workspace, out: IntArray) -> int:
    """Clip the scratch grid to [0, 1], store it in steps of 1/255, clear it; returns how many voxels were clipped."""
    fold(work)
    nx, ny, nz = work.shape
    clipped = 0
    for x in range(nx):
        for y in range(ny):
            above = 0
            for k in range(nz):
                value = work.scratch[x, y, k]
                above += value > _CLIPPED
                out[x, y, k] = np.uint8(min(value, _ONE) * _FULL_SCALE + _HALF)
            clipped += above
    work.scratch[:] = _ZERO
    return clipped
