"""The parts of decoding, each against plain NumPy and SciPy: windows, peaks, distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from ruo2_voxel.density import distances, peaks, pursuit, windows
from ruo2_voxel.density.grid import Grid
from tests.voxel.match import lattice_vectors, wrapped
from tests.voxel.oracle import sum_gaussians
from tests.voxel.random_structures import CELLS, LAW, PERPENDICULAR, SHEARED

pytestmark = pytest.mark.nojit

SHAPE = (6, 5, 9)
BOTH = pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["perpendicular", "sheared"]
)


@njit
def add_gaussian(grid, height, window, node, u):
    windows.add_gaussian(grid, height, window, node, u)


@njit
def replace_gaussian(grid, window, node, old_height, old_u, new_height, new_u):
    windows.replace_gaussian(grid, window, node, old_height, old_u, new_height, new_u)


@njit
def take_moments(residual, data, level, height, window, node, u, moments):
    windows.take_moments(residual, data, level, height, window, node, u, moments)


@njit
def find_peaks(grid, least, window):
    return peaks.find_peaks(grid, least, peaks.find_neighbours(window))


@njit
def refine_peak(grid, peak, inverse_metric, farthest, t):
    peaks.refine_peak(grid, peak, inverse_metric, farthest, t)


@njit
def shortest_vector(a, b, shape, metric, inverse_metric, itself, vector):
    return distances.shortest_vector(a, b, shape, metric, inverse_metric, itself, vector)


@njit
def within_slabs(square, t, i, j, shape, inverse_metric):
    return distances.within_slabs(square, t, i, j, shape, inverse_metric)


def geometry_of(
    cell: NDArray[np.float64], shape: tuple[int, int, int], sigma_in_voxels: float
) -> tuple[Grid, NDArray[np.float64], NDArray[np.float64]]:
    """A grid, the metric of its voxel steps in units of sigma, and the inverse of that."""
    grid = Grid(species=("O",), shape=shape, sigma=sigma_in_voxels * Grid(shape=shape).voxel_spacings(cell).max())
    steps = cell / np.array(shape)[:, None]
    metric = steps @ steps.T / grid.sigma**2
    return grid, metric, np.linalg.inv(metric)


@BOTH
@pytest.mark.parametrize("sigma_in_voxels", [0.4, 0.9])
def test_what_a_window_leaves_out_is_below_what_it_promises(cell: NDArray[np.float64], sigma_in_voxels: float) -> None:
    grid, metric, inverse = geometry_of(cell, SHAPE, sigma_in_voxels)
    window = windows.make_window(metric, inverse)
    for u in ([0.0, 0.0, 0.0], [0.5, -0.5, 0.5], [-0.2, 0.4, 0.1]):
        made = np.zeros(SHAPE)
        add_gaussian(made, 0.7, window, np.array([5, -1, 12]), np.array(u))
        place = (np.array([5, -1, 12]) + u) / SHAPE @ cell
        left = 0.7 * sum_gaussians(place[None], cell, SHAPE, grid.sigma) - made
        assert left.min() > -1e-9
        assert left.max() < 0.7 * 6 * np.exp(-0.5 * windows.REACH**2)


@BOTH
def test_moments_are_sums_over_the_window(cell: NDArray[np.float64]) -> None:
    _, metric, inverse = geometry_of(cell, (16, 14, 18), 0.5)
    window = windows.make_window(metric, inverse)
    assert max(window.constant.shape) <= 14  # every voxel once
    rng = np.random.default_rng(0)
    residual, data = rng.random((16, 14, 18)), rng.random((16, 14, 18))
    node, u, level, height = np.array([15, 1, 0]), np.array([0.3, -0.4, 0.1]), 0.8, 0.9
    moments = np.full(windows.N_MOMENTS, np.nan)
    take_moments(residual, data, level, height, window, node, u, moments)
    expected = np.zeros(windows.N_MOMENTS)
    in_sight = 0
    for index in np.argwhere(window.constant > 0.0):
        begin, end = window.seen[index[0], index[1]]
        if not begin <= index[2] < end:
            continue
        in_sight += 1
        m = index - np.array(window.constant.shape) // 2
        voxel = tuple((node + m) % (16, 14, 18))
        g, r = np.exp(-0.5 * (m - u) @ metric @ (m - u)), residual[voxel]
        if data[voxel] >= level and r < height * g:
            continue
        x, y, z = m
        products = [x * x, y * y, z * z, x * y, x * z, y * z]
        expected += [r * g, *(r * g * m), g * g, *(g * g * m), *(g * g * np.array(products)), r * r]
    np.testing.assert_allclose(moments, expected, rtol=1e-10, atol=1e-10)
    assert 0 < in_sight < np.count_nonzero(window.constant)


@BOTH
def test_a_fit_sees_all_that_is_near(cell: NDArray[np.float64]) -> None:
    _, metric, inverse = geometry_of(cell, (16, 14, 18), 0.5)
    window = windows.make_window(metric, inverse)
    middle = np.array(window.constant.shape) // 2
    steps = np.argwhere(np.ones_like(window.constant)) - middle
    for u in np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3)):
        near = np.einsum("ni,ij,nj->n", steps - u, metric, steps - u) <= windows.SEEN**2
        for x, y, z in steps[near] + middle:
            assert window.seen[x, y, 0] <= z < window.seen[x, y, 1]


@BOTH
def test_replacing_a_gaussian_adds_one_and_takes_another(cell: NDArray[np.float64]) -> None:
    _, metric, inverse = geometry_of(cell, SHAPE, 0.6)
    window = windows.make_window(metric, inverse)
    node, old, new = np.array([5, 0, 3]), np.array([0.3, -0.4, 0.1]), np.array([0.2, -0.3, 0.0])
    expected, made = np.zeros(SHAPE), np.zeros(SHAPE)
    add_gaussian(expected, 0.8, window, node, old)
    add_gaussian(expected, -0.9, window, node, new)
    replace_gaussian(made, window, node, 0.8, old, 0.9, new)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-12)


@LAW
@given(st.integers(0, 10**6))
def test_peaks_of_a_cubic_grid_are_those_of_a_maximum_filter(seed: int) -> None:
    grid = np.random.default_rng(seed).random((5, 6, 7))
    _, metric, inverse = geometry_of(np.diag([5.0, 6.0, 7.0]), grid.shape, 0.9)  # no farther than the 26 around
    found = find_peaks(grid, 0.3, windows.make_window(metric, inverse))
    expected = np.argwhere((grid == maximum_filter(grid, size=3, mode="wrap")) & (grid >= 0.3))
    assert sorted(found.tolist()) == expected.tolist()
    assert (np.diff(grid[tuple(found.T)]) <= 0.0).all()


def test_of_equal_neighbours_one_is_a_peak_and_a_flat_grid_has_none() -> None:
    _, metric, inverse = geometry_of(np.diag([5.0, 6.0, 7.0]), (5, 6, 7), 0.9)
    window = windows.make_window(metric, inverse)
    grid = np.zeros((5, 6, 7))
    assert len(find_peaks(grid, -1.0, window)) == 0
    grid[0, 2, 3] = grid[4, 2, 3] = grid[2, 5, 0] = 1.0
    assert find_peaks(grid, 0.5, window).tolist() == [[0, 2, 3], [2, 5, 0]]


@pytest.mark.parametrize("cell", (PERPENDICULAR | SHEARED).values(), ids=[*PERPENDICULAR, *SHEARED])
def test_a_peak_of_one_gaussian_tells_its_place(cell: NDArray[np.float64]) -> None:
    shape = (9, 10, 11)
    grid, metric, inverse = geometry_of(cell, shape, 0.8)
    grid = Grid(
        species=("O",),
        shape=shape,
        sigma=min(
            grid.sigma,
            np.linalg.norm(lattice_vectors(cell), axis=1)[np.linalg.norm(lattice_vectors(cell), axis=1) > 0].min() / 6,
        ),
    )
    steps = cell / np.array(shape)[:, None]
    metric = steps @ steps.T / grid.sigma**2
    inverse = np.linalg.inv(metric)
    place = np.array([8.7, 0.2, 5.4])
    density = sum_gaussians((place / shape @ cell)[None], cell, shape, grid.sigma)
    (peak,) = find_peaks(density, 0.2, windows.make_window(metric, inverse))[:1]
    t = np.zeros(3)
    refine_peak(density, peak, inverse, 10.0, t)
    away = wrapped((t - place) / shape @ cell, cell)
    assert np.linalg.norm(away) < 0.15 * grid.sigma


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_nearest_image_is_the_nearest(cell: NDArray[np.float64]) -> None:
    rng, shape = np.random.default_rng(0), (7, 5, 12)
    steps = cell / np.array(shape)[:, None]
    metric = steps @ steps.T
    images = lattice_vectors(cell)
    for _ in range(20):
        a, b = rng.random((2, 3)) * shape
        vector = np.zeros(3)
        distance = shortest_vector(a, b, shape, metric, np.linalg.inv(metric), False, vector)
        expected = np.linalg.norm(wrapped((b - a) @ steps, cell) + images, axis=1).min()
        assert distance == pytest.approx(expected, rel=1e-12)
        assert np.linalg.norm(vector @ steps) == pytest.approx(expected, rel=1e-12)
    own = shortest_vector(a, a, shape, metric, np.linalg.inv(metric), True, vector)
    lengths = np.linalg.norm(images, axis=1)
    assert own == pytest.approx(lengths[lengths > 0.0].min(), rel=1e-9)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_slabs_let_every_near_pair_pass_and_stop_most_far_ones(cell: NDArray[np.float64]) -> None:
    shape = (7, 5, 12)
    steps = cell / np.array(shape)[:, None]
    metric, inverse = steps @ steps.T, np.linalg.inv(steps @ steps.T)
    t = np.random.default_rng(0).uniform(-1.0, 2.0, (20, 3)) * shape
    stopped = 0
    for i in range(20):
        for j in range(i):
            distance = shortest_vector(t[i], t[j], shape, metric, inverse, False, np.zeros(3))
            assert within_slabs(distance**2 * (1.0 + 1e-9), t, i, j, shape, inverse)
            stopped += not within_slabs(0.01 * distance**2, t, i, j, shape, inverse)
    assert stopped > 100  # of 190


def test_noise_is_measured_where_it_is_negative() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(scale=0.05, size=999), [5.0, 7.0]])
    negative = values[values < 0.0]
    assert pursuit.rms_below_zero(values) == pytest.approx(np.sqrt(np.mean(negative**2)), rel=1e-12)
    assert pursuit.rms_below_zero(values[-2:]) == 0.0
