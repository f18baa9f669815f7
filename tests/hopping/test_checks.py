"""Sound slabs pass; each planted fault is named, with its atoms, wherever it lies in the cell."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import Trajectory

from ruo2_hopping.checks import Limits, find_fault
from ruo2_hopping.errors import ConfigError
from ruo2_hopping.layers import assign_layers
from ruo2_hopping.slabs import FACETS, TERMINATIONS, build_slab

TRAJECTORY = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"


def stoichiometric(facet: str = "110") -> Atoms:
    return assign_layers(build_slab(facet, "stoichiometric", (2, 1)))


def highest(atoms: Atoms, number: int) -> int:
    which = np.flatnonzero(atoms.numbers == number)
    return int(which[atoms.positions[which, 2].round(6).argmax()])


def with_oxygen(atoms: Atoms, *places: object) -> Atoms:
    return atoms + Atoms("O" * len(places), positions=places, tags=[2] * len(places))


def above(atoms: Atoms, atom: int, height: float) -> object:
    return atoms.positions[atom] + [0.0, 0.0, height]


# ---- Each plants a fault in a slab of 60 atoms and says what must be found.


def too_close() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    ru = highest(atoms, 44)
    return with_oxygen(atoms, above(atoms, ru, 1.4)), f"too close: Ru{ru}-O60 1.40 Å"


def molecule_on_ru() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    bridge = highest(atoms, 8)
    return with_oxygen(atoms, above(atoms, bridge, 1.3)), f"molecular oxygen: O{bridge}-O60 1.30 Å"


def molecule_in_the_vacuum() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    ru = highest(atoms, 44)
    return with_oxygen(atoms, above(atoms, ru, 4.0), above(atoms, ru, 5.21)), "molecular oxygen: O60-O61 1.21 Å"


def peroxide() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    bridge = highest(atoms, 8)
    return with_oxygen(atoms, above(atoms, bridge, 1.45)), f"peroxide: O{bridge}-O60 1.45 Å"


def chain_of_three() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    bridge = highest(atoms, 8)
    chained = with_oxygen(atoms, above(atoms, bridge, 1.8), above(atoms, bridge, 3.6))
    return chained, f"clustered oxygen: O{bridge}, O60, O61 within 2 Å of each other"


def floating_oxygen() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    bridge = highest(atoms, 8)
    return with_oxygen(atoms, above(atoms, bridge, 3.0)), f"desorbed: O60 cut off from the slab, 3.00 Å from O{bridge}"


def floating_ru() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    bridge = highest(atoms, 8)
    lost = atoms + Atoms("Ru", positions=[above(atoms, bridge, 3.4)], tags=[2])
    return lost, f"desorbed: Ru60 cut off from the slab, 3.40 Å from O{bridge}"


def broken_slab() -> tuple[Atoms, str]:
    """Only the lowest layer stays; most of the atoms go up, but the fixed ones are the slab."""
    atoms = stoichiometric()
    heights = np.unique(atoms.positions[atoms.numbers == 44, 2].round(6))
    upper = np.flatnonzero(atoms.positions[:, 2] > heights[0] + 2.5)
    atoms.positions[upper, 2] += 3.0
    return atoms, f"desorbed: {atoms.symbols[upper[0]]}{upper[0]}, "


def lost() -> tuple[Atoms, str]:
    atoms = stoichiometric()
    atoms.positions[7] = np.nan
    atoms.positions[9, 0] = np.inf
    return atoms, f"lost: {atoms.symbols[7]}7, {atoms.symbols[9]}9 at no finite position"


PLANTED = [
    too_close,
    molecule_on_ru,
    molecule_in_the_vacuum,
    peroxide,
    chain_of_three,
    floating_oxygen,
    floating_ru,
    broken_slab,
    lost,
]


@pytest.mark.parametrize("facet", FACETS)
@pytest.mark.parametrize("termination", TERMINATIONS)
def test_sound_slabs_have_no_fault(facet: str, termination: str) -> None:
    for repeat in ((1, 1), (2, 2)):
        slab = assign_layers(build_slab(facet, termination, repeat))
        assert find_fault(slab) == ""
        slab.positions += np.random.default_rng(0).normal(scale=0.05, size=(len(slab), 3))
        assert find_fault(slab) == ""


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.6, 0.0), (2.9, 5.1)])
def test_each_fault_is_found_wherever_it_lies_in_the_cell(plant, shift: tuple[float, float]) -> None:  # type: ignore[no-untyped-def]
    atoms, fault = plant()
    assert find_fault(atoms).startswith(fault)
    if "lost" not in fault:
        atoms.positions[:, :2] += shift
        atoms.wrap(pbc=[True, True, False])
        assert find_fault(atoms).startswith(fault)


def test_faults_across_the_border_of_the_cell_are_found() -> None:
    atoms = stoichiometric()
    y, z = atoms.positions[highest(atoms, 44), 1:] + [0.0, 4.0]
    across = with_oxygen(atoms, [0.3, y, z], [atoms.cell[0, 0] - 0.9, y, z])
    assert find_fault(across) == "molecular oxygen: O60-O61 1.20 Å"


def test_oxygen_that_chains_up_with_its_own_images_is_clustered() -> None:
    alone = Atoms("O", positions=[[0, 0, 5]], cell=[1.9, 6.0, 20.0], pbc=True)
    assert find_fault(alone) == "clustered oxygen: O0 within 2 Å of each other"


def test_two_oxygen_atoms_that_are_merely_near_are_no_fault() -> None:
    atoms = stoichiometric()
    bridge = highest(atoms, 8)
    near = with_oxygen(atoms, atoms.positions[bridge] + [0.0, 1.3, 1.3])
    assert near.get_distance(bridge, 60) == pytest.approx(1.84, abs=0.01)
    assert not find_fault(near).startswith(("clustered", "peroxide", "molecular"))


def test_the_first_fault_in_order_is_said() -> None:
    atoms = stoichiometric()
    found = []
    bridge, ru = highest(atoms, 8), highest(atoms, 44)
    worse = [
        [above(atoms, bridge, 6.0)],
        [above(atoms, bridge, 1.8), above(atoms, bridge, 3.6)],
        [above(atoms, bridge, 7.45)],  # 1.45 Å above the first
        [above(atoms, bridge, 8.65)],
        [above(atoms, ru, 1.3)],
    ]
    for places in worse:
        atoms = with_oxygen(atoms, *places)
        found.append(find_fault(atoms).split(":")[0])
    assert found == ["desorbed", "clustered oxygen", "peroxide", "molecular oxygen", "too close"]


def test_the_shortest_of_several_is_named_whatever_comes_first() -> None:
    atoms = stoichiometric()
    ru = highest(atoms, 44)
    places = [above(atoms, ru, height) for height in (4.0, 5.3, 9.0, 10.2)]
    assert find_fault(with_oxygen(atoms, *places)) == "molecular oxygen: O62-O63 1.20 Å"


def test_many_atoms_are_counted() -> None:
    atoms, _ = broken_slab()
    n_above = int((stoichiometric().positions[:, 2] != atoms.positions[:, 2]).sum())
    assert f" and {n_above - 6} more cut off from the slab, " in find_fault(atoms)


def test_relaxed_structures_of_a_search_pass() -> None:
    n_relaxed = 0
    with Trajectory(str(TRAJECTORY)) as frames:
        for index in range(0, len(frames), 3):
            atoms = frames[index]
            if atoms.info["valid"] and atoms.info["converged"] and atoms.info["substep"] > 20:
                assert find_fault(atoms) == ""
                n_relaxed += 1
    assert n_relaxed > 30


def test_limits_can_be_chosen() -> None:
    atoms, _ = peroxide()
    assert find_fault(atoms, Limits(molecular=1.5)).startswith("molecular oxygen")
    assert not find_fault(atoms, Limits(peroxide=1.4)).startswith("peroxide")
    assert find_fault(stoichiometric(), Limits(too_close=0.95)).startswith("too close: ")
    assert find_fault(stoichiometric(), Limits(bond=0.9, too_close=0.5)).startswith("desorbed: ")
    atoms, _ = chain_of_three()
    assert not find_fault(atoms, Limits(contact=1.75)).startswith("clustered")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bond": 0.6}, "^checks: too_close must be below bond, 0.6; found 0.7$"),
        ({"too_close": 0.0}, "^checks: too_close must be a positive number; found 0.0$"),
        ({"contact": "2"}, "^checks: contact must be a positive number; found '2'$"),
        ({"peroxide": 1.2}, "^checks: molecular, peroxide and contact must ascend; found 1.375, 1.2 and 2 Å$"),
    ],
)
def test_limits_that_cannot_be_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Limits(**options)
