"""Atoms come back from densities: of structures as the decoder finds them, of slices with their distances."""

import itertools

import numpy as np
import pytest

from ruo2_voxel import Grid, decode, voxelize
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.verdict.atoms.sites import AT_ONCE, LEAST_IN_SLICE, atoms_of, find_sites, render_slice, sites_of
from tests.voxel.match import apart, assert_same_atoms
from tests.wgan.real_densities import GRID, real_volumes
from tests.wgan.specs import make_spec
from tests.wgan.verdict.examples import make_sites, random_sites

SHAPE = (24, 36)
LATTICE = np.array([9.0, 13.5])
SPEC = make_spec(SHAPE)
SIGMA = SPEC.sigma


def draw_slice(
    scaled: np.ndarray, species: np.ndarray, across: np.ndarray, lattice: np.ndarray = LATTICE
) -> np.ndarray:
    """Where a plane cuts the Gaussians of atoms so far beside it, and of their images: a direct sum."""
    voxels = np.stack(np.indices(SHAPE), axis=-1) / SHAPE
    density = np.zeros((2, *SHAPE))
    for place, channel, far in zip(scaled, species, across, strict=True):
        for image in itertools.product((-2, -1, 0, 1, 2), repeat=2):
            squares = (((place + image - voxels) * lattice) ** 2).sum(axis=-1) + far**2
            density[channel] += np.exp(-squares / (2 * SIGMA**2))
    return density


def in_plane(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of seven atoms, no two nearer than 1.9 Å, and their species."""
    random = np.random.default_rng(seed)
    scaled = np.zeros((0, 2))
    while len(scaled) < 7:
        place = random.random(2)
        steps = (scaled - place + 0.5) % 1.0 - 0.5
        if not len(scaled) or np.linalg.norm(steps * LATTICE, axis=1).min() > 1.9:
            scaled = np.vstack([scaled, place])
    return scaled, random.integers(0, 2, len(scaled))


def nearest(scaled: np.ndarray, species: np.ndarray, to: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each atom planted, which found one of its species is nearest, and how far, Å."""
    steps = ((to[None] - scaled[:, None] + 0.5) % 1.0 - 0.5) * LATTICE
    distances = np.where(species[:, None] == of, np.linalg.norm(steps, axis=2), np.inf)
    return distances.argmin(axis=1), distances.min(axis=1)


@pytest.mark.parametrize("farthest", [0.0, 1.6])
def test_atoms_planted_in_slices_come_back(farthest):
    """In place to 0.01 Å; the distance from the plane to 0.02 Å, but to 0.1 Å where heights hardly tell it."""
    random = np.random.default_rng(0)
    planted = []
    for seed in range(12):
        scaled, species = in_plane(seed)
        planted.append((scaled, species, SIGMA * farthest * random.random(len(species))))
    density = np.stack([draw_slice(*each) for each in planted]).astype(np.float32)
    found = find_sites(density, np.tile(LATTICE, (len(planted), 1)), SPEC)
    for (scaled, species, across), sites in zip(planted, found, strict=True):
        assert len(sites) == len(species)
        partner, distances = nearest(scaled, species, sites.scaled, sites.species)
        assert sorted(partner) == list(range(len(species)))
        assert distances.max() < 0.01
        error = np.abs(sites.across[partner] - across)
        assert error.max() < 0.1
        assert not (error[across > 0.1] > 0.02).any()
        assert sites.unexplained < 0.01
        np.testing.assert_array_equal(sites.lattice, LATTICE)


def test_atoms_too_far_from_the_plane_are_no_atoms_but_explain_what_they_show():
    limit = SIGMA * np.sqrt(-2.0 * np.log(LEAST_IN_SLICE))
    scaled, species = in_plane(1)
    across = np.full(len(species), 0.2)
    across[:2] = limit + 0.05, limit - 0.05
    (sites,) = find_sites(draw_slice(scaled, species, across)[None].astype(np.float32), LATTICE[None], SPEC)
    partner, distances = nearest(scaled, species, sites.scaled, sites.species)
    assert distances[1:].max() < 0.01
    assert distances[0] > 1.0
    assert len(sites) == len(species) - 1
    assert sites.across[partner[1]] == pytest.approx(limit - 0.05, abs=0.01)
    assert sites.unexplained < 0.01


def test_what_atoms_leave_of_a_slice_is_the_residual():
    """Of planted atoms and noise: the root mean square of what the atoms found leave, over that of the slice."""
    random = np.random.default_rng(2)
    previous = 0.0
    for noise in (0.01, 0.03, 0.06):
        scaled, species = in_plane(3)
        density = draw_slice(scaled, species, np.full(7, 0.1)) + noise * random.standard_normal((2, *SHAPE))
        (sites,) = find_sites(density[None].astype(np.float32), LATTICE[None], SPEC)
        assert len(sites) == len(species)
        left = draw_slice(sites.scaled, sites.species, sites.across) - density
        share = np.linalg.norm(left) / np.linalg.norm(density)
        assert sites.unexplained == pytest.approx(share, rel=0.02)
        assert sites.unexplained > previous
        previous = sites.unexplained


@pytest.mark.parametrize("lattice", [LATTICE, np.array([1.6, 2.0])], ids=["large", "small"])
def test_a_slice_is_rendered_as_a_direct_sum(lattice):
    """Also where the images of an atom show."""
    scaled, species = in_plane(4)
    across = np.linspace(0.0, 0.9, len(species))
    rendered = render_slice(scaled, species, np.exp(-0.5 * (across / SIGMA) ** 2), lattice, SIGMA, (2, *SHAPE))
    np.testing.assert_allclose(rendered, draw_slice(scaled, species, across, lattice), atol=1e-5)


def test_atoms_of_structures_are_those_that_the_decoder_finds():
    volumes = real_volumes()[:6].numpy()
    lattice = np.tile([6.326, 8.0, 20.5], (6, 1))
    spec = make_spec((16, 16, 32))
    assert (spec.grid.species, spec.grid.shape, spec.grid.sigma) == (GRID.species, GRID.shape, GRID.sigma)
    for sites, density, lengths in zip(find_sites(volumes, lattice, spec), volumes, lattice, strict=True):
        decoded = decode(density, lengths, spec.grid)
        assert_same_atoms(atoms_of(sites, spec.species), decoded.atoms, 1e-9)
        assert [spec.species[channel] for channel in sites.species] == list(decoded.atoms.symbols)
        assert sites.unexplained == decoded.unexplained
        assert (sites.across == 0.0).all()
        assert ((sites.scaled >= 0.0) & (sites.scaled <= 1.0)).all()


def test_atoms_that_were_voxelized_come_back():
    sites = random_sites(5, lattice=(7.0, 8.0, 14.0))
    grid = Grid(species=("Ru", "O"), shape=(16, 16, 32), sigma=0.45)
    density = np.minimum(voxelize(atoms_of(sites, grid.species), grid), 1.0).astype(np.float32)
    (found,) = find_sites(density[None], sites.lattice[None], make_spec(grid.shape))
    assert_same_atoms(atoms_of(found, grid.species), atoms_of(sites, grid.species), 0.02)
    assert found.unexplained < 0.02


@pytest.mark.parametrize("spec", [SPEC, make_spec((16, 16, 32))])
def test_nothing_has_no_atoms(spec: DataSpec):
    axes = spec.dimensions
    (sites,) = find_sites(np.zeros((1, 2, *spec.shape), dtype=np.float32), np.full((1, axes), 9.0), spec)
    assert len(sites) == 0
    assert sites.unexplained == 0.0
    assert sites.scaled.shape == sites.positions.shape == (0, axes)
    assert sites.counts(2).tolist() == [0, 0]


def test_a_missing_species_and_many_densities_keep_their_order():
    density = np.zeros((AT_ONCE + 3, 2, *SHAPE), dtype=np.float32)
    for number, each in enumerate(density):
        each[1] = draw_slice(np.full((1, 2), number / len(density)), np.array([1]), np.zeros(1))[1]
    called: list[int] = []
    found = find_sites(density, np.tile(LATTICE, (len(density), 1)), SPEC, 2, called.append)
    assert called == [AT_ONCE, 3]
    assert [sites.counts(2).tolist() for sites in found] == [[0, 1]] * len(density)
    places = np.concatenate([sites.scaled for sites in found])
    expected = np.arange(len(density))[:, None] / len(density)
    np.testing.assert_allclose((places - expected + 0.5) % 1.0, 0.5, atol=1e-3)


def test_sites_and_atoms_are_the_same_structure():
    atoms = apart(10, np.diag([6.0, 7.0, 8.0]), 1.5, 0)
    atoms.positions += [30.0, -20.0, 5.0]
    back = atoms_of(sites_of(atoms, ("O", "Ru")), ("O", "Ru"))
    assert list(back.symbols) == sorted(atoms.symbols)
    assert back.pbc.all()
    assert_same_atoms(back, atoms, 1e-9)
    empty = atoms_of(make_sites(np.zeros((0, 3)), []), ("Ru", "O"))
    assert len(empty) == 0
