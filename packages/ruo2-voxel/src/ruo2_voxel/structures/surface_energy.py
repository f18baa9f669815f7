"""The surface free energy of an oxide slab at a chemical potential of oxygen, and the references that it needs."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase.data import atomic_numbers

from ruo2_voxel.errors import Ruo2Error
from ruo2_voxel.typing import FloatArray, IntArray

OXYGEN: Final = 8
RUO2_FORMATION_ENTHALPY: Final = -3.16  # eV per formula unit, at 298 K


@dataclass(frozen=True)
class SurfaceReference:
    """What the energies of slabs are compared with, calculated with the same method as these.

    Parameters
    ----------
    bulk_energy
        Of the oxide MO_n, eV per formula unit.
    oxygen_energy
        Of oxygen, eV per atom: half of O2, or what `calibrate_oxygen` gives.
    delta_mu
        Chemical potential of oxygen relative to `oxygen_energy`, eV per atom; 0 is the oxygen-rich limit.
    metal, oxygen_per_metal
        M and n.
    """

    bulk_energy: float
    oxygen_energy: float
    delta_mu: float = 0.0
    metal: str = "Ru"
    oxygen_per_metal: float = 2.0

    def __post_init__(self) -> None:
        for name in ("bulk_energy", "oxygen_energy", "delta_mu", "oxygen_per_metal"):
            if not math.isfinite(getattr(self, name)):
                raise Ruo2Error(f"{name} of a surface reference must be a finite number; found {getattr(self, name)}")
        if self.metal not in atomic_numbers or atomic_numbers[self.metal] in (0, OXYGEN):
            raise Ruo2Error(f"metal of a surface reference must be an element other than O; found {self.metal!r}")


def calibrate_oxygen(
    bulk_energy: float,
    metal_energy: float,
    formation_enthalpy: float = RUO2_FORMATION_ENTHALPY,
    oxygen_per_metal: float = 2.0,
) -> float:
    """The energy of oxygen, eV per atom, with which a method's oxide has the measured formation enthalpy.

    Parameters
    ----------
    bulk_energy
        Of the oxide MO_n by that method, eV per formula unit.
    metal_energy
        Of the bulk metal M by the same method, eV per atom.
    formation_enthalpy
        eV per formula unit; by default of RuO2.
    oxygen_per_metal
        n.

    Raises
    ------
    Ruo2Error
        A number that is not finite, or an oxide without oxygen.

    Notes
    -----
    E_O = (E_bulk - E_metal - dH_f) / n. Molecules are hard for many methods: with CHGNet 0.3.0 this lies about 0.7 eV
    below half of its own O2. Measured enthalpy of RuO2: O'Neill and Nell, Geochim. Cosmochim. Acta 61, 5279 (1997).
    """
    numbers = bulk_energy, metal_energy, formation_enthalpy, oxygen_per_metal
    if not (all(map(math.isfinite, numbers)) and oxygen_per_metal > 0.0):
        found = ", ".join(f"{number:g}" for number in numbers)
        raise Ruo2Error(
            f"oxygen is calibrated with three finite energies and a positive number of oxygen per metal; found {found}"
        )
    return (bulk_energy - metal_energy - formation_enthalpy) / oxygen_per_metal


def surface_free_energy(
    energies: FloatArray, n_metal: IntArray, n_oxygen: IntArray, areas: FloatArray, reference: SurfaceReference
) -> FloatArray:
    """Surface free energy of slabs, eV/Å^2, of both faces together: half of it where the faces are alike.

    Parameters
    ----------
    energies
        Total energies, eV.
    n_metal, n_oxygen
        Atoms in each slab.
    areas
        Of the cell in the surface plane, Å^2.

    Notes
    -----
    gamma = [E - n_M E_bulk - (n_O - n n_M)(E_O + dmu)] / A, for an oxide MO_n in equilibrium with its bulk: Reuter and
    Scheffler, Phys. Rev. B 65, 035406 (2001), doi:10.1103/PhysRevB.65.035406.
    """
    excess = n_oxygen - reference.oxygen_per_metal * n_metal
    oxygen = reference.oxygen_energy + reference.delta_mu
    gamma: FloatArray = (energies - n_metal * reference.bulk_energy - excess * oxygen) / areas
    return gamma


def count_elements(numbers: IntArray, counts: IntArray, wanted: int) -> IntArray:
    """Atoms of one element in each structure, of which `counts` lie one behind the other in `numbers`."""
    totals = np.concatenate([[0], np.cumsum(numbers == wanted)])
    edges = np.concatenate([[0], np.cumsum(counts)])
    n: IntArray = np.diff(totals[edges])
    return n
