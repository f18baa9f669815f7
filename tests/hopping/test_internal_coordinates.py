"""Wilson's B against finite differences of coordinates written out here; modes against the laws they obey."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from numpy.typing import NDArray

from ruo2_hopping.contacts import find_bonds
from ruo2_hopping.errors import HoppingError
from ruo2_hopping.internal_coordinates import Primitives, delocalised_modes, find_primitives, wilson_matrix
from ruo2_hopping.layers import assign_layers
from ruo2_hopping.slabs import FACETS, build_slab

Array = NDArray[np.float64]


def rattled(atoms: Atoms, seed: int = 1) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(scale=0.08, size=(len(atoms), 3))
    return atoms


def slab(facet: str = "110", layers: int = 2) -> Atoms:
    """A p(1x1) cell, where Ru and O of neighbouring cells are bonded to two images of one another."""
    return rattled(build_slab(facet, "stoichiometric", layers=layers))


def own_images() -> Atoms:
    """Ru is bonded to its own images along two vectors, and twice to O along the third."""
    return rattled(Atoms("RuO", positions=[[0, 0, 0], [2.0, 0.2, 0.1]], cell=[3.9, 2.6, 2.7], pbc=True))


def cluster() -> Atoms:
    """No periodicity that matters; RuO4 with another Ru."""
    places = [[0, 0, 0], [1.8, 0.3, 0.1], [-0.7, 1.7, 0.2], [-0.5, -0.6, 1.7], [-0.4, -1.0, -1.6], [3.3, 1.5, 0.4]]
    return Atoms("RuO4Ru", positions=places, cell=[15, 15, 15], pbc=True)


STRUCTURES = {"110": lambda: slab("110", 1), "101": lambda: slab("101"), "own images": own_images, "cluster": cluster}
every_structure = pytest.mark.parametrize("structure", STRUCTURES)


def everything(atoms: Atoms) -> NDArray[np.bool_]:
    return np.ones(len(atoms), dtype=bool)


# ---- The coordinates, written out.


def stretch(a: Array, b: Array) -> float:
    return float(((a - b) ** 2).sum() ** 0.5)


def bend(a: Array, centre: Array, b: Array) -> float:
    """From the law of cosines."""
    left, right, across = stretch(a, centre), stretch(b, centre), stretch(a, b)
    return float(np.arccos((left**2 + right**2 - across**2) / (2 * left * right)))


def torsion(a: Array, b: Array, c: Array, d: Array) -> float:
    """Angle between two half planes, as that of complex numbers seen along the axis from b to c."""
    axis = (c - b) / stretch(b, c)
    x = np.cross(axis, [0.31, 0.52, 0.79])
    x /= np.linalg.norm(x)
    y = np.cross(axis, x)
    near, far = complex((a - b) @ x, (a - b) @ y), complex((d - c) @ x, (d - c) @ y)
    return float(np.angle(far / near))


def values(primitives: Primitives, positions: Array, cell: Array) -> Array:
    """Every primitive from positions of the very images that are bonded."""
    bonds = primitives.bonds
    found = []

    def sites(start: int, image: Array, bond: int) -> tuple[int, Array]:
        assert bonds.first[bond] == start
        return int(bonds.second[bond]), image + bonds.images[bond]

    def place(site: tuple[int, Array]) -> Array:
        return positions[site[0]] + site[1] @ cell

    for bond in primitives.stretches:
        one = (int(bonds.first[bond]), np.zeros(3))
        found.append(stretch(place(one), place(sites(*one, bond))))
    for left, right in primitives.bends:
        centre = (int(bonds.first[left]), np.zeros(3))
        found.append(bend(place(sites(*centre, left)), place(centre), place(sites(*centre, right))))
    for left, middle, right in primitives.torsions:
        second = (int(bonds.first[middle]), np.zeros(3))
        third = sites(*second, middle)
        found.append(torsion(place(sites(*second, left)), place(second), place(third), place(sites(*third, right))))
    return np.array(found)


def differences(primitives: Primitives, atoms: Atoms, h: float = 1e-5) -> Array:
    """Central differences, shape (n_primitives, 3 n_atoms); torsions may jump by a full turn."""
    columns = []
    angles = np.arange(len(primitives)) >= len(primitives.stretches) + len(primitives.bends)
    for atom, axis in itertools.product(range(len(atoms)), range(3)):
        step = np.zeros((len(atoms), 3))
        step[atom, axis] = h
        change = values(primitives, atoms.positions + step, atoms.cell.array)
        change -= values(primitives, atoms.positions - step, atoms.cell.array)
        columns.append(np.where(angles, (change + np.pi) % (2 * np.pi) - np.pi, change) / (2 * h))
    return np.stack(columns, axis=1)


def primitives_by_walking(atoms: Atoms) -> tuple[list[float], list[float], list[float]]:
    """Ascending values of all stretches, bends and torsions (without sign), found by walks over images of atoms."""
    contacts = find_bonds(atoms)
    neighbours: dict[int, list[tuple[int, tuple[int, ...]]]] = {atom: [] for atom in range(len(atoms))}
    for first, second, image, distance in zip(
        contacts.first.tolist(), contacts.second.tolist(), contacts.images.tolist(), contacts.distances, strict=True
    ):
        if atoms.numbers[first] == 8 or atoms.numbers[second] == 8 or distance < 2.92:
            neighbours[first].append((second, tuple(image)))

    def around(site: tuple[int, tuple[int, ...]]) -> list[tuple[int, tuple[int, ...]]]:
        return [(atom, tuple(np.add(site[1], image))) for atom, image in neighbours[site[0]]]

    def place(site: tuple[int, tuple[int, ...]]) -> Array:
        return np.asarray(atoms.positions[site[0]] + np.array(site[1]) @ atoms.cell.array)

    def bent(a: Array, b: Array, c: Array) -> bool:
        return bool(np.radians(5.0) < bend(a, b, c) < np.radians(175.0))

    stretches, bends, torsions = [], [], []
    for home in range(len(atoms)):
        one = (home, (0, 0, 0))
        for two in around(one):
            stretches.append(stretch(place(one), place(two)))
            for three in around(two):
                if three == one:
                    continue
                sharp = bent(place(one), place(two), place(three))
                if sharp:
                    bends.append(bend(place(one), place(two), place(three)))
                for four in around(three):
                    if sharp and four not in (one, two) and bent(place(two), place(three), place(four)):
                        torsions.append(abs(torsion(place(one), place(two), place(three), place(four))))
    return sorted(stretches), sorted(bends), sorted(torsions)


# ---- Primitives and B.


@every_structure
def test_each_stretch_bend_and_torsion_is_there_once(structure: str) -> None:
    atoms = STRUCTURES[structure]()
    primitives = find_primitives(atoms, everything(atoms))
    found = values(primitives, atoms.positions, atoms.cell.array)
    ends = np.cumsum([len(primitives.stretches), len(primitives.bends)])
    walked = primitives_by_walking(atoms)
    assert len(walked[2]) > 0
    for kind, expected in zip(np.split(found, ends), walked, strict=True):
        assert len(expected) == 2 * len(kind)  # walked in both directions
        np.testing.assert_allclose(np.repeat(np.sort(np.abs(kind)), 2), expected, atol=1e-9)


@every_structure
def test_wilson_matrix_agrees_with_central_differences(structure: str) -> None:
    atoms = STRUCTURES[structure]()
    primitives = find_primitives(atoms, everything(atoms))
    B = wilson_matrix(primitives, len(atoms)).toarray()
    assert B.shape == (len(primitives), 3 * len(atoms))
    np.testing.assert_allclose(B, differences(primitives, atoms), atol=1e-6 * np.abs(B).max())


def test_stretches_to_own_images_do_not_change() -> None:
    atoms = own_images()
    primitives = find_primitives(atoms, everything(atoms))
    bonds = primitives.bonds
    own = bonds.first[primitives.stretches] == bonds.second[primitives.stretches]
    B = wilson_matrix(primitives, len(atoms)).toarray()
    assert own.sum() == 2
    np.testing.assert_allclose(B[: len(own)][own], 0.0, atol=1e-12)


@every_structure
def test_translations_change_no_primitive(structure: str) -> None:
    atoms = STRUCTURES[structure]()
    B = wilson_matrix(find_primitives(atoms, everything(atoms)), len(atoms))
    for axis in np.eye(3):
        np.testing.assert_allclose(B @ np.tile(axis, len(atoms)), 0.0, atol=1e-11)


@pytest.mark.parametrize("facet", FACETS)
def test_a_connected_slab_has_all_modes_but_the_translations(facet: str) -> None:
    for atoms in (build_slab(facet, "stoichiometric"), slab(facet, layers=3)):
        values_, modes = delocalised_modes(atoms, everything(atoms))
        B = wilson_matrix(find_primitives(atoms, everything(atoms)), len(atoms)).toarray()
        assert np.linalg.matrix_rank(B) == len(values_) == len(modes) == 3 * len(atoms) - 3


def test_a_molecule_has_six_motions_that_are_no_modes() -> None:
    atoms = cluster()
    assert len(delocalised_modes(atoms, everything(atoms))[0]) == 3 * len(atoms) - 6


# ---- Some atoms move, others stay.


def test_primitives_are_made_of_bonds_with_a_moved_atom() -> None:
    atoms = slab(layers=4)
    moved = atoms.positions[:, 2] > np.median(atoms.positions[:, 2])
    primitives = find_primitives(atoms, moved)
    bonds = primitives.bonds
    assert (moved[bonds.first] | moved[bonds.second]).all()
    assert not moved[bonds.first].all()
    complete = find_primitives(atoms, everything(atoms))
    inside = [
        (moved[complete.bonds.first[kind]] | moved[complete.bonds.second[kind]])
        .reshape(len(kind), -1)
        .all(axis=1)
        .sum()
        for kind in (complete.stretches, complete.bends, complete.torsions)
    ]
    assert [len(primitives.stretches), len(primitives.bends), len(primitives.torsions)] == inside


def test_a_layer_on_a_slab_that_stays_has_all_its_motions_as_modes() -> None:
    atoms = assign_layers(rattled(build_slab("110", "stoichiometric", (2, 1))))
    moved = atoms.get_tags() == 2
    values_, modes = delocalised_modes(atoms, moved)
    assert modes.shape == (3 * moved.sum(), moved.sum(), 3)
    assert (np.diff(values_) <= 0.0).all()
    assert values_[-1] > 1e-3


@pytest.mark.parametrize("part", ["all", "upper"])
def test_modes_are_orthonormal_in_the_mass_metric_and_singular_vectors_of_b(part: str) -> None:
    atoms = slab(layers=3)
    moved = everything(atoms) if part == "all" else atoms.positions[:, 2] > np.median(atoms.positions[:, 2])
    singular, modes = delocalised_modes(atoms, moved)
    masses = atoms.get_masses()[moved]
    overlap = np.einsum("kai,a,lai->kl", modes, masses, modes)
    np.testing.assert_allclose(overlap, np.eye(len(modes)), atol=1e-9)

    B = wilson_matrix(find_primitives(atoms, moved), len(atoms)).toarray()[:, np.repeat(moved, 3)]
    along = B @ modes.reshape(len(modes), -1).T
    np.testing.assert_allclose(along.T @ along, np.diag(singular**2), atol=1e-9 * singular[0] ** 2)
    dense = np.linalg.svd(B / np.repeat(masses, 3) ** 0.5, compute_uv=False)
    np.testing.assert_allclose(singular, dense[: len(singular)], rtol=1e-6)
    np.testing.assert_allclose(dense[len(singular) :], 0.0, atol=1e-10)


# ---- What is left out.


@pytest.mark.parametrize(("degrees", "n_bends"), [(180.0, 0), (176.0, 0), (174.0, 1), (90.0, 1)])
def test_bends_near_straight_and_torsions_over_them_are_left_out(degrees: float, n_bends: int) -> None:
    """O-Ru-O-Ru, bent at the second atom."""
    angle = np.radians(degrees)
    places = [[2 * np.cos(angle), 2 * np.sin(angle), 0], [0, 0, 0], [2, 0, 0], [2.5, 1, 1.6]]
    atoms = Atoms("ORuORu", positions=places, cell=[30, 30, 30], pbc=True)
    primitives = find_primitives(atoms, everything(atoms))
    assert (len(primitives.stretches), len(primitives.bends), len(primitives.torsions)) == (3, 1 + n_bends, n_bends)
    assert np.abs(wilson_matrix(primitives, 4).toarray()).max() < 10.0


def test_ru_atoms_are_bonded_in_the_metal_and_not_across_the_oxide() -> None:
    for distance, n_stretches in ((2.65, 1), (3.11, 0), (3.53, 0)):
        pair = Atoms("Ru2", positions=[[0, 0, 0], [distance, 0, 0]], cell=[20, 20, 20], pbc=True)
        assert len(find_primitives(pair, everything(pair)).stretches) == n_stretches


def test_three_atoms_in_a_ring_have_no_torsion() -> None:
    ring = Atoms("Ru2O", positions=[[0, 0, 0], [2.6, 0, 0], [1.3, 1.5, 0]], cell=[20, 20, 20], pbc=True)
    primitives = find_primitives(ring, everything(ring))
    assert (len(primitives.stretches), len(primitives.bends), len(primitives.torsions)) == (3, 3, 0)


def test_atoms_without_bonds_have_no_modes() -> None:
    atoms = Atoms("RuO", positions=[[0, 0, 0], [5, 0, 0]], cell=[20, 20, 20], pbc=True)
    singular, modes = delocalised_modes(atoms, everything(atoms))
    assert singular.shape == (0,)
    assert modes.shape == (0, 2, 3)
    assert len(delocalised_modes(slab(), np.zeros(len(slab()), dtype=bool))[0]) == 0


def test_a_mask_that_is_none_is_refused() -> None:
    atoms = cluster()
    with pytest.raises(HoppingError, match=r"moved must be a mask of 6 atoms; found shape \(2,\) of int64"):
        delocalised_modes(atoms, np.array([0, 1]))  # type: ignore[arg-type]
    with pytest.raises(HoppingError, match=r"found shape \(5,\) of bool"):
        delocalised_modes(atoms, np.ones(5, dtype=bool))
