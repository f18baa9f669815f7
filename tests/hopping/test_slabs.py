"""Slabs against those of ruo2-voxel, which builds them in another way, and against the crystal."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ruo2_hopping.errors import SlabError
from ruo2_hopping.slabs import FACETS, TERMINATIONS, build_slab
from ruo2_voxel import build_surface

every_facet = pytest.mark.parametrize("facet", FACETS)
every_termination = pytest.mark.parametrize("termination", TERMINATIONS)


def distances(atoms: Atoms) -> dict[tuple[int, int], NDArray[np.float64]]:
    """All distances below 5 Å, of each pair of species, ascending."""
    first, second, lengths = neighbor_list("ijd", atoms, 5.0)
    species = atoms.numbers[first] * 100 + atoms.numbers[second]
    return {(n // 100, n % 100): np.sort(lengths[species == n]) for n in np.unique(species).tolist()}


@every_facet
@every_termination
@pytest.mark.parametrize("layers", [3, 5])
def test_slabs_are_those_of_the_voxel_package(facet: str, termination: str, layers: int) -> None:
    ours = build_slab(facet, termination, layers=layers, vacuum=9.0)
    theirs = build_surface(facet, termination, n_layers=layers, vacuum=9.0)
    assert ours.get_chemical_formula() == theirs.get_chemical_formula()
    np.testing.assert_allclose(ours.cell.array, theirs.cell.array, atol=1e-9)
    found, expected = distances(ours), distances(theirs)
    assert found.keys() == expected.keys()
    for pair, lengths in expected.items():
        np.testing.assert_allclose(found[pair], lengths, atol=1e-6)


@every_facet
@every_termination
@pytest.mark.parametrize("layers", [1, 2, 4, 5])
def test_both_faces_are_alike(facet: str, termination: str, layers: int) -> None:
    slab = build_slab(facet, termination, layers=layers)
    upside_down = slab.copy()
    upside_down.positions[:, 2] = slab.positions[:, 2].min() + slab.positions[:, 2].max() - slab.positions[:, 2]
    for number in (8, 44):
        heights = np.sort(slab.positions[slab.numbers == number, 2])
        np.testing.assert_allclose(heights, np.sort(upside_down.positions[slab.numbers == number, 2]), atol=1e-9)
    upper = slab.positions[:, 2] > np.median(slab.positions[:, 2]) + 1e-6
    lower = slab.positions[:, 2] < np.median(slab.positions[:, 2]) - 1e-6
    if upper.any():
        top, bottom = distances(slab[upper]), distances(slab[lower])
        for pair, lengths in top.items():
            np.testing.assert_allclose(bottom[pair], lengths, atol=1e-6)


@every_facet
def test_terminations_differ_by_whole_planes_of_oxygen(facet: str) -> None:
    slabs = [build_slab(facet, termination, layers=4) for termination in TERMINATIONS]
    n_oxygen = [int((slab.numbers == 8).sum()) for slab in slabs]
    assert len({int((slab.numbers == 44).sum()) for slab in slabs}) == 1
    assert n_oxygen[1] == 2 * (slabs[1].numbers == 44).sum()  # stoichiometric
    assert n_oxygen[1] - n_oxygen[0] == n_oxygen[2] - n_oxygen[1] > 0


@pytest.mark.parametrize(("facet", "lengths"), [("110", (3.11, 6.35)), ("100", (3.11, 4.49)), ("101", (4.49, 5.46))])
def test_cells_are_those_of_the_crystal_and_repeat(facet: str, lengths: tuple[float, float]) -> None:
    one = build_slab(facet, "stoichiometric")
    np.testing.assert_allclose(one.cell.lengths()[:2], lengths, atol=0.005)
    six = build_slab(facet, "stoichiometric", (2, 3))
    np.testing.assert_allclose(six.cell.lengths(), one.cell.lengths() * [2, 3, 1])
    assert len(six) == 6 * len(one)
    assert six.cell.orthorhombic
    for pair, found in distances(six).items():
        np.testing.assert_allclose(found, np.repeat(distances(one)[pair], 6), atol=1e-6)


@every_facet
def test_the_slab_lies_at_the_bottom_and_is_sorted_by_height(facet: str) -> None:
    slab = build_slab(facet, "O-rich", (2, 1), vacuum=8.5)
    heights = slab.positions[:, 2]
    assert heights.min() == pytest.approx(1.0)
    assert slab.cell[2, 2] - np.ptp(heights) == pytest.approx(8.5)
    assert (np.diff(heights) > -1e-6).all()
    assert (slab.get_scaled_positions(wrap=False) >= 0.0).all()
    assert (slab.get_scaled_positions(wrap=False) < 1.0).all()
    assert slab.pbc.all()
    assert slab.info == {"facet": facet, "start": "O-rich"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surface": "210"}, r"^surface must be one of 110, 100, 101; found '210'$"),
        (
            {"termination": "rich"},
            r"^RuO2\(110\): termination must be one of O-poor, stoichiometric, O-rich; found 'rich'$",
        ),
        ({"repeat": (2, 0)}, r"^RuO2\(110\): repeat must be two whole numbers, at least 1; found \(2, 0\)$"),
        ({"repeat": (2, 1, 1)}, r"repeat must be two whole numbers"),
        ({"layers": 0}, r"^RuO2\(110\): layers must be a whole number, at least 1; found 0$"),
        ({"layers": 2.5}, r"layers must be a whole number, at least 1; found 2.5"),
        ({"vacuum": -1.0}, r"^RuO2\(110\): vacuum must be a positive number of Å; found -1.0$"),
        ({"vacuum": float("nan")}, r"vacuum must be a positive number of Å; found nan"),
    ],
)
def test_slabs_that_cannot_be_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SlabError, match=message):
        build_slab(**({"surface": "110", "termination": "O-poor"} | arguments))  # type: ignore[arg-type]
