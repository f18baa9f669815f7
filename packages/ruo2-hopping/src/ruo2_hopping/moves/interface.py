"""What a move is."""

from typing import Protocol

import numpy as np
from ase import Atoms

from ruo2_hopping.contacts import IntArray
from ruo2_hopping.errors import ConfigError, ImpossibleMoveError
from ruo2_hopping.layers import DISPLACED


class Move(Protocol):
    """A way from one structure to a new one, which is then relaxed and judged."""

    @property
    def name(self) -> str:
        """What `info["move"]` says of its structures; a plain attribute will do."""
        ...

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """A new structure.

        Parameters
        ----------
        atoms
            A slab with tags; it stays as it is.
        rng
            Where all randomness comes from, so that the same generator gives the same move.

        Returns
        -------
        proposed
            With tags, and without a calculator.

        Raises
        ------
        ImpossibleMoveError
            This structure does not allow the move.
        """
        ...


def find_displaced(atoms: Atoms) -> IntArray:
    """Indices of the atoms that moves displace, at least one."""
    displaced = np.flatnonzero(atoms.get_tags() == DISPLACED)
    if not len(displaced):
        raise ImpossibleMoveError(
            f"{atoms.get_chemical_formula() or 'structure'}: a move needs atoms with tag {DISPLACED}, the displacement "
            "layer; found none. Tag the slab with assign_layers."
        )
    return displaced


def check_number(move: str, name: str, value: object, above: float, up_to: float = float("inf")) -> None:
    """Refuse a parameter of a move outside of its range."""
    if not (isinstance(value, int | float | np.number) and above < value <= up_to and value < float("inf")):
        limits = f"above {above:g}" + (f", at most {up_to:g}" if up_to < float("inf") else "")
        raise ConfigError(f"{move}: {name} must be a number {limits}; found {value!r}")
