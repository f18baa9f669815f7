"""A prepared structure is the same crystal, or the same slab, in another cell: each atom, distance and result of it."""

import math
import re
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell, surface
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixedPlane, Hookean
from ase.geometry import get_distances
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel import (
    Changes,
    Frame,
    Preparation,
    Ruo2Error,
    StructureError,
    orthogonalize,
    repeat_to_square,
    set_vacuum,
)
from ruo2_voxel.structures.preparation import Preparer
from ruo2_voxel.structures.surfaces import A, C, build_surface, bulk_rutile
from tests.voxel.random_structures import LAW, rotation

Values = NDArray[np.float64]


def assert_same_crystal(found: Atoms, original: Atoms) -> None:
    """Every atom sits where the original has one of its element, and each of those is there once."""
    matrix = found.cell.array @ np.linalg.inv(original.cell.array)
    np.testing.assert_allclose(matrix, np.round(matrix), atol=1e-6)
    n = round(np.linalg.det(matrix))
    assert n >= 1
    assert len(found) == n * len(original)
    inverse = np.linalg.inv(original.cell.array)
    times = np.zeros(len(original), dtype=int)
    for number, position in zip(found.numbers, found.positions, strict=True):
        steps = (original.positions - position) @ inverse
        at = (np.abs(steps - np.round(steps)) < 1e-6).all(axis=1) & (original.numbers == number)
        assert np.count_nonzero(at) == 1
        times += at
    assert (times == n).all()
    between = found.get_scaled_positions(wrap=False)[:, None] - found.get_scaled_positions(wrap=False)[None]
    same = (np.abs(between - np.round(between)) < 1e-6).all(axis=2)
    assert np.count_nonzero(same) == len(found)


def assert_right_angles(cell: Values) -> None:
    assert np.linalg.det(cell) > 0.0
    lengths = np.linalg.norm(cell, axis=1)
    np.testing.assert_allclose(cell @ cell.T, np.diag(lengths**2), atol=1e-9)


def assert_wrapped(atoms: Atoms) -> None:
    scaled = atoms.get_scaled_positions(wrap=False)
    assert ((scaled >= -1.01e-7) & (scaled < 1.0)).all()


def changes_of(atoms: Atoms, **options: Any) -> tuple[Frame, Changes]:
    return Preparer(Preparation(**options)).frame(Frame.from_atoms(atoms))


@st.composite
def slabs(draw: st.DrawFn, slanted: bool = False) -> Atoms:
    """A few atoms in a slab whose in-plane lattice has a rectangle, with a vacuum of 8 Å or more, turned in space."""
    small = st.integers(-2, 2)
    matrix = np.array([[draw(small), draw(small)], [draw(small), draw(small)]])
    assume(round(np.linalg.det(matrix)) > 0)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cell = np.zeros((3, 3))
    cell[:2, :2] = np.linalg.solve(matrix, np.diag(rng.uniform(4.0, 9.0, 2)))
    thickness = rng.uniform(0.0, 3.5)
    cell[2] = [*(rng.uniform(-6.0, 6.0, 2) if slanted else (0.0, 0.0)), thickness + rng.uniform(8.0, 15.0)]
    n = draw(st.integers(1, 6))
    in_plane, heights = rng.random((n, 2)) @ cell[:2], rng.uniform(0.0, thickness, n)
    positions = in_plane + np.stack([np.zeros(n), np.zeros(n), heights], axis=1) + rng.random() * cell[2]
    positions += rng.integers(-2, 3, (n, 3)) @ cell
    turn = rotation(rng.uniform(0.0, 3.0), (1.0, -2.0, 0.5)) if draw(st.booleans()) else np.eye(3)
    return Atoms(rng.choice(["Ru", "O"], n), positions=positions @ turn, cell=cell @ turn, pbc=True)


def as_slab(atoms: Atoms) -> Values:
    """Positions with the images along the third vector chosen so that nothing is cut: vectors from the first atom."""
    cell = atoms.cell.array
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    period = cell[2] @ normal
    steps = np.arange(0, 2000) / 2000  # of heights to cut at; the widest gap holds one far from all atoms
    heights = atoms.positions @ normal / period
    clear = np.abs((heights[:, None] - steps + 0.5) % 1.0 - 0.5).min(axis=0)
    cut = steps[clear.argmax()]
    unbroken: Values = atoms.positions - np.floor(heights - cut)[:, None] * cell[2]
    return unbroken


def assert_same_slab(found: Atoms, original: Atoms) -> None:
    """The same up to a shift, each atom as often as there are cells, modulo the first two cell vectors only."""
    n = len(found) // len(original)
    cell = original.cell.array
    plane = cell.copy()
    plane[2] = np.cross(cell[0], cell[1]) / np.linalg.norm(np.cross(cell[0], cell[1]))
    one, other = as_slab(found), as_slab(original)
    one, other = one - one[0], other - other[0]
    times = np.zeros(len(original), dtype=int)
    for number, position in zip(found.numbers, one, strict=True):
        steps = (other - position) @ np.linalg.inv(plane)
        steps[:, :2] -= np.round(steps[:, :2])
        at = (np.abs(steps) < 1e-6).all(axis=1) & (original.numbers == number)
        assert np.count_nonzero(at) == 1
        times += at
    assert (times == n).all()


@LAW
@given(slabs())
def test_an_orthorhombic_supercell_is_the_same_crystal(atoms: Atoms) -> None:
    found = orthogonalize(atoms)
    assert_same_crystal(found, atoms)
    assert_right_angles(found.cell.array)
    assert_wrapped(found)
    moved = found.positions[: len(atoms)] - atoms.positions
    steps = moved @ np.linalg.inv(found.cell.array)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)  # the first atoms are the old ones, wrapped


@LAW
@given(slabs())
def test_distances_to_neighbours_stay_as_they_were(atoms: Atoms) -> None:
    def distances(structure: Atoms, i: int) -> Values:
        """To everything within 5 Å of an atom, images and all."""
        steps = np.stack(np.meshgrid(*[range(-6, 7)] * 2, range(-1, 2)), axis=-1).reshape(-1, 3) @ structure.cell.array
        vectors = structure.positions[:, None] + steps - structure.positions[i]
        lengths: Values = np.linalg.norm(vectors, axis=2).ravel()
        return np.sort(lengths[lengths < 5.0])

    scaled = atoms.copy()
    scaled.wrap()
    assume(np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0).max() < 0.8)  # else six images reach less than 5 Å
    found = orthogonalize(atoms)
    for i in range(len(atoms)):
        before = distances(scaled, i)
        for j in range(i, len(found), len(atoms)):
            after = distances(found, j)
            assert len(after) == len(before)
            np.testing.assert_allclose(after, before, atol=1e-6)


@LAW
@given(slabs(slanted=True))
def test_a_slanted_third_vector_is_straightened_and_the_slab_is_not(atoms: Atoms) -> None:
    found = orthogonalize(atoms)
    assert_right_angles(found.cell.array)
    assert_wrapped(found)
    assert_same_slab(found, atoms)


@LAW
@given(slabs(slanted=True), st.floats(4.5, 25.0))
def test_a_new_vacuum_leaves_the_slab_whole(atoms: Atoms, vacuum: float) -> None:
    found = set_vacuum(atoms, vacuum)
    assert_wrapped(found)
    assert_same_slab(found, atoms)
    normal = found.cell.array[2] / np.linalg.norm(found.cell.array[2])
    heights = found.positions @ normal
    assert np.ptp(heights) + vacuum == pytest.approx(np.linalg.norm(found.cell.array[2]))  # it is not wrapped apart
    np.testing.assert_allclose(found.cell.array[:2], atoms.cell.array[:2], atol=1e-12)
    np.testing.assert_allclose(found.cell.array[:2] @ found.cell.array[2], 0.0, atol=1e-9)
    again = set_vacuum(found, vacuum)
    np.testing.assert_allclose(again.cell.array, found.cell.array, atol=1e-9)
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-9)


def test_twenty_angstrom_of_vacuum_become_twelve() -> None:
    slab = build_surface("110", "stoichiometric", vacuum=20.0)
    frame, changes = changes_of(slab, vacuum=12.0)
    assert frame.cell[2, 2] == pytest.approx(slab.cell[2, 2] - 8.0)
    assert (changes.vacuum_before, changes.vacuum_after) == (pytest.approx(20.0), 12.0)
    assert changes.lift == pytest.approx(0.0)
    assert frame.positions.tobytes() == slab.positions.tobytes()  # 10 Å below it are less than 12 above the border
    heights = np.sort(frame.positions[:, 2])
    assert heights[0] + frame.cell[2, 2] - heights[-1] == pytest.approx(12.0)


@pytest.mark.parametrize("bottom", [0.0, 3.0, 12.0 - 1e-5])
def test_no_atom_moves_where_the_slab_fits(bottom: float) -> None:
    slab = build_surface("110", "stoichiometric", vacuum=20.0)
    slab.positions[:, 2] += bottom - slab.positions[:, 2].min()
    assert set_vacuum(slab, 12.0).positions.tobytes() == slab.positions.tobytes()


@pytest.mark.parametrize("bottom", [12.1, 12.0 - 1e-8, 15.0, 19.0, 25.0, -3.0])
def test_a_slab_that_would_cross_the_border_is_lifted_to_the_middle(bottom: float) -> None:
    slab = build_surface("110", "stoichiometric", vacuum=20.0)
    slab.positions[:, 2] += bottom - slab.positions[:, 2].min()
    before = slab.get_all_distances()
    slab.wrap()  # crosses the border of the old cell, from 20 Å on
    found = set_vacuum(slab, 12.0)
    np.testing.assert_allclose(found.get_all_distances(), before, atol=1e-9)
    assert found.positions[:, 2].min() == pytest.approx(6.0)
    _, changes = changes_of(slab, vacuum=12.0)
    shifts = found.positions[:, 2] - slab.positions[:, 2] - changes.lift
    np.testing.assert_allclose(shifts / slab.cell[2, 2], np.round(shifts / slab.cell[2, 2]), atol=1e-9)


@pytest.mark.parametrize("facet", ["001", "100", "101", "110"])
def test_these_facets_of_rutile_are_rectangular_already(facet: str) -> None:
    slab = build_surface(facet, "stoichiometric")
    found = orthogonalize(slab)
    np.testing.assert_allclose(found.cell.array, slab.cell.array, atol=1e-12)
    np.testing.assert_allclose(found.positions, slab.positions, atol=1e-12)


@pytest.mark.parametrize("termination", ["O-poor", "stoichiometric", "super-O-rich"])
def test_rutile_111_takes_twice_its_area(termination: str) -> None:
    slab = build_surface("111", termination)
    frame, changes = changes_of(slab, orthogonal=True)
    assert (changes.n_cells, changes.shear) == (2, 0.0)
    np.testing.assert_allclose(np.linalg.norm(frame.cell, axis=1)[:2], [math.sqrt(2) * A, 8.889], atol=5e-4)
    assert math.sqrt(2) * A == pytest.approx(6.350, abs=5e-4)
    assert_same_crystal(frame.atoms(), slab)


def test_a_centred_cell_of_rutile_100_takes_two_cells() -> None:
    primitive = build_surface("100", "stoichiometric")
    centred = make_supercell(primitive, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    frame, changes = changes_of(centred, orthogonal=True)
    assert changes.n_cells == 2
    np.testing.assert_allclose(sorted(np.linalg.norm(frame.cell, axis=1)[:2]), [2 * C, 2 * A], atol=1e-9)
    assert_same_crystal(frame.atoms(), centred)


def test_rutile_211_takes_five_cells() -> None:
    slab = surface(bulk_rutile(), (2, 1, 1), 3, vacuum=8.0)
    slab.pbc = True
    frame, changes = changes_of(slab, orthogonal=True)
    assert (changes.n_cells, changes.shear) == (5, 0.0)
    assert_same_crystal(frame.atoms(), slab)


def test_preparing_twice_changes_nothing_more() -> None:
    options = {"orthogonal": True, "square": True, "vacuum": 12.0}
    once, _ = changes_of(build_surface("111", "O-rich"), **options)
    twice, changes = changes_of(once.atoms(), **options)
    assert (changes.supercell, changes.shear) == (((1, 0), (0, 1)), 0.0)
    np.testing.assert_allclose(twice.cell, once.cell, atol=1e-9)
    np.testing.assert_allclose(twice.positions, once.positions, atol=1e-9)


def test_everything_at_once_is_a_supercell_of_the_same_slab() -> None:
    slab = build_surface("111", "stoichiometric-2", vacuum=20.0)
    frame, changes = changes_of(slab, orthogonal=True, square=True, vacuum=12.0)
    u, v = np.array(changes.supercell) @ slab.cell.array[:2]
    np.testing.assert_allclose(frame.cell[:2], [u, v], atol=1e-9)
    assert max(np.linalg.norm(u), np.linalg.norm(v)) <= 1.1 * min(np.linalg.norm(u), np.linalg.norm(v))
    assert_same_slab(frame.atoms(), slab)
    assert changes.n_cells == len(frame.numbers) // len(slab)


def oblique(tangent: float = 0.31) -> Atoms:
    """A slab in a cell without a small rectangle."""
    cell = [[4.0, 0.0, 0.0], [4.0 * tangent * 1.37, 5.4789, 0.0], [0.0, 0.0, 16.0]]
    positions = [[0.1, 0.2, 5.0], [1.9, 2.2, 6.2], [3.0, 4.0, 7.9]]
    return Atoms("RuO2", positions=positions, cell=cell, pbc=True)


def test_strain_is_applied_on_request_recorded_and_bounded() -> None:
    atoms = oblique()
    with pytest.raises(StructureError, match="--max-shear"):
        orthogonalize(atoms)
    tangent = atoms.cell[1, 0] / atoms.cell[1, 1]
    frame, changes = changes_of(atoms, orthogonal=True, max_shear=0.32)
    assert changes.n_cells == 1
    assert changes.shear == pytest.approx(tangent)
    np.testing.assert_allclose(frame.cell, np.diag([4.0, 5.4789, 16.0]), atol=1e-12)
    np.testing.assert_allclose(frame.atoms().get_scaled_positions(), atoms.get_scaled_positions(), atol=1e-12)
    _, tighter = changes_of(atoms, orthogonal=True, max_shear=0.05)
    assert 0.0 < tighter.shear <= 0.05
    assert tighter.n_cells > 1


@LAW
@given(slabs(), st.floats(0.0, 0.5))
def test_strain_keeps_volume_and_scaled_positions(atoms: Atoms, max_shear: float) -> None:
    frame, changes = changes_of(atoms, orthogonal=True, max_shear=max_shear)
    assert_right_angles(frame.cell)
    n = changes.n_cells
    assert np.linalg.det(frame.cell) == pytest.approx(n * atoms.get_volume())
    supercell = np.eye(3)
    supercell[:2, :2] = changes.supercell
    unstrained = frame.atoms()
    unstrained.set_cell(supercell @ atoms.cell.array, scale_atoms=True)
    assert_same_crystal(unstrained, atoms)


@LAW
@given(slabs(), st.integers(1, 80), st.floats(5.0, 30.0))
def test_squares_keep_to_the_limits(atoms: Atoms, max_atoms: int, max_length: float) -> None:
    found = repeat_to_square(atoms, max_atoms=max_atoms, max_length=max_length)
    assert_same_crystal(found, atoms)
    assert len(found) <= max(max_atoms, len(atoms))
    before, after = atoms.cell.lengths(), found.cell.lengths()
    assert (after[:2] <= np.maximum(before[:2], max_length) + 1e-5).all()
    assert after[2] == pytest.approx(before[2])
    assert max(after[:2]) / min(after[:2]) <= max(before[:2]) / min(before[:2]) + 1e-5 or max(after[:2]) <= (
        1.1 * min(after[:2]) + 1e-5
    )


def test_a_square_of_the_shipped_facets() -> None:
    slab = build_surface("110", "stoichiometric")  # 3.11 x 6.35 Å
    found = repeat_to_square(slab)
    np.testing.assert_allclose(found.cell.lengths()[:2], [2 * C, math.sqrt(2) * A], atol=1e-9)
    assert len(repeat_to_square(slab, max_atoms=2 * len(slab) - 1)) == len(slab)
    assert len(repeat_to_square(slab, max_length=6.0)) == len(slab)


def test_the_atoms_of_a_rectangle_count_towards_the_limit() -> None:
    slab = build_surface("111", "stoichiometric")
    for max_atoms, n_cells in ((12 * len(slab), 12), (12 * len(slab) - 1, 2)):
        _, changes = changes_of(slab, orthogonal=True, square=True, max_atoms=max_atoms, max_aspect=1.08)
        assert changes.n_cells == n_cells


def rich() -> Atoms:
    """A slab of two cells with everything that ASE can attach to atoms."""
    atoms = build_surface("111", "O-poor")
    n = len(atoms)
    rng = np.random.default_rng(1)
    atoms.set_tags(np.arange(n) % 3)
    atoms.set_momenta(rng.normal(size=(n, 3)))
    atoms.set_initial_magnetic_moments(rng.normal(size=n))
    atoms.set_masses(rng.uniform(10.0, 100.0, n))
    atoms.new_array("site", rng.integers(0, 9, (n, 2)))
    atoms.info.update(mu_O=-0.5, history=["a", "b"])
    atoms.set_constraint([FixAtoms([0, 3]), FixedPlane([1], (0, 0, 1)), FixCartesian([2], (True, False, False))])
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=-100.0,
        free_energy=-101.0,
        magmom=2.5,
        forces=rng.normal(size=(n, 3)),
        energies=rng.normal(size=n),
        magmoms=rng.normal(size=n),
        charges=rng.normal(size=n),
        stress=np.ones(6),
    )
    return atoms


def test_what_is_attached_to_atoms_goes_with_them() -> None:
    atoms = rich()
    found = orthogonalize(atoms)
    assert found.arrays.keys() == atoms.arrays.keys()
    for name, values in atoms.arrays.items():
        if name != "positions":
            np.testing.assert_array_equal(found.arrays[name], np.concatenate([values, values]))
            assert found.arrays[name].dtype == values.dtype
    assert found.info == atoms.info
    found.info["history"].append("c")
    assert atoms.info["history"] == ["a", "b"]  # a copy
    n = len(atoms)
    fixed, plane, cartesian = found.constraints
    assert sorted(fixed.index) == [0, 3, n, n + 3]
    assert sorted(plane.index) == [1, n + 1]
    assert sorted(cartesian.index) == [2, n + 2]
    assert sorted(atoms.constraints[0].index) == [0, 3]
    assert found.pbc.all()


def test_results_grow_with_the_atoms_or_repeat() -> None:
    atoms = rich()
    found = orthogonalize(atoms)
    assert found.get_potential_energy() == -200.0
    assert found.calc.results["free_energy"] == -202.0
    assert found.get_magnetic_moment() == 5.0
    for name in ("forces", "energies", "magmoms", "charges"):
        values = atoms.calc.results[name]
        np.testing.assert_array_equal(found.calc.results[name], np.concatenate([values, values]))
    assert "stress" not in found.calc.results
    assert atoms.get_potential_energy() == -100.0


def test_an_energy_per_atom_does_not_change() -> None:
    atoms = rich()
    for found in (orthogonalize(atoms), repeat_to_square(atoms), set_vacuum(atoms, 9.0)):
        assert found.get_potential_energy() / len(found) == pytest.approx(-100.0 / len(atoms))


def test_strain_drops_forces() -> None:
    atoms = oblique()
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=np.ones((3, 3)))
    found = orthogonalize(atoms, max_shear=0.32)
    assert found.calc.results == {"energy": -3.0}


def test_results_of_another_structure_are_dropped() -> None:
    atoms = rich()
    atoms.positions[0] += 0.1
    assert orthogonalize(atoms).calc is None
    assert math.isnan(changes_of(atoms, orthogonal=True)[0].energy)


def test_a_constraint_that_cannot_be_repeated_is_refused_only_where_it_must_be() -> None:
    atoms = rich()
    for constraint in (FixBondLengths([[0, 1]]), Hookean(0, 1, rt=2.0, k=5.0)):
        atoms.set_constraint(constraint)
        with pytest.raises(StructureError, match=rf"ASE can repeat them; found {type(constraint).__name__}\. Remove"):
            orthogonalize(atoms)
        assert type(set_vacuum(atoms, 9.0).constraints[0]) is type(constraint)


@LAW
@given(slabs(slanted=True), st.booleans(), st.booleans(), st.sampled_from([None, 5.0, 12.0]))
def test_frames_and_atoms_are_prepared_alike(atoms: Atoms, orthogonal: bool, square: bool, vacuum: float) -> None:
    preparation = Preparation(orthogonal=orthogonal, square=square, max_atoms=60, vacuum=vacuum)
    assume(not preparation.changes_nothing)
    atoms.set_tags(np.arange(len(atoms)))
    atoms.set_constraint(FixAtoms([0]))
    atoms.info["run"] = 3
    atoms.calc = SinglePointCalculator(atoms, energy=-7.0, magmom=1.5)
    prepared = Preparer(preparation).atoms(atoms)
    frame, changes = Preparer(preparation).frame(Frame.from_atoms(atoms))
    expected = Frame.from_atoms(prepared)
    for name in ("numbers", "positions", "cell", "pbc", "tags", "fixed"):
        np.testing.assert_array_equal(getattr(frame, name), getattr(expected, name), err_msg=name)
    assert (frame.energy, frame.magnetic_moment, frame.info) == (expected.energy, expected.magnetic_moment, {"run": 3})
    assert frame.energy == -7.0 * changes.n_cells


def test_a_preparer_remembers_cells_without_mixing_them_up() -> None:
    structures = [build_surface(facet, "O-rich", vacuum=20.0 + i % 2) for i in range(4) for facet in ("110", "111")]
    preparer = Preparer(Preparation(orthogonal=True, square=True))
    for atoms in structures:
        found, fresh = preparer.atoms(atoms), Preparer(preparer.preparation).atoms(atoms)
        assert found.positions.tobytes() == fresh.positions.tobytes()
        assert found.cell.array.tobytes() == fresh.cell.array.tobytes()


def test_nothing_asked_for_changes_nothing() -> None:
    frame = Frame.from_atoms(oblique())
    same, changes = Preparer(Preparation()).frame(frame)
    assert same is frame
    assert changes == Changes() or changes.n_cells == 1
    assert math.isnan(changes.vacuum_before)


@pytest.mark.parametrize("prepare", [orthogonalize, repeat_to_square, lambda atoms: set_vacuum(atoms, 12.0)])
@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (np.diag([4.0, -5.0, 15.0]), "found -300 Å^3. Swap two cell vectors"),
        (np.diag([4.0, 5.0, 0.0]), "found no volume. Give it three independent vectors"),
        (np.zeros((3, 3)), "found no volume"),
        (np.diag([4.0, np.nan, 15.0]), "found nan Å^3"),
    ],
    ids=["left-handed", "flat", "none", "not a number"],
)
def test_cells_that_cannot_be_prepared(prepare: Any, cell: Values, found: str) -> None:
    with pytest.raises(StructureError, match=re.escape(found)):
        prepare(Atoms("RuO", positions=[[0, 0, 0], [0, 0, 2.0]], cell=cell, pbc=True))


def test_a_vacuum_is_needed_to_set_one_or_to_straighten_a_cell() -> None:
    bulk = bulk_rutile()
    with pytest.raises(StructureError, match=r"a slab must have a vacuum of at least 4 Å .* atoms\.center"):
        set_vacuum(bulk, 12.0)
    assert_same_crystal(orthogonalize(bulk), bulk)
    assert_same_crystal(repeat_to_square(bulk), bulk)
    slanted = bulk.copy()
    slanted.cell[2] = (1.0, 0.5, C)
    with pytest.raises(StructureError, match="at least 4 Å along its third cell vector; found no gap"):
        orthogonalize(slanted)


def test_without_atoms_there_is_no_slab() -> None:
    nothing = Atoms(cell=[[4, 0, 0], [0, 5, 0], [1, 0, 15]], pbc=True)
    for prepare in (orthogonalize, lambda atoms: set_vacuum(atoms, 12.0)):
        with pytest.raises(StructureError, match="a slab must have atoms; found none"):
            prepare(nothing)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"max_shear": -0.1}, "max_shear must be a finite number, at least 0; found -0.1"),
        ({"max_shear": math.nan}, "max_shear must be a finite number, at least 0; found nan"),
        ({"max_atoms": 0}, "max_atoms must be a finite number, at least 1; found 0"),
        ({"max_length": -1.0}, "max_length must be a finite number, at least 0; found -1.0"),
        ({"max_length": math.inf}, "max_length must be a finite number, at least 0; found inf"),
        ({"max_aspect": 0.9}, "max_aspect must be a finite number, at least 1; found 0.9"),
        ({"vacuum": 0.0}, "vacuum must be a positive length in Å; found 0.0"),
        ({"vacuum": math.inf}, "vacuum must be a positive length in Å; found inf"),
        ({"vacuum": math.nan}, "vacuum must be a positive length in Å; found nan"),
    ],
)
def test_preparations_that_cannot_be(options: dict[str, float], found: str) -> None:
    with pytest.raises(Ruo2Error, match=re.escape(found)):
        Preparation(**options)  # type: ignore[arg-type]


def test_neighbours_across_the_border_are_kept_by_a_new_vacuum() -> None:
    slab = build_surface("101", "O-rich", vacuum=20.0)
    rng = np.random.default_rng(0)
    slab.positions += rng.normal(scale=0.05, size=(len(slab), 3))
    slab.translate((1.0, 2.0, 13.0))
    _, before = get_distances(slab.positions, cell=slab.cell, pbc=(True, True, False))
    slab.wrap()
    assert np.ptp(slab.positions[:, 2]) > 20.0  # cut in two
    found = set_vacuum(slab, 12.0)
    _, after = get_distances(found.positions, cell=found.cell, pbc=(True, True, False))
    np.testing.assert_allclose(after, before, atol=1e-9)
    assert np.ptp(found.positions[:, 2]) < 14.0
