from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from ruo2_hopping.fingerprints import CUTOFF, RADII, WIDTH, distance, fingerprint
from tests.hopping.searches import moved, slab


def by_loops(atoms: Atoms) -> dict[str, np.ndarray]:
    """The formula of the docstring, atom by atom and image by image."""
    species = sorted(set(atoms.symbols))
    rows: dict[str, list[np.ndarray]] = {symbol: [] for symbol in species}
    images = list(product(*(range(-4, 5) if periodic else (0,) for periodic in atoms.pbc)))
    for i in range(len(atoms)):
        row = np.zeros((len(species), len(RADII)))
        for j in range(len(atoms)):
            for image in images:
                d = np.linalg.norm(atoms.positions[j] + np.array(image) @ atoms.cell.array - atoms.positions[i])
                if d < CUTOFF and (i != j or any(image)):
                    taper = (1 + np.cos(np.pi * d / CUTOFF)) / 2
                    row[species.index(atoms.symbols[j])] += taper * np.exp(-((RADII - d) ** 2) / (2 * WIDTH**2))
        rows[atoms.symbols[i]].append((4 / np.pi) ** 0.25 * WIDTH * row.ravel())
    return {symbol: np.array(each) for symbol, each in rows.items()}


@pytest.mark.parametrize("pbc", [True, (True, True, False), False])
def test_histograms_are_what_the_formula_says(pbc: object) -> None:
    cell = [[2.7, 0.0, 0.0], [0.9, 3.1, 0.0], [0.4, -0.6, 4.5]]  # atoms meet several images of each other
    positions = np.random.default_rng(0).uniform(0, 4, (4, 3))
    atoms = Atoms("OReRuO", positions, cell=cell, pbc=pbc)
    atoms.symbols[1] = "Ru"
    found, expected = fingerprint(atoms), by_loops(atoms)
    if pbc is not True:  # then there are fewer neighbours
        assert not np.allclose(found["O"], fingerprint(Atoms(atoms, pbc=True))["O"])
    for symbol in ("O", "Ru"):
        np.testing.assert_allclose(found[symbol], expected[symbol], atol=1e-12)


def test_a_distance_that_changes_a_little_changes_the_histogram_by_as_much() -> None:
    def pair(d: float) -> np.ndarray:
        return fingerprint(Atoms("RuO", [[0, 0, 0], [d, 0, 0]], cell=[30, 30, 30], pbc=True))["O"]

    for d in (1.5, 2.03, 3.0):
        taper = (1 + np.cos(np.pi * d / CUTOFF)) / 2
        assert np.linalg.norm(pair(d + 0.005) - pair(d - 0.005)) == pytest.approx(0.01 * taper, rel=0.05)


@pytest.mark.parametrize(
    "how", ["translated", "wrapped elsewhere", "mirrored", "turned over", "rotated", "in another order"]
)
def test_the_same_structure_is_no_distance_away(how: str) -> None:
    rng = np.random.default_rng(1)
    for seed in range(5):
        atoms = slab(seed=seed)
        assert distance(fingerprint(atoms), fingerprint(moved(atoms, how, rng))) < 1e-9


def test_a_small_rattle_is_near_and_one_atom_elsewhere_is_far() -> None:
    rng = np.random.default_rng(2)
    for seed in range(5):
        atoms = slab(seed=seed)
        own = fingerprint(atoms)
        rattled = atoms.copy()
        rattled.positions += rng.normal(0, 0.01, (len(atoms), 3))
        assert 0.005 < distance(own, fingerprint(rattled)) < 0.1
        atoms.positions[-1, 2] += 1.0
        assert distance(own, fingerprint(atoms)) > 0.3


def test_one_atom_elsewhere_counts_the_same_in_a_larger_cell() -> None:
    found = []
    for n in (2, 4):
        atoms = bulk("NaCl", "rocksalt", a=5.0, cubic=True) * (n, n, 2)
        own = fingerprint(atoms)
        atoms.positions[0] += [0.6, 0.4, 0.2]
        found.append(distance(own, fingerprint(atoms)))
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] > 0.3


def test_distances_are_symmetric_and_infinite_for_another_composition_or_beyond_the_limit() -> None:
    one, other = fingerprint(slab(seed=0)), fingerprint(slab(seed=1))
    far = distance(one, other)
    assert far == pytest.approx(distance(other, one))
    assert distance(one, other, far * 1.01) == far
    assert distance(one, other, far * 0.99) == float("inf")
    assert distance(one, fingerprint(slab(n_oxygen=9))) == float("inf")


def test_each_atom_has_one_counterpart() -> None:
    kind = {"a": np.zeros(4), "b": np.ones(4)}
    one = {"O": np.array([kind[each] for each in "aaab"])}
    other = {"O": np.array([kind[each] for each in "abbb"])}
    assert distance(one, other) == pytest.approx(2.0)  # though each has its like in the other
    assert distance(one, other, 0.5) == float("inf")
