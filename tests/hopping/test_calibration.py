"""A calibration gives the measured enthalpy back, its energies are those of minima, and errors say what is none."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from click.testing import CliRunner

from ruo2_hopping.calculators import BUILT_IN
from ruo2_hopping.calibration import RUO2_FORMATION_ENTHALPY, Calibration, calibrate, rutile
from ruo2_hopping.cli.calibrate import calibrate as command
from ruo2_hopping.errors import CalculatorError
from ruo2_hopping.pair_potential import PairPotential


@pytest.fixture(scope="module")
def toy() -> Calibration:
    return calibrate(PairPotential())


class Shifted(PairPotential):
    """The toy with another zero of energy for each element, and O2 bound by a spring when it is alone in its cell."""

    oxygen, metal = 0.0, 0.0  # eV an atom
    spring = 30.0  # eV/Å^2
    bond = 1.25

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if list(self.atoms.numbers) == [8, 8]:
            vector = self.atoms.get_distances(0, 1, mic=True, vector=True)[0]
            r = np.linalg.norm(vector)
            pull = self.spring * (r - self.bond) * vector / r
            self.results["energy"] = 0.5 * self.spring * (r - self.bond) ** 2 - 4.0
            self.results["forces"] = np.array([pull, -pull])
        self.results["energy"] += sum(self.oxygen if number == 8 else self.metal for number in self.atoms.numbers)


def test_oxygen_has_the_energy_that_gives_the_measured_enthalpy_back(toy: Calibration) -> None:
    returned = toy.oxide_energy - toy.metal_energy - 2 * toy.oxygen_energy
    assert returned == pytest.approx(RUO2_FORMATION_ENTHALPY, abs=1e-12)
    other = dataclasses.replace(toy, formation_enthalpy=-2.0)
    assert other.oxygen_energy == pytest.approx(toy.oxygen_energy - 0.58, abs=1e-12)


def test_numbers_of_chgnet_give_its_known_oxygen_energy() -> None:
    chgnet = Calibration(-23.4386, (4.52, 3.16), 0.308, -9.1408, (2.74, 4.31), -4.8186, 1.231)
    assert chgnet.oxygen_energy == pytest.approx(-5.5689, abs=1e-4)
    assert chgnet.plain_formation_enthalpy == pytest.approx(-4.6606, abs=1e-4)


def test_zeros_of_energy_move_the_references_and_no_enthalpy(toy: Calibration) -> None:
    class Moved(Shifted):
        oxygen, metal = 1.5, -7.0

    plain, moved = calibrate(Shifted(), fmax=0.05), calibrate(Moved(), fmax=0.05)
    assert plain.molecule_energy == pytest.approx(-2.0, abs=1e-3)
    assert plain.bond == pytest.approx(1.25, abs=0.003)
    assert moved.oxide_energy - plain.oxide_energy == pytest.approx(-7.0 + 2 * 1.5, abs=1e-9)
    assert moved.metal_energy - plain.metal_energy == pytest.approx(-7.0, abs=1e-9)
    assert moved.oxygen_energy - plain.oxygen_energy == pytest.approx(1.5, abs=1e-9)
    assert moved.plain_formation_enthalpy == pytest.approx(plain.plain_formation_enthalpy, abs=1e-9)
    assert plain.oxide_energy == pytest.approx(toy.oxide_energy, abs=1e-3)


def test_crystals_are_relaxed_to_their_minima(toy: Calibration) -> None:
    for start, (a, c), energy in (
        (rutile(), toy.oxide_lattice, toy.oxide_energy),
        (bulk("Ru"), toy.metal_lattice, toy.metal_energy),
    ):
        for stretch in ((1.01, 1.01, 1), (0.99, 0.99, 1), (1, 1, 1.01), (1, 1, 0.99)):
            atoms = start.copy()
            lengths = np.array([a, a, c]) * stretch
            atoms.set_cell(atoms.cell * (lengths / atoms.cell.lengths())[:, None], scale_atoms=True)
            atoms.calc = PairPotential()
            assert atoms.get_potential_energy() / 2 > energy
    assert toy.oxide_position == pytest.approx(0.306, abs=0.005)


def test_a_calculator_without_o2_is_no_obstacle(toy: Calibration) -> None:
    assert toy.molecule_energy is None
    assert toy.bond is None
    assert toy.plain_formation_enthalpy is None
    assert math.isfinite(toy.oxygen_energy)


def test_stresses_are_taken_by_finite_differences_where_a_calculator_has_none(toy: Calibration) -> None:
    class WithoutStress(PairPotential):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

    found = calibrate(WithoutStress())
    assert found.oxygen_energy == pytest.approx(toy.oxygen_energy, abs=1e-3)
    np.testing.assert_allclose(found.oxide_lattice, toy.oxide_lattice, atol=0.01)


def test_a_relaxation_that_does_not_end_says_how_far_it_came() -> None:
    with pytest.raises(
        CalculatorError, match=r"^RuO2: must relax to forces below 1e-06 eV/Å within 3 steps; found .* 3\."
    ):
        calibrate(PairPotential(), fmax=1e-6, steps=3)


def test_a_calculator_that_cannot_is_told_with_the_structure() -> None:
    with pytest.raises(CalculatorError, match=r"^RuO2: .* it raised NotImplementedError: No EMT-potential for "):
        calibrate(EMT())

    class Nowhere(PairPotential):
        def calculate(self, *arguments: Any, **others: Any) -> None:
            super().calculate(*arguments, **others)
            self.results["forces"] = np.full_like(self.results["forces"], np.nan)

    with pytest.raises(CalculatorError, match=r"^RuO2: must relax .* found (nan|inf) eV/Å after 0\."):
        calibrate(Nowhere())


def test_a_crystal_that_becomes_another_one_is_no_reference() -> None:
    class Springs(Calculator):
        """A crystal that is at rest at four times its measured volume."""

        implemented_properties = ("energy", "forces", "stress")

        def calculate(self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, system_changes)
            volume = self.atoms.cell.volume
            excess = volume - 4.0 * rutile().cell.volume
            pressure = np.array([excess, excess, excess, 0, 0, 0]) * 0.01
            self.results = {"energy": 0.005 * excess**2, "forces": np.zeros((len(self.atoms), 3)), "stress": pressure}

    with pytest.raises(
        CalculatorError, match=r"^RuO2: lattice lengths must stay within 50% .* found strains up to 5\d%"
    ):
        calibrate(Springs())


def test_a_formation_enthalpy_is_a_number() -> None:
    with pytest.raises(CalculatorError, match="formation enthalpy must be a finite number of eV; found nan"):
        calibrate(PairPotential(), formation_enthalpy=math.nan)


def test_the_command_prints_the_numbers_and_how_to_use_them(toy: Calibration) -> None:
    result = CliRunner().invoke(command, ["--calculator", BUILT_IN, "--fmax", "0.01"])
    assert result.exit_code == 0, result.output
    assert f"{toy.oxide_energy:.4f} eV per formula unit" in result.output
    assert "O2 is not bound" in result.output
    assert result.output.rstrip().endswith(f"--oxygen-energy {toy.oxygen_energy:.4f}")


def test_the_command_prints_json_for_programs(toy: Calibration) -> None:
    result = CliRunner().invoke(command, ["--calculator", BUILT_IN, "--formation-enthalpy", "-3.0", "--json"])
    record = json.loads(result.stdout)
    assert record["oxygen_energy_ev"] == pytest.approx(toy.oxygen_energy - 0.08, abs=1e-12)
    assert record["oxide_lattice_angstrom"] == list(toy.oxide_lattice)
    assert record["molecule_energy_ev"] is None
