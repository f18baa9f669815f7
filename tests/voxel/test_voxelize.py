"""A density is its defining sum, obeys that sum's laws to the bit where it can, and bad input is refused by name."""

import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import read
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel.density.grid import AliasingWarning, Grid
from ruo2_voxel.density.symmetry import translate
from ruo2_voxel.density.voxelize import make_batch, render, voxelize, voxelize_many
from ruo2_voxel.errors import GridError, StructureError
from tests.voxel.oracle import exact_density
from tests.voxel.random_structures import CELLS, LAW, PERPENDICULAR, SHEARED, rotation, structures_on_grids

TRAJECTORY = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
TOLERANCES = (1e-2, 1e-4, 1e-5)
FLOAT32 = 1e-6  # relative error of its sums: more than the smallest tol only where overlaps add up to more than ten
CLOSE = {"rtol": 1e-6, "atol": 3e-6}  # two ways to the same float32 sum of a few Gaussians, each cut off for tol 1e-5


def assert_within_tol(atoms: Atoms, grid: Grid) -> None:
    reference = exact_density(atoms, grid)
    for tol in TOLERANCES:
        (density,) = voxelize_many([atoms], replace(grid, tol=tol))
        assert (np.abs(density - reference) < np.maximum(tol, FLOAT32 * reference)).all()


def random_atoms(symbols: str, cell: NDArray[np.float64], seed: int = 0) -> Atoms:
    atoms = Atoms(symbols, cell=cell)
    atoms.positions = np.random.default_rng(seed).random((len(atoms), 3)) @ cell
    return atoms


def widest_spacing(cell: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    return float(Grid(shape=shape).voxel_spacings(cell).max())


@pytest.mark.parametrize("shape", [(16, 16, 16), (20, 12, 33)])
@pytest.mark.parametrize("sigma_in_voxels", [0.4, 1.2])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_density_is_the_sum_of_gaussians_over_all_images(
    cell: NDArray[np.float64], sigma_in_voxels: float, shape: tuple[int, int, int]
) -> None:
    grid = Grid(shape=shape, sigma=sigma_in_voxels * widest_spacing(cell, shape))
    assert_within_tol(random_atoms("Ru2O3", cell), grid)


@pytest.mark.parametrize("shape", [(10, 6, 9), (5, 7, 1), (1, 1, 1)])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_windows_may_be_wider_than_the_cell(cell: NDArray[np.float64], shape: tuple[int, int, int]) -> None:
    grid = Grid(shape=shape, sigma=0.25 * np.cbrt(abs(np.linalg.det(cell))))
    assert_within_tol(random_atoms("Ru2O3", cell), grid)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_one_voxel_for_a_whole_cell_still_holds_the_sum(cell: NDArray[np.float64]) -> None:
    assert_within_tol(random_atoms("Ru2O3", cell), Grid(shape=(1, 1, 1), sigma=0.4))


@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["orthorhombic", "triclinic"]
)
@pytest.mark.parametrize("sigma_in_voxels", [0.4, 1.2])
def test_atoms_may_sit_on_borders_on_nodes_and_between(cell: NDArray[np.float64], sigma_in_voxels: float) -> None:
    shape = (8, 5, 13)
    in_voxels = np.array(
        [
            [0.0, 0.0, 0.0],
            [8.0, 5.0, 13.0],
            [8.0, 2.0, 0.0],
            [7.0, 4.0, 12.0],
            [0.5, 0.5, 0.5],
            [3.5, 2.5, 6.5],
            [7.5, 4.5, 12.5],
            [-0.5, 1.5, 13.5],
            [-1e-17, 5.0 - 1e-15, 13.0 + 1e-14],
        ]
    )
    for place in in_voxels:
        atom = Atoms("O", positions=[place / shape @ cell], cell=cell)
        assert_within_tol(atom, Grid(species=("O",), shape=shape, sigma=sigma_in_voxels * widest_spacing(cell, shape)))


@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["orthorhombic", "triclinic"]
)
def test_atoms_far_outside_the_cell_count_like_their_images_inside(cell: NDArray[np.float64]) -> None:
    atoms = random_atoms("Ru2O3", cell)
    away = atoms.copy()
    away.positions += np.array([[1000, 0, -7], [-300, 5, 0], [0, 0, 40], [-1, -1, -1], [12345, 6, 7]]) @ cell
    grid = Grid(shape=(16, 12, 20), sigma=0.6)
    assert_within_tol(away, grid)
    np.testing.assert_allclose(*voxelize_many([atoms, away], replace(grid, tol=1e-5)), **CLOSE)


@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["orthorhombic", "triclinic"]
)
def test_three_atoms_on_one_spot_add_up(cell: NDArray[np.float64]) -> None:
    atoms = Atoms("O3", positions=[[1.1, 2.2, 3.3]] * 3, cell=cell)
    grid = Grid(species=("O",), shape=(16, 12, 20), sigma=0.5)
    assert_within_tol(atoms, grid)
    assert voxelize_many([atoms], grid).max() > 2.0


def test_a_dense_gas_stays_within_tol() -> None:
    assert_within_tol(random_atoms("Ru1000O1000", np.diag([18.0, 18.0, 18.0])), Grid(sigma=1.2 * 18.0 / 32))


@pytest.mark.parametrize("sigma_in_voxels", [0.2, 0.25, 0.3])
@pytest.mark.parametrize("cell", SHEARED.values(), ids=SHEARED)
def test_atoms_far_from_the_nodes_of_coarse_slanted_voxels_are_not_lost(
    cell: NDArray[np.float64], sigma_in_voxels: float
) -> None:
    shape = (8, 5, 13)
    grid = Grid(species=("O",), shape=shape, sigma=sigma_in_voxels * widest_spacing(cell, shape), tol=1e-5)
    places = [np.array(place) / shape @ cell for place in product((0.49, -0.49, 0.3), repeat=3)]
    structures = [Atoms("O", positions=[place], cell=cell) for place in places]
    for atom, density in zip(structures, voxelize_many(structures, grid), strict=True):
        assert np.abs(density - exact_density(atom, grid)).max() < grid.tol


@pytest.mark.nojit
def test_one_coarse_voxel_beside_fine_ones_holds_the_sum() -> None:
    cell = np.array([[4.0, 0.0, 0.0], [0.01, 4.0, 0.0], [0.01, 0.01, 20.0]])
    shape = (8, 40, 1)
    for along_z in (0.002, 0.01, 0.3):  # near the node the factor along z is flat inside its window, steep beyond it
        atom = Atoms("O", positions=[np.array([0.49, 0.49, along_z]) / shape @ cell], cell=cell)
        assert_within_tol(atom, Grid(species=("O",), shape=shape, sigma=0.17))


@pytest.mark.parametrize("shear", [0.0, 1.0])
def test_a_gas_denser_than_any_solid_stays_within_tol(shear: float) -> None:
    cell = np.array([[7.0, 0.0, 0.0], [shear, 7.0, 0.0], [0.0, shear, 7.0]])
    assert_within_tol(random_atoms("O400", cell), Grid(species=("O",), shape=(13, 12, 14), sigma=0.55))


def test_a_dense_gas_in_a_triclinic_cell_stays_within_tol() -> None:
    cell = 2.0 * SHEARED["triclinic"]
    gas = random_atoms("Ru250O250", cell)
    assert_within_tol(gas, Grid(shape=(20, 17, 24), sigma=1.2 * widest_spacing(cell, (20, 17, 24))))


@pytest.mark.parametrize("kind", ["smaller than a cutoff", "triclinic, smaller than a cutoff"])
def test_where_images_pile_up_the_error_is_one_part_in_a_million(kind: str) -> None:
    atoms, grid = random_atoms("Ru2O3", CELLS[kind]), Grid(shape=(6, 4, 5), sigma=1.7)
    assert_within_tol(atoms, grid)
    assert voxelize(atoms, grid).min() > 10.0


@pytest.mark.parametrize("grid", [Grid(), Grid.from_alpha(5.0, shape=(24, 24, 48)), Grid(sigma=0.8)], ids=str)
def test_real_structures_stay_within_tol(grid: Grid) -> None:
    for atoms in read(TRAJECTORY, "::300"):
        assert_within_tol(atoms, grid)


@pytest.mark.nojit
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_small_density_is_the_sum_of_gaussians_over_all_images(cell: NDArray[np.float64]) -> None:
    shape = (5, 4, 9)
    assert_within_tol(random_atoms("RuO2", cell), Grid(shape=shape, sigma=0.8 * widest_spacing(cell, shape)))


@pytest.mark.nojit
@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["orthorhombic", "triclinic"]
)
def test_the_oracle_is_a_fourier_series(cell: NDArray[np.float64]) -> None:
    atoms, grid = random_atoms("O3", cell), Grid(species=("O",), shape=(4, 3, 5), sigma=0.9)
    waves = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = 2 * np.pi * np.linalg.norm(waves @ np.linalg.inv(cell).T, axis=1)
    amplitudes = (2 * np.pi * grid.sigma**2) ** 1.5 / atoms.cell.volume * np.exp(-0.5 * (grid.sigma * lengths) ** 2)
    nodes = np.stack(np.meshgrid(*(np.arange(n) / n for n in grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    series = sum(np.cos(2 * np.pi * (nodes - s) @ waves.T) @ amplitudes for s in atoms.get_scaled_positions())
    np.testing.assert_allclose(exact_density(atoms, grid).ravel(), series, rtol=0, atol=1e-9)


@pytest.mark.nojit
def test_a_lone_atom_on_a_node_is_a_gaussian_of_height_one() -> None:
    grid = Grid(species=("Ru", "O"), shape=(9, 10, 11), sigma=0.7, tol=1e-5)
    density = voxelize(Atoms("O", positions=[[2.0, 3.0, 4.0]], cell=[9.0, 10.0, 11.0]), grid)
    assert (density.shape, density.dtype) == ((2, 9, 10, 11), np.float32)
    assert not density[0].any()
    assert density[1, 2, 3, 4] == density.max() == pytest.approx(1.0, abs=1e-6)
    assert density[1, 2, 4, 6] == pytest.approx(np.exp(-2.5 / 0.7**2), abs=1e-6)


@pytest.mark.nojit
def test_no_atoms_no_density() -> None:
    grid = Grid(shape=(4, 5, 6), sigma=1.0)
    assert not voxelize(Atoms(cell=[4.0, 5.0, 6.0]), grid).any()
    assert voxelize_many([], grid).shape == (0, 2, 4, 5, 6)
    empty, lone = Atoms(cell=[4.0, 5.0, 6.0]), Atoms("O", cell=[4.0, 5.0, 6.0])
    densities = voxelize_many([empty, lone, empty], grid)
    assert densities.any(axis=(1, 2, 3, 4)).tolist() == [False, True, False]


@LAW
@given(structures_on_grids())
def test_the_integral_counts_the_atoms(case: tuple[Atoms, Grid]) -> None:
    atoms, grid = case
    integrals = voxelize(atoms, grid).sum(axis=(1, 2, 3), dtype=np.float64) * atoms.cell.volume / np.prod(grid.shape)
    counts = [np.count_nonzero(atoms.symbols == symbol) for symbol in grid.species]
    np.testing.assert_allclose(integrals / (np.sqrt(2 * np.pi) * grid.sigma) ** 3, counts, rtol=1e-4)


@LAW
@given(structures_on_grids(), st.tuples(*[st.integers(-50, 50)] * 3))
def test_moving_the_atoms_by_whole_voxels_rolls_the_density(
    case: tuple[Atoms, Grid], shift: tuple[int, int, int]
) -> None:
    atoms, grid = case
    moved = atoms.copy()
    moved.positions += np.array(shift) / grid.shape @ np.array(atoms.cell)
    np.testing.assert_allclose(voxelize(moved, grid), translate(voxelize(atoms, grid), shift), **CLOSE)


@LAW
@given(structures_on_grids(), st.integers(0, 2**32 - 1))
def test_lattice_vectors_added_to_positions_change_nothing(case: tuple[Atoms, Grid], seed: int) -> None:
    atoms, grid = case
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).integers(-3, 4, (len(atoms), 3)) @ np.array(atoms.cell)
    np.testing.assert_allclose(voxelize(moved, grid), voxelize(atoms, grid), **CLOSE)


@LAW
@given(structures_on_grids(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_atoms_changes_not_one_bit(case: tuple[Atoms, Grid], seed: int) -> None:
    atoms, grid = case
    atoms.extend(atoms[:3])  # equal positions, too
    permutation = np.random.default_rng(seed).permutation(len(atoms))
    np.testing.assert_array_equal(voxelize(atoms[permutation], grid), voxelize(atoms, grid))


@LAW
@given(structures_on_grids(max_atoms=12), st.integers(0, 12))
def test_the_density_of_a_union_is_the_sum_of_densities(case: tuple[Atoms, Grid], n_first: int) -> None:
    atoms, grid = case
    first, second = voxelize_many([atoms[:n_first], atoms[n_first:]], grid)
    np.testing.assert_allclose(voxelize(atoms, grid), first + second, rtol=0, atol=grid.tol)


@LAW
@given(structures_on_grids(max_atoms=5), st.tuples(*[st.integers(1, 3)] * 3))
def test_a_repeated_cell_has_the_repeated_density(case: tuple[Atoms, Grid], repeats: tuple[int, int, int]) -> None:
    atoms, grid = case
    larger = replace(grid, shape=tuple(n * m for n, m in zip(grid.shape, repeats, strict=True)))
    np.testing.assert_allclose(
        voxelize(atoms.repeat(repeats), larger), np.tile(voxelize(atoms, grid), (1, *repeats)), **CLOSE
    )


@LAW
@given(structures_on_grids(), st.floats(0.0, 6.0), st.tuples(*[st.floats(0.1, 1.0)] * 3))
def test_a_structure_turned_in_space_keeps_its_density(
    case: tuple[Atoms, Grid], angle: float, axis: tuple[float, float, float]
) -> None:
    atoms, grid = case
    turn = rotation(angle, axis)
    turned = Atoms(atoms.symbols, positions=atoms.positions @ turn, cell=np.array(atoms.cell) @ turn)
    np.testing.assert_allclose(voxelize(turned, grid), voxelize(atoms, grid), **CLOSE)


@LAW
@given(structures_on_grids())
def test_the_order_of_species_is_that_of_the_channels(case: tuple[Atoms, Grid]) -> None:
    atoms, grid = case
    atoms.symbols[: len(atoms) // 3] = "H"
    density = voxelize(atoms, replace(grid, species=("Ru", "O", "H")))
    np.testing.assert_array_equal(voxelize(atoms, replace(grid, species=("H", "Ru", "O"))), density[[2, 0, 1]])


@LAW
@given(structures_on_grids())
def test_the_catch_all_holds_whatever_has_no_channel_of_its_own(case: tuple[Atoms, Grid]) -> None:
    atoms, grid = case
    atoms.symbols[: len(atoms) // 3] = "H"
    rest, oxygen = voxelize(atoms, replace(grid, species=("*", "O")))
    relabelled = atoms.copy()
    relabelled.numbers[atoms.numbers != atomic_numbers["O"]] = atomic_numbers["Ru"]
    np.testing.assert_array_equal(np.array([rest, oxygen]), voxelize(relabelled, replace(grid, species=("Ru", "O"))))


def mixed_structures() -> list[Atoms]:
    """Perpendicular and sheared, in turns, wide windows and narrow ones, one empty."""
    cells = [cell for pair in zip(PERPENDICULAR.values(), SHEARED.values(), strict=True) for cell in pair]
    cells += [4.0 * cell for cell in cells]
    return [random_atoms("Ru7O9", cell, seed) for seed, cell in enumerate(cells)] + [Atoms(cell=[4.0, 4.0, 4.0])]


MIXED_GRID = Grid(shape=(12, 10, 19), sigma=0.6)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_and_repeated_calls_change_not_one_bit(n_threads: int) -> None:
    structures = mixed_structures()
    alone = np.array([voxelize_many([atoms], MIXED_GRID)[0] for atoms in structures])
    for _ in range(2):
        out = np.full_like(alone, np.nan)  # new memory may still hold the densities of before
        np.testing.assert_array_equal(voxelize_many(structures, MIXED_GRID, n_threads=n_threads, out=out), alone)


def test_flags_of_periodicity_do_not_matter() -> None:
    atoms = random_atoms("Ru2O3", SHEARED["triclinic"])
    periodic = atoms.copy()
    periodic.pbc = True
    np.testing.assert_array_equal(voxelize(periodic, Grid()), voxelize(atoms, Grid()))


def in_a_fresh_thread(atoms: Atoms, grid: Grid) -> NDArray[np.float32]:
    """Rendered where no scratch arrays are held yet."""
    results: list[NDArray[np.float32]] = []
    thread = threading.Thread(target=lambda: results.append(voxelize_many([atoms], grid)))
    thread.start()
    thread.join()
    return results[0][0]


def test_scratch_arrays_used_again_keep_nothing_of_what_went_before() -> None:
    narrow, wide = Grid(shape=(12, 10, 19), sigma=0.5, tol=1e-2), Grid(shape=(12, 10, 19), sigma=1.1, tol=1e-5)
    other_shape, one_species = replace(narrow, shape=(19, 10, 12)), Grid(species=("*",), shape=(12, 10, 19), sigma=0.4)
    triclinic = random_atoms("Ru7O9", SHEARED["triclinic, smaller than a cutoff"])
    slab, lone = random_atoms("Ru7O9", np.diag([6.3, 6.4, 20.9])), random_atoms("O", 2.0 * SHEARED["triclinic"])
    for atoms, grid in [
        (triclinic, wide),
        (lone, narrow),
        (slab, narrow),
        (triclinic, narrow),
        (lone, wide),
        (slab, other_shape),
        (triclinic, one_species),
        (lone, one_species),
        (slab, wide),
    ]:
        np.testing.assert_array_equal(voxelize_many([atoms], grid)[0], in_a_fresh_thread(atoms, grid))


@pytest.mark.nojit
def test_out_is_filled_and_returned() -> None:
    structures = [random_atoms("RuO2", cell) for cell in (PERPENDICULAR["orthorhombic"], SHEARED["triclinic"])]
    grid = Grid(shape=(4, 5, 6), sigma=1.2)
    out = np.full((2, 2, 4, 5, 6), np.nan, dtype=np.float32)
    assert voxelize_many(structures, grid, out=out) is out
    np.testing.assert_array_equal(out, voxelize_many(structures, grid))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 2, 4, 5, 6), dtype=np.float64),
        np.zeros((1, 2, 4, 5, 6), dtype=np.uint8),
        np.zeros((1, 2, 4, 5, 7), dtype=np.float32),
        np.zeros((2, 4, 5, 6), dtype=np.float32),
        np.zeros((1, 2, 6, 5, 4), dtype=np.float32).transpose(0, 1, 4, 3, 2),
        np.zeros((2, 2, 4, 5, 6), dtype=np.float32)[::2, :, :, :, ::-1],
        np.broadcast_to(np.float32(0), (1, 2, 4, 5, 6)),
    ],
    ids=["float64", "uint8", "another shape", "an axis too few", "Fortran order", "reversed", "broadcast"],
)
def test_another_out_is_refused(out: NDArray[np.generic]) -> None:
    grid = Grid(shape=(4, 5, 6), sigma=1.2)
    message = f"C-contiguous float32 of shape (1, 2, 4, 5, 6), got {out.dtype} of shape {out.shape}"
    with pytest.raises(GridError, match=f"^out must be .*{re.escape(message)}"):
        voxelize_many([random_atoms("RuO2", np.eye(3) * 4)], grid, out=out)


def test_an_out_that_cannot_be_written_is_refused() -> None:
    out = np.zeros((1, 2, 4, 5, 6), dtype=np.float32)
    out.flags.writeable = False
    with pytest.raises(GridError, match=r"^out must be .*writ"):
        voxelize_many([random_atoms("RuO2", np.eye(3) * 4)], Grid(shape=(4, 5, 6), sigma=1.2), out=out)


def render_bytes(
    structures: Sequence[Atoms], grid: Grid, n_threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = make_batch(
        positions=np.concatenate([atoms.positions for atoms in structures]),
        numbers=np.concatenate([atoms.numbers for atoms in structures]),
        counts=np.array([len(atoms) for atoms in structures]),
        cells=np.array([np.array(atoms.cell) for atoms in structures]),
        grid=grid,
        where=str,
    )
    out = np.full((len(structures), grid.n_species, *grid.shape), 99, dtype=np.uint8)
    clipped = np.full(len(structures), 99)
    render(batch, grid, n_threads, out, clipped)
    return out, clipped


@pytest.mark.parametrize("n_threads", [1, 2])
def test_bytes_are_the_rounded_density_and_clipped_voxels_are_counted(n_threads: int) -> None:
    structures = mixed_structures()
    density = voxelize_many(structures, MIXED_GRID)
    stored, clipped = render_bytes(structures, MIXED_GRID, n_threads)
    np.testing.assert_array_equal(stored, np.round(np.clip(density, 0, 1) * 255))
    np.testing.assert_array_equal(clipped, np.count_nonzero(density > 1.0001, axis=(1, 2, 3, 4)))
    assert (clipped > 0).sum() >= 5
    assert (clipped == 0).sum() >= 2


@pytest.mark.nojit
def test_bytes_of_a_small_grid_are_the_rounded_density() -> None:
    structures = [random_atoms("Ru3O4", cell / 2) for cell in (PERPENDICULAR["orthorhombic"], SHEARED["triclinic"])]
    grid = Grid(shape=(4, 3, 7), sigma=0.7)
    density = voxelize_many(structures, grid)
    stored, clipped = render_bytes(structures, grid, 1)
    np.testing.assert_array_equal(stored, np.round(np.clip(density, 0, 1) * 255))
    np.testing.assert_array_equal(clipped, np.count_nonzero(density > 1.0001, axis=(1, 2, 3, 4)))
    assert clipped.all()


def test_the_peak_of_an_atom_on_a_node_is_full_scale_and_not_clipped() -> None:
    stored, clipped = render_bytes([Atoms("O", cell=[4.0, 4.0, 4.0])], Grid(shape=(8, 8, 8)), 1)
    assert (stored.max(), clipped.tolist()) == (255, [0])


def good_and(bad: Atoms) -> list[Atoms]:
    good = random_atoms("RuO2", np.eye(3) * 4)
    return [good, Atoms(cell=[4.0, 4.0, 4.0]), bad, good]


@pytest.mark.parametrize("atom", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_position_that_is_not_finite_is_refused(value: float, atom: int) -> None:
    bad = Atoms("RuO2", positions=np.ones((3, 3)), cell=[4.0, 4.0, 4.0])
    bad.positions[atom, 1] = value
    message = f"structure 2: positions must be finite; found atom {atom} at [1.0, {value}, 1.0] Å. "
    with pytest.raises(StructureError, match=f"^{re.escape(message)}.*--on-error skip$"):
        voxelize_many(good_and(bad), Grid())


@pytest.mark.parametrize(
    "cell",
    [
        np.zeros((3, 3)),
        np.diag([4.0, 4.0, 0.0]),
        np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [4.0, 4.0, 0.0]]),
        np.diag([4.0, 4.0, np.inf]),
        np.diag([4.0, np.nan, 4.0]),
    ],
    ids=["none", "two vectors", "flat", "infinite", "not a number"],
)
def test_a_cell_without_volume_is_refused(cell: NDArray[np.float64]) -> None:
    message = f"structure 2: the cell must have a volume; found the vectors {cell.tolist()} Å. "
    with pytest.raises(StructureError, match=rf"^{re.escape(message)}.*atoms\.center\(vacuum=6\.0\)"):
        voxelize_many(good_and(Atoms("O", cell=cell)), Grid())


def test_a_species_without_a_channel_is_refused_with_the_way_out() -> None:
    bad = random_atoms("RuO2H", np.eye(3) * 4)
    message = "structure 2: species must be among Ru,O; found H. Add it with --species Ru,O,H (or * for all others)"
    with pytest.raises(StructureError, match=f"^{re.escape(message)}, or drop such frames with --on-error skip$"):
        voxelize_many(good_and(bad), Grid())
    assert voxelize_many(good_and(bad), Grid(species=("Ru", "O", "*"))).shape[0] == 4


def test_what_is_no_structure_is_refused() -> None:
    with pytest.raises(StructureError, match=r"^structure 1: must be ase\.Atoms, got str$"):
        voxelize_many([Atoms(cell=[4.0, 4.0, 4.0]), "POSCAR"], Grid())


def test_the_first_bad_structure_is_the_one_named() -> None:
    flat, hydrogen = Atoms("O", cell=[4.0, 4.0, 0.0]), Atoms("H", cell=[4.0, 4.0, 4.0])
    lost = Atoms("O", positions=[[np.nan] * 3], cell=[4.0, 4.0, 4.0])
    for structures in ([flat, hydrogen, lost], [hydrogen, lost, flat], [lost, flat, hydrogen]):
        with pytest.raises(StructureError, match=r"^structure 0: "):
            voxelize_many(structures, Grid())


def test_refusing_a_structure_leaves_nothing_behind() -> None:
    atoms, bad = random_atoms("RuO2", np.eye(3) * 4), Atoms("H", cell=[4.0, 4.0, 4.0])
    before, out = voxelize(atoms, Grid()), np.full((2, 2, 32, 32, 32), 7.0, dtype=np.float32)
    with pytest.raises(StructureError):
        voxelize_many([atoms, bad], Grid(), out=out)
    assert (out == 7.0).all()
    np.testing.assert_array_equal(voxelize(atoms, Grid()), before)


def test_narrow_gaussians_are_rendered_with_a_warning() -> None:
    atoms = Atoms("RuO2", cell=[18.0, 18.0, 18.0])
    with pytest.warns(AliasingWarning, match=r"^structure: sigma 0\.3 Å is 0\.53 voxel along x, below 0\.6") as caught:
        density = voxelize(atoms, Grid(sigma=0.3))
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(density, voxelize_many([atoms], Grid(sigma=0.3))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        voxelize(atoms, Grid(sigma=0.34))
