"""Who wins: the grand potential of a slab beside a reservoir of oxygen, and Metropolis's rule."""

import math
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import kB


@dataclass(frozen=True)
class Reservoir:
    """Oxygen that a slab takes from and gives to.

    Parameters
    ----------
    oxygen_energy
        E_O, eV per atom: what one oxygen atom is counted from. Half of O2 by the calculator at hand, or what
        `calibrate` fits; it must come from the calculator that gives the energies.
    mu
        Chemical potential of oxygen relative to it, eV per atom: 0 is oxygen gas in its standard reference, below it is
        hotter or thinner gas.
    """

    oxygen_energy: float
    mu: float

    def omega(self, energy: float, n_oxygen: int) -> float:
        """Grand potential of a slab, eV.

        Parameters
        ----------
        energy
            Potential energy, eV.
        n_oxygen
            Its oxygen atoms, the ones that stay too.

        Notes
        -----
        Omega = E - N_O (E_O + mu_O), of slabs with the same metal atoms in the same cell; vibrations are left out.
        Source: thesis, section 3.1.2; Reuter and Scheffler, Phys. Rev. B 65, 035406 (2001),
        doi:10.1103/PhysRevB.65.035406.
        """
        return energy - n_oxygen * (self.oxygen_energy + self.mu)

    def omega_of(self, structure: Atoms) -> float:
        """The same of a structure that knows its energy."""
        return self.omega(float(structure.get_potential_energy()), count_oxygen(structure))


def count_oxygen(structure: Atoms) -> int:
    return int(np.count_nonzero(structure.numbers == 8))


def accept(change: float, temperature: float, rng: np.random.Generator) -> bool:
    """Metropolis's rule: downhill always, uphill by `change` (eV) with the probability exp(-change / kT).

    One random number is drawn in any case, so that what is drawn later does not hang on the energy.

    Notes
    -----
    Source: Metropolis et al., J. Chem. Phys. 21, 1087 (1953), doi:10.1063/1.1699114.
    """
    chance = rng.random()
    return change <= 0.0 or chance < math.exp(-change / (kB * temperature))
