"""A grid holds only what can be, says what is wrong otherwise, and chooses its truncation from the error asked for."""

import math
import pickle
import re
import warnings

import numpy as np
import pytest
from ase.data import atomic_numbers

from ruo2_voxel.density.grid import COARSEST, DENSEST, ROUNDING, AliasingWarning, BlurWarning, Grid
from ruo2_voxel.errors import GridError, Ruo2Error

CUBE = np.diag([18.0, 18.0, 18.0])
SHEARED = np.array([[6.0, 0.0, 0.0], [2.0, 5.0, 0.0], [1.0, -1.5, 7.0]])


def test_a_grid_that_is_not_told_otherwise_is_that_of_ruthenium_oxide() -> None:
    assert Grid() == Grid(species=("Ru", "O"), shape=(32, 32, 32), sigma=0.45, tol=1e-4)


def test_what_a_grid_is_given_becomes_tuples_and_numbers() -> None:
    grid = Grid(species=["O", "*"], shape=16, sigma=np.float32(0.5), tol="1e-3")
    assert grid == Grid(species=("O", "*"), shape=(16, 16, 16), sigma=0.5, tol=1e-3)
    assert (grid.n_species, type(grid.sigma), type(grid.tol)) == (2, float, float)
    assert Grid(shape=np.array([8, 4, 2])).shape == (8, 4, 2)


def test_equal_grids_are_one_key_and_survive_a_pickle() -> None:
    grid = Grid(species=("O", "*"), shape=(20, 12, 33), sigma=0.7, tol=1e-5)
    table = grid.channel_of_number
    copy = pickle.loads(pickle.dumps(grid))
    assert len({grid, copy, Grid(species=("O", "*"), shape=(20, 12, 33), sigma=0.7, tol=1e-5)}) == 1
    np.testing.assert_array_equal(copy.channel_of_number, table)


@pytest.mark.parametrize(("alpha", "sigma"), [(2.5, 0.4472135955), (5.0, 0.3162277660)])
def test_alpha_is_the_factor_of_the_squared_distance(alpha: float, sigma: float) -> None:
    grid = Grid.from_alpha(alpha, species=("Ru",), shape=(8, 9, 10), tol=1e-3)
    assert grid.sigma == pytest.approx(sigma, rel=1e-9)
    assert grid.alpha == pytest.approx(alpha, rel=1e-15)
    assert (grid.species, grid.shape, grid.tol) == (("Ru",), (8, 9, 10), 1e-3)


def test_each_species_has_its_channel_and_the_others_the_catch_all() -> None:
    table = Grid(species=("O", "*", "Ru")).channel_of_number
    assert (table[atomic_numbers["O"]], table[atomic_numbers["Ru"]]) == (0, 2)
    assert np.count_nonzero(table == 1) == len(table) - 2
    table = Grid(species=("O", "Ru")).channel_of_number
    assert np.flatnonzero(table >= 0).tolist() == [atomic_numbers["O"], atomic_numbers["Ru"]]


@pytest.mark.parametrize("tol", [0.1, 1e-2, 1e-4, 1e-5])
@pytest.mark.parametrize("sigma", [0.2, 0.45, 1.0, 3.0])
@pytest.mark.parametrize("number_density", [0.0, 0.3, 5.0])
def test_what_a_cutoff_leaves_out_stays_below_tol(tol: float, sigma: float, number_density: float) -> None:
    grid = Grid(sigma=sigma, tol=tol)
    u = grid.cutoffs(np.array([number_density]))[0]
    atoms_per_volume = 2 * max(DENSEST, number_density) * sigma**3

    def left_out(u: float) -> float:
        beyond = math.sqrt(math.pi / 2) * math.erfc(u / math.sqrt(2)) + u * math.exp(-0.5 * u**2)  # int_u r^2 g dr
        return max(4 * math.exp(-0.5 * u**2), 4 * math.pi * atoms_per_volume * beyond)

    assert left_out(u) <= 1.001 * (tol - ROUNDING)
    assert left_out(0.9 * u) > tol  # and windows are no wider than that takes


def test_the_cutoff_of_a_grid_is_that_of_any_solid() -> None:
    grid = Grid(sigma=0.8)
    u = grid.cutoffs(np.array([0.0, 0.1, DENSEST, 2 * DENSEST]))
    assert grid.cutoff == pytest.approx(0.8 * u[0], rel=1e-15)
    assert u[0] == u[1] == u[2] < u[3]
    assert Grid(sigma=0.8, tol=1e-5).cutoff > grid.cutoff


def test_voxel_spacings_are_the_distances_of_voxel_planes() -> None:
    grid = Grid(shape=(10, 20, 30))
    a, b, c = SHEARED
    volume = abs(np.linalg.det(SHEARED))
    heights = [volume / np.linalg.norm(np.cross(*pair)) for pair in ((b, c), (c, a), (a, b))]
    np.testing.assert_allclose(grid.voxel_spacings(SHEARED), np.array(heights) / grid.shape, rtol=1e-12)
    many = grid.voxel_spacings(np.array([SHEARED, CUBE]))
    np.testing.assert_allclose(many[1], [1.8, 0.9, 0.6], rtol=1e-12)


@pytest.mark.parametrize("cell", [CUBE, SHEARED, np.diag([3.0, 30.0, 8.0])])
def test_aliasing_is_told_with_a_sigma_and_a_grid_that_would_do(cell: np.ndarray) -> None:
    grid = Grid(shape=(16, 12, 20), sigma=0.1)
    with pytest.warns(AliasingWarning, match="below 0.6: densities no longer count their atoms") as caught:
        grid.warn_if_aliased(cell, "RuO2")
    message = str(caught[0].message)
    axis = int(grid.voxel_spacings(cell).argmax())
    assert message.startswith("RuO2: sigma 0.1 Å is 0.")
    assert f"voxel along {'xyz'[axis]}," in message
    advice = re.search(r"Use sigma (\S+) Å or more, or a grid of (\d+),(\d+),(\d+)\.$", message)
    assert advice is not None
    shape = tuple(int(n) for n in advice.groups()[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Grid(shape=shape, sigma=0.1).warn_if_aliased(cell, "RuO2")
    assert float(advice[1]) == pytest.approx(COARSEST * grid.voxel_spacings(cell).max(), rel=0.05)


def test_sigma_of_six_tenths_of_a_voxel_is_enough() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Grid(shape=(18, 18, 18), sigma=0.6001).warn_if_aliased(CUBE, "here")
    with pytest.warns(AliasingWarning):
        Grid(shape=(18, 18, 18), sigma=0.5999).warn_if_aliased(CUBE, "here")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"species": "Ru"}, "species must be a sequence of element symbols such as ('Ru', 'O'), got 'Ru'"),
        ({"species": 8}, "species must be a sequence of element symbols such as ('Ru', 'O'), got 8"),
        ({"species": ()}, "species must name at least one element, got none"),
        ({"species": ("Ru", "Oxygen")}, "species must be element symbols, or * for all others; got 'Oxygen'"),
        ({"species": ("Ru", "X")}, "species must be element symbols, or * for all others; got 'X'"),
        ({"species": (44, 8)}, "species must be element symbols, or * for all others; got '44'"),
        ({"species": ("O", "Ru", "O")}, "species must differ from each other, got O twice in O,Ru,O"),
        ({"species": ("*", "*")}, "species must differ from each other, got * twice in *,*"),
        ({"shape": (32, 32)}, "shape must be whole numbers of voxels from 1 to 4096, one or three; got (32, 32)"),
        ({"shape": None}, "shape must be whole numbers of voxels from 1 to 4096, one or three; got None"),
        ({"shape": "abc"}, "shape must be whole numbers of voxels from 1 to 4096, one or three; got 'abc'"),
        (
            {"shape": (8, math.nan, 8)},
            "shape must be whole numbers of voxels from 1 to 4096, one or three; got (8, nan, 8)",
        ),
        ({"shape": (8, 0, 8)}, "shape must be whole numbers of voxels from 1 to 4096, got 8,0,8"),
        ({"shape": -1}, "shape must be whole numbers of voxels from 1 to 4096, got -1,-1,-1"),
        ({"shape": (8, 8, 4097)}, "shape must be whole numbers of voxels from 1 to 4096, got 8,8,4097"),
        ({"sigma": 0.0}, "sigma must be a positive number of Å, got 0.0"),
        ({"sigma": -0.4}, "sigma must be a positive number of Å, got -0.4"),
        ({"sigma": math.nan}, "sigma must be a positive number of Å, got nan"),
        ({"sigma": math.inf}, "sigma must be a positive number of Å, got inf"),
        ({"sigma": "wide"}, "sigma must be a positive number of Å, got 'wide'"),
        ({"sigma": None}, "sigma must be a positive number of Å, got None"),
        ({"tol": 0.0}, "tol must be a positive number, got 0.0"),
        ({"tol": 9e-6}, "tol must lie between 1e-05 (float32 allows no less) and 0.1, got 9e-06"),
        ({"tol": 0.2}, "tol must lie between 1e-05 (float32 allows no less) and 0.1, got 0.2"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_with_the_reason(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(GridError, match=f"^{re.escape(message)}$") as caught:
        Grid(**arguments)
    assert isinstance(caught.value, Ruo2Error)


def test_a_shape_that_is_not_whole_is_refused_as_it_was_given() -> None:
    with pytest.raises(GridError, match=r"^shape must be whole numbers of voxels .*32\.5"):
        Grid(shape=(32.5, 8, 8))
    with pytest.raises(GridError, match=r"^shape must be .*inf"):
        Grid(shape=(math.inf, 8, 8))


@pytest.mark.parametrize("alpha", [0.0, -2.5, math.nan, "sharp"])
def test_alpha_must_be_positive(alpha: float) -> None:
    with pytest.raises(GridError, match=rf"^alpha must be a positive number of Å\^-2, got {alpha!r}$"):
        Grid.from_alpha(alpha)


@pytest.mark.parametrize(("sigma", "warned"), [(0.45, False), (0.9, False), (0.91, True), (2.0, True)])
def test_gaussians_that_hide_neighbours_from_each_other_are_warned_of(sigma: float, warned: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Grid(sigma=sigma).warn_if_wide()
    assert [each.category for each in caught] == [BlurWarning] * warned
    assert all("above 0.9 Å" in str(each.message) for each in caught)
