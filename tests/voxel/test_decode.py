"""Decoding undoes voxelizing, keeps its symmetries, and says what it cannot tell."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ruo2_voxel.density.decode import Decoded, Merged, decode, decode_many
from ruo2_voxel.density.grid import AliasingWarning, Grid
from ruo2_voxel.density.symmetry import rotate_z, translate
from ruo2_voxel.density.voxelize import voxelize, voxelize_many
from ruo2_voxel.errors import GridError
from tests.voxel.match import apart, assert_same_atoms, lattice_vectors, match, wrapped
from tests.voxel.oracle import sum_gaussians
from tests.voxel.random_structures import CELLS, LAW, PERPENDICULAR, SHEARED

TRAJECTORY = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
LENGTHS = np.array([6.33, 6.39, 20.87])  # of RuO2(110), Å: voxels are three times as long along z as along x


def to_uint8(density: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(np.clip(density, 0.0, 1.0) * 255).astype(np.uint8)


def with_noise(density: NDArray[np.float32], deviation: float, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(scale=deviation, size=density.shape)
    return (density + noise).astype(np.float32)


@pytest.fixture(scope="module")
def frames() -> list[Atoms]:
    """Real structures, those with the shortest distances among them."""
    structures = read(TRAJECTORY, ":")
    return structures[::60] + [
        atoms
        for atoms in structures[::3]
        if atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min() < 1.25
    ]


@pytest.mark.parametrize(
    ("made", "rms"),
    [
        (lambda density: density, 0.001),
        (lambda density: np.minimum(density, 1.0), 0.001),
        (to_uint8, 0.002),
        (lambda density: with_noise(density, 0.05), 0.03),
    ],
    ids=["float32", "clipped", "uint8", "noise of 5 %"],
)
def test_real_structures_come_back(frames: list[Atoms], made: object, rms: float) -> None:
    densities = made(voxelize_many(frames, Grid()))  # type: ignore[operator]
    decoded = decode_many(densities, [atoms.cell.array for atoms in frames], Grid(), n_threads=2)
    results = [match(found.atoms, atoms) for found, atoms in zip(decoded, frames, strict=True)]
    assert [result.missed + result.extra for result in results] == [0] * len(frames)
    assert np.sqrt(np.mean(np.concatenate([result.errors for result in results]) ** 2)) < rms


def grid_for(cell: NDArray[np.float64], shape: tuple[int, int, int], sigma_in_voxels: float) -> Grid:
    return Grid(shape=shape, sigma=sigma_in_voxels * Grid(shape=shape).voxel_spacings(cell).max())


@pytest.mark.parametrize("shape", [(16, 16, 16), (20, 12, 33)])
@pytest.mark.parametrize("sigma_in_voxels", [0.9, 1.2])
@pytest.mark.parametrize("cell", (CELLS | {"large": 2.5 * SHEARED["triclinic"]}).values(), ids=[*CELLS, "large"])
def test_atoms_come_back_in_every_cell(
    cell: NDArray[np.float64], sigma_in_voxels: float, shape: tuple[int, int, int]
) -> None:
    grid = grid_for(cell, shape, sigma_in_voxels)
    atoms = apart(12, cell, max(1.4, 3.0 * grid.sigma), seed=len(shape))
    assert len(atoms) >= 1
    assert_same_atoms(decode(voxelize(atoms, grid), cell, grid).atoms, atoms, within=0.02 * grid.sigma)


@pytest.mark.nojit
@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["perpendicular", "sheared"]
)
def test_a_small_structure_comes_back(cell: NDArray[np.float64]) -> None:
    grid = grid_for(cell, (8, 9, 10), 0.8)
    atoms = apart(3, cell, 2.0, seed=5)
    found = decode(to_uint8(voxelize(atoms, grid)), cell, grid)
    assert_same_atoms(found.atoms, atoms, within=0.01)
    assert found.counts == {symbol: int(np.count_nonzero(atoms.symbols == symbol)) for symbol in ("Ru", "O")}


@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["perpendicular", "sheared"]
)
@pytest.mark.parametrize("quantise", [False, True])
def test_atoms_on_nodes_between_them_and_on_the_border_come_back(cell: NDArray[np.float64], quantise: bool) -> None:
    shape = (12, 15, 13)
    grid = Grid(species=("O",), shape=shape, sigma=0.55)
    for place in [
        (0, 0, 0),
        (12, 15, 13),
        (5.5, 7.5, 6.5),
        (-0.5, 3, 12.5),
        (6, 7.5, 6.5),
        (11.5, 14.5, 12.5),
        (4, 5, 6),
    ]:
        atom = Atoms("O", positions=[np.array(place) / shape @ cell], cell=cell)
        density = voxelize(atom, grid)
        found = decode(to_uint8(density) if quantise else density, cell, grid)
        assert_same_atoms(found.atoms, atom, within=0.005)
        assert not found.merged
        scaled = found.atoms.get_scaled_positions(wrap=False)
        assert ((scaled > -1e-12) & (scaled < 1.0 - 1e-12)).all()


def test_atoms_on_all_high_symmetry_sites_at_once_come_back() -> None:
    halves = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    atoms = Atoms("O8", scaled_positions=halves, cell=[5.0, 5.0, 5.0])
    for side in (15, 16):
        grid = Grid(species=("O",), shape=side)
        assert_same_atoms(decode(voxelize(atoms, grid), [5.0] * 3, grid).atoms, atoms, within=1e-3)


def pair_along(direction: tuple[int, int, int], distance: float, symbols: str = "O2") -> Atoms:
    vector = np.array(direction) / np.linalg.norm(direction) * distance
    return Atoms(symbols, positions=[[6.2, 3.1, 20.6], np.array([6.2, 3.1, 20.6]) + vector], cell=LENGTHS)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 0, 1), (1, 1, 1)])
@pytest.mark.parametrize("distance", [0.85, 1.1, 1.3])
@pytest.mark.parametrize("quantise", [False, True])
def test_two_atoms_in_one_hill_are_told_apart(direction: tuple[int, int, int], distance: float, quantise: bool) -> None:
    atoms = pair_along(direction, distance)
    density = voxelize(atoms, Grid())
    found = decode(to_uint8(density) if quantise else density, LENGTHS, Grid())
    assert_same_atoms(found.atoms, atoms, within=0.005)
    assert found.shortest["O", "O"] == pytest.approx(distance, abs=0.005)
    assert [pair[:2] for pair in found.too_close] == [(0, 1)] * (distance < 0.92)
    assert found.plausible == (distance > 0.92)


def test_two_atoms_in_one_hill_are_not_taken_for_three() -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for distance in rng.uniform(0.8, 1.0, 80):
        place = rng.random(3) * LENGTHS
        pairs.append(Atoms("O2", positions=place + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]), cell=LENGTHS))
    decoded = decode_many(voxelize_many(pairs, Grid()), [LENGTHS] * len(pairs), Grid())
    for atoms, found in zip(pairs, decoded, strict=True):
        assert_same_atoms(found.atoms, atoms, within=0.01)


@pytest.mark.parametrize("quantise", [False, True])
@pytest.mark.parametrize("distance", [0.05, 0.3, 0.5])
def test_two_atoms_nearly_in_one_place_are_one_atom_that_is_reported(distance: float, quantise: bool) -> None:
    density = voxelize(pair_along((1, 1, 1), distance), Grid())
    found = decode(to_uint8(density) if quantise else density, LENGTHS, Grid())
    assert (len(found.atoms), found.crowded, found.plausible) == (1, (0,), False)
    assert 1.5 < found.confidence[0] < 2.05
    middle = pair_along((1, 1, 1), distance / 2)[1:]
    assert_same_atoms(found.atoms, middle, within=0.05)


def test_two_species_in_one_place_become_the_one_that_is_higher() -> None:
    atoms = pair_along((1, 0, 0), 0.6, "RuO")
    density = voxelize(atoms, Grid())
    density[0] *= 0.8
    found = decode(density, LENGTHS, Grid())
    assert str(found.atoms.symbols) == "O"
    (merged,) = found.merged
    assert merged == Merged("Ru", pytest.approx(0.8, abs=0.01), 0, pytest.approx(0.6, abs=0.01))
    both = decode(density, LENGTHS, Grid(), exclusion={("O", "Ru"): 0.5})
    assert (both.counts, both.merged) == ({"Ru": 1, "O": 1}, ())


def test_two_peaks_of_one_species_within_the_exclusion_become_one() -> None:
    atoms = pair_along((1, 0, 0), 1.2)
    found = decode(voxelize(atoms, Grid()), LENGTHS, Grid(), exclusion={("O", "O"): 1.5})
    assert (len(found.atoms), len(found.merged)) == (1, 1)
    assert (found.merged[0].species, found.merged[0].into) == ("O", 0)
    assert found.merged[0].distance == pytest.approx(1.2, abs=0.05)
    assert_same_atoms(found.atoms, pair_along((1, 0, 0), 0.6)[1:], within=0.1)


@pytest.mark.parametrize("blur", [0.2, 0.35])
def test_blurred_grids_keep_their_atoms(frames: list[Atoms], blur: float) -> None:
    for atoms in frames[:6]:
        widths = blur / Grid().voxel_spacings(atoms.cell.array)
        density = np.array([gaussian_filter(channel, widths, mode="wrap") for channel in voxelize(atoms, Grid())])
        density *= 0.95 / density.max()
        assert_same_atoms(decode(density, atoms.cell.lengths(), Grid()).atoms, atoms, within=0.05)


@LAW
@given(st.integers(0, 10**6), st.tuples(*[st.integers(-40, 40)] * 3))
def test_rolling_the_density_moves_the_atoms(seed: int, shift: tuple[int, int, int]) -> None:
    cell, grid = SHEARED["triclinic"], Grid(shape=(12, 14, 16), sigma=0.5)
    atoms = apart(4, cell, 1.5, seed)
    density = voxelize(atoms, grid)
    moved = decode(translate(density, shift), cell, grid).atoms
    expected = decode(density, cell, grid).atoms
    expected.positions += np.array(shift) / grid.shape @ cell
    assert_same_atoms(moved, expected, within=1e-3)


@LAW
@given(st.integers(0, 10**6), st.integers(-3, 6))
def test_turning_the_density_turns_the_atoms(seed: int, turns: int) -> None:
    lengths, grid = np.array([4.0, 6.5, 5.3]), Grid(shape=(12, 14, 16), sigma=0.5)
    atoms = apart(4, np.diag(lengths), 1.5, seed)
    density, turned_lengths = rotate_z(voxelize(atoms, grid), lengths, turns)
    found = decode(density, turned_lengths, replace(grid, shape=density.shape[1:])).atoms
    expected = atoms.copy()
    expected.rotate(90 * turns, "z", rotate_cell=False)
    expected.set_cell(turned_lengths)
    assert_same_atoms(found, expected, within=1e-3)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_the_order_of_axes_is_immaterial(axes: tuple[int, int, int]) -> None:
    cell, grid = SHEARED["triclinic"], Grid(shape=(12, 20, 16), sigma=0.5)
    density = voxelize(apart(5, cell, 1.5, 0), grid)
    one = decode(density, cell, grid)
    exchanged = density.transpose(0, *(axis + 1 for axis in axes))
    other = decode(exchanged, cell[list(axes)], replace(grid, shape=exchanged.shape[1:]))
    assert_same_atoms(other.atoms, one.atoms, within=1e-3)


@LAW
@given(st.integers(0, 10**6))
def test_the_order_of_channels_is_immaterial(seed: int) -> None:
    cell, grid = SHEARED["triclinic"], Grid(shape=(12, 14, 16), sigma=0.5)
    density = voxelize(apart(5, cell, 1.5, seed), grid)
    one = decode(density, cell, grid)
    other = decode(density[::-1], cell, replace(grid, species=("O", "Ru")))
    assert_same_atoms(other.atoms, one.atoms, within=1e-9)
    assert other.residual == pytest.approx(one.residual, rel=1e-9)


@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_and_company_change_not_one_bit(frames: list[Atoms], n_threads: int) -> None:
    densities = with_noise(voxelize_many(frames, Grid()), 0.05)
    cells = np.array([atoms.cell.array for atoms in frames])
    together = decode_many(densities, cells, Grid(), n_threads=n_threads)
    for density, cell, found in zip(densities, cells, together, strict=True):
        alone = decode(density, cell, Grid())
        np.testing.assert_array_equal(found.atoms.positions, alone.atoms.positions)
        np.testing.assert_array_equal(found.confidence, alone.confidence)
        assert found.residual == alone.residual


def test_bytes_are_steps_of_their_scale() -> None:
    density = to_uint8(voxelize(apart(8, np.diag(LENGTHS), 1.5, 0), Grid()))
    one, other = decode(density, LENGTHS, Grid()), decode(density / np.float32(255), LENGTHS, Grid())
    np.testing.assert_allclose(one.atoms.positions, other.atoms.positions, rtol=0, atol=1e-5)


def exact_cost(density: NDArray[np.float64], atoms: Atoms, heights: NDArray[np.float64], grid: Grid) -> float:
    """Sum of (density - sum of a_i g_i)^2, by the oracle."""
    total = 0.0
    for channel, symbol in zip(density, grid.species, strict=True):
        members = np.flatnonzero(atoms.symbols == symbol)
        each = [sum_gaussians(atoms.positions[[i]], atoms.cell.array, grid.shape, grid.sigma) for i in members]
        total += float(np.sum((channel - sum(h * g for h, g in zip(heights[members], each, strict=True))) ** 2))
    return total


@pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["perpendicular", "sheared"]
)
def test_no_small_step_of_any_atom_lowers_the_sum_of_squares(cell: NDArray[np.float64]) -> None:
    grid = Grid(shape=(12, 14, 16), sigma=0.6)
    density = with_noise(voxelize(apart(5, cell, 1.5, 3), grid), 0.03)
    found = decode(density, cell, grid)
    cost = exact_cost(density, found.atoms, found.confidence, grid)
    assert len(found.atoms) == 5
    for atom in range(5):
        for step in np.vstack([np.eye(3), -np.eye(3)]) * 0.01:
            moved = found.atoms.copy()
            moved.positions[atom] += step
            assert exact_cost(density, moved, found.confidence, grid) > cost
        for change in (0.01, -0.01):
            heights = found.confidence + change * (np.arange(5) == atom)
            assert exact_cost(density, found.atoms, heights, grid) > cost


def test_the_confidence_is_the_height_of_the_gaussians() -> None:
    density = voxelize(apart(8, np.diag(LENGTHS), 1.5, 0), Grid())
    np.testing.assert_allclose(decode(0.7 * density, LENGTHS, Grid()).confidence, 0.7, atol=1e-3)
    assert len(decode(0.7 * density, LENGTHS, Grid(), threshold=0.75).atoms) == 0
    held = decode(0.7 * density, LENGTHS, Grid(), fit_heights=False)
    np.testing.assert_allclose(held.confidence, 0.7, atol=1e-3)
    assert len(held.atoms) == 8


def test_places_fitted_at_held_heights_are_the_atoms() -> None:
    atoms = pair_along((1, 1, 0), 1.0)
    density = with_noise(voxelize(atoms, Grid()), 0.05)
    free, held = (match(decode(density, LENGTHS, Grid(), fit_heights=fit).atoms, atoms) for fit in (True, False))
    assert held.rms != free.rms
    assert held.errors.max() < 0.05


def test_the_residual_is_what_the_atoms_rendered_anew_leave(frames: list[Atoms]) -> None:
    atoms = frames[0]
    density = with_noise(0.9 * voxelize(atoms, Grid()), 0.02)
    found = decode(density, atoms.cell.array, Grid())
    left = density - voxelize(found.atoms, Grid())
    assert found.residual == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-3)
    assert found.unexplained == pytest.approx(np.linalg.norm(left) / np.linalg.norm(density), rel=1e-3)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_shortest_distances_count_all_images(cell: NDArray[np.float64]) -> None:
    grid = grid_for(cell, (16, 16, 16), 0.8)
    found = decode(voxelize(apart(6, cell, max(1.4, 3.0 * grid.sigma), 1), grid), cell, grid)
    assert len(found.atoms)
    for (a, b), distance in found.shortest.items():
        here, there = (found.atoms.positions[found.atoms.symbols == symbol] for symbol in (a, b))
        vectors = wrapped(here[:, None] - there, cell)[:, :, None] + lattice_vectors(cell)
        distances = np.linalg.norm(vectors, axis=-1)
        assert distance == pytest.approx(distances[distances > 1e-6].min(), rel=1e-9)


def test_the_figures_travel_with_the_atoms(tmp_path: Path, frames: list[Atoms]) -> None:
    found = decode(voxelize(frames[0], Grid()), frames[0].cell.array, Grid())
    for name in ("one.traj", "one.extxyz"):
        write(tmp_path / name, found.atoms)
        again = read(tmp_path / name)
        np.testing.assert_allclose(again.info["confidence"], found.confidence, atol=1e-7)
        assert again.info["counts"] == found.counts
        assert again.info["shortest_distances"]["Ru-O"] == pytest.approx(found.shortest["Ru", "O"])
        assert (again.info["residual"], bool(again.info["plausible"])) == (
            pytest.approx(found.residual, abs=1e-7),
            found.plausible,
        )
        assert again.pbc.all()


def nothing(found: Decoded) -> tuple[int, bool]:
    return len(found.atoms), found.plausible


@pytest.mark.nojit
@pytest.mark.parametrize("value", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_grid_without_hills_holds_no_atoms(value: float, dtype: type) -> None:
    flat = np.full((2, 6, 5, 7), value * (255 if dtype is np.uint8 else 1)).astype(dtype)
    found = decode(flat, [4.0, 4.0, 4.0], Grid(shape=(6, 5, 7), sigma=0.6))
    assert nothing(found) == (0, False)
    assert found.residual == pytest.approx(value, abs=0.004)
    assert found.unexplained == pytest.approx(1.0 if value else 0.0)


def test_noise_alone_holds_no_atoms() -> None:
    density = with_noise(np.zeros((2, 32, 32, 32), dtype=np.float32), 0.05)
    assert len(decode(density, LENGTHS, Grid()).atoms) == 0


def test_strong_noise_on_a_coarse_grid_is_seldom_taken_for_atoms(frames: list[Atoms]) -> None:
    grid = Grid(sigma=0.25)
    densities = with_noise(voxelize_many(frames[:8], grid), 0.2)
    decoded = decode_many(densities, [atoms.cell.array for atoms in frames[:8]], grid)
    results = [match(found.atoms, atoms) for found, atoms in zip(decoded, frames, strict=False)]
    n_atoms = sum(len(atoms) for atoms in frames[:8])
    assert sum(result.missed for result in results) < 0.1 * n_atoms
    assert sum(result.extra for result in results) < 0.2 * n_atoms


def refused() -> Iterator[tuple[str, dict[str, object], str]]:
    good = np.zeros((2, 6, 5, 7), dtype=np.float32)
    for value in (np.nan, np.inf):
        bad = good.copy()
        bad[1, 2, 3, 4] = value
        yield str(value), {"density": bad}, f"density 0: must be finite; found {value} in channel O at voxel 2,3,4, and"
    yield "huge", {"density": good + 1e30}, "density 0: must be about 1 at an atom; found 1e+30. Scale it"
    yield (
        "shape",
        {"density": good[:, :5]},
        "a density must have the shape (2, 6, 5, 7) of the grid, species first; got",
    )
    yield "axes", {"density": good[0]}, "a density must have the shape"
    yield (
        "int64",
        {"density": good.astype(int)},
        "densities must be floating point, or uint8 in steps of 1/255; got int64",
    )
    yield "complex", {"density": good + 1j}, "densities must be floating point, or uint8"
    yield "flat cell", {"cell": [4.0, 4.0, 0.0]}, "density 0: the cell must have a volume; found the vectors"
    yield "no cell", {"cell": [np.nan] * 3}, "density 0: the cell must have a volume"
    yield (
        "two lengths",
        {"cell": [4.0, 4.0]},
        "a cell must be three lattice lengths or three vectors in Å, one for each",
    )
    yield "text", {"cell": ["a", "b", "c"]}, "a cell must be three lattice lengths"
    yield "threshold", {"threshold": 1.0}, "threshold must lie between 0 and 1, got 1.0"
    yield (
        "species",
        {"exclusion": {("Ru", "H"): 1.0}},
        "exclusion must be of pairs of Ru,O, as in {('Ru', 'O'): 1.0}; got",
    )
    yield (
        "distance",
        {"exclusion": {("Ru", "O"): -1.0}},
        "exclusion of Ru and O must be a distance in Å, 0 or more; got",
    )
    yield "coarse", {"cell": [40.0] * 3}, "density 0: sigma must be at least 0.3 voxel for an atom between nodes to be"
    slanted = [[4.0, 0.0, 0.0], [400.0, 4.0, 0.0], [0.0, 0.0, 4.0]]
    yield "slanted", {"cell": slanted}, "density 0: the cell is too slanted for its voxels; found the vectors"


@pytest.mark.nojit
@pytest.mark.parametrize(("changes", "message"), [pytest.param(c, m, id=name) for name, c, m in refused()])
def test_bad_input_is_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"density": np.zeros((2, 6, 5, 7)), "cell": [4.0] * 3, "grid": Grid(shape=(6, 5, 7), sigma=0.6)}
    with pytest.raises(GridError, match=f"^{re.escape(message)}"):
        decode(**(arguments | changes))  # type: ignore[arg-type]


def test_narrow_gaussians_are_decoded_with_a_warning() -> None:
    grid = Grid(sigma=0.3)
    atoms = Atoms("RuO", positions=[[1.0, 2.0, 3.0], [9.3, 9.6, 0.1]], cell=[18.0] * 3)
    with pytest.warns(AliasingWarning, match=r"^density: sigma 0\.3 Å is 0\.53 voxel"):
        found = decode(voxelize_many([atoms], grid)[0], [18.0] * 3, grid)
    assert_same_atoms(found.atoms, atoms, within=0.01)


def test_no_densities_no_atoms() -> None:
    assert decode_many(np.zeros((0, 2, 32, 32, 32)), np.zeros((0, 3)), Grid()) == []


def test_the_bad_density_is_named() -> None:
    densities = np.zeros((3, 2, 6, 5, 7), dtype=np.float32)
    densities[2, 0, 0, 0, 0] = np.nan
    with pytest.raises(GridError, match=r"^density 2: must be finite"):
        decode_many(densities, np.full((3, 3), 4.0), Grid(shape=(6, 5, 7), sigma=0.6), n_threads=2)


def test_the_catch_all_decodes_to_unknown_atoms() -> None:
    grid = Grid(species=("Ru", "*"))
    atoms = pair_along((1, 0, 0), 2.0, "RuO")
    assert str(decode(voxelize(atoms, grid), LENGTHS, grid).atoms.symbols) == "RuX"


@pytest.mark.parametrize("seed", range(6))
def test_noise_decodes_into_bounded_heights_and_leaves_no_more_than_there_was(seed: int) -> None:
    """A fit that runs out of sight of its Gaussian would take any height there, and the others would follow."""
    grid = Grid(shape=(8, 8, 16), sigma=0.45)
    noise = np.random.default_rng(seed).random((4, 2, 8, 8, 16), dtype=np.float32) ** 6
    for found in decode_many(noise, [[3.3, 3.4, 8.0]] * 4, grid):
        assert found.confidence.max() < 2.0
        assert found.unexplained < 1.0
