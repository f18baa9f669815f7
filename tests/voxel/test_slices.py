"""Slices are planes of the grid, and turn as the structure does."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel import GridError, Slices, rotate_z, slices
from ruo2_voxel.density.slices import EMPTY_BELOW, PLANES, find_cuts, is_empty
from tests.voxel.random_structures import LAW

LENGTHS = np.array([6.0, 7.0, 20.0])


@st.composite
def densities(draw: st.DrawFn) -> NDArray[np.float32]:
    """As many voxels along x as along y; some planes may be empty."""
    n, nz = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = rng.random((draw(st.integers(1, 3)), n, n, nz)).astype(np.float32)
    density[:, rng.random(n) < 0.3] = 0.0
    density[:, :, rng.random(n) < 0.3] = 0.0
    return density


def one_by_one(density: NDArray[Any], planes: tuple[str, ...], positions: list[int]) -> list[NDArray[Any]]:
    """The planes, voxel by voxel."""
    n_species, nx, ny, nz = density.shape
    found = []
    for plane in planes:
        for p in positions:
            n = nx if plane == "xz" else ny
            values = np.zeros((n_species, n, nz), density.dtype)
            for s, u, z in np.ndindex(n_species, n, nz):
                values[s, u, z] = density[s, u, p, z] if plane == "xz" else density[s, p, u, z]
            found.append(values)
    return found


@LAW
@given(densities(), st.sampled_from([("xz",), ("yz",), ("xz", "yz"), ("yz", "xz")]))
def test_slices_are_the_planes_of_the_grid(density: NDArray[np.float32], planes: Any) -> None:
    n = density.shape[1]
    for positions, expected in (("all", range(n)), ("even", range(0, n, 2)), (n - 1, [n - 1]), ([n // 2], [n // 2])):
        found = slices(density, LENGTHS, planes, positions)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.values, one_by_one(density, planes, list(expected)), strict=True)
        assert found.planes.tolist() == [PLANES.index(plane) for plane in planes for _ in expected]
        assert found.positions.tolist() == [position for _ in planes for position in expected]
        lengths = {"xz": [6.0, 20.0], "yz": [7.0, 20.0]}
        assert found.lattice_lengths.tolist() == [lengths[plane] for plane in planes for _ in expected]


@LAW
@given(densities())
def test_a_quarter_turn_exchanges_the_planes(density: NDArray[np.float32]) -> None:
    before = slices(density, LENGTHS, positions="all")
    turned, lengths = rotate_z(density, LENGTHS, 1)
    after = slices(turned, lengths, positions="all")
    n = density.shape[1]
    backwards = -np.arange(n) % n  # node i of x becomes node -i of y once turned
    # (u, v) became (-v, u): xz-planes at v are yz-planes at -v, and yz-planes at u are xz-planes at u, mirrored.
    np.testing.assert_array_equal(after.values[n:][backwards], before.values[:n])
    np.testing.assert_array_equal(after.values[:n][:, :, backwards], before.values[n:])
    assert after.lattice_lengths[n:].tolist() == before.lattice_lengths[:n].tolist() == [[6.0, 20.0]] * n
    assert after.lattice_lengths[:n].tolist() == before.lattice_lengths[n:].tolist() == [[7.0, 20.0]] * n


@LAW
@given(densities())
def test_without_empty_slices_the_others_stay_as_they_are(density: NDArray[np.float32]) -> None:
    every, full = slices(density, LENGTHS), slices(density, LENGTHS, drop_empty=True)
    kept = [bool(values.any()) for values in every.values]
    for name in Slices._fields:
        np.testing.assert_array_equal(getattr(full, name), getattr(every, name)[kept], strict=True)


def test_a_density_without_gaussians_has_no_slices_but_their_shape() -> None:
    found = slices(np.zeros((2, 4, 4, 6), dtype=np.float32), LENGTHS, drop_empty=True)
    assert (found.values.shape, found.values.dtype) == ((0, 2, 4, 6), np.float32)
    assert [len(part) for part in found] == [0, 0, 0, 0]
    assert found.lattice_lengths.shape == (0, 2)


def test_empty_is_what_eight_bits_cannot_show() -> None:
    values = np.zeros((1, 3, 3), dtype=np.float32)
    assert is_empty(values)
    for level, empty in ((0.49 / 255, True), (0.51 / 255, False)):
        values[0, 1, 2] = level
        assert is_empty(values) == empty == (np.floor(values * 255 + 0.5).max() == 0.0)
    assert not is_empty(np.array([[[0, 1]]], dtype=np.uint8))
    assert is_empty(np.zeros((1, 2, 2), dtype=np.uint8))
    assert EMPTY_BELOW == 0.5 / 255


def test_the_positions_of_the_thesis() -> None:
    assert len(find_cuts((32, 32, 32), PLANES, "even")) == 2 * 16
    assert find_cuts((32, 32, 32), PLANES, 10) == [("xz", 10), ("yz", 10)]
    assert 148 * 4 * len(find_cuts((32, 32, 32), PLANES, "even")) == 18944
    assert 91 * 4 * len(find_cuts((32, 32, 32), PLANES, "even")) == 11648
    assert 28903 * len(find_cuts((32, 32, 32), PLANES, 10)) == 57806


def test_one_kind_of_plane_may_be_cut_of_any_grid() -> None:
    density = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    assert slices(density, LENGTHS, ("xz",), "all").values.shape == (6, 2, 4, 3)
    assert slices(density, LENGTHS, ("yz",), "all").values.shape == (4, 2, 6, 3)


def test_positions_are_sorted_and_of_any_whole_number() -> None:
    density = np.random.default_rng(0).random((1, 4, 4, 3))
    for positions in ([3, 0, 2], (3, 0, 2), np.array([3, 0, 2]), np.array([3, 0, 2], dtype=np.uint8)):
        assert slices(density, LENGTHS, positions=positions).positions.tolist() == [0, 2, 3] * 2  # type: ignore[arg-type]
    assert slices(density, LENGTHS, positions=np.int64(2)).positions.tolist() == [2, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "options", "found"),
    [
        ((4, 4, 3), {}, "must have the axes (species, x, y, z), got shape (4, 4, 3)"),
        ((1, 1, 4, 4, 3), {}, "must have the axes (species, x, y, z), got shape (1, 1, 4, 4, 3)"),
        ((1, 4, 6, 3), {}, "as many voxels along x as along y; got 4 and 6. Cut one kind of plane at a time"),
        ((1, 4, 4, 3), {"lattice_lengths": [6.0, 7.0]}, "lattice_lengths must hold three lengths, got shape (2,)"),
        ((1, 4, 4, 3), {"planes": ()}, "different ones of xz, yz, got none"),
        ((1, 4, 4, 3), {"planes": ("xy",)}, "different ones of xz, yz, got xy"),
        ((1, 4, 4, 3), {"planes": ("xz", "xz")}, "different ones of xz, yz, got xz, xz"),
        ((1, 4, 4, 3), {"positions": "odd"}, "a position or a list of them; got 'odd'"),
        ((1, 4, 4, 3), {"positions": 4}, "positions must be different ones from 0 to 3, at least one; got [4]"),
        ((1, 4, 4, 3), {"positions": -1}, "positions must be different ones from 0 to 3, at least one; got [-1]"),
        ((1, 4, 4, 3), {"positions": []}, "at least one; got []"),
        ((1, 4, 4, 3), {"positions": [1, 1]}, "different ones from 0 to 3, at least one; got [1, 1]"),
        ((1, 4, 4, 3), {"positions": 1.5}, "positions must be whole numbers of voxels, got 1.5"),
        ((1, 4, 4, 3), {"positions": [1, "even"]}, "positions must be whole numbers of voxels, got [1, 'even']"),
    ],
)
def test_what_cannot_be_cut(shape: tuple[int, ...], options: dict[str, Any], found: str) -> None:
    with pytest.raises(GridError, match=re.escape(found)):
        slices(np.zeros(shape, dtype=np.float32), **{"lattice_lengths": LENGTHS, **options})
    with pytest.raises(GridError, match=re.escape(found)):
        slices(np.zeros(shape).tolist(), **{"lattice_lengths": LENGTHS, **options})
