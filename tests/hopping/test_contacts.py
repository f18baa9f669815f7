"""Contacts over all periodic images, against a sum over images written out."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from ruo2_hopping.contacts import Contacts, find_bonds, find_contacts
from ruo2_hopping.slabs import build_slab

LAW = settings(max_examples=25, deadline=None, derandomize=True)
CELLS = {
    "orthorhombic": np.diag([4.0, 6.5, 9.0]),
    "smaller than the cutoff": np.diag([2.1, 2.6, 9.0]),
    "sheared": np.array([[3.1, 0.0, 0.0], [-1.9, 2.7, 0.0], [0.4, 0.9, 8.0]]),
}


def random_atoms(cell: str, seed: int) -> Atoms:
    """Up to five atoms, also outside of the cell."""
    rng = np.random.default_rng(seed)
    n_atoms = int(rng.integers(1, 6))
    atoms = Atoms(rng.choice([8, 44], n_atoms), cell=CELLS[cell], pbc=True)
    atoms.set_scaled_positions(rng.uniform(-0.5, 1.5, (n_atoms, 3)))
    atoms.positions = atoms.get_scaled_positions(wrap=False) @ CELLS[cell]
    return atoms


def pairs_written_out(atoms: Atoms, cutoff: float) -> list[tuple[int, int, int, int, int]]:
    """First, second and image of each contact, by trying all images nearby."""
    found = []
    images = np.array(list(itertools.product(range(-8, 9), range(-8, 9), range(-3, 4))))
    for i, j in itertools.product(range(len(atoms)), repeat=2):
        vectors = atoms.positions[j] + images @ atoms.cell.array - atoms.positions[i]
        near = images[(vectors**2).sum(axis=1) < cutoff**2].tolist()
        found += [(i, j, *image) for image in near if i != j or any(image)]
    return sorted(found)


def listed(contacts: Contacts) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.column_stack([contacts.first, contacts.second, contacts.images]).tolist()]


@pytest.mark.parametrize("cell", CELLS)
@given(seed=st.integers(0, 10**6))
@settings(parent=LAW, max_examples=5)
def test_contacts_are_those_found_by_trying_all_images_in_order(cell: str, seed: int) -> None:
    atoms = random_atoms(cell, seed)
    contacts = find_contacts(atoms, 3.0)
    assert listed(contacts) == pairs_written_out(atoms, 3.0)
    vectors = atoms.positions[contacts.second] + contacts.images @ atoms.cell.array - atoms.positions[contacts.first]
    np.testing.assert_allclose(contacts.vectors, vectors, atol=1e-12)
    np.testing.assert_allclose(contacts.distances, np.linalg.norm(vectors, axis=1), atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@given(seed=st.integers(0, 10**6))
@LAW
def test_the_opposite_of_a_contact_is_the_same_one_in_the_other_direction(cell: str, seed: int) -> None:
    contacts = find_contacts(random_atoms(cell, seed), 3.5)
    opposite = contacts.opposite()
    np.testing.assert_array_equal(contacts.first[opposite], contacts.second)
    np.testing.assert_array_equal(contacts.images[opposite], -contacts.images)
    np.testing.assert_array_equal(contacts.vectors[opposite], -contacts.vectors)
    np.testing.assert_array_equal(opposite[opposite], np.arange(len(contacts)))


def test_radii_of_atoms_add_up_to_the_cutoff_of_a_pair() -> None:
    atoms = Atoms("ORuO", positions=[[0, 0, 0], [2.6, 0, 0], [2.6, 2.7, 0]], cell=[20, 20, 20], pbc=True)
    assert listed(find_bonds(atoms)) == [(0, 1, 0, 0, 0), (1, 0, 0, 0, 0)]  # 1.25 (1.46 + 0.66) = 2.65 Å
    assert len(find_bonds(atoms, scale=1.2)) == 0
    assert len(find_contacts(atoms, np.array([0.0, 2.0, 0.71]))) == 2


def test_ru_of_bulk_has_six_oxygen_and_oxygen_three_ru() -> None:
    slab = build_slab("110", "stoichiometric", layers=5)
    bonds = find_bonds(slab)
    oxygen = slab.numbers == 8
    n_ru_of_oxygen = np.bincount(bonds.first[~oxygen[bonds.second]], minlength=len(slab))[oxygen]
    n_oxygen_of_ru = np.bincount(bonds.first[oxygen[bonds.second]], minlength=len(slab))[~oxygen]
    assert sorted(n_ru_of_oxygen.tolist()) == [2] * 2 + [3] * 18  # two bridging oxygen atoms
    assert sorted(n_oxygen_of_ru.tolist()) == [5] * 2 + [6] * 8


def test_selected_contacts_keep_their_order() -> None:
    contacts = find_bonds(build_slab("100", "O-rich"))
    short = contacts.distances < 1.96
    assert listed(contacts.select(short)) == [row for row, kept in zip(listed(contacts), short, strict=True) if kept]
    assert 0 < len(contacts.select(short)) < len(contacts)


def test_atoms_without_contacts_have_none() -> None:
    contacts = find_bonds(Atoms("O", cell=[9, 9, 9], pbc=True))
    assert len(contacts) == len(contacts.opposite()) == 0
    assert contacts.vectors.shape == contacts.images.shape == (0, 3)
