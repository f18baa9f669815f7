"""Pairs over periodic images are those of ASE's neighbour list; what hangs together is what SciPy says."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ruo2_voxel import StructureError
from ruo2_voxel.structures.contacts import Pairs, connect, find_pairs
from tests.voxel.random_structures import CELLS, LAW

EVERYWHERE = np.array([True, True, True])
IN_PLANE = np.array([True, True, False])

links = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60)


def as_list(pairs: Pairs) -> list[tuple[int, int, float]]:
    lower, upper = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    return sorted(zip(lower.tolist(), upper.tolist(), pairs.distances.round(8).tolist(), strict=True))


def ase_pairs(positions: NDArray[np.float64], cell: NDArray[np.float64], periodic: object, cutoff: float) -> object:
    """The same from ASE, which lists each pair twice."""
    i, j, d = neighbor_list("ijd", Atoms(f"O{len(positions)}", positions, cell=cell, pbc=periodic), cutoff)
    return sorted(zip(np.minimum(i, j).tolist(), np.maximum(i, j).tolist(), d.round(8).tolist(), strict=True))[::2]


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("periodic", [(1, 1, 1), (1, 1, 0), (0, 1, 0), (1, 0, 1), (0, 0, 0)], ids=str)
def test_pairs_are_those_of_ase(cell: NDArray[np.float64], periodic: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    for n_atoms, cutoff in ((1, 4.0), (2, 2.5), (5, 3.65), (8, 1.7)):
        positions = rng.uniform(-0.5, 1.5, (n_atoms, 3)) @ cell
        found = find_pairs(positions, cell, np.array(periodic, dtype=bool), cutoff)
        assert as_list(found) == ase_pairs(positions, cell, periodic, cutoff)


@pytest.mark.parametrize("periodic", [EVERYWHERE & False, np.array([True, False, False]), IN_PLANE], ids=str)
def test_vectors_without_images_may_be_missing(periodic: NDArray[np.bool_]) -> None:
    positions = np.random.default_rng(1).uniform(0.0, 6.0, (9, 3))
    cell = np.diag([3.0, 4.0, 0.0]) * periodic
    assert as_list(find_pairs(positions, cell, periodic, 2.5)) == ase_pairs(positions, cell, periodic, 2.5)


@pytest.mark.parametrize("distance", [30.0, 1e4, 1e7])
def test_atoms_that_have_flown_off_change_nothing(distance: float) -> None:
    rng = np.random.default_rng(2)
    cell = np.array([[5.0, 0.0, 0.0], [2.0, 6.0, 0.0], [1.0, 1.0, 20.0]])
    positions = rng.uniform(0.0, 1.0, (20, 3)) * 7.0
    far = np.array([[1.0, 2.0, distance], [1.0, 2.0, distance + 1.5], [2.0, 2.0, -distance]])
    wanted = [*as_list(find_pairs(positions, cell, IN_PLANE, 2.0)), (20, 21, 1.5)]
    assert as_list(find_pairs(np.concatenate([positions, far]), cell, IN_PLANE, 2.0)) == wanted


def test_no_atoms_make_no_pairs() -> None:
    pairs = find_pairs(np.zeros((0, 3)), np.zeros((3, 3)), EVERYWHERE, 2.0)
    assert [len(array) for array in pairs] == [0, 0, 0]


@pytest.mark.nojit
@LAW
@given(links, st.integers(30, 40))
def test_what_hangs_together_is_named_after_its_lowest_atom(pairs: list[tuple[int, int]], n_atoms: int) -> None:
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T.copy()
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(n_atoms, n_atoms))
    _, wanted = connected_components(graph, directed=False)
    found = connect(first, second, n_atoms)
    for part in range(wanted.max() + 1):
        members = np.flatnonzero(wanted == part)
        np.testing.assert_array_equal(found[members], members[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_positions_must_be_somewhere(value: float) -> None:
    positions = np.array([[0.0, 0.0, 0.0], [1.0, value, 0.0]])
    message = f"positions must be finite and within 1e+08 Å; found atom 1 at [1.0, {value}, 0.0] Å. Mend it"
    with pytest.raises(StructureError, match=f"^{re.escape(message)}"):
        find_pairs(positions, 5.0 * np.eye(3), EVERYWHERE, 2.0)


@pytest.mark.parametrize(
    ("cell", "periodic"),
    [
        (np.ones((3, 3)), EVERYWHERE),
        (np.ones((3, 3)), IN_PLANE),
        (np.zeros((3, 3)), IN_PLANE),
        (np.diag([5.0, np.nan, 5.0]), EVERYWHERE),
        (np.diag([5.0, np.inf, 5.0]), IN_PLANE),
        (np.diag([1e-200, 1e-200, 1e-200]), EVERYWHERE),
        (np.diag([1e200, 1e200, 1e200]), EVERYWHERE),
        (np.diag([1e6, 1e6, 1e6]), EVERYWHERE),
        (np.diag([0.05, 50.0, 50.0]), EVERYWHERE),
        (np.diag([0.3, 0.3, 0.3]), EVERYWHERE),
        (np.diag([1e4, 1e4, 1.0]), EVERYWHERE),
    ],
    ids=str,
)
def test_cells_that_no_structure_has_are_refused(cell: NDArray[np.float64], periodic: NDArray[np.bool_]) -> None:
    with pytest.raises(StructureError, match=r"^lattice planes must be 0.1 to 100000 Å apart, .* found 1 atoms in the"):
        find_pairs(np.zeros((1, 3)), cell, periodic, 2.0)


@pytest.mark.parametrize("lengths", [(1e5, 3.0, 3.0), (1e4, 1e4, 1e4), (300.0, 300.0, 4.0)], ids=str)
def test_cells_that_are_large_but_possible_are_not(lengths: tuple[float, float, float]) -> None:
    positions = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [lengths[0] - 0.5, 0.0, 0.0]])
    pairs = find_pairs(positions, np.diag(lengths), EVERYWHERE, 1.2)
    assert as_list(pairs) == [(0, 1, 1.0), (0, 2, 0.5)]
