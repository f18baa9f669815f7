"""The eight-lane intrinsics do what their NumPy twins say; 2^x is as exact as promised."""

from collections.abc import Callable

import numpy as np
import pytest
from numba import njit

from ruo2_voxel.density import simd

ROW, N_ROWS = 24, 5  # of the accumulator
ROUNDING = 1e-6  # of fused against separate multiplications and additions, relative to the largest sum
NEGLIGIBLE = 2.0**-40  # what is smaller may be taken for 0


@njit
def add_narrow_rows(acc, at, stride, n_rows, scale, weights, first_weight, table, first):
    simd.add_rows(1, acc, at, stride, n_rows, scale, weights, first_weight, table, first)


@njit
def add_wide_rows(acc, at, stride, n_rows, scale, weights, first_weight, table, first):
    simd.add_rows(2, acc, at, stride, n_rows, scale, weights, first_weight, table, first)


@njit
def add_narrow_products(acc, at, stride, n_rows, scale, weights, first_weight, table, first, factor, begin, step):
    simd.add_product_rows(1, acc, at, stride, n_rows, scale, weights, first_weight, table, first, factor, begin, step)


@njit
def add_wide_products(acc, at, stride, n_rows, scale, weights, first_weight, table, first, factor, begin, step):
    simd.add_product_rows(2, acc, at, stride, n_rows, scale, weights, first_weight, table, first, factor, begin, step)


ROWS = pytest.mark.parametrize(("add", "n_vectors"), [(add_narrow_rows, 1), (add_wide_rows, 2)])
PRODUCTS = pytest.mark.parametrize(("add", "n_vectors"), [(add_narrow_products, 1), (add_wide_products, 2)])
PLACES = pytest.mark.parametrize(("at", "n_rows"), [(0, N_ROWS), (8, 3), (32, 1), (8, 0)])


@njit
def call_exp2_lanes(table, x, c0, c1, c2):
    """A row of eight lanes for each of the arguments."""
    for i in range(x.shape[0]):
        simd.exp2_lanes(table, i * simd.LANES, x[i], c0[i], c1[i], c2[i])


def random_numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)


def accumulator() -> np.ndarray:
    acc = simd.aligned_zeros(N_ROWS * ROW)
    acc[:] = random_numbers(0, N_ROWS * ROW)
    return acc


@pytest.mark.nojit
@pytest.mark.parametrize("size", [1, 8, 1000, 12345])
def test_aligned_zeros_begin_on_a_cache_line(size: int) -> None:
    for _ in range(20):
        zeros = simd.aligned_zeros(size)
        assert zeros.ctypes.data % simd.ALIGNMENT == 0
        assert (zeros.shape, zeros.dtype, np.count_nonzero(zeros)) == ((size,), np.float32, 0)


@ROWS
@PLACES
def test_rows_are_added_as_the_twin_adds_them(add: Callable[..., None], n_vectors: int, at: int, n_rows: int) -> None:
    weights, table = random_numbers(1, 4, 8), random_numbers(2, 3, 11)  # several atoms' tables: offsets count through
    arguments = at, ROW, n_rows, np.float32(0.7), weights, 11, table, 13
    found, wanted = accumulator(), accumulator()
    add(found, *arguments)
    simd.add_rows(n_vectors, wanted, *arguments)
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=ROUNDING)


@PRODUCTS
@PLACES
def test_rows_of_products_are_added_as_the_twin_adds_them(
    add: Callable[..., None], n_vectors: int, at: int, n_rows: int
) -> None:
    weights, table, factor = random_numbers(1, 4, 8), random_numbers(2, 3, 11), random_numbers(3, 2, 6, 17)
    arguments = at, ROW, n_rows, np.float32(0.7), weights, 11, table, 13, factor, 105, 17
    found, wanted = accumulator(), accumulator()
    add(found, *arguments)
    simd.add_product_rows(n_vectors, wanted, *arguments)
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=ROUNDING)


@pytest.mark.nojit
@ROWS
def test_added_rows_are_those_of_the_formula_and_nothing_else_changes(add: Callable[..., None], n_vectors: int) -> None:
    weights, table, acc = random_numbers(1, 32), random_numbers(2, 33), accumulator()
    wanted = acc.astype(np.float64).reshape(N_ROWS, ROW)
    lanes = simd.LANES * n_vectors
    wanted[1:4, 8 : 8 + lanes] += 0.5 * np.outer(weights[11:14], table[13 : 13 + lanes])
    add(acc, ROW + 8, ROW, 3, np.float32(0.5), weights, 11, table, 13)
    np.testing.assert_allclose(acc.reshape(N_ROWS, ROW), wanted, rtol=0.0, atol=ROUNDING)


@pytest.mark.nojit
@PRODUCTS
def test_added_products_are_those_of_the_formula_and_nothing_else_changes(
    add: Callable[..., None], n_vectors: int
) -> None:
    weights, table, factor, acc = random_numbers(1, 32), random_numbers(2, 33), random_numbers(3, 6, 21), accumulator()
    wanted = acc.astype(np.float64).reshape(N_ROWS, ROW)
    lanes = simd.LANES * n_vectors
    wanted[1:4, 8 : 8 + lanes] += 0.5 * np.outer(weights[11:14], table[13 : 13 + lanes]) * factor[2:5, 3 : 3 + lanes]
    add(acc, ROW + 8, ROW, 3, np.float32(0.5), weights, 11, table, 13, factor, 2 * 21 + 3, 21)
    np.testing.assert_allclose(acc.reshape(N_ROWS, ROW), wanted, rtol=0.0, atol=ROUNDING)


def exp2_of(exponents: np.ndarray) -> np.ndarray:
    exponents = exponents.astype(np.float32)
    zeros, table = np.zeros_like(exponents), np.zeros((len(exponents), simd.LANES), dtype=np.float32)
    call_exp2_lanes(table, zeros, exponents, zeros, zeros)
    assert (table == table[:, :1]).all()
    return table[:, 0]


@pytest.mark.nojit
def test_exp2_is_exact_to_3e_7() -> None:
    exponents = np.concatenate([np.linspace(-40.0, 120.0, 4999), np.arange(-40, 121), np.arange(-40, 120) + 0.5])
    exact = np.exp2(exponents.astype(np.float32).astype(np.float64))
    assert np.abs(exp2_of(exponents) / exact - 1.0).max() < 3e-7


@pytest.mark.nojit
def test_exp2_of_anything_is_neither_negative_nor_more_than_2_to_the_120() -> None:
    small, large = exp2_of(np.array([-1e30, -1e4, -200.0, -120.5, -41.0])), exp2_of(np.array([120.5, 200.0, 1e30]))
    assert ((small >= 0.0) & (small <= NEGLIGIBLE)).all()
    np.testing.assert_allclose(large, 2.0**120, rtol=3e-7)


@pytest.mark.nojit
def test_exp2_takes_a_parabola_along_the_lanes() -> None:
    x, c0, c1, c2 = (4.0 * random_numbers(seed, 50) for seed in range(4))
    table = np.zeros((50, simd.LANES), dtype=np.float32)
    call_exp2_lanes(table, x, c0, c1, c2 / 16.0)
    d = x[:, None].astype(np.float64) + np.arange(simd.LANES)
    exponent = c0[:, None] + c1[:, None] * d + c2[:, None] / 16.0 * d**2
    assert np.abs(exponent).max() < 64.0  # where float32 exponents come in steps of up to 2^-18
    np.testing.assert_allclose(table, np.exp2(exponent), rtol=2e-5, atol=NEGLIGIBLE)


def test_compiled_exp2_and_its_twin_agree() -> None:
    x, c0, c1 = 8.0 * random_numbers(4, 50), 8.0 * random_numbers(5, 50), random_numbers(6, 50)
    c2 = -np.abs(random_numbers(7, 50)) / 4.0
    found, wanted = np.zeros((2, 50, simd.LANES), dtype=np.float32)
    call_exp2_lanes(found, x, c0, c1, c2)
    for i in range(50):
        simd.exp2_lanes(wanted, i * simd.LANES, x[i], c0[i], c1[i], c2[i])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=NEGLIGIBLE)
