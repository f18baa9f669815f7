"""A fake that is moved by any symmetry is laid back over what it came from, atoms and densities alike."""

import itertools

import numpy as np
import pytest
from ase import Atoms

from ruo2_voxel import Grid, voxelize
from ruo2_wgan.verdict.atoms.matching import move_sites
from ruo2_wgan.verdict.atoms.sites import atoms_of
from ruo2_wgan.verdict.operations import apply_operation, move_scaled, point_operations
from ruo2_wgan.verdict.search.alignment import Aligner
from tests.wgan.verdict.examples import SHAPES, make_sites, random_densities, random_operation, random_sites

N_POINTS = {(8, 8, 6): 8, (7, 7, 5): 8, (6, 9, 5): 4, (5, 8, 6): 4, (12, 7): 2, (9, 6): 2}


def direct_slice(scaled: np.ndarray, lattice: np.ndarray, sigma: float, shape: tuple[int, int]) -> np.ndarray:
    """Gaussians of atoms in the plane, and of their images, at each voxel."""
    density = np.zeros(shape)
    for u, z in np.ndindex(*shape):
        for image in itertools.product((-2, -1, 0, 1, 2), repeat=2):
            away = (scaled + image - np.array([u, z]) / shape) * lattice
            density[u, z] += np.exp(-(away**2).sum(axis=1) / (2 * sigma**2)).sum()
    return density


@pytest.mark.parametrize("shape", SHAPES)
def test_point_operations_are_all_different_and_keep_voxel_0(shape):
    density = random_densities(0, 1, shape)[0]
    moved = [apply_operation(density, point) for point in point_operations(shape)]
    assert len({each.tobytes() for each in moved}) == len(moved) == N_POINTS[shape]
    corner = (slice(None), *[0] * (len(shape) - 1))
    for each in moved:
        np.testing.assert_array_equal(each[corner], density[corner])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_operation_is_undone(shape):
    random = np.random.default_rng(1)
    real = random_densities(2, 1, shape)
    for point in point_operations(shape):
        moved = apply_operation(real[0], point._replace(shifts=tuple(random.integers(shape[:-1]).tolist())))
        (back,), (squares,) = Aligner(shape).align(np.ascontiguousarray(moved), real)
        np.testing.assert_array_equal(apply_operation(moved, back), real[0])
        assert squares < 1e-5 * np.vdot(real, real)


@pytest.mark.parametrize("shape", SHAPES)
def test_squares_are_the_least_of_direct_sums_over_all_operations(shape):
    fake, reals = random_densities(3, 1, shape)[0], random_densities(4, 3, shape)
    every = [
        point._replace(shifts=shifts)
        for point in point_operations(shape)
        for shifts in itertools.product(*map(range, shape[:-1]))
    ]
    moved = np.stack([apply_operation(fake, each) for each in every]).astype(np.float64)
    operations, squares = Aligner(shape).align(fake, reals)
    for real, operation, found in zip(reals, operations, squares, strict=True):
        sums = ((moved - real) ** 2).reshape(len(every), -1).sum(axis=1)
        assert found == pytest.approx(sums.min(), rel=1e-4)
        assert every[sums.argmin()] == operation


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) == 3])
def test_atoms_of_a_structure_move_as_its_density_does(shape):
    random = np.random.default_rng(5)
    grid = Grid(species=("Ru", "O"), shape=shape, sigma=1.2)
    for seed in range(12):
        sites, operation = random_sites(seed), random_operation(random, shape)
        moved = voxelize(atoms_of(move_sites(sites, operation, shape), grid.species), grid)
        expected = apply_operation(voxelize(atoms_of(sites, grid.species), grid), operation)
        np.testing.assert_allclose(moved, expected, atol=3 * grid.tol)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) == 2])
def test_atoms_of_a_slice_move_as_its_density_does(shape):
    random = np.random.default_rng(6)
    lattice = np.array([7.0, 9.0])
    scaled = random.random((5, 2))
    for operation in [random_operation(random, shape) for _ in range(8)]:
        moved = direct_slice(move_scaled(scaled, operation, shape), lattice, 0.8, shape)
        expected = apply_operation(direct_slice(scaled, lattice, 0.8, shape), operation)
        np.testing.assert_allclose(moved, expected, atol=1e-10)


def test_moved_sites_stay_in_the_cell_and_leave_the_first_as_they_were():
    random = np.random.default_rng(7)
    sites = make_sites(random.random((20, 3)), np.zeros(20), (6.0, 7.0, 8.0))
    before = sites.scaled.copy()
    for _ in range(20):
        operation = random_operation(random, (8, 8, 6))
        moved = move_sites(sites, operation, (8, 8, 6))
        assert ((moved.scaled >= 0.0) & (moved.scaled < 1.0)).all()
        assert moved.lattice.tolist() == ([7.0, 6.0, 8.0] if operation.swap else [6.0, 7.0, 8.0])
    np.testing.assert_array_equal(sites.scaled, before)


def test_a_slab_lies_at_the_same_heights_after_any_operation():
    """No mirror and no roll along z: a slab has an upper side and a lower one."""
    density = random_densities(8, 1, (8, 8, 6))[0]
    random = np.random.default_rng(9)
    for _ in range(20):
        moved = apply_operation(density, random_operation(random, (8, 8, 6)))
        np.testing.assert_allclose(moved.sum(axis=(1, 2)), density.sum(axis=(1, 2)), rtol=1e-5)


def test_one_atom_is_laid_over_another():
    grid = Grid(species=("Ru",), shape=(8, 8, 6), sigma=0.9)
    here, there = (
        voxelize(Atoms("Ru", scaled_positions=[place], cell=[6, 6, 6], pbc=True), grid).astype(np.float32)
        for place in ((0.25, 0.5, 0.5), (0.875, 0.125, 0.5))
    )
    (operation,), (squares,) = Aligner(grid.shape).align(here, there[None])
    np.testing.assert_array_equal(apply_operation(here, operation).argmax(), there.argmax())
    assert squares < 1e-5
