"""Moves that exchange oxygen with the gas: one atom more, or one fewer."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ruo2_hopping.contacts import OXYGEN, FloatArray, find_contacts
from ruo2_hopping.errors import ImpossibleMoveError
from ruo2_hopping.layers import DISPLACED
from ruo2_hopping.moves.interface import check_number, find_displaced

_DIRECTIONS = 500  # tried around each metal atom
_NEAREST_METAL = 0.85  # of the bond length; 1.66 Å, a terminal Ru=O has 1.70 Å
_SHADE = 1.5  # Å; an atom above that is nearer sideways buries what is below


@dataclass(frozen=True, kw_only=True)
class OxygenInsertion:
    """One oxygen atom more, bound to a metal atom of the displacement layer, on the surface.

    Parameters
    ----------
    bond
        Distance from the metal atom, Å.
    clearance
        Least distance from all other oxygen atoms, Å. Metal atoms keep 0.85 times `bond`.
    name
        What the output calls the move.

    Raises
    ------
    ConfigError
        Numbers that cannot be.

    Notes
    -----
    Metal atoms are tried in random order, each with 500 random directions of the upper half space; the first direction
    that has room and open sky is taken. Open sky means no atom higher up within 1.5 Å sideways, which keeps insertions
    out of voids in the slab. The new atom comes last, with the tag of the displacement layer.
    Source: thesis, section 3.1.2, for insertion and removal of oxygen.
    """

    bond: float = 1.95
    clearance: float = 2.0
    name: str = "insert"

    def __post_init__(self) -> None:
        check_number(self.name, "bond", self.bond, above=0.0)
        check_number(self.name, "clearance", self.clearance, above=0.0)

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """See `Move`."""
        displaced = find_displaced(atoms)
        metals = displaced[atoms.numbers[displaced] != OXYGEN]
        limits = np.where(atoms.numbers == OXYGEN, self.clearance, _NEAREST_METAL * self.bond)
        near = find_contacts(atoms, self.bond + float(limits.max()))
        columns = find_contacts(_flattened(atoms), self.bond + _SHADE)
        for metal in rng.permutation(metals):
            sites = self.bond * _upward(rng, _DIRECTIONS)
            around = near.first == metal
            distances = np.linalg.norm(sites[:, None] - near.vectors[around], axis=2)
            sites = sites[(distances >= limits[near.second[around]]).all(axis=1)]
            around = columns.first == metal
            sideways = np.linalg.norm((sites[:, None] - columns.vectors[around])[:, :, :2], axis=2)
            rise = atoms.positions[columns.second[around], 2] - atoms.positions[metal, 2]
            sites = sites[((sideways >= _SHADE) | (rise <= sites[:, 2:])).all(axis=1)]
            if len(sites):
                inserted: Atoms = atoms + Atoms("O", positions=atoms.positions[metal] + sites[:1], tags=[DISPLACED])
                return inserted
        raise ImpossibleMoveError(
            f"{atoms.get_chemical_formula()}: an O atom must find a place {self.bond:g} Å from a metal atom of the "
            f"displacement layer and {self.clearance:g} Å from other O; found none around {len(metals)} metal atoms. "
            "Lower the clearance, or let the walker try another move."
        )


@dataclass(frozen=True, kw_only=True)
class OxygenRemoval:
    """One oxygen atom of the displacement layer fewer.

    Parameters
    ----------
    name
        What the output calls the move.
    """

    name: str = "remove"

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """See `Move`."""
        displaced = find_displaced(atoms)
        oxygen = displaced[atoms.numbers[displaced] == OXYGEN]
        if not len(oxygen):
            raise ImpossibleMoveError(
                f"{atoms.get_chemical_formula()}: the displacement layer must have an O atom to remove; found none "
                f"among {len(displaced)} atoms. Let the walker try another move."
            )
        proposed: Atoms = atoms.copy()
        del proposed[int(rng.choice(oxygen))]
        return proposed


def _upward(rng: np.random.Generator, n: int) -> FloatArray:
    """Unit vectors (n, 3), uniform on the upper half of the sphere."""
    vectors = rng.normal(size=(n, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _flattened(atoms: Atoms) -> Atoms:
    """All atoms at one height, so that contacts are those seen along z."""
    flat: Atoms = atoms.copy()
    flat.positions[:, 2] = 0.0
    return flat
