"""Figures of structures are those of all their images, written out in NumPy."""

import itertools

import numpy as np
import pytest
from ase.data import atomic_numbers, covalent_radii

from ruo2_wgan.verdict.atoms.geometry import (
    BIN,
    BONDED,
    REACH,
    REACH_IN_SLICE,
    Geometry,
    measure_geometry,
    names_of_ordered_pairs,
    names_of_pairs,
    ordered_pairs_of,
    pairs_of,
)
from ruo2_wgan.verdict.atoms.sites import Sites
from tests.wgan.verdict.examples import make_sites

SPECIES = {1: ("O",), 2: ("Ru", "O"), 3: ("Ru", "O", "H")}
CELLS = [(4.0, 5.0, 14.0), (6.5, 9.0, 20.0), (3.0, 3.5, 9.0), (9.0, 13.0), (5.0, 21.0)]


def random_structure(seed: int, lattice: tuple[float, ...], n_species: int, n_atoms: int) -> Sites:
    random = np.random.default_rng(seed)
    scaled = random.random((n_atoms, len(lattice)))
    scaled[:, -1] = (0.5 * scaled[:, -1] + 0.7) % 1.0  # a slab through the border of the cell
    return make_sites(scaled, random.integers(0, n_species, n_atoms), lattice)


def all_pairs(sites: Sites) -> list[tuple[int, int, float]]:
    """(i, j, distance) of each atom i and each image of each atom j but itself, up to the reach: each pair twice."""
    reach = REACH if len(sites.lattice) == 3 else REACH_IN_SLICE
    images = np.array(
        list(itertools.product(*(range(-n, n + 1) for n in np.ceil(reach / sites.lattice).astype(int) + 1)))
    )
    found = []
    for i, j in itertools.product(range(len(sites)), repeat=2):
        distances = np.linalg.norm((sites.scaled[j] - sites.scaled[i] + images) * sites.lattice, axis=1)
        itself = (images == 0).all(axis=1) & (i == j)
        found += [(i, j, float(d)) for d in distances[~itself & (distances < reach)]]
    return found


def connected(n: int, edges: list[tuple[int, int]]) -> bool:
    """Whether one can go from atom 0 to all others."""
    reached, border = {0}, [0]
    while border:
        at = border.pop()
        new = {j for i, j in edges if i == at} - reached
        reached |= new
        border += new
    return len(reached) == n


def longest_link(sites: Sites, pairs: list[tuple[int, int, float]]) -> float:
    """The least length with which all atoms hang together, by trying each."""
    if len(sites) < 2:
        return 0.0
    lengths = sorted({0.0, *(d for *_, d in pairs)})
    low, high = 0, len(lengths)
    while low < high:  # longer ones connect what shorter ones do
        middle = (low + high) // 2
        if connected(len(sites), [(i, j) for i, j, d in pairs if d <= lengths[middle]]):
            high = middle
        else:
            low = middle + 1
    return lengths[low] if low < len(lengths) else np.inf


def check(geometry: Geometry, structures: list[Sites], species: tuple[str, ...]) -> None:
    n = len(species)
    histogram = np.zeros_like(geometry.pair_counts)
    coordination: list[list[int]] = [[] for _ in ordered_pairs_of(n)]
    for row, sites in enumerate(structures):
        pairs = all_pairs(sites)
        kind = sites.species.tolist()
        for which, (a, b) in enumerate(pairs_of(n)):
            distances = [d for i, j, d in pairs if (kind[i], kind[j]) == (a, b)]
            assert geometry.shortest[row, which] == pytest.approx(min(distances, default=np.inf))
            counted = np.histogram(distances, bins=np.arange(histogram.shape[1] + 1) * BIN)[0]
            histogram[which] += counted // 2 if a == b else counted
        for which, (a, b) in enumerate(ordered_pairs_of(n)):
            radii = [covalent_radii[atomic_numbers[species[c]]] for c in (a, b)]
            for atom in range(len(sites)):
                if kind[atom] == a:
                    near = [d for i, j, d in pairs if i == atom and kind[j] == b and d < BONDED * sum(radii)]
                    coordination[which].append(len(near))
        assert geometry.link[row] == pytest.approx(longest_link(sites, pairs))
        assert geometry.counts[row].tolist() == [kind.count(c) for c in range(n)]
        np.testing.assert_array_equal(geometry.lattice[row], sites.lattice)
    np.testing.assert_array_equal(geometry.pair_counts, histogram)
    assert [each.tolist() for each in geometry.coordination] == coordination


@pytest.mark.parametrize("n_species", SPECIES)
@pytest.mark.parametrize("lattice", CELLS)
def test_distances_neighbours_and_links_are_those_of_all_images(lattice, n_species):
    structures = [random_structure(seed, lattice, n_species, 1 + 2 * seed) for seed in range(5)]
    check(measure_geometry(structures, SPECIES[n_species]), structures, SPECIES[n_species])


def test_pairs_are_in_the_order_that_others_name_them_in():
    assert pairs_of(3) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert ordered_pairs_of(3) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert ordered_pairs_of(1) == [(0, 0)]


def test_structures_without_atoms_or_with_one():
    nothing = make_sites(np.zeros((0, 3)), [], (4.0, 5.0, 20.0))
    one = make_sites([[0.1, 0.2, 0.9]], [0], (4.0, 5.0, 20.0), unexplained=0.3)
    geometry = measure_geometry([nothing, one], SPECIES[2])
    check(geometry, [nothing, one], SPECIES[2])
    assert geometry.shortest.tolist() == [[np.inf] * 3, [4.0, np.inf, np.inf]]
    assert geometry.vacuum.tolist() == [20.0, 20.0]
    assert geometry.unexplained.tolist() == [0.0, 0.3]
    assert [each.tolist() for each in geometry.heights] == [[0.0], []]
    assert len(geometry) == 2


def test_two_atoms_in_one_place_are_at_no_distance():
    sites = make_sites([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.6]], [0, 1, 1], (8.0, 8.0, 20.0))
    geometry = measure_geometry([sites], SPECIES[2])
    np.testing.assert_allclose(geometry.shortest[0], [np.inf, 0.0, 2.0], atol=1e-12)
    assert geometry.link[0] == pytest.approx(2.0)


def test_a_part_beyond_reach_does_not_hang_on():
    heights = np.array([1.0, 3.0, 3.0 + REACH + 0.5, 12.0])
    far = make_sites(np.stack([[0.5] * 4, [0.5] * 4, heights / 40.0], axis=1), [0] * 4, (7.0, 7.0, 40.0))
    assert measure_geometry([far], SPECIES[2]).link[0] == np.inf


@pytest.mark.parametrize("lift", [0.0, 0.3, 0.55, 0.95])
def test_vacuum_and_heights_do_not_depend_on_where_the_cell_begins(lift):
    """A slab of known heights, also one that goes through the border of the cell."""
    heights = np.array([0.0, 0.5, 2.0, 3.5, 5.0, 6.0])
    scaled = np.random.default_rng(0).random((6, 3))
    scaled[:, 2] = (heights / 20.0 + lift) % 1.0
    order = np.random.default_rng(1).permutation(6)
    species = np.array([0, 1, 1, 0, 1, 0])
    geometry = measure_geometry([make_sites(scaled[order], species[order], (6.0, 6.0, 20.0))], SPECIES[2])
    assert geometry.vacuum[0] == pytest.approx(14.0)
    for channel in range(2):
        np.testing.assert_allclose(np.sort(geometry.heights[channel]), heights[species == channel], atol=1e-9)


@pytest.mark.parametrize("lattice", CELLS)
def test_vacuum_is_the_widest_way_up_from_an_atom_to_the_next(lattice):
    structures = [random_structure(seed, lattice, 2, 2 + seed) for seed in range(10)]
    geometry = measure_geometry(structures, SPECIES[2])
    bottoms = []
    for row, sites in enumerate(structures):
        z = sites.scaled[:, -1] * lattice[-1]
        up = (z[None] - z[:, None]) % lattice[-1]
        np.fill_diagonal(up, lattice[-1])
        assert geometry.vacuum[row] == pytest.approx(up.min(axis=1).max())
        bottoms.append(z[up[up.min(axis=1).argmax()].argmin()])
    for channel in range(2):
        expected = [
            (z - bottom) % lattice[-1]
            for sites, bottom in zip(structures, bottoms, strict=True)
            for z in sites.positions[sites.species == channel, -1]
        ]
        np.testing.assert_allclose(geometry.heights[channel], expected, atol=1e-9)


def test_names_are_in_the_order_of_the_figures():
    assert names_of_pairs(("Ru", "O")) == ["Ru-Ru", "Ru-O", "O-O"]
    assert names_of_ordered_pairs(("Ru", "O")) == ["O around Ru", "Ru around O"]
    assert names_of_ordered_pairs(("O",)) == ["O around O"]
