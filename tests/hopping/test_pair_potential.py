"""The toy potential is what its formula says, forces and stresses follow from energies, and RuO2 holds together."""

import itertools
import math
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from hypothesis import given, settings
from hypothesis import strategies as st

from ruo2_hopping.calibration import rutile
from ruo2_hopping.errors import CalculatorError
from ruo2_hopping.pair_potential import ATTRACTION, CUTOFF, DECAY, DISTANCE, STRENGTH, SWITCH, PairPotential

SEEDS = st.integers(0, 2**32 - 1)


def with_toy(atoms: Atoms) -> Atoms:
    atoms.calc = PairPotential()
    return atoms


def at_random(seed: int) -> Atoms:
    """Some atoms in a skewed cell, some of whose edges are shorter than the cutoff; periodic as it comes."""
    rng = np.random.default_rng(seed)
    n_atoms = int(rng.integers(1, 8))
    cell = np.diag(rng.uniform(2.5, 7.0, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    positions = rng.uniform(-1.5, 1.5, (n_atoms, 3)) @ cell  # beyond the cell as well
    return with_toy(Atoms(rng.choice([44, 8], n_atoms), positions=positions, cell=cell, pbc=rng.random(3) < 0.7))


def pair_energy(one: str, other: str, r: float) -> float:
    """The formula of the docstring, with nothing but math."""
    if r >= CUTOFF:
        return 0.0
    kind = (one, other).count("O")
    wall = math.exp(-DECAY[kind] * (r - DISTANCE[kind]))
    x = max(0.0, (r - SWITCH) / (CUTOFF - SWITCH))
    return float(STRENGTH[kind] * wall * (wall - 2 * ATTRACTION[kind]) * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5))


def energy_by_loops(atoms: Atoms) -> float:
    """The sum over all atoms and all images of all others, half of it."""
    # Atoms reach over 3 cells and the cutoff over 2 or more of the shortest height.
    heights = atoms.cell.volume / np.array(
        [np.linalg.norm(np.cross(atoms.cell[(i + 1) % 3], atoms.cell[(i + 2) % 3])) for i in range(3)]
    )
    ranges = [
        range(-n, n + 1) if periodic else range(1)
        for n, periodic in zip(np.ceil(CUTOFF / heights).astype(int) + 3, atoms.pbc, strict=True)
    ]
    total = 0.0
    for steps in itertools.product(*ranges):
        moved = atoms.positions + np.array(steps) @ atoms.cell.array
        for i, j in itertools.product(range(len(atoms)), repeat=2):
            if i != j or any(steps):
                r = math.dist(atoms.positions[i], moved[j])
                total += 0.5 * pair_energy(atoms[i].symbol, atoms[j].symbol, r)
    return total


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_energy_is_the_sum_over_pairs_and_images(seed: int) -> None:
    atoms = at_random(seed)
    expected = energy_by_loops(atoms)
    assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_forces_and_stress_are_derivatives_of_the_energy(seed: int) -> None:
    atoms = at_random(seed)
    scale = 1.0 + np.abs(atoms.get_forces()).max()
    numerical = calculate_numerical_forces(atoms, eps=1e-5, force_consistent=False)
    np.testing.assert_allclose(atoms.get_forces() / scale, numerical / scale, atol=1e-6)
    if atoms.pbc.all():
        stress = calculate_numerical_stress(atoms, eps=1e-5, force_consistent=False)
        scale = 1.0 + np.abs(stress).max()
        np.testing.assert_allclose(atoms.get_stress() / scale, stress / scale, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_repeated_crystal_has_the_same_energy_per_cell_and_the_same_stress(seed: int) -> None:
    atoms = at_random(seed)
    atoms.pbc = True
    large = with_toy(atoms.repeat((2, 1, 2)))
    assert large.get_potential_energy() == pytest.approx(4 * atoms.get_potential_energy(), rel=1e-10)
    np.testing.assert_allclose(large.get_stress(), atoms.get_stress(), rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_what_is_a_matter_of_description_does_not_matter(seed: int) -> None:
    atoms = at_random(seed)
    rng = np.random.default_rng(seed)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    tolerance = 1e-9 * (1.0 + abs(energy))
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-9 * (1.0 + np.abs(forces).max()))

    moved = atoms.copy()
    moved.positions += rng.uniform(-9, 9, 3) + (rng.integers(-2, 3, (len(atoms), 3)) * atoms.pbc) @ atoms.cell.array
    order = rng.permutation(len(atoms))
    described = with_toy(moved[order])
    assert described.get_potential_energy() == pytest.approx(energy, abs=tolerance)
    np.testing.assert_allclose(described.get_forces(), forces[order], atol=1e-9 * (1.0 + np.abs(forces).max()))


@pytest.mark.parametrize("symbols", ["Ru2", "RuO", "O2"])
def test_pairs_fade_out_without_a_step_or_a_kink(symbols: str) -> None:
    def pulled(r: float) -> tuple[float, float]:
        pair = with_toy(Atoms(symbols, positions=[(0, 0, 0), (r, 0, 0)]))
        return pair.get_potential_energy(), pair.get_forces()[1, 0]

    for edge in (SWITCH, CUTOFF):
        np.testing.assert_allclose(pulled(edge - 1e-6), pulled(edge + 1e-6), atol=1e-4)
    assert pulled(CUTOFF) == (0.0, 0.0)
    assert pulled(CUTOFF - 0.1) != (0.0, 0.0)


def test_the_same_structure_has_the_same_numbers_to_the_bit() -> None:
    atoms, other = rutile().repeat((1, 2, 3)), bulk("Ru").repeat(2)
    atoms.rattle(0.2, seed=1)
    used = PairPotential()
    for each in (other, atoms):
        each.calc = used
        each.get_potential_energy()
    fresh = with_toy(atoms.copy())
    assert fresh.get_potential_energy() == atoms.get_potential_energy()
    assert fresh.get_forces().tobytes() == atoms.get_forces().tobytes()
    assert fresh.get_stress().tobytes() == atoms.get_stress().tobytes()


def test_rutile_relaxes_to_its_measured_lattice_from_around_it() -> None:
    atoms = with_toy(rutile())
    atoms.set_cell(atoms.cell * [[1.03], [0.98], [0.97]], scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    assert FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.01, steps=300)
    np.testing.assert_allclose(atoms.cell.cellpar(), [4.4919, 4.4919, 3.1066, 90, 90, 90], rtol=0.01)
    spread = atoms.get_all_distances(mic=True)[0, 2:]
    np.testing.assert_allclose(np.sort(spread), [1.942, 1.942, 1.984, 1.984], atol=0.03)


def test_a_rattled_crystal_finds_back_so_no_small_motion_lowers_its_energy() -> None:
    perfect = with_toy(rutile().repeat((2, 2, 3)))
    assert FIRE(FrechetCellFilter(perfect), logfile=None).run(fmax=0.002, steps=300)
    atoms = with_toy(perfect.copy())
    atoms.rattle(0.1, seed=4)
    assert FIRE(atoms, logfile=None).run(fmax=0.01, steps=500)
    assert atoms.get_potential_energy() == pytest.approx(perfect.get_potential_energy(), abs=1e-3)


def slab(facet: str) -> Atoms:
    """Four O-Ru-O layers of a stoichiometric slab, cut between two layers, with the lower half to be held."""
    across = {"110": [[0, 0, 1], [1, -1, 0], [1, 1, 0]], "100": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]}[facet]
    atoms = make_supercell(rutile(), across)
    atoms.rotate(atoms.cell[2], "z", rotate_cell=True)
    atoms.rotate(atoms.cell[0], "x", rotate_cell=True)
    scaled = atoms.get_scaled_positions()
    scaled[:, 2] += 0.25  # planes of Ru at 0 and 0.5
    atoms.set_scaled_positions(scaled % 1.0)
    atoms = atoms.repeat((2, 1, 2))
    atoms.center(vacuum=6.0, axis=2)
    atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < atoms.cell[2, 2] / 2))
    return with_toy(atoms)


@pytest.mark.parametrize("facet", ["110", "100"])
def test_slabs_hold_together_and_oxygen_is_bound_to_them(facet: str) -> None:
    atoms = slab(facet)
    before = atoms.positions.copy()
    atoms.rattle(0.1, seed=5)
    assert FIRE(atoms, logfile=None).run(fmax=0.05, steps=300)
    assert np.linalg.norm(atoms.positions - before, axis=1).max() < 0.6
    assert atoms.positions[:, 2].max() < before[:, 2].max() + 0.4
    poor = with_toy(atoms[np.arange(len(atoms)) != atoms.positions[:, 2].argmax()])
    assert len(poor.symbols.search("O")) == len(atoms.symbols.search("O")) - 1
    assert FIRE(poor, logfile=None).run(fmax=0.05, steps=500)
    assert 1.0 < poor.get_potential_energy() - atoms.get_potential_energy() < 5.0


def test_hexagonal_metal_is_bound_and_two_oxygen_atoms_are_not() -> None:
    metal = with_toy(bulk("Ru"))
    assert FIRE(FrechetCellFilter(metal), logfile=None).run(fmax=0.01, steps=300)
    assert metal.get_potential_energy() / 2 < -2.0
    for r in np.linspace(0.6, 4.9, 44):
        pair = with_toy(Atoms("O2", positions=[(0, 0, 0), (r, 0, 0)]))
        assert pair.get_potential_energy() > 0.0
        assert pair.get_forces()[1, 0] > 0.0


def test_an_atom_alone_has_no_energy_and_a_molecule_no_stress() -> None:
    atom = with_toy(Atoms("O", cell=[9, 9, 9], pbc=True))
    assert atom.get_potential_energy() == 0.0
    assert not atom.get_forces().any()
    assert not atom.get_stress().any()
    assert "stress" not in with_toy(Atoms("RuO", positions=[(0, 0, 0), (2, 0, 0)])).calc.results


def test_two_atoms_in_one_place_repel_each_other_without_a_direction() -> None:
    atoms = with_toy(Atoms("RuO", cell=[9, 9, 9], pbc=True))
    assert atoms.get_potential_energy() > 100.0
    assert np.isfinite(atoms.get_forces()).all()


def test_other_elements_are_refused() -> None:
    message = "PairPotential: elements must be Ru and O, for it is a toy; found H, Ti. Name a real calculator instead"
    with pytest.raises(CalculatorError, match=f"^{re.escape(message)}$"):
        with_toy(Atoms("TiOH", positions=np.eye(3))).get_potential_energy()
