"""Slabs are truncated bulk: every distance, coordination and stoichiometry follows from rutile RuO2 and the cut."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import surface
from numpy.typing import NDArray

from ruo2_voxel import TERMINATIONS, StructureError, build_surface, bulk_rutile, surface_family

ALL = [(facet, termination) for facet, terminations in TERMINATIONS.items() for termination in terminations]
RU_O = (1.943, 1.984)  # Å: sqrt(2) u a, and the same for the four O of the square
AREAS = {  # Å^2, of the lattice planes: V |G| with G the reciprocal lattice vector
    facet: 4.49**2 * 3.11 * math.hypot(int(facet[0]) / 4.49, int(facet[1]) / 4.49, int(facet[2]) / 3.11)
    for facet in TERMINATIONS
}
IN_PLANE = {
    "001": ((1, 0, 0), (0, 1, 0)),
    "100": ((0, 0, 1), (0, -1, 0)),
    "101": ((0, 1, 0), (-1, 0, 1)),
    "110": ((0, 0, 1), (1, -1, 0)),
    "111": ((1, -1, 0), (1, 0, -1)),
}
MOST_OXYGEN = {"001": "O-rich", "100": "O-rich", "101": "O-rich", "110": "O-rich", "111": "super-O-rich"}

Values = NDArray[np.float64]

every_slab = pytest.mark.parametrize(("facet", "termination"), ALL)


def all_distances(atoms: Atoms, reach: int = 4) -> Values:
    """Distances from each atom to each atom and its images in the plane, (n, n, images)."""
    steps = np.array([(i, j, 0) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)])
    vectors = atoms.positions[None, :, None] - atoms.positions[:, None, None] + (steps @ atoms.cell.array)
    return np.linalg.norm(vectors, axis=-1)


def neighbours(atoms: Atoms) -> NDArray[np.int64]:
    """How many atoms of the other element each atom has within 2.1 Å."""
    other = atoms.numbers[:, None] != atoms.numbers
    return ((all_distances(atoms) < 2.1) & other[..., None]).sum(axis=(1, 2))


def oxygen_per_ru(atoms: Atoms) -> float:
    return (atoms.numbers == 8).sum() / (atoms.numbers == 44).sum()


def test_there_are_seventeen_in_five_facets() -> None:
    assert list(TERMINATIONS) == ["001", "100", "101", "110", "111"]
    assert len(ALL) == 17


def test_bulk_is_rutile() -> None:
    bulk = bulk_rutile()
    assert bulk.get_chemical_formula() == "O4Ru2"
    assert len(bulk) / bulk.get_volume() == pytest.approx(0.0957, abs=5e-5)
    repeated = bulk.repeat(3)
    middle = slice(13 * 6, 14 * 6)
    distances = np.linalg.norm(repeated.positions[middle, None] - repeated.positions, axis=-1)
    of_other = repeated.numbers[middle, None] != repeated.numbers
    for number, row, other in zip(bulk.numbers, distances, of_other, strict=True):
        bonds = np.sort(row[other & (row < 2.5)])
        expected = [RU_O[0]] * 2 + [RU_O[1]] * 4 if number == 44 else [RU_O[0]] + [RU_O[1]] * 2
        np.testing.assert_allclose(bonds, expected, atol=5e-4)


@every_slab
def test_stoichiometry_is_what_the_name_says(facet: str, termination: str) -> None:
    ratio = oxygen_per_ru(build_surface(facet, termination))
    if termination == "O-poor":
        assert ratio < 2.0
    elif termination.startswith("stoichiometric"):
        assert ratio == 2.0
    else:
        assert ratio > 2.0


@pytest.mark.parametrize("facet", TERMINATIONS)
def test_terminations_are_sorted_by_oxygen(facet: str) -> None:
    ratios = [oxygen_per_ru(build_surface(facet, termination)) for termination in TERMINATIONS[facet]]
    for poorer, richer in pairwise(zip(TERMINATIONS[facet], ratios, strict=True)):
        assert poorer[1] < richer[1] or richer[0] == "stoichiometric-2"


@every_slab
def test_only_atoms_near_a_face_lack_neighbours(facet: str, termination: str) -> None:
    atoms = build_surface(facet, termination, n_layers=9)
    found = neighbours(atoms)
    full = np.where(atoms.numbers == 44, 6, 3)
    assert (found <= full).all()
    of_ru = atoms.positions[atoms.numbers == 44, 2]
    deep = (atoms.positions[:, 2] > of_ru.min() + 2.0) & (atoms.positions[:, 2] < of_ru.max() - 2.0)
    assert deep.sum() >= 9
    np.testing.assert_array_equal(found[deep], full[deep])
    assert found.min() >= 1


@every_slab
def test_ru_lacks_oxygen_unless_the_slab_is_as_rich_as_can_be(facet: str, termination: str) -> None:
    atoms = build_surface(facet, termination)
    complete = (neighbours(atoms)[atoms.numbers == 44] == 6).all()
    assert complete == (termination == MOST_OXYGEN[facet])


@every_slab
def test_every_distance_is_one_of_bulk_rutile(facet: str, termination: str) -> None:
    atoms = build_surface(facet, termination)
    bulk = bulk_rutile().repeat(5)
    for one in (8, 44):
        for other in (8, 44):
            centre = bulk.positions[62 * 6 :][:6][bulk_rutile().numbers == one]
            known = np.linalg.norm(centre[:, None] - bulk.positions[bulk.numbers == other], axis=-1).ravel()
            found = all_distances(atoms, reach=2)[np.ix_(atoms.numbers == one, atoms.numbers == other)].ravel()
            found = found[found < 4.0]
            assert found.size
            assert np.abs(found[:, None] - known).min(axis=1).max() < 1e-6
    pairs = all_distances(atoms)[np.ix_(atoms.numbers == 44, atoms.numbers == 8)].ravel()
    bonds = pairs[pairs < 2.1]
    assert np.abs(bonds[:, None] - RU_O).min(axis=1).max() < 5e-4


@every_slab
def test_turned_back_into_the_crystal_every_atom_is_on_its_site(facet: str, termination: str) -> None:
    atoms = build_surface(facet, termination)
    lengths = np.array([4.49, 4.49, 3.11])
    a, b = np.array(IN_PLANE[facet]) * lengths
    normal = np.array([int(index) for index in facet]) / lengths
    axes = np.array([a / np.linalg.norm(a), np.zeros(3), normal / np.linalg.norm(normal)])
    axes[1] = np.cross(axes[2], axes[0])
    np.testing.assert_allclose(atoms.cell.array[:2] @ axes, [a, b], atol=1e-9)
    scaled = (atoms.positions - [0.0, 0.0, atoms.cell[2, 2] / 2]) @ axes / lengths
    misfits = []
    for half_a, half_b, half_c in np.ndindex(2, 2, 2):  # inversion centres of the crystal
        apart = scaled[:, None] + np.array([half_a, half_b, half_c]) / 2 - bulk_rutile().get_scaled_positions()
        apart = np.abs(apart - np.round(apart)).max(axis=-1)
        apart[atoms.numbers[:, None] != bulk_rutile().numbers] = 1.0
        misfits.append(apart.min(axis=1).max())
    assert min(misfits) < 1e-9


def test_no_two_slabs_are_alike() -> None:
    profiles = set()
    for facet, termination in ALL:
        atoms = build_surface(facet, termination, n_layers=9)
        heights = np.round(atoms.positions[:, 2] - atoms.positions[:, 2].mean(), 3) + 0.0
        profiles.add((facet, *sorted(zip(atoms.numbers.tolist(), heights.tolist(), strict=True))))
    assert len(profiles) == 17


@every_slab
def test_the_middle_of_the_cell_is_an_inversion_centre(facet: str, termination: str) -> None:
    atoms = build_surface(facet, termination)
    scaled = atoms.get_scaled_positions(wrap=False) - [0.0, 0.0, 0.5]
    apart = scaled[:, None] + scaled  # each atom has a partner at the opposite place
    apart -= np.round(apart)
    partner = (np.abs(apart).max(axis=-1) < 1e-9) & (atoms.numbers[:, None] == atoms.numbers)
    np.testing.assert_array_equal(partner.sum(axis=1), 1)


@every_slab
@pytest.mark.parametrize("vacuum", [20.0, 12.5])
def test_cells_are_right_handed_and_as_large_as_they_should(facet: str, termination: str, vacuum: float) -> None:
    atoms = build_surface(facet, termination, vacuum=vacuum)
    a, b, c = atoms.cell.array
    np.testing.assert_array_equal([a[1], a[2], b[2], c[0], c[1]], 0.0)
    assert min(a[0], b[1], c[2]) > 0.0
    assert a[0] * b[1] == pytest.approx(AREAS[facet], abs=1e-9)
    scaled = atoms.get_scaled_positions(wrap=False)
    assert scaled.min() >= 0.0
    assert scaled.max() < 1.0
    assert atoms.pbc.all()
    assert c[2] - np.ptp(atoms.positions[:, 2]) == pytest.approx(vacuum, abs=1e-9)
    assert atoms.positions[:, 2].min() == pytest.approx(vacuum / 2, abs=1e-9)
    assert atoms.info == {"facet": facet, "termination": termination, "n_layers": atoms.info["n_layers"]}


@pytest.mark.parametrize(
    ("facet", "lengths"),
    [("001", (4.49, 4.49)), ("100", (3.11, 4.49)), ("101", (4.49, 5.462)), ("110", (3.11, 6.350))],
)
def test_four_facets_are_rectangles(facet: str, lengths: tuple[float, float]) -> None:
    cell = build_surface(facet, "O-poor").cell
    np.testing.assert_allclose(cell.lengths()[:2], lengths, atol=5e-4)
    np.testing.assert_allclose(cell.angles(), 90.0, atol=1e-9)


def test_the_smallest_rectangle_of_111_has_twice_the_area() -> None:
    a, b, _ = build_surface("111", "O-poor").cell.array
    rectangle = np.array([a, 2 * b - a])
    assert abs(rectangle[0] @ rectangle[1]) < 1e-9
    np.testing.assert_allclose(np.linalg.norm(rectangle, axis=1), (6.350, 8.889), atol=5e-4)
    assert abs(a @ b) > 1.0


@every_slab
def test_planes_of_ru_are_complete_and_as_many_as_asked_for(facet: str, termination: str) -> None:
    for n_layers in (3, 5, 11):
        atoms = build_surface(facet, termination, n_layers)
        heights, counts = np.unique(atoms.positions[atoms.numbers == 44, 2].round(6), return_counts=True)
        assert len(heights) == n_layers == atoms.info["n_layers"]
        np.testing.assert_allclose(np.diff(heights), np.diff(heights)[0], atol=2e-6)
        assert len(set(counts.tolist())) == 1


@pytest.mark.parametrize("facet", ["101", "110"])
def test_an_even_number_of_planes_is_symmetric_where_all_planes_are_alike(facet: str) -> None:
    assert [build_surface(facet, "stoichiometric", n).info["n_layers"] for n in (3, 4, 6)] == [3, 4, 6]


@pytest.mark.parametrize(("facet", "miller", "layers"), [("110", (1, 1, 0), 2), ("111", (1, 1, 1), 3)])
def test_the_middle_is_what_ase_cuts(facet: str, miller: tuple[int, int, int], layers: int) -> None:
    """ASE's slab and ours, both as sets of species and distances around an atom of the middle."""
    ours = build_surface(facet, "stoichiometric", n_layers=11 if facet == "111" else 5)
    theirs = surface(bulk_rutile(), miller, 2 * layers, vacuum=10.0)
    fingerprints = []
    for atoms in (ours, theirs):
        area = np.linalg.norm(np.cross(*atoms.cell.array[:2]))
        assert area == pytest.approx(AREAS[facet], abs=1e-6)
        of_ru = np.flatnonzero(atoms.numbers == 44)
        middle = (atoms.positions[of_ru, 2].min() + atoms.positions[of_ru, 2].max()) / 2
        off = np.abs(atoms.positions[of_ru, 2] - middle)
        seen = []
        for centre in of_ru[off < off.min() + 1e-6]:  # two may be as near to the middle, and see other neighbours
            distances = all_distances(atoms)[centre]
            heights = np.broadcast_to((atoms.positions[:, 2] - atoms.positions[centre, 2])[:, None], distances.shape)
            near = (distances < 4.0) & (distances > 0.1)
            numbers = np.broadcast_to(atoms.numbers[:, None], distances.shape)
            seen.append(sorted(zip(numbers[near], distances[near].round(5), heights[near].round(5), strict=True)))
        fingerprints.append([np.array(each) for each in seen])
    assert any(
        one.shape == other.shape and np.allclose(one, other, atol=2e-5)
        for one in fingerprints[0]
        for other in fingerprints[1]
    )


def test_110_stoichiometric_is_the_slab_of_ase_bridging_oxygen_included() -> None:
    """Three trilayers cut by ASE at their own planes are stoichiometric (110): the same atoms at the same places."""
    ours = build_surface("110", "stoichiometric", n_layers=3)
    theirs = surface(bulk_rutile(), (1, 1, 0), 6, vacuum=10.0)
    ru = np.unique(theirs.positions[theirs.numbers == 44, 2].round(4))
    top, bottom = ru[3], ru[1]  # three whole planes, and the oxygen plane above and below: 0.388 of 3.175 Å away
    reach = 0.388 * 4.49 / math.sqrt(2.0) + 1e-3
    theirs = theirs[(theirs.positions[:, 2] > bottom - reach) & (theirs.positions[:, 2] < top + reach)]
    assert theirs.get_chemical_formula() == ours.get_chemical_formula()
    spectra = [
        np.sort(all_distances(atoms)[np.ix_(atoms.numbers == one, atoms.numbers == other)].ravel())[:400]
        for atoms in (ours, theirs)
        for one, other in ((8, 8), (8, 44), (44, 44))
    ]
    for found, wanted in zip(spectra[:3], spectra[3:], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_names_may_stand_in_brackets() -> None:
    assert build_surface("(110)", "O-rich") == build_surface("110", "O-rich")
    assert build_surface("(110)", "O-rich").info["facet"] == "110"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("211", "O-rich"), "facet must be one of 001, 100, 101, 110, 111; found '211'"),
        ((110, "O-rich"), "facet must be one of 001, 100, 101, 110, 111; found 110"),
        (("110", "rich"), "RuO2(110): termination must be one of O-poor, stoichiometric, O-rich; found 'rich'"),
        (
            ("111", None),
            "RuO2(111): termination must be one of O-poor, stoichiometric, stoichiometric-2, O-rich, super-O-rich; "
            "found None",
        ),
        (("110", "O-rich", 2), "RuO2(110): n_layers must be a whole number, at least 3; found 2"),
        (("110", "O-rich", 3.0), "RuO2(110): n_layers must be a whole number, at least 3; found 3.0"),
        (("001", "O-rich", 4), "RuO2(001): n_layers must be an odd number, at least 3; found 4"),
        (("100", "O-rich", 6), "RuO2(100): n_layers must be an odd number, at least 3; found 6"),
        (("111", "O-rich", 8), "RuO2(111): n_layers must be an odd number, at least 3; found 8"),
        (("110", "O-rich", 3, 0.0), "RuO2(110): vacuum must be a positive number of Å; found 0.0"),
        (("110", "O-rich", 3, math.nan), "RuO2(110): vacuum must be a positive number of Å; found nan"),
        (("110", "O-rich", 3, "20"), "RuO2(110): vacuum must be a positive number of Å; found '20'"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: tuple[str, str], message: str) -> None:
    with pytest.raises(StructureError, match=f"^{re.escape(message)}$"):
        build_surface(*arguments)


def test_a_family_holds_every_termination_as_often_as_wanted() -> None:
    slabs = list(surface_family(copies=3))
    assert [(slab.info["facet"], slab.info["termination"], slab.info["copy"]) for slab in slabs] == [
        (*name, copy) for name in ALL for copy in range(3)
    ]
    for slab in slabs:
        np.testing.assert_array_equal(
            slab.positions, build_surface(slab.info["facet"], slab.info["termination"]).positions
        )


def test_a_family_can_be_narrowed() -> None:
    slabs = surface_family(facets=["(111)", "110"], terminations=["super-O-rich", "O-poor"], n_layers=5, vacuum=15.0)
    found = [(slab.info["facet"], slab.info["termination"], slab.info["n_layers"]) for slab in slabs]
    assert found == [("111", "super-O-rich", 5), ("111", "O-poor", 5), ("110", "O-poor", 5)]


def test_every_atom_of_every_copy_is_displaced_by_its_own_gaussian() -> None:
    moved = []
    for slab in surface_family(copies=4, rattle=0.05, seed=1):
        ideal = build_surface(slab.info["facet"], slab.info["termination"])
        steps = np.linalg.solve(ideal.cell.array.T, (slab.positions - ideal.positions).T).T
        moved.append((steps - np.round(steps)) @ ideal.cell.array)
        assert np.linalg.norm(moved[-1], axis=1).min() > 0.0
        scaled = slab.get_scaled_positions(wrap=False)
        assert scaled.min() > -1e-6
        assert scaled.max() < 1.0 + 1e-6
        assert slab.info["rattle"] == 0.05
    values = np.concatenate(moved).ravel()
    assert values.std() == pytest.approx(0.05, rel=0.05)
    assert abs(values.mean()) < 4 * 0.05 / math.sqrt(values.size)
    assert len(np.unique(values)) == values.size


def test_displacements_depend_on_nothing_but_seed_slab_and_copy() -> None:
    def positions(**options: object) -> dict[tuple[str, str, int], Values]:
        slabs = surface_family(rattle=0.1, **options)  # type: ignore[arg-type]
        return {(s.info["facet"], s.info["termination"], s.info["copy"]): s.positions for s in slabs}

    every, few = positions(copies=2, seed=3), positions(copies=1, seed=3, facets=["111"], terminations=["O-rich"])
    np.testing.assert_array_equal(few["111", "O-rich", 0], every["111", "O-rich", 0])
    other = positions(copies=1, seed=4, facets=["111"], terminations=["O-rich"])
    assert not np.array_equal(other["111", "O-rich", 0], every["111", "O-rich", 0])
    assert not np.array_equal(every["111", "O-rich", 0], every["111", "O-rich", 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"facets": ["110", "210"]}, "facet must be one of 001, 100, 101, 110, 111; found '210'"),
        ({"facets": "110"}, "facets must be a sequence of names, at least one; found '110'"),
        ({"facets": []}, "facets must be a sequence of names, at least one; found []"),
        ({"terminations": "O-rich"}, "terminations must be a sequence of names, at least one; found 'O-rich'"),
        (
            {"facets": ["110", "100"], "terminations": ["super-O-rich"]},
            "RuO2(110, 100): terminations must be among O-poor, stoichiometric, O-rich; found 'super-O-rich'",
        ),
        ({"n_layers": 4}, "RuO2(001): n_layers must be an odd number, at least 3; found 4"),
        ({"copies": 0}, "copies must be a whole number, at least 1; found 0"),
        ({"copies": 1.5}, "copies must be a whole number, at least 1; found 1.5"),
        ({"seed": -1}, "seed must be a whole number, at least 0; found -1"),
        ({"rattle": -0.1}, "rattle must be a number of Å, at least 0; found -0.1"),
        ({"rattle": math.inf}, "rattle must be a number of Å, at least 0; found inf"),
    ],
)
def test_a_family_that_cannot_be_is_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(StructureError, match=f"^{re.escape(message)}$"):
        surface_family(**options)  # type: ignore[arg-type]
