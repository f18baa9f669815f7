"""The shortlist is what sorting all distances gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.search import shortlist as module
from ruo2_wgan.verdict.search.features import FeatureSpace, invariants
from ruo2_wgan.verdict.search.shortlist import Query, shortlist
from tests.wgan.verdict.examples import open_reals, random_densities

SHAPE = (8, 8, 12)


@pytest.fixture(params=[7, 512], ids=["in parts", "at once"])
def reals(request: pytest.FixtureRequest, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Reals:
    monkeypatch.setattr(module, "AT_ONCE", request.param)
    return open_reals(tiny_store)


def all_distances(samples: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Between all, in float64: at the better of both ways to lay x and y where there are two."""
    ways = [samples] if samples.ndim == 4 else [samples, samples.swapaxes(2, 3)]
    of_reals = invariants(torch.from_numpy(reals)).double().numpy()
    of_ways = [invariants(torch.from_numpy(np.ascontiguousarray(way))).double().numpy() for way in ways]
    return np.min([np.linalg.norm(way[:, None] - of_reals, axis=2) for way in of_ways], axis=0)


def assert_nearest(listed: np.ndarray, rows: np.ndarray, distances: np.ndarray, length: int) -> None:
    """The rows listed are at the least distances in order; which of two equal ones comes first is immaterial."""
    assert listed.shape == (len(distances), length)
    for found, of_all in zip(listed, distances, strict=True):
        assert len(set(found.tolist())) == length
        np.testing.assert_allclose(of_all[np.searchsorted(rows, found)], np.sort(of_all)[:length], atol=1e-3)


@pytest.mark.parametrize("length", [1, 5, 20])
def test_it_is_a_sort_of_all_distances(reals, length):
    space = FeatureSpace(reals.read(reals.train))
    samples = reals.read(reals.held_out)
    (listed,) = shortlist([Query(samples, space)], reals.train, reals, space, length)
    assert_nearest(listed, reals.train, all_distances(samples, reals.read(reals.train)), length)


def test_slices_have_no_second_way(tiny_slices):
    reals = open_reals(tiny_slices, 2)
    space = FeatureSpace(reals.read(reals.train))
    samples = reals.read(reals.held_out[:30])
    query = Query(samples, space)
    assert len(query.variants) == 1
    (listed,) = shortlist([query], reals.train, reals, space, 9)
    assert_nearest(listed, reals.train, all_distances(samples, reals.read(reals.train)), 9)


def test_a_row_is_found_with_x_and_y_exchanged(reals):
    space = FeatureSpace(reals.read(reals.train))
    exchanged = np.ascontiguousarray(reals.read(reals.train).swapaxes(2, 3))
    (listed,) = shortlist([Query(exchanged, space)], reals.train, reals, space, 1)
    np.testing.assert_array_equal(listed[:, 0], reals.train)


def test_sets_of_samples_are_answered_apart(reals):
    space = FeatureSpace(reals.read(reals.train))
    sets = [reals.read(reals.held_out[:3]), random_densities(0, 5, SHAPE), reals.read(reals.train[:1])]
    queries = [Query(each, space) for each in sets]
    together = shortlist(queries, reals.train, reals, space, 4)
    for query, listed in zip(queries, together, strict=True):
        (alone,) = shortlist([query], reals.train, reals, space, 4)
        np.testing.assert_array_equal(listed, alone)


def test_of_few_rows_all_are_listed_and_progress_is_told(reals):
    space = FeatureSpace(reals.read(reals.train))
    rows, passed = reals.train[[3, 8, 21, 22, 30, 31, 44, 45, 46]], []
    (listed,) = shortlist([Query(reals.read(reals.held_out), space)], rows, reals, space, 32, passed.append)
    assert_nearest(listed, rows, all_distances(reals.read(reals.held_out), reals.read(rows)), len(rows))
    assert (np.sort(listed, axis=1) == rows).all()
    assert sum(passed) == len(rows)
