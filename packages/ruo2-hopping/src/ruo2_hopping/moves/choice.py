"""Which move comes next, and where moves of a user's own come from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import Any, Final

import numpy as np
from ase import Atoms

from ruo2_hopping.errors import ConfigError, ImpossibleMoveError
from ruo2_hopping.moves.displacement import DicDisplacement, Rattle
from ruo2_hopping.moves.exchange import OxygenInsertion, OxygenRemoval
from ruo2_hopping.moves.interface import Move

LOG = logging.getLogger(__name__)
KINDS: Final = {"displace": DicDisplacement, "insert": OxygenInsertion, "remove": OxygenRemoval, "rattle": Rattle}


@dataclass(frozen=True)
class WeightedMove:
    """A move, and how often it is made beside the others."""

    move: Move
    weight: float


def make_move(moves: Sequence[WeightedMove], atoms: Atoms, rng: np.random.Generator) -> tuple[str, Atoms]:
    """Draw a move by its weight and make it; of those that a structure does not allow, another is drawn.

    Returns
    -------
    name, structure
        Of the move that was made, and what came of it.

    Raises
    ------
    ImpossibleMoveError
        None of the moves can be made.
    """
    left = [each for each in moves if each.weight > 0]
    reasons = []
    while left:
        weights = np.array([each.weight for each in left])
        drawn = left.pop(int(rng.choice(len(left), p=weights / weights.sum())))
        try:
            return drawn.move.name, drawn.move.propose(atoms, rng)
        except ImpossibleMoveError as error:
            reasons.append(f"{drawn.move.name}: {error}")
            LOG.info("%s; another move is made", reasons[-1])
    raise ImpossibleMoveError(f"at least one move must be possible; found {'; '.join(reasons) or 'none with a weight'}")


def load_move(kind: str, options: Mapping[str, Any]) -> Move:
    """A move by its kind, or by MODULE:CLASS.

    Raises
    ------
    ConfigError
        No such kind, module or class; options that it does not take; something that is no move.
    """
    make = KINDS.get(kind) or _import(kind)
    try:
        move = make(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"move {kind}: must accept its options; with {dict(options)} it said: {error}") from error
    if not (isinstance(getattr(move, "name", None), str) and callable(getattr(move, "propose", None))):
        raise ConfigError(f"move {kind}: must have a name and propose(atoms, rng); found a {type(move).__name__}")
    return move  # type: ignore[no-any-return]


def _import(kind: str) -> Any:
    module, _, path = kind.partition(":")
    if not path:
        raise ConfigError(f"move {kind}: must be one of {', '.join(KINDS)}, or MODULE:CLASS of a move of your own")
    try:
        return reduce(getattr, path.split("."), import_module(module))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"move {kind}: must be importable; {type(error).__name__}: {error}") from error
