"""Structural similarity is scikit-image's of grids that go on periodically."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from ruo2_wgan.verdict.search.ssim import similarity
from tests.wgan.real_densities import real_slices, real_volumes
from tests.wgan.verdict.examples import random_densities

SHAPES = [(8, 8, 12), (7, 9, 11), (5, 6, 5), (3, 8, 4), (1, 2, 9), (9, 12), (7, 3), (2, 13)]


def by_scikit_image(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Of each species, in float64; the mean that it takes leaves out what lies within half a window of a border."""
    around = [
        np.pad(each.astype(np.float64), [(0, 0), *[(2, 2)] * (each.ndim - 1)], mode="wrap") for each in (first, second)
    ]
    return [structural_similarity(a, b, win_size=5, data_range=1.0) for a, b in zip(*around, strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_of_random_densities(shape):
    for seed in range(3):
        first, other = random_densities(seed, 2, shape)
        second = np.float32(0.5) * (first + other)
        np.testing.assert_allclose(similarity(first, second), by_scikit_image(first, second), atol=1e-6)


@pytest.mark.parametrize("densities", [real_volumes, real_slices])
def test_of_real_densities(densities):
    real = densities().numpy()
    for first, second in zip(real[:40:4], real[1:41:4], strict=True):
        np.testing.assert_allclose(similarity(first, second), by_scikit_image(first, second), atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 7, 8), (6, 8)])
def test_of_empty_densities(shape):
    nothing, something = np.zeros((2, *shape), dtype=np.float32), random_densities(0, 1, shape)[0]
    np.testing.assert_allclose(similarity(nothing, nothing), 1.0, atol=1e-6)
    np.testing.assert_allclose(similarity(nothing, something), by_scikit_image(nothing, something), atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_1_for_the_same_and_the_same_both_ways_and_wherever_both_lie(shape):
    first, second = random_densities(1, 2, shape)
    np.testing.assert_allclose(similarity(first, first), 1.0, atol=1e-6)
    found = similarity(first, second)
    assert (np.abs(found) < 0.9).all()
    np.testing.assert_allclose(similarity(second, first), found, atol=1e-6)
    axes = tuple(range(1, first.ndim))
    rolled = [np.roll(each, tuple(axes), axes) for each in (first, second)]
    np.testing.assert_allclose(similarity(*rolled), found, atol=1e-6)


def test_a_view_that_is_not_contiguous_counts_as_its_copy():
    first, second = random_densities(2, 2, (6, 9, 7))
    turned = [each.swapaxes(1, 2) for each in (first, second)]
    np.testing.assert_array_equal(similarity(*turned), similarity(*map(np.ascontiguousarray, turned)))
