import numpy as np
import pytest
from ase import Atoms

from ruo2_hopping.errors import ImpossibleMoveError
from ruo2_hopping.moves import Move, WeightedMove, make_move
from tests.hopping.toys import Never

SLAB = Atoms("Ru")


class Named:
    """Does nothing, under some name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        return atoms.copy()


def drawn(moves: list[tuple[Move, float]], n: int = 2000) -> dict[str, float]:
    """How often each is made."""
    rng, weighted = np.random.default_rng(0), [WeightedMove(*each) for each in moves]
    names = [make_move(weighted, SLAB, rng)[0] for _ in range(n)]
    return {name: names.count(name) / n for name in set(names)}


def test_moves_are_made_as_often_as_their_weights_say() -> None:
    found = drawn([(Named("one"), 6.0), (Named("other"), 2.0), (Named("none"), 0.0)])
    assert set(found) == {"one", "other"}
    assert abs(found["one"] - 0.75) < 4 * (0.75 * 0.25 / 2000) ** 0.5


def test_in_place_of_one_that_cannot_be_made_another_is_drawn() -> None:
    found = drawn([(Never(), 5.0), (Named("one"), 1.0), (Named("other"), 3.0)])
    assert set(found) == {"one", "other"}
    assert abs(found["one"] - 0.25) < 4 * (0.75 * 0.25 / 2000) ** 0.5


@pytest.mark.parametrize("moves", [[], [(Never(), 1.0), (Never(), 2.0)], [(Named("one"), 0.0)]])
def test_where_none_can_be_made_it_says_why(moves: list[tuple[Move, float]]) -> None:
    with pytest.raises(ImpossibleMoveError, match="at least one move must be possible; found"):
        drawn(moves, 1)
