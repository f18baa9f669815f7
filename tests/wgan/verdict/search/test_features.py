"""What structures are compared by is the same wherever they lie, and no farther apart than their densities are."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ruo2_wgan.verdict.operations import apply_operation, point_operations
from ruo2_wgan.verdict.search.features import AT_ONCE, MOST_FEATURES, FeatureSpace, invariants
from tests.wgan.real_densities import real_volumes
from tests.wgan.verdict.examples import SHAPES, random_densities

SIDES = st.integers(1, 7)


def invariants_of(density: np.ndarray) -> np.ndarray:
    return invariants(torch.from_numpy(np.ascontiguousarray(density)))[0].double().numpy()


def without_exchange(shape: tuple[int, ...]):
    """All operations but the exchange of x and y."""
    for point in point_operations(shape):
        if not point.swap:
            for shifts in itertools.product(*map(range, shape[:-1])):
                yield point._replace(shifts=shifts)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 3, 4), (2, 2, 5), (3, 1, 4), (1, 4), (2, 3)])
def test_they_do_not_change_with_rolls_and_mirrors(shape):
    density = random_densities(0, 1, shape)
    expected = invariants_of(density)
    assert np.linalg.norm(expected) == pytest.approx(np.linalg.norm(density), rel=1e-6)  # Parseval
    for operation in without_exchange(shape):
        np.testing.assert_allclose(invariants_of(apply_operation(density, operation)), expected, atol=1e-5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.one_of(st.tuples(SIDES, SIDES, st.integers(1, 3)), st.tuples(SIDES, st.integers(1, 3))),
    seed=st.integers(0, 2**32 - 1),
    closeness=st.sampled_from([0.0, 0.5, 0.95]),
)
def test_they_are_no_farther_apart_than_densities_at_the_best_roll_and_mirror(shape, seed, closeness):
    first, second = random_densities(seed, 2, shape)
    second = (np.float32(closeness) * np.roll(first, 1, 1) + np.float32(1 - closeness) * second).astype(np.float32)
    least = min(
        np.linalg.norm(apply_operation(first, each).astype(np.float64) - second) for each in without_exchange(shape)
    )
    assert np.linalg.norm(invariants_of(first[None]) - invariants_of(second[None])) <= least + 1e-5


def test_they_tell_real_structures_apart():
    """A bound that is 0 would hold as well: of real structures it is most of the distance."""
    reals = real_volumes()[:7].numpy()
    shares = []
    for first, second in itertools.combinations(reals, 2):
        least = min(np.linalg.norm(apply_operation(first, each) - second) for each in without_exchange((16, 16, 32)))
        shares.append(np.linalg.norm(invariants_of(first[None]) - invariants_of(second[None])) / least)
    assert min(shares) > 0.5


def test_a_space_keeps_the_features_that_vary_most():
    densities = random_densities(1, AT_ONCE + 40, (8, 8, 70))  # more features than are kept, in two batches
    scale = np.linspace(0.2, 1.0, 70, dtype=np.float32)[np.random.default_rng(0).permutation(70)]
    densities *= scale
    every = invariants(torch.from_numpy(densities)).double().numpy()
    variance = every.var(axis=0)
    largest = np.sort(np.argsort(variance)[-MOST_FEATURES:])
    assert len(largest) < every.shape[1]
    space, called = FeatureSpace(densities), []
    found = space.describe(densities, called.append)
    assert found.shape == (len(densities), len(space)) == (len(densities), MOST_FEATURES)
    np.testing.assert_allclose(found, every[:, largest], atol=1e-4)
    assert space.share == pytest.approx(variance[largest].sum() / variance.sum(), rel=1e-5)
    assert called == [AT_ONCE, 40]


def test_a_small_space_keeps_them_all():
    densities = random_densities(2, 5, (6, 8))
    space = FeatureSpace(densities)
    torch.testing.assert_close(space.describe(densities), invariants(torch.from_numpy(densities)))
    assert space.share == pytest.approx(1.0)


def test_structures_that_are_all_the_same_have_features_without_variance():
    densities = np.repeat(random_densities(3, 1, (6, 8)), 3, axis=0)
    space = FeatureSpace(densities)
    assert len(space.describe(densities).unique(dim=0)) == 1
