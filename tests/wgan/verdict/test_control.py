"""The control keeps numbers of atoms and cells, and nothing else."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from ruo2_wgan.verdict.atoms.geometry import measure_geometry
from ruo2_wgan.verdict.atoms.sites import Sites
from ruo2_wgan.verdict.control import scatter_atoms
from ruo2_wgan.verdict.structure_set import StructureSet
from tests.wgan.specs import make_spec
from tests.wgan.verdict.examples import make_sites, open_reals

SPEC = make_spec((16, 16, 32))


def known(sites: list[Sites], shape: tuple[int, ...] = (16, 16, 32)) -> StructureSet:
    """Their densities do not matter: atoms are known."""
    spec = make_spec(shape)
    lattice = np.stack([each.lattice for each in sites])
    density = np.zeros((len(sites), 2, *shape), dtype=np.float32)
    return StructureSet(density, lattice, np.arange(len(sites)), spec, known_sites=sites)


def slabs(n: int, n_atoms: int = 6) -> list[Sites]:
    """Few atoms, in the lower quarter of large cells, so that scattered ones seldom merge."""
    random = np.random.default_rng(0)
    cells = np.array([8.0, 9.0, 16.0]) + random.random((n, 3))
    species = [0, 0, *[1] * (n_atoms - 2)]
    return [make_sites(random.random((n_atoms, 3)) * [1, 1, 0.25], species, cell) for cell in cells]


@pytest.fixture(scope="module")
def scattered() -> StructureSet:
    return scatter_atoms(known(slabs(150)), seed=1)


def test_cells_classes_and_grids_stay(scattered):
    real = known(slabs(150))
    np.testing.assert_array_equal(scattered.lattice, real.lattice)
    np.testing.assert_array_equal(scattered.asked, real.asked)
    assert scattered.spec == real.spec
    assert scattered.density.shape == real.density.shape
    assert scattered.density.dtype == np.float32
    assert 0.9 < scattered.density.max() <= 1.0


def test_numbers_of_atoms_stay(scattered):
    """But of atoms that came upon each other."""
    counts = np.stack([sites.counts(2) for sites in scattered.sites])
    assert (counts <= [2, 4]).all()
    assert (counts == [2, 4]).all(axis=1).mean() > 0.8
    lattice = scattered.lattice
    # The integral of all Gaussians counts them, where none are clipped.
    volume = (2 * np.pi) ** 1.5 * SPEC.sigma**3
    integral = scattered.density.sum(axis=(2, 3, 4)) * (lattice.prod(axis=1) / np.prod(SPEC.shape))[:, None] / volume
    np.testing.assert_allclose(np.median(integral, axis=0), [2.0, 4.0], rtol=0.01)


def test_positions_are_uniform_in_the_cell(scattered):
    """Nothing is kept of the heights of the slab, which were in the lower quarter."""
    scaled = np.concatenate([sites.scaled for sites in scattered.sites])
    for axis in range(3):
        assert kstest(scaled[:, axis], "uniform").pvalue > 1e-3, axis
    # Nor do atoms of one structure keep to each other.
    pairs = np.concatenate([np.diff(sites.scaled[:2, 2]) for sites in scattered.sites]) % 1.0
    assert kstest(pairs, "uniform").pvalue > 1e-3


def test_the_vacuum_is_gone(scattered):
    gap = measure_geometry(scattered.sites, SPEC.species).vacuum
    real = measure_geometry(slabs(150), SPEC.species).vacuum
    assert ks_2samp(gap, real).pvalue < 1e-10
    assert np.median(gap) < 0.7 * np.median(real)


def test_a_seed_is_a_control():
    real = known(slabs(4))
    first, again, other = (scatter_atoms(real, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.density, again.density)
    assert np.abs(first.density - other.density).max() > 0.5


def test_atoms_of_slices_keep_their_distance_from_the_plane():
    random = np.random.default_rng(2)
    across = np.array([0.1, 0.3, 0.5])
    slices = [make_sites(random.random((3, 2)) * [1, 0.2], [0, 1, 1], (9.0, 14.0), across) for _ in range(100)]
    found = scatter_atoms(known(slices, (24, 36)), seed=5)
    whole = [sites for sites in found.sites if sites.counts(2).tolist() == [1, 2]]
    assert len(whole) > 80
    distances = np.stack([np.concatenate([s.across[s.species == 0], np.sort(s.across[s.species == 1])]) for s in whole])
    np.testing.assert_allclose(np.median(distances, axis=0), across, atol=0.02)
    scaled = np.concatenate([sites.scaled for sites in found.sites])
    for axis in range(2):
        assert kstest(scaled[:, axis], "uniform").pvalue > 1e-3, axis


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_real_structures_show_is_scattered_as_it_is(real_store, dimensions):
    """The integral of each species is that of its atoms' Gaussians, but for what is clipped where they overlap."""
    reals = open_reals(real_store, dimensions)
    real = reals.take(reals.held_out[:6])
    scattered = scatter_atoms(real, 0)
    assert scattered.density.shape == real.density.shape
    expected = np.zeros((6, 2))
    for row, sites in enumerate(real.sites):
        voxels = np.prod(real.spec.shape) / sites.lattice.prod()
        of_one = (2 * np.pi * real.spec.sigma**2) ** (dimensions / 2) * voxels
        heights = np.exp(-0.5 * (sites.across / real.spec.sigma) ** 2)
        expected[row] = of_one * np.bincount(sites.species, heights, minlength=2)
    found = scattered.density.sum(axis=tuple(range(2, 2 + dimensions)))
    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_a_structure_without_atoms_stays_empty():
    nothing = make_sites(np.zeros((0, 3)), [], (8.0, 9.0, 16.0))
    assert not scatter_atoms(known([nothing, *slabs(1)]), 0).density[0].any()
