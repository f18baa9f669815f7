"""Which rows of a store are compared with, and what is read of them."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from ruo2_voxel import build, open_slices, open_store
from ruo2_wgan.config import make_config
from ruo2_wgan.data import open_rows
from ruo2_wgan.errors import DataError
from ruo2_wgan.verdict import reals as module
from ruo2_wgan.verdict.reals import Reals
from tests.wgan.conftest import GRID, slab
from tests.wgan.verdict.examples import open_reals


def build_small(folder: Path, n: int) -> Path:
    """A store of few rows, none of them held out."""
    write(folder / "few.traj", [slab(index) for index in range(n)])
    build(str(folder / "few.traj"), folder / "few.zarr", GRID, workers=1, label="none")
    return folder / "few.zarr"


def test_held_out_rows_are_those_of_the_split(tiny_store):
    reals, split = open_reals(tiny_store), open_store(tiny_store).split
    np.testing.assert_array_equal(reals.train, np.flatnonzero(split == 0))
    np.testing.assert_array_equal(reals.held_out, np.flatnonzero(split == 1))
    assert reals.held_out_from == "split"


def test_halves_are_all_held_out_rows_once(tiny_store):
    reals = open_reals(tiny_store)
    first, second = reals.halves()
    np.testing.assert_array_equal(np.concatenate([first, second]), reals.held_out)
    assert abs(len(first) - len(second)) <= 1


def test_halves_of_slices_share_no_structure_but_one(tiny_slices):
    reals = open_reals(tiny_slices, 2)
    parents = open_slices(tiny_slices).structure
    first, second = (set(parents[rows].tolist()) for rows in reals.halves())
    assert len(first & second) <= 1
    assert min(len(first), len(second)) > 1


@pytest.mark.parametrize(("store", "n", "n_held_out"), [("store_path", 50, 5), ("unlabelled_store", 16, 4)])
def test_without_a_split_the_last_tenth_stands_in(store, n, n_held_out, request):
    reals = open_reals(request.getfixturevalue(store))
    assert reals.train.tolist() == list(range(n - n_held_out))
    assert reals.held_out.tolist() == list(range(n - n_held_out, n))
    assert reals.held_out_from == "last tenth"


@pytest.mark.parametrize("n", [2, 3, 5])
def test_too_few_rows_are_refused(n, tmp_path):
    with pytest.raises(DataError, match=r"few\.zarr: a verdict needs 2 or more training rows and 4 or more held-out"):
        open_reals(build_small(tmp_path, n))


def test_six_rows_will_do(tmp_path):
    reals = open_reals(build_small(tmp_path, 6))
    assert (reals.train.tolist(), reals.held_out.tolist()) == ([0, 1], [2, 3, 4, 5])


def test_too_few_held_out_rows_are_refused(tiny_store):
    """No training row takes the place of a held-out one that was asked for."""
    rows = open_rows(tiny_store, make_config({"model": {"dimensions": 3}}))
    rows.held_out = rows.held_out[:3]
    with pytest.raises(DataError, match=f"found {len(rows.train)} and 3"):
        Reals(rows)


def test_rows_are_densities_of_the_store_in_any_order(tiny_store):
    reals, store = open_reals(tiny_store), open_store(tiny_store)
    rows = np.array([7, 3, 3, 60])
    found = reals.read(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, store.read(rows) * store.scale, rtol=1e-6)
    assert 0.5 < found.max() <= 1.0
    np.testing.assert_array_equal(reals.lattice(rows), store.lattice[rows])


@pytest.mark.parametrize("most", [0, 2_000_000_000], ids=["cut each time", "kept"])
def test_slices_that_are_cut_on_the_fly_are_those_of_the_store_of_slices(tiny_store, tiny_slices, most, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", most)
    cut, stored = open_reals(tiny_store, 2, drop_empty=False), open_reals(tiny_slices, 2)
    np.testing.assert_array_equal(cut.held_out, stored.held_out)
    rows = cut.held_out[::-7]
    np.testing.assert_array_equal(cut.read(rows), stored.read(rows))
    np.testing.assert_array_equal(cut.lattice(rows), stored.lattice(rows))


def test_a_set_is_asked_for_the_classes_that_it_has(tiny_store):
    reals, store = open_reals(tiny_store), open_store(tiny_store)
    rows = np.array([5, 2, 71])
    taken = reals.take(rows, 2)
    np.testing.assert_array_equal(taken.asked, store.energy_class[rows])
    np.testing.assert_array_equal(taken.density, reals.read(rows))
    np.testing.assert_array_equal(taken.lattice, store.lattice[rows])
    assert (len(taken), taken.n_threads, taken.known_sites) == (3, 2, None)
    assert taken.spec == reals.spec
