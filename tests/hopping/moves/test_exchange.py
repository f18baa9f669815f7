"""Oxygen comes to the surface and leaves it, one atom at a time."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from ruo2_hopping.checks import find_fault
from ruo2_hopping.errors import ConfigError, ImpossibleMoveError
from ruo2_hopping.layers import DISPLACED, assign_layers
from ruo2_hopping.moves import OxygenInsertion, OxygenRemoval
from ruo2_hopping.slabs import FACETS, build_slab

every_facet = pytest.mark.parametrize("facet", FACETS)


def slab(facet: str, termination: str = "O-poor", repeat: tuple[int, int] = (2, 1)) -> Atoms:
    return assign_layers(build_slab(facet, termination, repeat))


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@every_facet
@pytest.mark.parametrize("repeat", [(1, 1), (2, 2)])
def test_insertion_adds_one_oxygen_at_the_end_and_leaves_the_rest(facet: str, repeat: tuple[int, int]) -> None:
    atoms = slab(facet, repeat=repeat)
    before = atoms.copy()
    for seed in range(5):
        proposed = OxygenInsertion().propose(atoms, rng(seed))
        assert proposed.get_chemical_symbols() == [*atoms.get_chemical_symbols(), "O"]
        np.testing.assert_array_equal(proposed.positions[:-1], atoms.positions)
        np.testing.assert_array_equal(proposed.get_tags(), [*atoms.get_tags(), DISPLACED])
        np.testing.assert_array_equal(proposed.cell, atoms.cell)
        assert proposed.info == atoms.info
    assert atoms == before


@every_facet
@pytest.mark.parametrize("termination", ["O-poor", "stoichiometric"])
def test_inserted_oxygen_is_bonded_to_the_displacement_layer_and_clear_of_the_rest(
    facet: str, termination: str
) -> None:
    atoms = slab(facet, termination)
    for seed in range(6):
        proposed = OxygenInsertion(bond=1.9).propose(atoms, rng(seed))
        new = len(atoms)
        first, second, distances = neighbor_list("ijd", proposed, 3.0)
        partners, distances = second[first == new], distances[first == new]
        metal = proposed.numbers[partners] == 44
        bonded = np.isclose(distances, 1.9, atol=1e-9) & (proposed.get_tags()[partners] == DISPLACED) & metal
        assert bonded.any()
        assert (distances[metal] >= 0.85 * 1.9 - 1e-9).all()
        assert (distances[~metal] >= 2.0).all()
        assert find_fault(proposed) == ""


@every_facet
def test_oxygen_is_inserted_on_the_surface(facet: str) -> None:
    """Above nothing but vacuum: no atom is higher and less than 1.5 Å away sideways."""
    atoms = slab(facet, "stoichiometric", (2, 2))
    for seed in range(6):
        proposed = OxygenInsertion().propose(atoms, rng(seed))
        sideways = proposed.get_distances(-1, range(len(atoms)), mic=True, vector=True)[:, :2]
        higher = proposed.positions[:-1, 2] > proposed.positions[-1, 2]
        assert (np.linalg.norm(sideways[higher], axis=1) >= 1.5 - 1e-9).all()


def test_a_void_below_the_surface_stays_empty() -> None:
    """Oxygen is taken from between the first and the second Ru layer, under a surface that is full."""
    atoms = slab("110", "O-rich", (2, 2))
    with pytest.raises(ImpossibleMoveError):
        OxygenInsertion().propose(atoms, rng(0))
    ru = np.unique(atoms.positions[atoms.numbers == 44, 2].round(6))
    between = (atoms.positions[:, 2] > ru[-2] + 0.2) & (atoms.positions[:, 2] < ru[-1] - 0.2)
    assert between.sum() == 8
    del atoms[np.flatnonzero(between)]
    with pytest.raises(ImpossibleMoveError):
        OxygenInsertion().propose(atoms, rng(0))


def test_insertion_reaches_every_metal_atom_that_has_room() -> None:
    atoms = slab("110", "stoichiometric", (2, 1))
    reached = set()
    for seed in range(16):
        proposed = OxygenInsertion().propose(atoms, rng(seed))
        lengths = proposed.get_distances(-1, range(len(atoms)), mic=True)
        reached.add(int(np.where(atoms.numbers == 44, lengths, np.inf).argmin()))
    heights = atoms.positions[:, 2].round(6)
    top = np.flatnonzero((atoms.numbers == 44) & (heights == heights[atoms.numbers == 44].max()))
    n_bonds = np.bincount(neighbor_list("i", atoms, 2.3))
    five_fold = [atom for atom in top if n_bonds[atom] == 5]
    assert len(five_fold) == 2
    assert set(five_fold) <= reached <= set(top.tolist())


def test_insertion_sees_the_images_across_the_border() -> None:
    """One Ru at a corner of the cell, covered by oxygen across the border, but for one direction."""
    bond, box = 1.95, 7.0
    directions = [[-1, 0, 0.3], [0, -1, 0.3], [0, 1, 0.3], [-0.2, 0, 1.0]]
    covered = [bond * np.array(d) / np.linalg.norm(d) + [0, 0, 5] for d in directions]
    atoms = Atoms("RuO4", positions=[[0, 0, 5], *covered], cell=[box, box, 20])
    atoms.pbc = True
    atoms.set_tags(DISPLACED)
    atoms.wrap()
    for seed in range(6):
        proposed = OxygenInsertion().propose(atoms, rng(seed))
        assert proposed.positions[-1, 0] > 0.5
        assert (proposed.get_distances(-1, range(1, 5), mic=True) >= 2.0).all()


def test_removal_takes_one_oxygen_of_the_displacement_layer_any_of_them() -> None:
    atoms = slab("110", "stoichiometric")
    atoms.set_array("number", np.arange(len(atoms)))
    before = atoms.copy()
    removed = set()
    for seed in range(150):
        proposed = OxygenRemoval().propose(atoms, rng(seed))
        (gone,) = set(range(len(atoms))) - set(proposed.arrays["number"].tolist())
        np.testing.assert_array_equal(proposed.positions, np.delete(atoms.positions, gone, axis=0))
        np.testing.assert_array_equal(proposed.get_tags(), np.delete(atoms.get_tags(), gone))
        removed.add(gone)
    assert removed == set(np.flatnonzero((atoms.numbers == 8) & (atoms.get_tags() == DISPLACED)).tolist())
    assert atoms == before


def test_removal_undoes_insertion_above_a_lone_metal_atom() -> None:
    atoms = Atoms("Ru", positions=[[2, 2, 5]], cell=[9, 9, 20], pbc=True, tags=[DISPLACED])
    for seed in range(20):
        with_oxygen = OxygenInsertion().propose(atoms, rng(seed))
        assert with_oxygen.positions[1, 2] > 5.0
        assert OxygenRemoval().propose(with_oxygen, rng(seed)) == atoms


def test_inserted_oxygen_keeps_off_other_metal_atoms() -> None:
    """The other one is not in the displacement layer, and lower, so that it shades nothing."""
    atoms = Atoms("Ru2", positions=[[0, 0, 5], [2.2, 0, 4.9]], cell=[9, 9, 20], pbc=True, tags=[DISPLACED, 1])
    distances = [OxygenInsertion().propose(atoms, rng(seed)).get_distance(1, 2) for seed in range(100)]
    assert 0.85 * 1.95 <= min(distances) < 1.95


def test_the_same_seed_gives_the_same_exchange_and_another_one_another() -> None:
    atoms = slab("101")
    for move in (OxygenInsertion(), OxygenRemoval()):
        first, again, other = (move.propose(atoms, rng(seed)) for seed in (3, 3, 5))
        assert first == again
        assert first != other


def test_moves_that_a_structure_does_not_allow_are_refused() -> None:
    with pytest.raises(ImpossibleMoveError, match=r"1\.95 Å from a metal .* none around 8 metal atoms\. Lower"):
        OxygenInsertion().propose(slab("110", "O-rich"), rng(0))
    with pytest.raises(ImpossibleMoveError, match="found none around 0 metal atoms"):
        OxygenInsertion().propose(Atoms("O", cell=[9, 9, 20], pbc=True, tags=[DISPLACED]), rng(0))
    with pytest.raises(ImpossibleMoveError, match=r"^Ru: the displacement layer must have an O atom to remove"):
        OxygenRemoval().propose(Atoms("Ru", cell=[9, 9, 20], pbc=True, tags=[DISPLACED]), rng(0))
    for move in (OxygenInsertion(), OxygenRemoval()):
        with pytest.raises(ImpossibleMoveError, match="a move needs atoms with tag 2"):
            move.propose(Atoms("RuO", cell=[9, 9, 20], pbc=True), rng(0))


def test_parameters_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^insert: bond must be a number above 0; found -1\.0$"):
        OxygenInsertion(bond=-1.0)
    with pytest.raises(ConfigError, match=r"^add: clearance must be a number above 0; found 0$"):
        OxygenInsertion(clearance=0, name="add")
    assert [OxygenInsertion().name, OxygenRemoval().name] == ["insert", "remove"]
