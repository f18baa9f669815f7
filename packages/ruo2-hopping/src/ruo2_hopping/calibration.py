"""What a calculator makes of O2, RuO2 and Ru, and the energy of oxygen that grand potentials should refer to."""

import contextlib
import math
import sys
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import BaseCalculator
from ase.calculators.fd import FiniteDifferenceCalculator
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from ase.spacegroup import crystal

from ruo2_hopping.calculators import told
from ruo2_hopping.errors import CalculatorError
from ruo2_hopping.slabs import A, C, U

RUO2_FORMATION_ENTHALPY: Final = -3.16  # eV per formula unit, at 298 K
LONGEST_BOND: Final = 1.6  # Å; O2 has 1.21, methods differ by hundredths
BOX: Final = 12.0  # Å, around the molecule
LARGEST_STRAIN: Final = 0.5  # of a lattice length, beyond which a crystal has come apart
LARGEST_SHIFT: Final = 0.05  # of a scaled position, beyond which it is another one
STRAIN: Final = 1e-3  # of finite differences: single-precision energies of a few atoms still tell it


@dataclass(frozen=True)
class Calibration:
    """Relaxed references of a calculator, and what follows for oxygen.

    Parameters
    ----------
    oxide_energy
        Of rutile RuO2, eV per formula unit.
    oxide_lattice
        a and c of RuO2, Å.
    oxide_position
        u of its O atoms, which lie at (u, u, 0).
    metal_energy
        Of hexagonal Ru, eV per atom.
    metal_lattice
        a and c of Ru, Å.
    molecule_energy
        Half of O2, eV; None where the calculator does not bind O2.
    bond
        Of O2, Å; None as well.
    formation_enthalpy
        The measured one that `oxygen_energy` gives back, eV per formula unit.
    """

    oxide_energy: float
    oxide_lattice: tuple[float, float]
    oxide_position: float
    metal_energy: float
    metal_lattice: tuple[float, float]
    molecule_energy: float | None
    bond: float | None
    formation_enthalpy: float = RUO2_FORMATION_ENTHALPY

    @property
    def oxygen_energy(self) -> float:
        """E_O, eV per atom, with which the oxide has its measured formation enthalpy."""
        return (self.oxide_energy - self.metal_energy - self.formation_enthalpy) / 2.0

    @property
    def plain_formation_enthalpy(self) -> float | None:
        """Of the oxide from Ru and the calculator's own O2, eV per formula unit; None without O2."""
        if self.molecule_energy is None:
            return None
        return self.oxide_energy - self.metal_energy - 2.0 * self.molecule_energy


def calibrate(
    calculator: BaseCalculator,
    formation_enthalpy: float = RUO2_FORMATION_ENTHALPY,
    fmax: float = 0.01,
    steps: int = 500,
) -> Calibration:
    """Relax O2, RuO2 and Ru, and find the energy of oxygen that makes the oxide as stable as it was measured.

    Parameters
    ----------
    calculator
        Energies, forces and stresses of Ru and O.
    formation_enthalpy
        Measured, of RuO2 from Ru and O2, eV per formula unit.
    fmax
        eV/Å, the largest force at which a relaxation ends; on cells, of the virial by the number of atoms.
    steps
        Each relaxation may take.

    Raises
    ------
    CalculatorError
        A formation enthalpy that is not finite; a calculator that lacks a property, fails, or gives numbers that are
        not finite; a relaxation that does not converge, or that ends in another structure.

    Notes
    -----
    E_O = (E_oxide - E_metal - dH_f) / 2. Molecules are hard for potentials that were fitted to solids: with CHGNet
    0.3.0 this lies 0.75 eV below half of its own O2. Thermal contributions to the enthalpy are left out.
    Source of dH_f: O'Neill and Nell, Geochim. Cosmochim. Acta 61, 5279 (1997).
    """
    if not math.isfinite(formation_enthalpy):
        raise CalculatorError(f"formation enthalpy must be a finite number of eV; found {formation_enthalpy}")
    oxide = _relax_crystal("RuO2", rutile(), calculator, fmax, steps)
    metal = _relax_crystal("Ru", bulk("Ru", "hcp", a=2.7058, c=4.2816), calculator, fmax, steps)
    pair = molecule("O2", cell=[BOX] * 3, pbc=True)
    pair_energy = _relax("O2", pair, pair, calculator, fmax, steps)
    bond = float(pair.get_distance(0, 1, mic=True))
    bound = bond < LONGEST_BOND
    return Calibration(
        oxide_energy=oxide.energy / 2.0,
        oxide_lattice=oxide.lattice,
        oxide_position=float(oxide.atoms.get_scaled_positions()[2, 0]),
        metal_energy=metal.energy / 2.0,
        metal_lattice=metal.lattice,
        molecule_energy=pair_energy / 2.0 if bound else None,
        bond=bond if bound else None,
        formation_enthalpy=formation_enthalpy,
    )


def rutile() -> Atoms:
    """The unit cell of RuO2 as measured: two Ru, then four O.

    Notes
    -----
    P4_2/mnm, with the lengths that slabs are cut with.
    Source: Boman, Acta Chem. Scand. 24, 116 (1970), doi:10.3891/acta.chem.scand.24-0116.
    """
    return crystal(["Ru", "O"], [(0, 0, 0), (U, U, 0)], spacegroup=136, cellpar=[A, A, C, 90, 90, 90])


class _Crystal(NamedTuple):
    """A relaxed crystal."""

    atoms: Atoms
    energy: float  # eV
    lattice: tuple[float, float]  # a and c, Å


def _relax_crystal(name: str, start: Atoms, calculator: BaseCalculator, fmax: float, steps: int) -> _Crystal:
    """Relax cell and positions of a crystal that is to stay the one it was."""
    if "stress" not in calculator.implemented_properties:
        consistent = "free_energy" in calculator.implemented_properties
        calculator = FiniteDifferenceCalculator(calculator, None, STRAIN, force_consistent=consistent)
    atoms = start.copy()
    energy = _relax(name, atoms, FrechetCellFilter(atoms), calculator, fmax, steps)
    lengths = atoms.cell.lengths()
    strain = np.abs(lengths / start.cell.lengths() - 1.0).max()
    shifts = atoms.get_scaled_positions(wrap=False) - start.get_scaled_positions(wrap=False)
    shift = np.abs(shifts - shifts[0]).max()
    if strain > LARGEST_STRAIN or shift > LARGEST_SHIFT:
        raise CalculatorError(
            f"{name}: lattice lengths must stay within {LARGEST_STRAIN:.0%} and scaled positions within "
            f"{LARGEST_SHIFT:g} of the measured ones; found strains up to {strain:.0%} and shifts up to {shift:.2f}. "
            "This calculator makes another crystal of it: take one that was made for oxides of Ru"
        )
    return _Crystal(atoms, energy, (float(lengths[0]), float(lengths[2])))


def _relax(
    name: str, atoms: Atoms, moving: Atoms | FrechetCellFilter, calculator: BaseCalculator, fmax: float, steps: int
) -> float:
    """Relax what moves, and return the energy, eV."""
    atoms.calc = calculator
    force, optimizer = math.inf, FIRE(moving, logfile=None)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            for _ in optimizer.irun(fmax=fmax, steps=steps):
                force = float(np.linalg.norm(moving.get_forces(), axis=1).max())
                if not math.isfinite(force):
                    break  # FIRE would go on to places that are no numbers
            energy = float(atoms.get_potential_energy())
    except Exception as error:  # a calculator may raise anything
        raise CalculatorError(
            f"{name}: the calculator must give energies and forces; it raised {told(error)}"
        ) from error
    if not force < fmax:
        raise CalculatorError(
            f"{name}: must relax to forces below {fmax:g} eV/Å within {steps} steps; found {force:.3g} eV/Å after "
            f"{optimizer.nsteps}. Allow more steps or a larger force, or take another calculator"
        )
    return energy
