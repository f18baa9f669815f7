import math

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import kB
from hypothesis import given
from hypothesis import strategies as st

from ruo2_hopping.grand_potential import Reservoir, accept, count_oxygen

energies = st.floats(-500, 500)


@given(energies, st.integers(0, 80), energies, st.floats(-3, 3))
def test_another_oxygen_costs_what_the_reservoir_asks(energy: float, n: int, oxygen: float, mu: float) -> None:
    reservoir = Reservoir(oxygen, mu)
    assert reservoir.omega(energy, n + 1) - reservoir.omega(energy, n) == pytest.approx(-(oxygen + mu), abs=1e-9)


@given(energies, energies, st.integers(0, 80))
def test_among_as_many_atoms_omega_differs_as_the_energy_does(one: float, other: float, n: int) -> None:
    reservoir = Reservoir(-5.5, -0.5)
    assert reservoir.omega(one, n) - reservoir.omega(other, n) == pytest.approx(one - other, abs=1e-9)


def test_omega_of_a_structure_counts_its_oxygen() -> None:
    structure = Atoms("Ru2O3", positions=np.arange(15.0).reshape(5, 3))
    structure.calc = SinglePointCalculator(structure, energy=-40.0)
    assert count_oxygen(structure) == 3
    assert Reservoir(-5.0, -0.5).omega_of(structure) == -40.0 + 3 * 5.5


@pytest.mark.parametrize("change", [-3.0, 0.0])
def test_downhill_is_always_accepted(change: float) -> None:
    assert all(accept(change, 1.0, np.random.default_rng(seed)) for seed in range(50))


@pytest.mark.parametrize(("change", "temperature"), [(0.05, 300.0), (0.1, 1000.0), (0.3, 1000.0)])
def test_uphill_is_accepted_as_often_as_boltzmann_says(change: float, temperature: float) -> None:
    rng, n = np.random.default_rng(1), 20_000
    share = sum(accept(change, temperature, rng) for _ in range(n)) / n
    wanted = math.exp(-change / (kB * temperature))
    assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / n)


def test_what_is_drawn_next_does_not_hang_on_the_energies() -> None:
    after = set()
    for change in (-1.0, 0.0, 0.05, 9.0):
        rng = np.random.default_rng(3)
        accept(change, 1000.0, rng)
        after.add(rng.random())
    assert len(after) == 1
