"""Rectangles, repeats, slabs: the smallest one that is there, none beyond its limits, and nothing cut in two."""

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel import StructureError
from ruo2_voxel.structures.cells import (
    LEAST_VACUUM,
    LONGEST_STEP,
    find_rectangle,
    find_repeats,
    find_slab,
    points_in_supercell,
    require_right_handed,
    wrap,
)
from tests.voxel.random_structures import LAW, rotation

Vectors = NDArray[np.float64]
SPAN = range(-LONGEST_STEP, LONGEST_STEP + 1)
STEPS = np.array([(i, j) for i in SPAN for j in SPAN])


def supercells(a: Vectors, b: Vectors) -> tuple[NDArray[np.int64], Vectors, Vectors]:
    """Cells, tangent of the shear and aspect of every pair of integer vectors, by the metric of the lattice alone."""
    gram = np.array([[a @ a, a @ b], [a @ b, b @ b]])
    squares = np.einsum("ni,ij,nj->n", STEPS, gram, STEPS)
    dots = STEPS @ gram @ STEPS.T
    cells = STEPS[:, 0][:, None] * STEPS[:, 1] - STEPS[:, 1][:, None] * STEPS[:, 0]
    right = cells > 0
    shears = np.abs(dots[right]) / (cells[right] * math.sqrt(np.linalg.det(gram)))
    ratios = (np.sqrt(squares[:, None] / np.maximum(squares, 1e-12)))[right]
    return cells[right], shears, np.maximum(ratios, 1.0 / ratios)


@st.composite
def lattices_with_rectangles(draw: st.DrawFn) -> tuple[Vectors, Vectors, int]:
    """Two vectors of which some whole multiples span a rectangle, anywhere in space, and the cells of that one."""
    small = st.integers(-4, 4)
    matrix = np.array([[draw(small), draw(small)], [draw(small), draw(small)]])
    n_cells = round(np.linalg.det(matrix))
    assume(n_cells > 0)
    sides = np.diag([draw(st.floats(3.0, 12.0)), draw(st.floats(3.0, 12.0))])
    vectors = np.linalg.solve(matrix, sides) @ np.eye(2, 3)
    assume(np.linalg.norm(vectors, axis=1).min() > 1.0)
    turned = vectors @ rotation(draw(st.floats(0.0, 3.0)), (1.0, 2.0, 0.5))
    return turned[0], turned[1], n_cells


@LAW
@given(lattices_with_rectangles())
def test_the_smallest_rectangle_is_found_and_needs_no_strain(lattice: tuple[Vectors, Vectors, int]) -> None:
    a, b, n_cells = lattice
    rectangle = find_rectangle(a, b)
    u, v = np.array(rectangle.matrix) @ [a, b]
    assert rectangle.shear == 0.0
    assert abs(u @ v) < 2e-6 * np.linalg.norm(u) * np.linalg.norm(v)
    np.testing.assert_allclose(np.cross(u, v), rectangle.n_cells * np.cross(a, b), atol=1e-8)
    cells, shears, aspects = supercells(a, b)
    exact = shears < 1e-6
    assert rectangle.n_cells == cells[exact].min() <= n_cells
    sides = np.linalg.norm(u), np.linalg.norm(v)
    assert max(sides) / min(sides) == pytest.approx(aspects[exact & (cells == rectangle.n_cells)].min(), rel=1e-5)


@LAW
@given(lattices_with_rectangles(), st.floats(0.0, 0.2))
def test_strain_is_taken_only_for_a_smaller_cell(lattice: tuple[Vectors, Vectors, int], max_shear: float) -> None:
    a, b, _ = lattice
    exact, rectangle = find_rectangle(a, b), find_rectangle(a, b, max_shear)
    assert 0.0 <= rectangle.shear <= max_shear
    assert rectangle.n_cells < exact.n_cells if rectangle.shear else rectangle == exact
    cells, shears, _ = supercells(a, b)
    assert rectangle.n_cells == cells[shears <= max(max_shear, 1e-6)].min()
    u, v = np.array(rectangle.matrix) @ [a, b]
    if rectangle.shear:
        assert rectangle.shear == pytest.approx(abs(u @ v) / np.linalg.norm(np.cross(u, v)))


def test_of_two_cells_the_unstrained_one_is_taken_though_another_is_squarer() -> None:
    a, b = np.array([3.0, 0.0, 0.0]), np.array([1.5, 2.7, 0.0])
    squarer = np.array([a + b, b - a])
    assert np.abs(squarer[0] @ squarer[1]) / (2 * 3.0 * 2.7) == pytest.approx(1 / 30)
    rectangle = find_rectangle(a, b, max_shear=0.05)
    assert (rectangle.n_cells, rectangle.shear) == (2, 0.0)
    assert find_rectangle(a, b, max_shear=0.6).n_cells == 1


@LAW
@given(st.floats(3.0, 9.0), st.floats(3.0, 9.0), st.floats(0.5, 2.6))
def test_without_a_rectangle_the_error_names_a_shear_that_works(a: float, b: float, angle: float) -> None:
    one, other = np.array([a, 0.0, 0.0]), np.array([b * math.cos(angle), b * math.sin(angle), 0.0])
    cells, shears, _ = supercells(one, other)
    assume(shears.min() > 2e-6)
    with pytest.raises(StructureError, match=r"found none without strain\. \d+ cells") as caught:
        find_rectangle(one, other)
    (advice,) = re.findall(r"--max-shear ([\d.]+)$", str(caught.value))
    shear = float(advice)
    assert shear <= 1.1 * shears.min() + 1e-4
    found = find_rectangle(one, other, shear)
    assert 0.0 < found.shear <= shear
    assert found.n_cells in cells


@pytest.mark.parametrize(
    ("a", "b", "matrix"),
    [
        ((3.0, 0, 0), (0, 5.0, 0), ((1, 0), (0, 1))),
        ((0, 5.0, 0), (-3.0, 0, 0), ((1, 0), (0, 1))),
        ((2.0, 0, 0), (1.0, 3.0, 0), ((1, 0), (-1, 2))),
        ((2.0, 0, 0), (2.0, 5.0, 0), ((1, 0), (-1, 1))),
        ((3.0, 4.0, 0), (-3.0, 4.0, 0), ((1, 1), (-1, 1))),
    ],
    ids=["rectangular", "rectangular, turned", "centred", "sheared by a whole vector", "rhombic"],
)
def test_a_rectangle_lies_as_the_cell_does(
    a: tuple[float, ...], b: tuple[float, ...], matrix: tuple[tuple[int, int], ...]
) -> None:
    assert find_rectangle(np.array(a), np.array(b)).matrix == matrix


def test_a_cell_written_with_seven_digits_is_still_rectangular() -> None:
    a, b = np.array([6.3498031, 0.0, 0.0]), np.array([0.0000031, 8.8889901, 0.0])
    assert find_rectangle(a, b).matrix == ((1, 0), (0, 1))


sides = st.floats(2.0, 15.0)


@LAW
@given(sides, sides, st.integers(1, 300), st.floats(5.0, 40.0), st.integers(1, 2000), st.floats(1.0, 1.5))
def test_repeats_keep_within_their_limits_and_are_the_squarest(
    a: float, b: float, n_atoms: int, max_length: float, max_atoms: int, max_aspect: float
) -> None:
    m, n = find_repeats((a, b), n_atoms, max_length, max_atoms, max_aspect)

    def aspect(i: int, j: int) -> float:
        return max(i * a, j * b) / min(i * a, j * b)

    assert m * a <= max_length + 2e-6 or m == 1
    assert n * b <= max_length + 2e-6 or n == 1
    assert m * n * n_atoms <= max_atoms or m * n == 1
    possible = [
        (i, j)
        for i in range(1, 25)
        for j in range(1, 25)
        if (i == 1 or i * a <= max_length) and (j == 1 or j * b <= max_length)
        if i * j == 1 or i * j * n_atoms <= max_atoms
    ]
    square = [i * j for i, j in possible if aspect(i, j) <= max_aspect - 1e-6]
    if square:
        assert m * n <= min(square)
        assert aspect(m, n) <= max_aspect + 1e-6
    elif aspect(m, n) > max_aspect + 1e-6:
        assert aspect(m, n) == pytest.approx(min(aspect(i, j) for i, j in possible), abs=1e-5)


@pytest.mark.parametrize(
    ("lengths", "n_atoms", "limits", "repeats"),
    [
        ((6.0, 6.0), 40, {}, (1, 1)),
        ((3.0, 6.0), 40, {}, (2, 1)),
        ((3.1, 6.4), 40, {}, (2, 1)),
        ((4.0, 6.0), 40, {}, (3, 2)),
        ((4.0, 6.0), 40, {"max_length": 11.0}, (2, 1)),
        ((4.0, 6.0), 40, {"max_length": 12.0}, (3, 2)),
        ((4.0, 6.0), 40, {"max_atoms": 239}, (2, 1)),
        ((4.0, 6.0), 40, {"max_atoms": 240}, (3, 2)),
        ((4.0, 6.0), 40, {"max_aspect": 1.4}, (2, 1)),
        ((4.0, 6.0), 3000, {}, (1, 1)),
        ((25.0, 5.0), 40, {}, (1, 4)),
        ((25.0, 30.0), 40, {}, (1, 1)),
    ],
)
def test_repeats_of_cells_that_occur(
    lengths: tuple[float, float], n_atoms: int, limits: dict[str, float], repeats: tuple[int, int]
) -> None:
    given: dict[str, float] = {"max_length": 20.0, "max_atoms": 2000, "max_aspect": 1.1, **limits}
    found = find_repeats(lengths, n_atoms, given["max_length"], int(given["max_atoms"]), given["max_aspect"])
    assert found == repeats


small = st.integers(-6, 6)


@LAW
@given(small, small, small, small)
def test_a_supercell_holds_each_of_its_cells_once(i: int, j: int, k: int, m: int) -> None:
    n_cells = i * m - j * k
    assume(n_cells > 0)
    points = points_in_supercell(((i, j), (k, m)))
    assert points[0].tolist() == [0, 0]
    assert len(points) == n_cells
    scaled = points @ np.linalg.inv([[i, j], [k, m]])
    assert ((scaled > -1e-9) & (scaled < 1.0 - 1e-9)).all()
    assert len(np.unique(points, axis=0)) == n_cells


@LAW
@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=9), st.floats(0.0, 30.0), st.integers(0, 2**32 - 1))
def test_a_slab_is_whole_wherever_it_lies(steps: list[int], bottom: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaps = 3.5 * np.array(steps[1:]) / 2**20  # narrower than a vacuum
    shape = np.concatenate([[0.0], np.cumsum(gaps)])
    vacuum = LEAST_VACUUM + rng.random() * 20.0
    period = shape[-1] + vacuum
    order = rng.permutation(len(shape))
    images = rng.integers(-2, 3, len(shape)) * period
    slab = find_slab((bottom + shape)[order] + images, period)
    assert slab.vacuum == pytest.approx(vacuum)
    assert slab.thickness == pytest.approx(shape[-1])
    np.testing.assert_allclose(slab.heights - slab.bottom, shape[order], atol=1e-9)
    assert -1e-6 * period <= slab.bottom < period
    assert (slab.bottom - bottom) / period == pytest.approx(round((slab.bottom - bottom) / period), abs=1e-9)


@pytest.mark.parametrize(
    ("heights", "found"),
    [([], "a slab must have atoms; found none"), ([0.0, 3.5, 7.0], "no gap between atoms wider than 3.50 Å")],
)
def test_what_is_no_slab_is_refused(heights: list[float], found: str) -> None:
    with pytest.raises(StructureError, match=re.escape(found)):
        find_slab(np.array(heights), 10.0)


def test_four_angstrom_are_a_vacuum_and_a_little_less_are_none() -> None:
    assert find_slab(np.array([1.0, 3.0]), 6.0).vacuum == pytest.approx(4.0)
    with pytest.raises(StructureError, match=r"at least 4 Å along its third cell vector; found no gap .* 3\.99 Å"):
        find_slab(np.array([1.0, 3.0]), 5.99)


@pytest.mark.parametrize(("height", "bottom"), [(9.95, 9.95), (10.0 - 1e-8, -1e-8), (-1e-8, -1e-8), (-0.05, 9.95)])
def test_a_slab_begins_within_its_cell(height: float, bottom: float) -> None:
    assert find_slab(np.array([height, height + 2.0]), 10.0).bottom == pytest.approx(bottom, abs=1e-12)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_wrapping_takes_off_whole_vectors_and_leaves_the_rest_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(3.0, 8.0, 3)) + rng.uniform(-1.0, 1.0, (3, 3))
    positions = rng.uniform(-1.5, 2.5, (12, 3)) @ cell
    scaled = positions @ np.linalg.inv(cell)
    wrapped = wrap(positions, cell)
    np.testing.assert_allclose(wrapped @ np.linalg.inv(cell), scaled % 1.0, atol=1e-9)
    inside = ((scaled >= 0.0) & (scaled < 0.999999)).all(axis=1)
    assert wrapped[inside].tobytes() == positions[inside].tobytes()


def test_an_atom_a_rounding_error_below_the_border_stays_there() -> None:
    positions = np.array([[-1e-9, 0.0, 0.0], [4.0 - 1e-9, 0.0, 0.0]])
    np.testing.assert_allclose(wrap(positions, np.diag([4.0, 4.0, 4.0]))[:, 0], -1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (np.diag([3.0, -4.0, 5.0]), "found -60 Å^3. Swap two cell vectors to turn it"),
        (np.diag([3.0, 4.0, 0.0]), "found no volume. Give it three independent vectors"),
        (np.zeros((3, 3)), "found no volume. Give it three independent vectors"),
        (np.full((3, 3), np.nan), "found nan Å^3. Give it three independent vectors"),
    ],
    ids=["left-handed", "flat", "none", "not a number"],
)
def test_cells_must_be_right_handed(cell: Vectors, found: str) -> None:
    with pytest.raises(StructureError, match=re.escape(found)):
        require_right_handed(cell)
    require_right_handed(np.diag([3.0, 4.0, 5.0]))
