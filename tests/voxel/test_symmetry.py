"""What is done to a density and its lattice lengths is what the structure itself would undergo."""

import re

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.density.symmetry import move_atoms, rotate_z, translate
from ruo2_voxel.density.voxelize import voxelize
from ruo2_voxel.errors import GridError
from tests.voxel.random_structures import LAW, structures_on_grids

CLOSE = {"rtol": 1e-6, "atol": 3e-6}  # two ways to the same float32 sum of a few Gaussians, each cut off for tol 1e-5
LENGTHS = np.array([3.0, 4.0, 5.0])

shifts = st.tuples(*[st.integers(-40, 40)] * 3)
turns = st.integers(-9, 9)


def random_density(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


def with_shape_of_turned(grid: Grid, quarter_turns: int) -> Grid:
    nx, ny, nz = grid.shape
    return Grid(grid.species, (ny, nx, nz) if quarter_turns % 2 else grid.shape, grid.sigma, grid.tol)


@pytest.mark.nojit
@LAW
@given(shifts)
def test_translated_voxels_stand_where_the_shift_says(shift: tuple[int, int, int]) -> None:
    density = random_density(2, 4, 3, 5)
    moved = translate(density, shift)
    for node in ((0, 0, 0), (3, 1, 4)):
        x, y, z = np.add(node, shift) % (4, 3, 5)
        np.testing.assert_array_equal(moved[:, x, y, z], density[:, *node])


@pytest.mark.nojit
@LAW
@given(shifts, shifts)
def test_translations_add_up(first: tuple[int, int, int], second: tuple[int, int, int]) -> None:
    density = random_density(2, 4, 3, 5)
    both = tuple(a + b for a, b in zip(first, second, strict=True))
    np.testing.assert_array_equal(translate(translate(density, first), second), translate(density, both))
    np.testing.assert_array_equal(translate(translate(density, first), np.negative(first)), density)


@pytest.mark.nojit
@LAW
@given(turns, turns)
def test_turns_add_up(first: int, second: int) -> None:
    density = random_density(2, 4, 3, 5)
    found, lengths = rotate_z(*rotate_z(density, LENGTHS, first), second)
    wanted, wanted_lengths = rotate_z(density, LENGTHS, first + second)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(lengths, wanted_lengths)


@pytest.mark.nojit
@pytest.mark.parametrize("quarter_turns", [0, 4, -4, 8])
def test_four_turns_are_none(quarter_turns: int) -> None:
    density = random_density(4, 3, 5)
    rotated, lengths = rotate_z(density, LENGTHS, quarter_turns)
    np.testing.assert_array_equal(rotated, density)
    np.testing.assert_array_equal(lengths, LENGTHS)


@pytest.mark.nojit
def test_one_turn_takes_x_to_y_and_y_to_minus_x() -> None:
    density = np.zeros((4, 3, 5), dtype=np.float32)
    density[1, 0, 2] = 1.0
    density[0, 1, 3] = 2.0
    rotated, lengths = rotate_z(density, LENGTHS, 1)
    assert rotated.shape == (3, 4, 5)
    assert rotated[0, 1, 2] == 1.0
    assert rotated[-1, 0, 3] == 2.0
    assert lengths.tolist() == [4.0, 3.0, 5.0]


@pytest.mark.nojit
@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_results_are_copies_in_c_order(quarter_turns: int) -> None:
    density, lengths = random_density(2, 4, 4, 5), LENGTHS.copy()
    rotated, swapped = rotate_z(density, lengths, quarter_turns)
    moved = translate(density, (0, 0, 0))
    for copy in (rotated, moved):
        assert not np.shares_memory(copy, density)
        assert copy.flags.c_contiguous
        assert copy.dtype == density.dtype
    swapped[:] = 0.0
    assert lengths.tolist() == LENGTHS.tolist()


@pytest.mark.nojit
def test_many_densities_turn_with_their_lengths() -> None:
    densities, lengths = random_density(6, 2, 4, 3, 5), 3.0 + np.arange(18.0).reshape(6, 3)
    rotated, swapped = rotate_z(densities, lengths, 3)
    for i in range(6):
        one, own = rotate_z(densities[i], lengths[i], 3)
        np.testing.assert_array_equal(rotated[i], one)
        np.testing.assert_array_equal(swapped[i], own)


@LAW
@given(structures_on_grids(perpendicular=True), turns)
def test_a_turned_structure_has_the_turned_density(case: tuple[Atoms, Grid], quarter_turns: int) -> None:
    atoms, grid = case
    atoms.cell = np.abs(np.array(atoms.cell))
    density, lengths = rotate_z(voxelize(atoms, grid), atoms.cell.lengths(), quarter_turns)
    for _ in range(quarter_turns % 4):
        x, y, z = atoms.positions.T
        atoms.positions = np.stack([-y, x, z], axis=1)
        atoms.cell = atoms.cell.lengths()[[1, 0, 2]]
    np.testing.assert_array_equal(lengths, atoms.cell.lengths())
    np.testing.assert_allclose(voxelize(atoms, with_shape_of_turned(grid, quarter_turns)), density, **CLOSE)


@LAW
@given(structures_on_grids(), shifts, turns)
def test_moved_atoms_have_the_moved_density(
    case: tuple[Atoms, Grid], shift: tuple[int, int, int], quarter_turns: int
) -> None:
    atoms, grid = case
    lengths = atoms.cell.lengths()
    wanted, wanted_lengths = rotate_z(translate(voxelize(atoms, grid), shift), lengths, quarter_turns)
    positions, cell = move_atoms(atoms.positions, np.array(atoms.cell), np.divide(shift, grid.shape), quarter_turns)
    moved = Atoms(atoms.symbols, positions=positions, cell=cell)
    np.testing.assert_allclose(moved.cell.lengths(), wanted_lengths, rtol=1e-14)
    np.testing.assert_allclose(voxelize(moved, with_shape_of_turned(grid, quarter_turns)), wanted, **CLOSE)


@pytest.mark.nojit
def test_moved_atoms_of_a_small_structure_have_the_moved_density() -> None:
    grid = Grid(species=("O",), shape=(4, 5, 6), sigma=1.0, tol=1e-5)
    for cell in (np.diag([4.0, 5.0, 6.0]), np.array([[4.0, 0.5, 0.0], [1.0, 5.0, 0.0], [0.0, 1.0, 6.0]])):
        atoms = Atoms("O2", positions=[[0.3, 1.2, 2.7], [2.0, 4.4, 5.1]], cell=cell)
        wanted, _ = rotate_z(translate(voxelize(atoms, grid), (1, -2, 3)), LENGTHS, 3)
        positions, moved_cell = move_atoms(atoms.positions, cell, np.array([1 / 4, -2 / 5, 3 / 6]), 3)
        moved = Atoms("O2", positions=positions, cell=moved_cell)
        np.testing.assert_allclose(voxelize(moved, with_shape_of_turned(grid, 3)), wanted, **CLOSE)


@pytest.mark.nojit
@LAW
@given(st.tuples(*[st.floats(-2.0, 2.0)] * 3), turns)
def test_moved_atoms_keep_their_distances_and_the_handedness_of_the_cell(
    shift: tuple[float, float, float], quarter_turns: int
) -> None:
    positions = np.random.default_rng(0).normal(size=(5, 3))
    cell = np.array([[4.0, 0.5, 0.0], [1.0, 5.0, 0.0], [0.0, 1.0, 6.0]])
    given_positions, given_cell = positions.copy(), cell.copy()
    moved, moved_cell = move_atoms(positions, cell, np.array(shift), quarter_turns)
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(moved[:, None] - moved, axis=-1), distances, rtol=0, atol=1e-13)
    assert np.linalg.det(moved_cell) == pytest.approx(np.linalg.det(cell), rel=1e-13)
    assert not np.signbit(moved_cell[moved_cell == 0.0]).any()
    np.testing.assert_array_equal(positions, given_positions)
    np.testing.assert_array_equal(cell, given_cell)


@pytest.mark.nojit
def test_atoms_turn_counter_clockwise_and_the_cell_stays_along_the_axes() -> None:
    moved, cell = move_atoms(np.array([[1.0, 2.0, 3.0]]), np.diag(LENGTHS), np.zeros(3), 1)
    assert moved.tolist() == [[-2.0, 1.0, 3.0]]
    assert cell.tolist() == np.diag([4.0, 3.0, 5.0]).tolist()


@pytest.mark.nojit
def test_four_turns_of_atoms_are_none() -> None:
    positions, cell = np.random.default_rng(0).normal(size=(5, 3)), np.array([[4.0, 0, 0], [1, 5, 0], [0, 1, 6]])
    moved, moved_cell = move_atoms(positions, cell, np.zeros(3), 4)
    np.testing.assert_array_equal(moved, positions)
    np.testing.assert_array_equal(moved_cell, cell)


@pytest.mark.nojit
@pytest.mark.parametrize("shift", [(0.5, 0, 0), (1.0, 2, 3), ("1", 0, 0), (None, 0, 0)])
def test_a_shift_of_part_of_a_voxel_is_refused(shift: tuple[object, ...]) -> None:
    message = f"a shift of a density must be whole voxels, got {shift!r}"
    with pytest.raises(GridError, match=f"^{re.escape(message)}"):
        translate(random_density(4, 3, 5), shift)


@pytest.mark.nojit
@pytest.mark.parametrize("shift", [(1, 2), (1, 2, 3, 4), ()])
def test_a_shift_has_three_numbers(shift: tuple[int, ...]) -> None:
    with pytest.raises(GridError, match=f"^a shift must give voxels along x, y and z, got {re.escape(repr(shift))}$"):
        translate(random_density(4, 3, 5), shift)


@pytest.mark.nojit
@pytest.mark.parametrize("shape", [(), (4,), (4, 3)])
def test_a_density_has_three_axes(shape: tuple[int, ...]) -> None:
    message = re.escape(f"a density must have the axes (..., x, y, z), got shape {shape}")
    with pytest.raises(GridError, match=f"^{message}$"):
        translate(np.zeros(shape), (0, 0, 0))
    with pytest.raises(GridError, match=f"^{message}$"):
        rotate_z(np.zeros(shape), LENGTHS, 1)


@pytest.mark.nojit
@pytest.mark.parametrize("lengths", [np.zeros(2), np.zeros((3, 4)), np.float64(3.0)], ids=["2", "3,4", "a number"])
def test_lattice_lengths_are_three(lengths: np.ndarray) -> None:
    message = re.escape(f"lattice_lengths must hold three lengths, got shape {lengths.shape}")
    with pytest.raises(GridError, match=f"^{message}$"):
        rotate_z(random_density(4, 3, 5), lengths, 1)
