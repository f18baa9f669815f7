"""Near-copies have near fingerprints, and nothing else has; groups that hold some hang together."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel.structures.duplicates import NEAR, WAVES, fingerprints, near_pairs
from ruo2_voxel.structures.splits import Group, join_groups
from ruo2_voxel.structures.surfaces import build_surface
from tests.voxel.random_structures import LAW, structures

pytestmark = pytest.mark.nojit

Values = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def prints_of(*of: Atoms) -> Values:
    return fingerprints(
        np.concatenate([np.zeros((0, 3)), *(atoms.get_scaled_positions(wrap=False) for atoms in of)]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(np.where(atoms.numbers == 44, 0, 1) for atoms in of)]),
        2,
        np.array([len(atoms) for atoms in of]),
        np.array([atoms.cell.array for atoms in of]),
    )


def distance(one: Atoms, other: Atoms) -> float:
    first, second = prints_of(one, other)
    return float(np.abs(first - second).max())


@LAW
@given(structures(), seeds)
def test_the_order_and_the_images_of_atoms_change_nothing(atoms: Atoms, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other = atoms[rng.permutation(len(atoms))]
    other.positions += rng.integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    assert distance(atoms, other) < 1e-9


@LAW
@given(structures())
def test_fingerprints_are_structure_factors_in_angstrom(atoms: Atoms) -> None:
    (found,) = prints_of(atoms)
    parts = []
    reciprocal = 2.0 * np.pi * np.linalg.inv(atoms.cell.array).T
    for number in (44, 8):
        for wave in WAVES:
            vector = wave @ reciprocal
            factor = np.exp(1j * atoms.positions[atoms.numbers == number] @ vector).sum()
            factor /= np.linalg.norm(vector) * np.sqrt(max(len(atoms), 1) / 2)
            parts += [factor.real, factor.imag]
    counts = [np.count_nonzero(atoms.numbers == number) for number in (44, 8)]
    np.testing.assert_allclose(found, [*parts, *np.linalg.norm(atoms.cell.array, axis=1), *counts], atol=1e-9)


@LAW
@given(st.lists(structures(), min_size=1, max_size=6))
def test_structures_side_by_side_do_not_mix(several: list[Atoms]) -> None:
    together = prints_of(*several)
    for row, atoms in zip(together, several, strict=True):
        np.testing.assert_allclose(row, prints_of(atoms)[0], atol=1e-12)


@LAW
@given(seeds, st.floats(0.0005, 0.02))
def test_random_displacements_come_about_as_near_as_they_are_long(seed: int, rms: float) -> None:
    rng = np.random.default_rng(seed)
    atoms = build_surface("110", "stoichiometric").repeat((2, 1, 1))
    other = atoms.copy()
    other.positions += rng.normal(scale=rms, size=(len(atoms), 3))
    assert 0.3 * rms < distance(atoms, other) < 4.5 * rms  # the largest of some ninety numbers of that spread


@LAW
@given(seeds)
def test_what_is_not_alike_is_far(seed: int) -> None:
    rng = np.random.default_rng(seed)
    atoms = build_surface("110", "O-rich")
    moved = atoms.copy()
    moved.positions[rng.integers(len(atoms))] += 1.0
    assert distance(atoms, moved) > NEAR
    swapped = atoms.copy()
    ru, o = (int(rng.choice(np.flatnonzero(atoms.numbers == number))) for number in (44, 8))
    swapped.positions[[ru, o]] = swapped.positions[[o, ru]]
    assert distance(atoms, swapped) > NEAR
    less = atoms[np.arange(len(atoms)) != o]
    assert distance(atoms, less) > 0.9
    stretched = atoms.copy()
    stretched.set_cell(atoms.cell.array * [1.0, 1.0, 1.01], scale_atoms=True)
    assert distance(atoms, stretched) > NEAR
    oxidised = atoms.copy()
    oxidised.numbers[ru] = 8
    assert distance(atoms, oxidised) > 0.9


def test_a_cell_of_another_angle_is_far() -> None:
    cells = [[[5, 0, 0], [5 * np.cos(angle), 5 * np.sin(angle), 0], [0, 0, 9]] for angle in (1.2, np.pi - 1.2, 1.25)]
    one, mirrored, other = (Atoms("RuO2", scaled_positions=np.eye(3) / 3, cell=cell) for cell in cells)
    assert distance(one, other) > NEAR
    assert distance(one, mirrored) > NEAR


@LAW
@given(seeds, st.integers(0, 40), st.integers(0, 40), st.floats(0.01, 0.5))
def test_near_pairs_are_those_that_differ_nowhere_by_more(seed: int, n: int, m: int, near: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.random((n, 3)), rng.random((m, 3))
    expected = {(i, j) for i in range(n) for j in range(m) if np.abs(one[i] - other[j]).max() <= near}
    found = list(near_pairs(one, other, near))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_pairs_of_many_are_found_block_by_block() -> None:
    rows = np.arange(2500.0)[:, None]
    assert list(near_pairs(rows, rows[::-1])) == [(i, 2499 - i) for i in range(2500)]
    assert sum(1 for _ in near_pairs(rows, rows, 1.0)) == 3 * 2500 - 2


groups = st.integers(0, 9).map(lambda number: (str(number),))


@LAW
@given(st.sets(groups, min_size=1), st.lists(st.tuples(groups, groups)))
def test_groups_hang_together_through_any_chain(names: set[Group], pairs: list[tuple[Group, Group]]) -> None:
    pairs = [(one, other) for one, other in pairs if {one, other} <= names]
    expected = {name: {name} for name in names}
    for _ in names:  # grow until nothing changes
        for one, other in pairs:
            both = expected[one] | expected[other]
            for name in both:
                expected[name] = expected[name] | both
    assert join_groups(names, pairs) == {name: min(members) for name, members in expected.items()}


@pytest.mark.parametrize("n", [0, 1])
def test_structures_without_atoms_have_fingerprints(n: int) -> None:
    full = build_surface("110", "O-rich")
    rows = prints_of(*[full] * n, Atoms(cell=full.cell), full)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows[-1], prints_of(full)[0])
    assert not rows[n, :-5].any()
