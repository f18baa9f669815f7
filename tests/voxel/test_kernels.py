"""The parts of the kernels: atoms in order, windows wide enough, both ways to a window the same, scratch left clean."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from ruo2_voxel.density import kernels, simd
from ruo2_voxel.density.grid import Grid
from ruo2_voxel.density.voxelize import make_batch, render
from tests.voxel.random_structures import CELLS, LAW, PERPENDICULAR

pytestmark = pytest.mark.nojit


@njit
def wrap_to_voxels(positions, inverse_cell, shape, t):
    kernels.wrap_to_voxels(positions, inverse_cell, shape, t)


@njit
def order_atoms(t, channel, nx, ny, bins, order):
    kernels.order_atoms(t, channel, nx, ny, bins, order)


@njit
def select_rows(metric, cutoff, radius, work):
    kernels.select_rows(metric, cutoff, radius, work)


@njit
def copy_out(work, out):
    kernels.copy_out(work, out)


@njit
def quantise_out(work, out):
    return kernels.quantise_out(work, out)


def batch_of(scaled: NDArray[np.float64], cell: NDArray[np.float64], grid: Grid) -> kernels.Batch:
    """One structure of oxygen atoms."""
    return make_batch(scaled @ cell, np.full(len(scaled), 8), np.array([len(scaled)]), cell[None], grid, where=str)


def rendered(batch: kernels.Batch, grid: Grid) -> NDArray[np.float32]:
    out = np.full((1, grid.n_species, *grid.shape), np.nan, dtype=np.float32)
    render(batch, grid, 1, out)
    return out


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_wrapped_atoms_lie_on_the_grid(cell: NDArray[np.float64]) -> None:
    shape = (7, 5, 12)
    scaled = np.random.default_rng(0).uniform(-3.0, 3.0, (20, 3))
    t = np.full_like(scaled, np.nan)
    wrap_to_voxels(scaled @ cell, np.linalg.inv(cell), shape, t)
    assert ((t >= 0.0) & (t < shape)).all()
    turns = (scaled * shape - t) / shape
    np.testing.assert_allclose(turns, np.round(turns), rtol=0, atol=1e-13)


def test_what_rounding_would_put_beyond_the_last_voxel_is_on_the_first() -> None:
    scaled = np.array([[-1e-17, -1e-300, 1.0], [-0.0, 0.0, -1.0], [1 - 1e-16, 1 + 1e-17, 2.0]])
    t = np.full((3, 3), np.nan)
    wrap_to_voxels(scaled, np.eye(3), (7, 3, 4096), t)
    assert ((t >= 0.0) & (t < (7, 3, 4096))).all()
    assert t[0].tolist() == t[1].tolist() == [0.0, 0.0, 0.0]


@LAW
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_atoms_are_ordered_by_channel_column_and_place(seed: int, n_atoms: int) -> None:
    rng, (nx, ny, n_species) = np.random.default_rng(seed), (3, 2, 3)
    t = rng.integers(0, 4, (n_atoms, 3)) / 4 + rng.integers(0, (nx, ny, 9), (n_atoms, 3))  # few places: many meet
    channel = rng.integers(0, n_species, n_atoms)
    bins, order = np.full(n_species * nx * ny + 1, 99), np.full(n_atoms, -1)
    order_atoms(t, channel, nx, ny, bins, order)
    column = t[:, :2].astype(int)
    wanted = np.lexsort((t[:, 2], t[:, 1], t[:, 0], column[:, 1], column[:, 0], channel))
    assert sorted(order.tolist()) == list(range(n_atoms))
    np.testing.assert_array_equal(t[order], t[wanted])
    np.testing.assert_array_equal(channel[order], channel[wanted])
    starts = bins[:: nx * ny]
    np.testing.assert_array_equal(starts, np.searchsorted(channel[order], np.arange(n_species + 1)))


def test_no_voxel_within_the_radius_lies_outside_the_window() -> None:
    radii = np.linspace(0.0, 30.0, 1201)
    lengths = kernels.window_of(radii)
    assert (lengths % 2 == 1).all()
    assert ((lengths + 1) // 2 - 0.5 >= radii).all()  # the next voxel, from an atom half a voxel off the middle
    assert (lengths <= 2 * radii + 2).all()


def test_windows_grow_with_the_most_crowded_species() -> None:
    grid = Grid(species=("Ru", "O"), shape=(8, 8, 8))
    counts, numbers = np.array([3, 90, 60]), np.array([44, 8, 8] + [44] * 80 + [8] * 10 + [8] * 60)
    cells = np.array([np.eye(3) * 5.0, np.eye(3) * 5.0, np.diag([5.0, 5.0, -3.0])])
    batch = make_batch(np.zeros((153, 3)), numbers, counts, cells, grid, where=str)
    np.testing.assert_allclose(batch.cutoffs, grid.cutoffs(np.array([2 / 125, 80 / 125, 60 / 75])), rtol=1e-14)
    assert batch.cutoffs[0] < batch.cutoffs[1] < batch.cutoffs[2]
    np.testing.assert_allclose(batch.radii, batch.cutoffs[:, None] * grid.sigma / grid.voxel_spacings(cells))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_no_row_within_the_cutoff_is_left_out(cell: NDArray[np.float64]) -> None:
    grid = Grid(species=("O",), shape=(9, 7, 8))
    grid = Grid(species=("O",), shape=(9, 7, 8), sigma=0.9 * grid.voxel_spacings(cell).max(), tol=1e-2)
    batch = batch_of(np.zeros((1, 3)), cell, grid)
    kx, ky, kz = (int(k) for k in kernels.window_of(batch.radii[0]))
    work = kernels.make_workspace(grid.shape, 1, (kx + 2, ky + 2, kz))  # those of a wider window serve as well
    work.rows_y[:] = 99
    select_rows(batch.metrics[0], batch.cutoffs[0], batch.radii[0], work)
    voxel = cell / np.array(grid.shape)[:, None] / grid.sigma
    across = np.eye(3) - np.outer(voxel[2], voxel[2]) / (voxel[2] @ voxel[2])  # a row, seen along itself, is a point
    offsets = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 2))
    kept = 0
    for i in range(kx):
        for j in range(ky):
            distances = np.linalg.norm((np.array([i - kx // 2, j - ky // 2]) - offsets) @ voxel[:2] @ across, axis=1)
            inside = work.rows_y[i, 0] <= j < work.rows_y[i, 1]
            assert inside or distances.min() > batch.cutoffs[0]
            kept += inside
    assert 0 < kept <= kx * ky


def test_some_rows_are_left_out() -> None:
    grid = Grid(species=("O",), shape=(10, 10, 10), sigma=0.7)
    batch = batch_of(np.zeros((1, 3)), np.eye(3) * 5.0, grid)
    kx, ky, kz = (int(k) for k in kernels.window_of(batch.radii[0]))
    work = kernels.make_workspace(grid.shape, 1, (kx, ky, kz))
    select_rows(batch.metrics[0], batch.cutoffs[0], batch.radii[0], work)
    kept = (work.rows_y[:, 1] - work.rows_y[:, 0]).clip(0).sum()
    assert kept < 0.95 * kx * ky
    assert kept > 0.5 * math.pi / 4 * kx * ky


@pytest.mark.parametrize("shape", [(3, 4, 16), (1, 1, 1), (2, 3, 5), (4, 1, 9)])
@pytest.mark.parametrize("window", [(3, 3, 1), (5, 7, 9), (1, 1, 31)])
def test_a_workspace_is_aligned_and_has_room_for_every_window(
    shape: tuple[int, int, int], window: tuple[int, int, int]
) -> None:
    work = kernels.make_workspace(shape, 2, window)
    assert work.scratch.ctypes.data % simd.ALIGNMENT == 0
    _, rows, row = work.scratch.shape
    assert work.scratch.shape[0] == shape[0]
    assert row % simd.LANES == 0
    assert shape[1] - 1 + window[1] <= rows
    for first in range(shape[2]):
        shift = first % simd.LANES
        vectors = -(-(shift + window[2]) // simd.LANES)
        assert first - shift + vectors * simd.LANES <= row
        assert vectors * simd.LANES <= work.table_z.shape[1]
        assert simd.LANES - shift + vectors * simd.LANES <= work.constant.shape[2]


@pytest.mark.parametrize(
    ("shape", "window"), [((2, 3, 5), (1, 1, 14)), ((2, 2, 1), (1, 8, 3)), ((1, 2, 16), (3, 3, 1))]
)
def test_what_runs_past_the_end_of_the_cell_is_folded_back_and_the_scratch_cleared(
    shape: tuple[int, int, int], window: tuple[int, int, int]
) -> None:
    work = kernels.make_workspace(shape, 1, window)
    scratch = np.random.default_rng(0).random(work.scratch.shape).astype(np.float32)
    wanted = np.zeros(shape)
    for y in range(scratch.shape[1]):
        for z in range(scratch.shape[2]):
            wanted[:, y % shape[1], z % shape[2]] += scratch[:, y, z]
    out = np.full(shape, np.nan, dtype=np.float32)
    work.scratch[:] = scratch
    copy_out(work, out)
    np.testing.assert_allclose(out, wanted, rtol=1e-6)
    assert not work.scratch.any()
    stored = np.full(shape, 99, dtype=np.uint8)
    work.scratch[:] = scratch / 3
    clipped = quantise_out(work, stored)
    np.testing.assert_allclose(stored, 255 * np.clip(wanted / 3, 0, 1), atol=0.5001)
    assert clipped == np.count_nonzero(wanted / 3 > 1.0001)
    assert not work.scratch.any()


@pytest.mark.parametrize("sigma", [0.25, 0.7])
@pytest.mark.parametrize("cell", PERPENDICULAR.values(), ids=PERPENDICULAR)
def test_perpendicular_cells_may_go_either_way(cell: NDArray[np.float64], sigma: float) -> None:
    grid = Grid(species=("O",), shape=(7, 8, 9), sigma=sigma, tol=1e-5)
    batch = batch_of(np.random.default_rng(0).random((4, 3)), cell, grid)
    assert batch.separable.all()
    general = batch._replace(separable=np.array([False]))
    np.testing.assert_allclose(rendered(general, grid), rendered(batch, grid), rtol=1e-6, atol=3e-6)


@pytest.mark.parametrize(("cosine", "separable"), [(0.0, True), (1e-13, True), (1e-8, False), (-0.3, False)])
@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_only_perpendicular_vectors_go_the_short_way(cosine: float, separable: bool, axes: tuple[int, int]) -> None:
    cell = np.diag([3.0, 4.0, 5.0])
    cell[axes[1]] += cosine * cell[axes[1], axes[1]] / cell[axes[0], axes[0]] * cell[axes[0]]
    batch = batch_of(np.zeros((1, 3)), cell, Grid(species=("O",), shape=(4, 9, 16)))
    assert batch.separable.tolist() == [separable]


def test_more_atoms_than_a_block_holds_are_all_rendered() -> None:
    n_atoms = 2 * kernels.ATOMS_PER_BLOCK + 1
    grid = Grid(species=("O",), shape=(3, 4, 5), sigma=0.8)
    scaled = np.random.default_rng(0).random((n_atoms, 3))
    for cell in (np.diag([3.0, 4.0, 5.0]), np.array([[3.0, 0.0, 0.0], [1.0, 4.0, 0.0], [0.0, 1.0, 5.0]])):
        one_by_one = sum(rendered(batch_of(scaled[a : a + 1], cell, grid), grid) for a in range(n_atoms))
        np.testing.assert_allclose(rendered(batch_of(scaled, cell, grid), grid), one_by_one, rtol=2e-5, atol=grid.tol)
