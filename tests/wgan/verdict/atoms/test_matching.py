"""How far atoms move between two structures, against the best of all assignments."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ruo2_wgan.verdict.atoms.matching import largest_displacement
from ruo2_wgan.verdict.atoms.sites import Sites
from tests.wgan.verdict.examples import make_sites, random_sites


def moved(sites: Sites, by: np.ndarray) -> Sites:
    """Atoms moved by Å, in the cell again."""
    return replace(sites, scaled=(sites.scaled + by / sites.lattice) % 1.0)


def shuffled(sites: Sites, random: np.random.Generator) -> Sites:
    order = random.permutation(len(sites))
    return replace(sites, scaled=sites.scaled[order], species=sites.species[order], across=sites.across[order])


def by_assignment(first: Sites, second: Sites) -> float:
    """Of the pairs whose squares sum up to the least, after the common shift in the plane is taken off."""
    steps = (second.scaled[None] - first.scaled[:, None] + 0.5) % 1.0 - 0.5
    steps *= second.lattice
    costs = (steps**2).sum(axis=2) + 1e6 * (first.species[:, None] != second.species)
    rows, columns = linear_sum_assignment(costs)
    steps = steps[rows, columns]
    steps -= [*steps[:, :-1].mean(axis=0), 0.0]
    across = second.across[columns] - first.across[rows]
    return float(np.sqrt((steps**2).sum(axis=1) + across**2).max())


@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.3])
def test_jittered_structures_are_matched_as_by_assignment(jitter):
    random = np.random.default_rng(0)
    for seed in range(40):
        sites = random_sites(seed, n_atoms=1 + seed % 10)
        steps = random.uniform(-jitter, jitter, (len(sites), 3)) + np.array([0.2, -0.1, 0.0])
        other = shuffled(moved(sites, steps), random)
        found = largest_displacement(sites, other)
        assert found == pytest.approx(by_assignment(sites, other), abs=1e-9)
        assert found == pytest.approx(largest_displacement(other, sites), abs=1e-9)
        assert found <= 2 * math.sqrt(3) * jitter + 1e-9


def test_a_common_shift_counts_along_z_only():
    for seed in range(10):
        sites = random_sites(seed)
        assert largest_displacement(sites, moved(sites, np.array([0.3, 0.4, 0.0]))) == pytest.approx(0.0, abs=1e-9)
        assert largest_displacement(sites, moved(sites, np.array([0.0, 0.0, 0.5]))) == pytest.approx(0.5)


def test_one_atom_that_moves_is_told_but_for_its_share_of_the_common_shift():
    sites = random_sites(3, n_atoms=8)
    by = np.zeros((8, 3))
    by[5] = 0.0, 0.4, 0.3
    assert largest_displacement(sites, moved(sites, by)) == pytest.approx(math.hypot(0.4 * 7 / 8, 0.3))


def test_other_numbers_of_atoms_do_not_match():
    sites = random_sites(1)
    fewer = replace(sites, scaled=sites.scaled[1:], species=sites.species[1:], across=sites.across[1:])
    assert largest_displacement(sites, fewer) == largest_displacement(fewer, sites) == math.inf


@pytest.mark.parametrize(
    ("first", "second"), [((0, 0, 1), (0, 1, 1)), ((0, 0, 0), (1, 1, 1)), ((0, 1), (0, 2)), ((2, 0, 0), (1, 0, 0))]
)
def test_other_species_in_the_same_places_do_not_match(first, second):
    scaled = np.random.default_rng(2).random((len(first), 3))
    sites = make_sites(scaled, first), make_sites(scaled, second)
    assert largest_displacement(*sites) == largest_displacement(*sites[::-1]) == math.inf


def test_two_atoms_that_change_places_have_moved():
    first = make_sites([[0.2, 0.5, 0.5], [0.5, 0.5, 0.5]], (0, 1), (7.0, 8.0, 20.0))
    assert largest_displacement(first, replace(first, species=first.species[::-1])) == pytest.approx(0.3 * 7.0)


def test_two_atoms_nearest_to_one_do_not_match():
    first = make_sites([[0.5, 0.5, 0.48], [0.5, 0.5, 0.52]], (0, 0))
    second = make_sites([[0.5, 0.5, 0.5], [0.5, 0.5, 0.9]], (0, 0))
    assert largest_displacement(first, second) == math.inf


def test_structures_without_atoms_are_the_same():
    nothing = make_sites(np.zeros((0, 3)), [])
    assert largest_displacement(nothing, nothing) == 0.0


def test_distances_are_those_of_the_second_cell():
    first = make_sites([[0.1, 0.1, 0.1], [0.5, 0.5, 0.5]], (0, 0), (5.0, 5.0, 10.0))
    second = replace(
        first, scaled=first.scaled + np.array([[0, 0, 0.02], [0, 0, 0]]), lattice=np.array([5.0, 5.0, 30.0])
    )
    assert largest_displacement(first, second) == pytest.approx(0.6)


def test_in_slices_the_distance_from_the_plane_counts():
    scaled = np.random.default_rng(3).random((4, 2))
    first = make_sites(scaled, (0, 0, 1, 1), (9.0, 12.0), across=(0.0, 0.1, 0.2, 0.3))
    assert largest_displacement(first, first) == 0.0
    second = replace(first, across=np.array([0.0, 0.4, 0.2, 0.25]))
    assert largest_displacement(first, second) == pytest.approx(0.3)
    assert largest_displacement(first, moved(second, np.array([0.2, 0.0]))) == pytest.approx(0.3)
    assert largest_displacement(first, moved(second, np.array([0.0, 0.4]))) == pytest.approx(0.5)
    assert largest_displacement(first, shuffled(second, np.random.default_rng(4))) == pytest.approx(0.3)
