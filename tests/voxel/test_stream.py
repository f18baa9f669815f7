"""Frames that cannot be used are named, or left out and recorded; all others keep their numbers and their moves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from ase.io.ulm import open as open_ulm

from ruo2_voxel import Grid, StoreError, StructureError, VoxelStore, build, open_store, verify_store
from ruo2_voxel.store import stream
from ruo2_voxel.store.build import plan_build
from ruo2_voxel.store.plan import BuildOptions
from tests.voxel.stores import GRID, assert_same_store, structure, write_frames

N = 30


def nan_position(atoms: Atoms) -> None:
    atoms.positions[1, 2] = np.nan


def far_position(atoms: Atoms) -> None:
    atoms.positions[0, 0] = 1e39


def no_cell(atoms: Atoms) -> None:
    atoms.cell = None


def flat_cell(atoms: Atoms) -> None:
    atoms.cell[2] = atoms.cell[0]


def infinite_cell(atoms: Atoms) -> None:
    atoms.cell[1, 1] = np.inf


def other_species(atoms: Atoms) -> None:
    atoms.numbers[2] = 1


def no_energy(atoms: Atoms) -> None:
    atoms.calc = None


def no_run(atoms: Atoms) -> None:
    del atoms.info["run"]


FAULTS = {
    nan_position: r"positions must be finite; found atom 1 at \[.*nan\]",
    far_position: r"positions must be finite; found atom 0 at \[inf, .*\]",
    no_cell: "the cell must have a volume; found the vectors",
    flat_cell: "the cell must have a volume; found the vectors",
    infinite_cell: "the cell must have a volume; found the vectors",
    other_species: "species must be among Ru,O; found H. Add it with --species Ru,O,H",
    no_energy: "must have an energy for --label energy; found nan",
    no_run: "info must have the key 'run' for --split-by; found the keys facet, mu_O, accepted",
}
ASKING: dict[str, Any] = {"label": "energy", "n_classes": 1, "split_by": ("run",), "chunk": 2, "shard": 4}
BAD = {
    0: no_cell,
    1: nan_position,
    5: other_species,
    6: no_energy,
    7: flat_cell,
    8: no_run,
    13: far_position,
    29: no_run,
}


def with_faults(path: Path, faults: dict[int, Any], n_frames: int = N) -> str:
    structures = [structure(index) for index in range(n_frames)]
    for index, spoil in faults.items():
        spoil(structures[index])
    return write_frames(path, structures)


def read_store(source: Any, out: Path, **options: Any) -> VoxelStore:
    build(source, out, **{"grid": GRID} | options)
    return open_store(out)


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("index", [0, 17, 29])
def test_a_frame_that_cannot_be_used_is_named(spoil: Any, index: int, tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", {index: spoil})
    with pytest.raises(StructureError, match=rf"^frame {index} of .*bh\.traj: {FAULTS[spoil]}"):
        build(source, tmp_path / "bh.zarr", GRID, **ASKING)
    store = read_store(source, tmp_path / "skip.zarr", **ASKING, on_error="skip")
    assert len(store) == N - 1
    (skipped,) = store.skipped()
    assert (skipped["source_id"], skipped["frame_id"]) == (0, index)
    assert skipped["reason"].startswith(FAULTS[spoil].split(";")[0])


def test_frames_left_out_leave_the_others_as_they_would_be(tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", BAD)
    good = [index for index in range(N) if index not in BAD]
    store = read_store(source, tmp_path / "bh.zarr", **ASKING, on_error="skip")
    assert store.frame_id.tolist() == good
    clean = write_frames(tmp_path / "clean.traj", [structure(index) for index in good])
    expected = read_store(clean, tmp_path / "clean.zarr", **ASKING)
    np.testing.assert_array_equal(store.read(range(len(good))), expected.read(range(len(good))))
    for name in ("positions", "energy", "cell", "atom_offset", "energy_class", "split"):
        np.testing.assert_array_equal(store.array(name)[:], expected.array(name)[:])
    assert [skip["frame_id"] for skip in store.skipped()] == list(BAD)
    assert store.attrs["skipped_frames"] == len(BAD)
    verify_store(store, None)


def test_moves_belong_to_frames_whatever_is_left_out(tmp_path: Path) -> None:
    moving: dict[str, Any] = {"grid": Grid(shape=(8, 8, 8), sigma=0.6), "copies": 3, "translate": True, "rotate": True}
    moving |= {"chunk": 2, "shard": 4, "on_error": "skip"}
    whole = read_store(with_faults(tmp_path / "whole.traj", {}), tmp_path / "whole.zarr", **moving)
    faults = dict.fromkeys((0, 1, 11, 12, 29), nan_position)
    store = read_store(with_faults(tmp_path / "bh.traj", faults), tmp_path / "bh.zarr", **moving)
    kept = np.flatnonzero(~np.isin(whole.frame_id, list(faults)))
    assert store.copy.tolist() == [0, 1, 2] * 25
    np.testing.assert_array_equal(store.array("translation")[:], whole.array("translation")[:][kept])
    np.testing.assert_array_equal(store.read(range(75)), whole.read(kept))


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_left_out_does_not_depend_on_the_workers(workers: int, tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", BAD)
    for name, n in (("one", 2), ("other", workers)):
        build(source, tmp_path / name, GRID, **ASKING, copies=2, on_error="skip", workers=n)
    assert_same_store(tmp_path / "other", tmp_path / "one")


@pytest.mark.parametrize("faults", [range(12, 30), range(16, 30), range(26), range(1, 29)], ids=str)
def test_long_stretches_may_be_left_out(faults: range, tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", dict.fromkeys(faults, nan_position))
    store = read_store(source, tmp_path / "bh.zarr", chunk=2, shard=4, on_error="skip")
    assert store.frame_id.tolist() == [index for index in range(N) if index not in faults]
    assert [skip["frame_id"] for skip in store.skipped()] == list(faults)
    verify_store(store, None)


def test_a_store_of_nothing_is_refused(tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", dict.fromkeys(range(N), other_species))
    with pytest.raises(StoreError, match=r"at least one structure; all 30 frames were left out, the first because"):
        build(source, tmp_path / "bh.zarr", GRID, on_error="skip")
    with pytest.raises(StoreError, match="is not complete"):
        open_store(tmp_path / "bh.zarr")


def test_the_summary_gives_the_first_reasons(tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", dict.fromkeys(range(3, 17), nan_position))
    summary = build(source, tmp_path / "bh.zarr", GRID, chunk=2, shard=4, on_error="skip", workers=3)
    assert (summary["structures"], summary["skipped_frames"]) == (16, 14)
    assert [skip["frame_id"] for skip in summary["skipped"]] == list(range(3, 13))


def test_frames_left_out_are_told_apart_by_file(tmp_path: Path) -> None:
    one = with_faults(tmp_path / "one.traj", {2: no_cell}, 4)
    two = with_faults(tmp_path / "two.traj", {1: no_cell, 3: no_cell}, 4)
    store = read_store([one, two, f"{one}@2:"], tmp_path / "bh.zarr", chunk=2, shard=2, on_error="skip")
    assert [(skip["source_id"], skip["frame_id"]) for skip in store.skipped()] == [(0, 2), (1, 1), (1, 3), (2, 2)]
    assert list(zip(store.source_id.tolist(), store.frame_id.tolist(), strict=True)) == [
        *((0, 0), (0, 1), (0, 3), (1, 0), (1, 2), (2, 3))
    ]


def test_damaged_frames_are_left_out_like_others(tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", {9: nan_position})
    damaged = (4, 5, 28)
    with open_ulm(source) as items:
        offsets = [int(offset) for offset in items._offsets]
    data = bytearray(Path(source).read_bytes())
    for index in damaged:
        at = data.index(b'"positions.', offsets[index])
        data[at : at + 11] = b'"pusitions.'
    Path(source).write_bytes(data)
    with pytest.raises(Exception, match=r"pusitions|positions"):
        read(source, 4)
    with pytest.raises(ValueError, match=r"frame 4 of .*bh\.traj: must be a structure that ASE can read"):
        build(source, tmp_path / "bh.zarr", GRID, chunk=2, shard=4)
    store = read_store(source, tmp_path / "skip.zarr", chunk=2, shard=4, on_error="skip")
    assert [skip["frame_id"] for skip in store.skipped()] == [4, 5, 9, 28]
    assert "must be a structure that ASE can read" in store.skipped()[0]["reason"]
    assert store.frame_id.tolist() == [index for index in range(N) if index not in (*damaged, 9)]


def test_frames_of_finished_shards_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = with_faults(tmp_path / "bh.traj", {})
    plan = plan_build(source, "bh.zarr", BuildOptions(GRID, copies=3, chunk=2, shard=8))
    everything = list(stream.read_shards(plan, {}))
    assert [(shard.index, shard.first, shard.end) for shard in everything][-1] == (11, 88, 90)
    finished = {index: {"first": 8 * index, "end": 8 * index + 8} for index in (0, 1, 2, 5)}
    read_from: list[int] = []
    iterate = type(plan.frames).iterate

    def record(frames: Any, start: int = 0, on_error: Any = None) -> Any:
        read_from.append(start)
        return iterate(frames, start, on_error)

    monkeypatch.setattr(type(plan.frames), "iterate", record)
    rest = list(stream.read_shards(plan, finished))
    assert read_from == [8, 16]
    assert [shard.index for shard in rest] == [3, 4, 6, 7, 8, 9, 10, 11]
    for shard in rest:
        wanted = everything[shard.index]
        assert (shard.first, shard.end) == (wanted.first, wanted.end)
        assert shard.table is not None
        assert wanted.table is not None
        assert shard.table.to_bytes() == wanted.table.to_bytes()


def test_a_marker_that_does_not_fit_the_shards_before_it_is_ignored(tmp_path: Path) -> None:
    source = with_faults(tmp_path / "bh.traj", {})
    plan = plan_build(source, "bh.zarr", BuildOptions(GRID, chunk=2, shard=8))
    finished = {0: {"first": 0, "end": 8}, 1: {"first": 9, "end": 17}, 2: {"first": 16, "end": 24}}
    assert [(shard.index, shard.first) for shard in stream.read_shards(plan, finished)] == [(1, 8), (3, 24)]
