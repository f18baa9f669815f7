"""Batches from every source: the right rows, the same ones after a resume, none that is held out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ruo2_voxel import move_atoms, open_slices, open_store, voxelize
from ruo2_wgan.config import make_config
from ruo2_wgan.data import Batch, Batches, Operations, apply_operations, open_rows, unscale_lattice
from ruo2_wgan.data.atoms_source import AtomsSource
from ruo2_wgan.data.order import Order
from ruo2_wgan.errors import DataError

CPU = torch.device("cpu")
SOURCES = ("resident", "stream", "atoms")
AUGMENT = {2: ["mirror"], 3: ["mirror", "rotate"]}


def make_batches(store: Path, dimensions: int, source: str, cursor: int = 0, **options: Any) -> Batches:
    """With a window of less than the training rows, so that a stream has several."""
    ranks = {name: options.pop(name) for name in ("rank", "n_ranks", "dtype") if name in options}
    data = {"source": source, "window": 64 if dimensions == 2 else 1, "augment": AUGMENT[dimensions], **options}
    config = make_config({"model": {"dimensions": dimensions}, "data": data})
    return Batches(open_rows(store, config), config, CPU, seed=4, cursor=cursor, **ranks)


def assert_same(found: Batch, expected: Batch) -> None:
    assert torch.equal(found.density, expected.density)
    assert torch.equal(found.lattice, expected.lattice)
    assert found.label is not None
    assert expected.label is not None
    assert torch.equal(found.label, expected.label)


def concatenated(batches: list[Batch]) -> Batch:
    return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))  # type: ignore[arg-type]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("source", SOURCES)
def test_a_resumed_run_gets_the_batches_that_it_would_have_had(tiny_store: Path, dimensions: int, source: str) -> None:
    whole = make_batches(tiny_store, dimensions, source)
    went_on = [whole.next(16) for _ in range(8)]  # in three dimensions more than an epoch
    assert whole.cursor == 128
    later = make_batches(tiny_store, dimensions, source, cursor=48)
    for expected in went_on[3:]:
        assert_same(later.next(16), expected)
    whole.close()
    later.close()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("source", SOURCES)
def test_rows_do_not_depend_on_how_they_are_cut_into_batches(tiny_store: Path, dimensions: int, source: str) -> None:
    equal, growing = (make_batches(tiny_store, dimensions, source) for _ in range(2))
    expected = concatenated([equal.next(12) for _ in range(6)])
    found = concatenated([growing.next(size) for size in (4, 4, 4, 20, 20, 20)])
    assert_same(found, expected)
    equal.close()
    growing.close()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("source", ["resident", "stream"])
def test_batches_hold_the_rows_of_the_order(tiny_store: Path, dimensions: int, source: str) -> None:
    batches = make_batches(tiny_store, dimensions, source, window=100)
    rows = open_rows(tiny_store, make_config({"model": {"dimensions": dimensions}}))
    block = {"resident": {}, "stream": {"block": 64, "window": 100}}[source]
    wanted = rows.train[Order(len(rows.train), 4, **block).take(0, 90)]
    found = concatenated([batches.next(30) for _ in range(3)])
    batches.close()
    assert found.density.dtype == torch.float32
    np.testing.assert_allclose(found.density, rows.read(wanted) * np.float32(1 / 255), rtol=1e-6)
    np.testing.assert_array_equal(found.label, rows.energy_class[wanted])


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("source", ["resident", "stream"])
@pytest.mark.parametrize("n_ranks", [1, 3])
def test_an_epoch_is_every_training_row_once_and_nothing_held_out(
    tiny_store: Path, dimensions: int, source: str, n_ranks: int
) -> None:
    rows = open_rows(tiny_store, make_config({"model": {"dimensions": dimensions}}))
    each = len(rows.train) // n_ranks
    epoch = []
    for rank in range(n_ranks):
        batches = make_batches(tiny_store, dimensions, source, rank=rank, n_ranks=n_ranks, augment=[])
        epoch.append(batches.next(each))
        batches.close()
    found = concatenated(epoch)
    known = {row.tobytes(): number for number, row in enumerate(rows.read(rows.train))}
    stored = (found.density * 255).round().to(torch.uint8).numpy()
    numbers = [known.get(row.tobytes(), -1) for row in stored]
    assert -1 not in numbers
    assert len(set(numbers)) >= len(set(known.values())) - n_ranks + 1


def test_a_store_of_slices_gives_the_batches_of_the_structures_that_it_was_cut_from(
    tiny_store: Path, tiny_slices: Path
) -> None:
    for source in ("resident", "stream"):
        cut = make_batches(tiny_store, 2, source, drop_empty=False)
        read = make_batches(tiny_slices, 2, source)
        assert_same(read.next(50), cut.next(50))
        cut.close()
        read.close()
    assert open_slices(tiny_slices).structure[-1] == len(open_store(tiny_store)) - 1


def test_lengths_are_those_of_the_row_and_scaled_by_the_training_rows(tiny_store: Path) -> None:
    batches = make_batches(tiny_store, 3, "resident", dtype=torch.float64)
    rows = open_rows(tiny_store, make_config({"data": {"augment": ["rotate"]}}))
    found = batches.next(40).lattice
    wanted = rows.train[Order(len(rows.train), 4).take(0, 40)]
    assert found.dtype == torch.float64
    assert 0 <= float(found.min()) < float(found.max()) <= 1
    np.testing.assert_allclose(unscale_lattice(rows.spec, found), rows.lattice[wanted], atol=1e-12)


def test_atoms_are_moved_along_x_and_y_alone_unless_more_is_asked_for(tiny_store: Path) -> None:
    rows = open_rows(tiny_store, make_config({}))
    wanted = rows.train[Order(len(rows.train), 4).take(0, 30)]
    stored = rows.read(wanted) / 255
    for augment, kept in (([], True), (["mirror"], True), (["roll-z"], False)):
        batches = make_batches(tiny_store, 3, "atoms", augment=augment)
        found = batches.next(30).density.numpy()
        batches.close()
        # Sums over x and y do not see a move along them, but for clipping and the coarse grid.
        same = np.abs(found.sum(axis=(2, 3)) - stored.sum(axis=(2, 3))).max() < 0.6
        assert same == kept
        assert np.abs(found - stored).max() > 0.5
        assert found.max() == 1  # clipped where Gaussians overlap, as the store is


def test_slices_of_moved_atoms_are_near_where_they_were_cut(tiny_store: Path) -> None:
    options = {"planes": "yz", "positions": 2, "drop_empty": False, "augment": []}
    batches = make_batches(tiny_store, 2, "atoms", **options)
    rows = open_rows(tiny_store, make_config({"model": {"dimensions": 2}, "data": {**options, "source": "atoms"}}))
    store, numbers = open_store(tiny_store), Order(len(rows.train), 4).take(0, 12)
    found = batches.next(12)
    batches.close()
    for row, density in zip(rows.train[numbers], found.density.numpy(), strict=True):
        atoms, grid, best = store.atoms(int(row)), store.grid, np.inf
        # Somewhere within half a voxel across (x) and anywhere along (y), the whole grid has that very slice.
        for across in np.linspace(-0.5, 0.5, 21):
            moved, cell = move_atoms(atoms.positions, np.asarray(atoms.cell), np.array([across / 8, 0, 0]), 0)
            atoms.set_positions(moved)
            profile = np.minimum(voxelize(atoms, grid), 1)[:, 2].sum(axis=1)
            best = min(best, np.abs(profile - density.sum(axis=1)).max())
            atoms.set_positions(moved - np.array([across / 8, 0, 0]) @ cell)
        assert best < 0.15


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("mirrors", [(False, False), (True, False), (True, True)])
def test_atoms_are_moved_as_grids_are(tiny_store: Path, mirrors: tuple[bool, bool], swap: bool) -> None:
    config = make_config({"data": {"source": "atoms"}})
    rows, store = open_rows(tiny_store, config), open_store(tiny_store)
    source = AtomsSource(rows, Order(len(rows.train), 4), [], 4, 0)
    row, shift = 5, np.array([3, 6, 2])
    sheared = store.cell.copy()
    sheared[:, 1, 0] = 1.5  # of cells of any shape
    source._cell = sheared
    atoms = store.atoms(int(rows.train[row]))
    atoms.set_cell(sheared[rows.train[row]])

    moved = source._move(row, shift / store.grid.shape, np.array(mirrors), swap)

    how = Operations(torch.from_numpy(shift)[None], torch.tensor([[*mirrors, False]]), torch.tensor([swap]))
    expected, _ = apply_operations(torch.from_numpy(voxelize(atoms, store.grid))[None], None, how)
    np.testing.assert_allclose(voxelize(moved, store.grid), expected[0], atol=1e-4)


def test_the_numbers_of_a_position_are_its_own(tiny_store: Path) -> None:
    rows = open_rows(tiny_store, make_config({"data": {"source": "atoms"}}))
    order = Order(len(rows.train), 4)
    one, other = (AtomsSource(rows, order, [], 4, rank) for rank in (0, 1))
    drawn = one._draw(0, 50)
    assert len(np.unique(drawn)) == drawn.size
    np.testing.assert_array_equal(one._draw(17, 9), drawn[17:26])
    assert not np.intersect1d(drawn, other._draw(0, 50)).size


def test_turned_atoms_have_turned_lengths(tiny_store: Path) -> None:
    rows = open_rows(tiny_store, make_config({"data": {"augment": ["rotate"]}}))
    batches = make_batches(tiny_store, 3, "atoms", augment=["rotate"])
    found = unscale_lattice(rows.spec, batches.next(60).lattice.double()).numpy()
    batches.close()
    lengths = rows.lattice[rows.train[Order(len(rows.train), 4).take(0, 60)]]
    swapped = np.abs(found[:, 0] - lengths[:, 1]) < 1e-5
    np.testing.assert_allclose(found, np.where(swapped[:, None], lengths[:, [1, 0, 2]], lengths), atol=1e-5)
    assert 15 < swapped.sum() < 45


def test_a_share_without_a_batch_is_refused(tiny_store: Path) -> None:
    n = open_rows(tiny_store, make_config({})).spec.n_train
    batches = make_batches(tiny_store, 3, "resident", n_ranks=2)
    batches.check_size(n // 2)
    with pytest.raises(DataError, match=rf"found {n // 2} rows for a rank and batches of {n // 2 + 1}\. Take fewer"):
        batches.check_size(n // 2 + 1)
    with pytest.raises(DataError, match="found 0 rows for a rank"):
        make_batches(tiny_store, 3, "resident", n_ranks=n + 1)


def test_auto_is_resident_where_it_fits(tiny_store: Path) -> None:
    assert make_batches(tiny_store, 3, "auto").source_name == "resident"
    streamed = make_batches(tiny_store, 3, "auto", resident_gigabytes=1e-6)
    assert streamed.source_name == "stream"
    streamed.close()


def test_an_error_while_reading_ahead_reaches_the_loop(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = make_batches(tiny_store, 3, "stream")

    def fail(*_: object, **__: object) -> None:
        raise DataError("the disk is gone")

    monkeypatch.setattr(type(open_rows(tiny_store, make_config({}))), "read", fail)
    with pytest.raises(DataError, match="the disk is gone"):
        batches.next(8)
    batches.close()
