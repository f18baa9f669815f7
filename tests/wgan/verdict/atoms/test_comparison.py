"""Distances between structures of two sets are SciPy's, or can be told without it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ruo2_wgan.verdict.atoms import comparison as module
from ruo2_wgan.verdict.atoms.comparison import compare_structures, radial, ratios
from ruo2_wgan.verdict.atoms.geometry import BIN, Geometry, measure_geometry
from tests.wgan.verdict.examples import make_sites

KEYS = ("composition_w1", "ratio_w1", "coordination_emd", "rdf_w1", "profile_w1", "lattice_w1")


def make_set(seed: int, n: int, lattice: tuple[float, ...] = (6.0, 7.0, 18.0), n_species: int = 2) -> Geometry:
    random = np.random.default_rng(seed)
    structures = []
    for _ in range(n):
        n_atoms = int(random.integers(3, 9)) + seed
        scaled = random.random((n_atoms, len(lattice)))
        scaled[:, -1] *= 0.4
        lengths = np.array(lattice) + random.random(len(lattice))
        species = np.arange(n_atoms) % n_species
        structures.append(make_sites(scaled, species, lengths, unexplained=random.random()))
    return measure_geometry(structures, ("Ru", "O", "H")[:n_species])


def rdf_distance(first: np.ndarray, second: np.ndarray, power: int) -> float:
    middles = BIN * (np.arange(len(first)) + 0.5)
    return wasserstein_distance(middles, middles, first / middles**power, second / middles**power)


@pytest.mark.parametrize(("lattice", "power"), [((6.0, 7.0, 18.0), 2), ((8.0, 14.0), 1)])
@pytest.mark.parametrize("n_species", [2, 3])
def test_they_are_those_of_scipy(lattice, power, n_species):
    found, real = make_set(0, 12, lattice, n_species), make_set(2, 17, lattice, n_species)
    figures = compare_structures(found, real)
    columns = {
        "composition_w1": (found.counts.T, real.counts.T),
        "coordination_emd": (found.coordination, real.coordination),
        "profile_w1": (found.heights, real.heights),
        "lattice_w1": (found.lattice.T, real.lattice.T),
    }
    for name, (first, second) in columns.items():
        each = [wasserstein_distance(a, b) for a, b in zip(first, second, strict=True)]
        assert figures[name] == pytest.approx(np.mean(each)), name
    shares = [each.counts[:, 1] / each.counts[:, 0] for each in (found, real)]
    assert figures["ratio_w1"] == pytest.approx(wasserstein_distance(*shares))
    radials = [rdf_distance(a, b, power) for a, b in zip(found.pair_counts, real.pair_counts, strict=True)]
    assert figures["rdf_w1"] == pytest.approx(np.mean(radials))
    assert figures["decode_residual"] == pytest.approx(found.unexplained.mean())
    assert min(figures[name] for name in KEYS) > 0.0


def test_a_set_is_at_no_distance_from_itself():
    real = make_set(0, 9)
    assert [compare_structures(real, real)[name] for name in KEYS] == pytest.approx([0.0] * 6, abs=1e-12)


def test_what_is_shifted_is_as_far_as_it_was_shifted():
    real = make_set(0, 9)
    moved = replace(
        real,
        counts=real.counts + np.array([2, 4]),
        heights=[each + 0.5 for each in real.heights],
        lattice=real.lattice + np.array([0.1, 0.2, 0.6]),
        coordination=[each + 3 for each in real.coordination],
    )
    figures = compare_structures(moved, real)
    assert figures["composition_w1"] == pytest.approx(3.0)
    assert figures["profile_w1"] == pytest.approx(0.5)
    assert figures["lattice_w1"] == pytest.approx(0.3)
    assert figures["coordination_emd"] == pytest.approx(3.0)


def test_distances_that_are_shifted_by_bins_are_as_far_as_those():
    real = make_set(0, 4)
    first, second = np.zeros_like(real.pair_counts), np.zeros_like(real.pair_counts)
    first[:, 40], second[:, 47] = 5, 3
    figures = compare_structures(replace(real, pair_counts=first), replace(real, pair_counts=second))
    assert figures["rdf_w1"] == pytest.approx(7 * BIN)


@pytest.mark.parametrize("power", [1, 2])
def test_a_gas_has_an_even_distribution_of_distances(power):
    random = np.random.default_rng(0)
    away = random.uniform(-6.0, 6.0, (400_000, power + 1))
    distances = np.linalg.norm(away, axis=1)
    counts = np.histogram(distances[distances < 6.0], bins=120, range=(0.0, 6.0))[0]
    even = radial(counts, power)[20:]
    assert even.std() / even.mean() < 0.1
    assert abs(np.polyfit(np.arange(100), even / even.mean(), 1)[0]) < 1e-3


def test_where_one_set_has_nothing_there_is_no_distance():
    nothing = measure_geometry([make_sites(np.zeros((0, 3)), [], (6.0, 7.0, 18.0))] * 3, ("Ru", "O"))
    real = make_set(0, 5)
    for pair in ((nothing, real), (real, nothing), (nothing, nothing)):
        figures = compare_structures(*pair)
        for name in ("ratio_w1", "coordination_emd", "rdf_w1", "profile_w1"):
            assert figures[name] is None, name
        assert figures["composition_w1"] is not None
        assert figures["lattice_w1"] is not None


def test_a_species_that_one_set_lacks_is_left_out_of_the_mean():
    real = make_set(0, 5)
    only = measure_geometry([make_sites([[0.1, 0.1, 0.1], [0.4, 0.4, 0.1]], [0, 0], (6.0, 7.0, 18.0))] * 2, ("Ru", "O"))
    assert compare_structures(only, real)["profile_w1"] == pytest.approx(
        wasserstein_distance(only.heights[0], real.heights[0])
    )


def test_one_species_has_no_ratio():
    real = make_set(0, 5, n_species=1)
    figures = compare_structures(real, real)
    assert figures["ratio_w1"] is None
    assert figures["coordination_emd"] == pytest.approx(0.0)


def test_structures_without_the_first_species_have_no_ratio():
    geometry = replace(make_set(0, 3), counts=np.array([[2, 6], [0, 3], [1, 5]]))
    assert ratios(geometry).tolist() == [3.0, 5.0]


def test_of_very_many_values_some_do(monkeypatch):
    random = np.random.default_rng(0)
    real = make_set(0, 3)
    many = [random.gamma(2.0, 1.0, 30_000), random.gamma(3.0, 1.0, 30_000)]
    sets = replace(real, heights=[many[0]] * 2), replace(real, heights=[many[1]] * 2)
    exact = compare_structures(*sets)["profile_w1"]
    assert exact == pytest.approx(wasserstein_distance(*many))
    monkeypatch.setattr(module, "MOST_VALUES", 1000)
    assert compare_structures(*sets)["profile_w1"] == pytest.approx(exact, rel=0.01)
