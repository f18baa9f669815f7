"""Moves that displace the atoms of the displacement layer and keep them all."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ruo2_hopping.contacts import FloatArray, IntArray
from ruo2_hopping.errors import ImpossibleMoveError
from ruo2_hopping.internal_coordinates import delocalised_modes
from ruo2_hopping.moves.interface import check_number, find_displaced


@dataclass(frozen=True, kw_only=True)
class DicDisplacement:
    """A step along some delocalised internal coordinates of the displacement layer.

    Parameters
    ----------
    step_width
        The largest Cartesian component of a displacement, Å.
    modes
        Share of the modes that take part, at least one of them.
    name
        What the output calls the move.

    Raises
    ------
    ConfigError
        Numbers that cannot be.

    Notes
    -----
    x -> x + s sum_k w_k u_k over modes u_k that are drawn without replacement, w_k uniform in [-1, 1], and s such that
    the largest component of the sum is `step_width`. Positions are not wrapped, so that displacements can be read off.
    Source: thesis, section 3.1.2: 1.20 Å along 25 % of the modes; doi:10.1021/acs.nanolett.5b03388.
    """

    step_width: float = 1.2
    modes: float = 0.25
    name: str = "displace"

    def __post_init__(self) -> None:
        check_number(self.name, "step_width", self.step_width, above=0.0)
        check_number(self.name, "modes", self.modes, above=0.0, up_to=1.0)

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """See `Move`."""
        displaced = find_displaced(atoms)
        _, modes = delocalised_modes(atoms, np.isin(np.arange(len(atoms)), displaced))
        if not len(modes):
            raise ImpossibleMoveError(
                f"{atoms.get_chemical_formula()}: the displacement layer must have bonds to move along; found none "
                f"among {len(displaced)} atoms. Displace them with a rattle."
            )
        picked = rng.choice(len(modes), size=max(1, round(self.modes * len(modes))), replace=False)
        weights = rng.uniform(-1.0, 1.0, size=len(picked))
        return _displace(atoms, displaced, np.tensordot(weights, modes[picked], axes=1), self.step_width)


@dataclass(frozen=True, kw_only=True)
class Rattle:
    """Independent displacements of atoms of the displacement layer.

    Parameters
    ----------
    step_width
        The largest Cartesian component of a displacement, Å.
    share
        Of the atoms that are displaced, at least one of them.
    name
        What the output calls the move.

    Raises
    ------
    ConfigError
        Numbers that cannot be.
    """

    step_width: float = 0.3
    share: float = 1.0
    name: str = "rattle"

    def __post_init__(self) -> None:
        check_number(self.name, "step_width", self.step_width, above=0.0)
        check_number(self.name, "share", self.share, above=0.0, up_to=1.0)

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """See `Move`."""
        displaced = find_displaced(atoms)
        picked = rng.choice(displaced, size=max(1, round(self.share * len(displaced))), replace=False)
        return _displace(atoms, picked, rng.uniform(-1.0, 1.0, size=(len(picked), 3)), self.step_width)


def _displace(atoms: Atoms, which: IntArray, displacements: FloatArray, step_width: float) -> Atoms:
    """A copy with some atoms displaced, the largest component scaled to the step width."""
    proposed: Atoms = atoms.copy()
    proposed.positions[which] += displacements * (step_width / np.abs(displacements).max())
    return proposed
