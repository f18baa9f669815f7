"""What of a store is trained on, and which stores are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ruo2_voxel import Grid, StoreError, build, open_slices, open_store
from ruo2_wgan.config import Config, make_config
from ruo2_wgan.data import open_rows
from ruo2_wgan.errors import ConfigError, DataError
from tests.voxel.stores import copy_of, replace_root, write_frames


def config(dimensions: int = 3, conditioning: str = "none", **data: Any) -> Config:
    return make_config({"model": {"dimensions": dimensions, "conditioning": conditioning}, "data": data})


def test_structures_are_rows_and_the_held_out_ones_are_kept_apart(tiny_store: Path) -> None:
    store, rows = open_store(tiny_store), open_rows(tiny_store, config())
    np.testing.assert_array_equal(rows.train, np.flatnonzero(store.split == 0))
    np.testing.assert_array_equal(rows.held_out, np.flatnonzero(store.split == 1))
    assert rows.spec.n_train + rows.spec.n_held_out == len(rows) == len(store)
    assert rows.spec.n_held_out > 0
    np.testing.assert_array_equal(rows.read(rows.train[:3]), store.read(rows.train[:3]))


def test_the_description_is_of_training_rows_alone(tiny_store: Path) -> None:
    store, spec = open_store(tiny_store), open_rows(tiny_store, config()).spec
    train = store.split == 0
    assert (spec.species, spec.shape, spec.sigma) == (store.grid.species, store.grid.shape, store.grid.sigma)
    np.testing.assert_array_equal(spec.lattice_low, store.lattice[train].min(axis=0))
    np.testing.assert_array_equal(spec.lattice_high, store.lattice[train].max(axis=0))
    assert spec.n_classes == len(store.attrs["classes"]["counts"])
    np.testing.assert_array_equal(spec.lattice_typical[0], np.median(store.lattice[train], axis=0))
    for number, typical in enumerate(spec.lattice_typical[1:]):
        chosen = train & (store.energy_class == number)
        np.testing.assert_array_equal(typical, np.median(store.lattice[chosen], axis=0))


def test_a_length_that_only_a_held_out_row_has_widens_no_range(tiny_store: Path) -> None:
    rows = open_rows(tiny_store, config())
    store = open_store(tiny_store)
    train, held_out = store.lattice[rows.train], store.lattice[rows.held_out].copy()
    held_out[:, 0] = 99.0
    lattice = store.lattice.copy()
    lattice[rows.held_out] = held_out
    store.lattice = lattice  # type: ignore[misc]
    spec = type(rows)(store, store, config()).spec
    assert spec.lattice_high[0] == train[:, 0].max() < 99.0


def test_quarter_turns_give_x_and_y_one_range(tiny_store: Path) -> None:
    plain = open_rows(tiny_store, config()).spec
    turned = open_rows(tiny_store, config(augment=["rotate"])).spec
    assert plain.lattice_low[0] != plain.lattice_low[1]
    low, high = min(plain.lattice_low[:2]), max(plain.lattice_high[:2])
    assert turned.lattice_low == (low, low, plain.lattice_low[2])
    assert turned.lattice_high == (high, high, plain.lattice_high[2])


def test_slices_are_the_same_rows_cut_on_the_fly_or_read(tiny_store: Path, tiny_slices: Path) -> None:
    cut = open_rows(tiny_store, config(2, drop_empty=False))
    read = open_rows(tiny_slices, config(2))
    assert cut.spec == read.spec
    np.testing.assert_array_equal(cut.train, read.train)
    np.testing.assert_array_equal(cut.held_out, read.held_out)
    np.testing.assert_array_equal(cut.lattice, read.lattice)
    np.testing.assert_array_equal(cut.energy_class, read.energy_class)
    every = np.arange(len(cut))
    np.testing.assert_array_equal(cut.read(every), read.read(every))


def test_planes_positions_and_empty_slices_are_chosen(tiny_store: Path) -> None:
    n = len(open_store(tiny_store))
    assert len(open_rows(tiny_store, config(2, planes="xz", positions=3, drop_empty=False))) == n
    assert len(open_rows(tiny_store, config(2, positions="all", drop_empty=False))) == 16 * n
    kept = open_rows(tiny_store, config(2, positions="all"))
    assert (kept.read(np.arange(len(kept))).max(axis=(1, 2, 3)) > 0).all()


def test_a_held_out_structure_has_no_slice_to_train_on(tiny_store: Path, tiny_slices: Path) -> None:
    held_out = set(np.flatnonzero(open_store(tiny_store).split == 1).tolist())
    rows = open_rows(tiny_slices, config(2))
    assert not held_out & set(open_slices(tiny_slices).structure[rows.train].tolist())
    view = open_rows(tiny_store, config(2)).view
    assert view is not None
    assert not held_out & set(view.structure[open_rows(tiny_store, config(2)).train].tolist())


def test_a_store_of_the_wrong_dimension_or_without_atoms_is_refused(tiny_slices: Path) -> None:
    with pytest.raises(DataError, match=r"dimensions = 3 needs a store of structures; found one of slices"):
        open_rows(tiny_slices, config(3))
    with pytest.raises(DataError, match=r"source = atoms needs a store of structures"):
        open_rows(tiny_slices, config(2, source="atoms"))


def test_classes_that_are_asked_for_must_be_there(unlabelled_store: Path) -> None:
    assert open_rows(unlabelled_store, config()).spec.n_classes == 0
    with pytest.raises(DataError, match=r"conditioning = onehot needs labels; found a store without"):
        open_rows(unlabelled_store, config(conditioning="onehot"))


def test_a_class_out_of_range_is_refused_with_its_row(tiny_store: Path, tmp_path: Path) -> None:
    altered = copy_of(tiny_store, tmp_path)
    replace_root(altered, lambda attributes: attributes["classes"].update(edges=[0.0, 1.0, 2.0]))
    open_rows(altered, config())
    with pytest.raises(DataError, match=r"row \d+: .* a class from 0 to 1 for each row; found [234] there"):
        open_rows(altered, config(conditioning="integer"))


def test_a_store_that_holds_out_everything_is_refused(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    store.split = np.ones(len(store), dtype=np.int8)  # type: ignore[misc]
    with pytest.raises(DataError, match=r"at least one row must be for training; found 80, all held out"):
        type(open_rows(tiny_store, config()))(store, store, config())


def test_a_grid_unlike_along_x_and_y_neither_turns_nor_mixes_planes(tmp_path: Path, tiny_store: Path) -> None:
    frames = [open_store(tiny_store).atoms(index) for index in range(4)]
    frames_path = write_frames(tmp_path / "a.traj", frames)
    build(frames_path, tmp_path / "a.zarr", Grid(shape=(8, 6, 8), sigma=0.8), label="none")
    with pytest.raises(ConfigError, match=r"as many voxels along both; found 8 x 6 x 8"):
        open_rows(tmp_path / "a.zarr", config(augment=["rotate"]))
    with pytest.raises(ConfigError, match=r"xz- and yz-planes .* found 8 x 6 x 8"):
        open_rows(tmp_path / "a.zarr", config(2))
    assert open_rows(tmp_path / "a.zarr", config(2, planes="yz")).spec.shape == (6, 8)


def test_no_store_stays_the_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="found nothing there"):
        open_rows(tmp_path / "none.zarr", config())


def test_identity_follows_what_the_store_holds(tiny_store: Path, tmp_path: Path) -> None:
    copy = copy_of(tiny_store, tmp_path)
    assert open_rows(copy, config()).identity == open_rows(tiny_store, config()).identity
    replace_root(copy, lambda attributes: attributes.update(sigma_angstrom=0.71))
    assert open_rows(copy, config()).identity["sha256"] != open_rows(tiny_store, config()).identity["sha256"]
