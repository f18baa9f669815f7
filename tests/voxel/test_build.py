"""The bytes of a store follow from its sources, options and seed alone; its grids are those of its own atoms."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ase import Atoms

from ruo2_voxel import Grid, Ruo2Error, VoxelStore, build, move_atoms, open_store, verify_store, voxelize
from ruo2_voxel.store import build as building
from ruo2_voxel.structures.frames import open_frames
from tests.voxel.stores import GRID, N_FRAMES, arrays_of, assert_same_store, structure, write_frames
from tests.voxel.structure_files import store as write_database

SQUARE = Grid(shape=(8, 8, 12), sigma=0.6)  # can be turned about z
MOVING: dict[str, Any] = {"grid": SQUARE, "copies": 3, "translate": True, "rotate": True, "seed": 5}


def stored(path: Path) -> Any:
    return zarr.open_array(path / "density", mode="r")[:]


@pytest.fixture(scope="module")
def moved(trajectory: str, tmp_path_factory: pytest.TempPathFactory) -> VoxelStore:
    """Three copies of each frame, moved at random."""
    path = tmp_path_factory.mktemp("moved") / "bh.zarr"
    build(trajectory, path, **MOVING, dtype="float32", chunk=4, shard=16, workers=2)
    return open_store(path)


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_the_number_of_workers_does_not_change_a_byte(workers: int, trajectory: str, tmp_path: Path) -> None:
    build(trajectory, tmp_path / "one.zarr", **MOVING, chunk=4, shard=16, workers=1)
    build(trajectory, tmp_path / "many.zarr", **MOVING, chunk=4, shard=16, workers=workers)
    assert_same_store(tmp_path / "many.zarr", tmp_path / "one.zarr")


@pytest.mark.parametrize("options", [{}, {"compress": True}, {"dtype": "float16"}], ids=["uint8", "zstd", "float16"])
def test_two_builds_are_the_same(options: dict[str, Any], trajectory: str, tmp_path: Path) -> None:
    for name in ("one.zarr", "other.zarr"):
        build(trajectory, tmp_path / name, GRID, chunk=4, shard=16, split_by=("run",), **options)
    assert_same_store(tmp_path / "other.zarr", tmp_path / "one.zarr")


@pytest.mark.parametrize("slow", [{0}, {2}, {0, 2}])
def test_shards_may_be_ready_in_any_order(
    slow: set[int], trajectory: str, store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard = building.write_shard
    ready = []

    def write_late(location: str, options: Any, shard: Any, *rest: Any) -> Any:
        time.sleep(0.2 if shard.index in slow else 0.0)
        marker = write_shard(location, options, shard, *rest)
        ready.append(shard.index)
        return marker

    monkeypatch.setattr(building, "write_shard", write_late)
    build(trajectory, tmp_path / "late.zarr", GRID, chunk=4, shard=16, workers=3)
    assert sorted(ready) == [0, 1, 2, 3]
    assert ready != [0, 1, 2, 3]
    assert_same_store(tmp_path / "late.zarr", store_path)


@pytest.mark.parametrize(
    ("dtype", "combine"),
    [("uint8", "clip"), ("float16", "clip"), ("float16", "none"), ("float32", "clip"), ("float32", "none")],
)
def test_grids_are_those_of_the_atoms_in_the_store(dtype: str, combine: Any, trajectory: str, tmp_path: Path) -> None:
    summary = build(f"{trajectory}@:20", tmp_path / "bh.zarr", GRID, dtype=dtype, combine=combine, chunk=4, shard=8)
    store = open_store(tmp_path / "bh.zarr")
    exact = np.array([voxelize(atoms, GRID) for atoms in store.iterate_atoms()])
    assert (exact > 1.0).any()
    assert summary["clipped_voxels"] == (np.count_nonzero(exact > 1.0001) if combine == "clip" else 0)
    assert store.attrs["quantisation"]["clipped_voxels"] == summary["clipped_voxels"]
    expected = np.minimum(exact, 1.0) if combine == "clip" else exact
    found = stored(tmp_path / "bh.zarr")
    if dtype == "uint8":
        expected = np.floor(expected * np.float32(255) + np.float32(0.5))
    np.testing.assert_array_equal(found, expected.astype(dtype), strict=True)
    assert store.densities(range(20)).max() == (found.max() if combine == "none" else 1.0)


@pytest.mark.parametrize(
    ("chunk", "shard", "compress"),
    [(1, 1, False), (1, 50, True), (7, 49, False), (25, 25, True), (16, 64, False), (64, 64, True)],
)
def test_sizes_and_compression_do_not_change_a_voxel(
    chunk: int, shard: int, compress: bool, trajectory: str, store_path: Path, tmp_path: Path
) -> None:
    build(trajectory, tmp_path / "bh.zarr", GRID, chunk=chunk, shard=shard, compress=compress)
    np.testing.assert_array_equal(stored(tmp_path / "bh.zarr"), stored(store_path), strict=True)
    array = zarr.open_array(tmp_path / "bh.zarr" / "density", mode="r")
    assert (array.chunks[0], array.shards[0]) == (chunk, shard)
    files = {name: data for name, data in arrays_of(tmp_path / "bh.zarr").items() if not name.startswith("density/")}
    assert files == {name: data for name, data in arrays_of(store_path).items() if not name.startswith("density/")}
    verify_store(open_store(tmp_path / "bh.zarr"))


@pytest.mark.parametrize(("chunk", "shard"), [(20, 200), (50, 150), (100, 100), (1, 200), (64, 128)])
@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_a_shard_may_hold_more_than_is_rendered_at_once(
    chunk: int, shard: int, dtype: str, trajectory: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"copies": 4, "translate": True, "dtype": dtype}
    large = build(trajectory, tmp_path / "large.zarr", GRID, chunk=chunk, shard=shard, **options)
    small = build(trajectory, tmp_path / "small.zarr", GRID, chunk=10, shard=50, **options)
    assert large["clipped_voxels"] == small["clipped_voxels"] > 0
    np.testing.assert_array_equal(stored(tmp_path / "large.zarr"), stored(tmp_path / "small.zarr"), strict=True)
    verify_store(open_store(tmp_path / "large.zarr"), 0)


def test_densities_take_no_more_bytes_than_they_must(trajectory: str, tmp_path: Path) -> None:
    summary = build(trajectory, tmp_path / "bh.zarr", GRID, chunk=4, shard=16)
    voxels = 2 * 8 * 10 * 12
    assert summary["density_bytes"] == N_FRAMES * voxels
    files = [path for path in (tmp_path / "bh.zarr/density/c").rglob("*") if path.is_file()]
    n_chunks, n_shards, checksum, entry = 13, 4, 4, 16
    expected = n_chunks * (4 * voxels + checksum) + n_shards * (4 * entry + checksum)
    assert sum(path.stat().st_size for path in files) == expected


def test_the_summary_counts_structures_and_atoms(trajectory: str, tmp_path: Path) -> None:
    summary = build(trajectory, tmp_path / "bh.zarr", GRID)
    assert (summary["structures"], summary["atoms"]) == (N_FRAMES, sum(3 + index % 4 for index in range(N_FRAMES)))
    assert (summary["resumed_structures"], summary["skipped_frames"], summary["skipped"]) == (0, 0, [])


def test_progress_counts_every_structure(trajectory: str, tmp_path: Path) -> None:
    counted: list[int] = []
    build(trajectory, tmp_path / "bh.zarr", GRID, copies=2, chunk=4, shard=16, workers=2, progress=counted.append)
    assert sum(counted) == 2 * N_FRAMES


def test_a_move_that_the_store_records_takes_a_frame_to_its_copy(moved: VoxelStore, trajectory: str) -> None:
    frames = list(open_frames(trajectory))
    translation, turns = moved.array("translation")[:], moved.array("quarter_turns")[:]
    assert moved.frame_id.tolist() == [frame for frame in range(N_FRAMES) for _ in range(3)]
    assert moved.copy.tolist() == [0, 1, 2] * N_FRAMES
    for index, atoms in enumerate(moved.iterate_atoms()):
        frame = frames[moved.frame_id[index]]
        positions, cell = move_atoms(frame.positions, frame.cell, translation[index], int(turns[index]))
        np.testing.assert_array_equal(atoms.positions, positions.astype(np.float32))
        np.testing.assert_array_equal(atoms.cell.array, cell)
        assert atoms.get_potential_energy() == frame.energy
        assert atoms.get_tags().tolist() == frame.tags.tolist()
    verify_store(moved, None)


def test_odd_turns_swap_the_lattice_lengths(moved: VoxelStore, trajectory: str) -> None:
    lengths = np.array([np.linalg.norm(frame.cell, axis=1) for frame in open_frames(trajectory)])[moved.frame_id]
    odd = moved.array("quarter_turns")[:] % 2 == 1
    assert 30 < np.count_nonzero(odd) < 120
    np.testing.assert_allclose(moved.lattice[odd], lengths[odd][:, [1, 0, 2]], rtol=1e-14)
    np.testing.assert_allclose(moved.lattice[~odd], lengths[~odd], rtol=1e-14)


def test_moves_reach_everywhere_and_differ_from_each_other(moved: VoxelStore) -> None:
    translation = moved.array("translation")[:]
    assert len(np.unique(translation, axis=0)) == 3 * N_FRAMES
    assert ((translation >= 0.0) & (translation < 1.0)).all()
    assert (np.histogram(translation, bins=5, range=(0.0, 1.0))[0] > 40).all()
    assert set(moved.array("quarter_turns")[:].tolist()) == {0, 1, 2, 3}


def test_only_what_is_asked_for_moves(trajectory: str, tmp_path: Path) -> None:
    for name, options in (("still", {}), ("shifted", {"translate": True}), ("turned", {"rotate": True})):
        build(f"{trajectory}@:8", tmp_path / f"{name}.zarr", SQUARE, copies=2, **options)
    still, shifted, turned = (open_store(tmp_path / f"{name}.zarr") for name in ("still", "shifted", "turned"))
    np.testing.assert_array_equal(still.read(range(0, 16, 2)), still.read(range(1, 16, 2)))
    for store, moves, turns in ((still, False, False), (shifted, True, False), (turned, False, True)):
        assert store.array("translation")[:].any() == moves
        assert store.array("quarter_turns")[:].any() == turns


def test_another_seed_moves_copies_elsewhere(trajectory: str, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2), ("one again", 1)):
        build(f"{trajectory}@:8", tmp_path / name, SQUARE, translate=True, rotate=True, seed=seed)
    one, two = open_store(tmp_path / "one"), open_store(tmp_path / "two")
    for name in ("translation", "quarter_turns", "positions"):
        assert not np.array_equal(one.array(name)[:], two.array(name)[:])
    assert_same_store(tmp_path / "one again", tmp_path / "one")


def test_a_copy_does_not_depend_on_how_many_there_are(trajectory: str, tmp_path: Path) -> None:
    for copies in (2, 4):
        build(f"{trajectory}@:8", tmp_path / f"{copies}.zarr", SQUARE, copies=copies, translate=True, rotate=True)
    two, four = open_store(tmp_path / "2.zarr"), open_store(tmp_path / "4.zarr")
    np.testing.assert_array_equal(two.read(range(16)), four.read(np.flatnonzero(four.copy < 2)))


def test_a_catch_all_channel_keeps_atomic_numbers(tmp_path: Path) -> None:
    atoms = Atoms("RuOTiH", scaled_positions=np.arange(12).reshape(4, 3) / 12, cell=[6, 6, 6])
    build(write_frames(tmp_path / "md.traj", [atoms]), tmp_path / "md.zarr", Grid(("Ru", "*"), (8, 8, 8), 0.6))
    store = open_store(tmp_path / "md.zarr")
    assert store.atoms(0).get_chemical_symbols() == ["Ru", "O", "Ti", "H"]
    assert store.array("atom_number")[:].tolist() == [44, 8, 22, 1]
    assert store.array("atom_species")[:].tolist() == [0, 1, 1, 1]
    assert store.array("species")[:].tolist() == ["Ru", "*"]
    found = store.density(0).sum(axis=(1, 2, 3))
    assert found[1] == pytest.approx(3 * found[0], rel=0.02)
    verify_store(store)


def test_structures_come_from_slices_of_several_files(trajectory: str, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for number in (2, 1):
        write_frames(folder / f"run-{number}.traj", [structure(100 * number + index) for index in range(3)])
    build([f"{trajectory}@5:30:10", f"{folder}/run-*.traj", f"{trajectory}@-1"], tmp_path / "bh.zarr", GRID)
    store = open_store(tmp_path / "bh.zarr")
    assert store.frame_id.tolist() == [5, 15, 25, 0, 1, 2, 0, 1, 2, 49]
    assert store.source_id.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    paths = [trajectory, f"{folder}/run-1.traj", f"{folder}/run-2.traj", trajectory]
    assert store.array("source_name")[:].tolist() == [source["path"] for source in store.sources] == paths
    assert [source["selected"] for source in store.sources] == [[5, 30, 10], [0, 3, 1], [0, 3, 1], [49, 50, 1]]
    for index, origin in enumerate([5, 15, 25, 100, 101, 102, 200, 201, 202, 49]):
        assert store.energy[index] == structure(origin).get_potential_energy()


def test_a_database_is_read_by_its_selection(tmp_path: Path) -> None:
    source = write_database(tmp_path / "bh.db", [structure(index) for index in range(20)])
    build(source, tmp_path / "bh.zarr", GRID, selection="run=1")
    store = open_store(tmp_path / "bh.zarr")
    assert store.frame_id.tolist() == list(range(11, 21))
    assert store.info["run"].tolist() == [1] * 10
    assert store.sources[0]["selection"] == "run=1"


def test_resume_and_overwrite_exclude_each_other(trajectory: str, tmp_path: Path) -> None:
    with pytest.raises(Ruo2Error, match="resume and overwrite exclude each other"):
        build(trajectory, tmp_path / "bh.zarr", GRID, resume=True, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_voxels_too_coarse_for_the_gaussians_are_warned_of_once(trajectory: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"frame \d+ of .*bh\.traj: sigma 0\.3 Å is .* voxel") as caught:
        build(trajectory, tmp_path / "bh.zarr", Grid(shape=(8, 8, 8), sigma=0.3), chunk=4, shard=16)
    assert len(caught) == 1
