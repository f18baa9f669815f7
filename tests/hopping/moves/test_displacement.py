"""Displacements: only the displacement layer, by no more than the step width, along the bonds' own directions."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ruo2_hopping.errors import ConfigError, ImpossibleMoveError
from ruo2_hopping.internal_coordinates import delocalised_modes, find_primitives, wilson_matrix
from ruo2_hopping.layers import DISPLACED, assign_layers
from ruo2_hopping.moves import DicDisplacement, Move, Rattle
from ruo2_hopping.slabs import build_slab

MOVES: list[Move] = [DicDisplacement(), DicDisplacement(step_width=0.4, modes=1.0), Rattle(), Rattle(share=0.4)]
every_move = pytest.mark.parametrize("move", MOVES, ids=str)


@pytest.fixture(scope="module")
def slab() -> Atoms:
    return assign_layers(build_slab("110", "stoichiometric", (2, 1)))


@every_move
def test_only_the_displacement_layer_moves_and_its_largest_component_is_the_step_width(move: Move, slab: Atoms) -> None:
    for seed in range(5):
        proposed = move.propose(slab, np.random.default_rng(seed))
        change = proposed.positions - slab.positions
        assert np.abs(change).max() == pytest.approx(move.step_width, abs=1e-12)  # type: ignore[attr-defined]
        assert (change[slab.get_tags() != DISPLACED] == 0.0).all()
        np.testing.assert_array_equal(proposed.numbers, slab.numbers)
        np.testing.assert_array_equal(proposed.get_tags(), slab.get_tags())
        np.testing.assert_array_equal(proposed.cell, slab.cell)


@every_move
def test_the_same_seed_gives_the_same_move_and_another_one_another(move: Move, slab: Atoms) -> None:
    first, again, other = (move.propose(slab, np.random.default_rng(seed)).positions for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@every_move
def test_the_structure_that_is_moved_stays_as_it_is(move: Move, slab: Atoms) -> None:
    atoms = slab.copy()
    atoms.info["step"] = 3
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    before = atoms.copy()
    proposed = move.propose(atoms, np.random.default_rng(0))
    proposed.info["step"] = 4
    assert atoms == before
    assert atoms.info == before.info
    assert proposed.calc is None


def test_a_share_of_the_atoms_is_rattled(slab: Atoms) -> None:
    n_displaced = int((slab.get_tags() == DISPLACED).sum())
    for share, expected in ((1.0, n_displaced), (0.5, n_displaced // 2), (1e-9, 1)):
        change = Rattle(share=share).propose(slab, np.random.default_rng(0)).positions - slab.positions
        assert change.any(axis=1).sum() == expected


@pytest.mark.parametrize(("share", "n_modes"), [(1e-9, 1), (0.25, 20), (1.0, 78)])
def test_a_share_of_the_modes_takes_part(slab: Atoms, share: float, n_modes: int) -> None:
    moved = slab.get_tags() == DISPLACED
    assert 3 * moved.sum() == 78
    _, modes = delocalised_modes(slab, moved)
    change = (DicDisplacement(modes=share).propose(slab, np.random.default_rng(0)).positions - slab.positions)[moved]
    masses = slab.get_masses()[moved]
    weights = np.einsum("kai,a,ai->k", modes, masses, change)
    assert (np.abs(weights) > 1e-9).sum() == n_modes


def test_bonds_change_less_than_by_a_rattle_as_lighter_atoms_move_more() -> None:
    """Per displacement, averaged over many steps: as the mass metric has it, some 10 % less than by a rattle."""
    atoms = assign_layers(build_slab("110", "stoichiometric"))
    moved = atoms.get_tags() == DISPLACED
    primitives = find_primitives(atoms, moved)
    n_stretches = len(primitives.stretches)
    B = wilson_matrix(primitives, len(atoms))[:n_stretches]
    softness = []
    for move in (DicDisplacement(), Rattle()):
        rng = np.random.default_rng(0)
        steps = [(move.propose(atoms, rng).positions - atoms.positions).ravel() for _ in range(80)]
        steps = [step / np.linalg.norm(step) for step in steps]
        softness.append(np.mean([np.sum((B @ step) ** 2) for step in steps]) ** 0.5)
    inverse = np.repeat(moved / atoms.get_masses(), 3)
    free = np.repeat(moved, 3)
    by_mass = ((B.power(2) @ inverse).sum() / inverse.sum()) ** 0.5
    by_rattle = ((B.power(2) @ free).sum() / free.sum()) ** 0.5
    assert softness[1] == pytest.approx(by_rattle, rel=0.03)
    assert softness[0] == pytest.approx(by_mass, rel=0.05)
    assert softness[0] < 0.98 * softness[1]


def test_a_structure_without_displacement_layer_cannot_be_moved(slab: Atoms) -> None:
    untagged = slab.copy()
    untagged.set_tags(0)
    for move in MOVES:
        with pytest.raises(ImpossibleMoveError, match=r"O40Ru20: a move needs atoms with tag 2, .* assign_layers"):
            move.propose(untagged, np.random.default_rng(0))


def test_atoms_without_bonds_have_nothing_to_move_along() -> None:
    atoms = Atoms("Ru", cell=[9, 9, 20], pbc=True, tags=[2])
    with pytest.raises(ImpossibleMoveError, match=r"Ru: the displacement layer must have bonds .* among 1 atoms"):
        DicDisplacement().propose(atoms, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("move", "options", "message"),
    [
        (DicDisplacement, {"step_width": 0.0}, "^displace: step_width must be a number above 0; found 0.0$"),
        (DicDisplacement, {"modes": 1.1}, "^displace: modes must be a number above 0, at most 1; found 1.1$"),
        (DicDisplacement, {"modes": float("nan")}, "modes must be a number above 0, at most 1; found nan"),
        (Rattle, {"share": "all", "name": "shake"}, "^shake: share must be a number above 0, at most 1; found 'all'$"),
        (Rattle, {"step_width": float("inf")}, "^rattle: step_width must be a number above 0; found inf$"),
    ],
)
def test_parameters_that_cannot_be_are_refused(move: type, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        move(**options)


def test_names_are_those_of_the_output() -> None:
    assert [DicDisplacement().name, Rattle().name, Rattle(name="shake").name] == ["displace", "rattle", "shake"]
