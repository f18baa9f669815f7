"""Moves: ways from one structure to the next."""

from ruo2_hopping.moves.choice import WeightedMove, load_move, make_move
from ruo2_hopping.moves.displacement import DicDisplacement, Rattle
from ruo2_hopping.moves.exchange import OxygenInsertion, OxygenRemoval
from ruo2_hopping.moves.interface import Move

__all__ = [
    "DicDisplacement",
    "Move",
    "OxygenInsertion",
    "OxygenRemoval",
    "Rattle",
    "WeightedMove",
    "load_move",
    "make_move",
]
