"""Wherever a store is written, it appears whole or not at all, and nothing else there is harmed."""

import errno
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr
from ase.io import read

from ruo2_voxel import StoreError, StructureError, build, open_store, verify_store
from ruo2_voxel.store.target import LocalTarget, open_target
from tests.voxel.stores import GRID, N_FRAMES, arrays_of, assert_same_store, structure, write_frames

SIZES: dict[str, Any] = {"chunk": 4, "shard": 16}  # as in the store that tests share


class StoppedError(Exception):
    """What ends a build before its time."""


def stop(n: int) -> None:
    raise StoppedError


@pytest.fixture
def bad_source(tmp_path: Path) -> str:
    """A trajectory whose build fails after two shards."""
    structures = [structure(index) for index in range(N_FRAMES)]
    structures[40].positions[0, 0] = np.nan
    return write_frames(tmp_path / "bad.traj", structures)


@pytest.fixture
def memory_url() -> Iterator[str]:
    """A place in fsspec's memory that no other test knows."""
    name = uuid.uuid4().hex
    yield f"memory://{name}/bh.zarr"
    files = fsspec.filesystem("memory")
    if files.exists(name):
        files.rm(name, recursive=True)


def downloaded(url: str, folder: Path) -> Path:
    files, root = fsspec.core.url_to_fs(url)
    for name in files.find(root):
        path = folder / name.removeprefix(root).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files.cat_file(name))
    return folder


def test_an_existing_store_is_not_touched(store_path: Path, trajectory: str) -> None:
    before = arrays_of(store_path)
    with pytest.raises(StoreError, match=r"must not exist yet; found something there\. Name another, or .*--overwrite"):
        build(trajectory, store_path, GRID, seed=1, translate=True)
    assert arrays_of(store_path) == before
    assert not store_path.with_name("bh.zarr.building").exists()


def test_the_old_store_stays_until_the_new_one_is_complete(
    trajectory: str, store_path: Path, bad_source: str, tmp_path: Path
) -> None:
    out = tmp_path / "bh.zarr"
    build(f"{trajectory}@:10", out, GRID)
    before = arrays_of(out)
    with pytest.raises(StructureError, match="frame 40"):
        build(bad_source, out, GRID, **SIZES, overwrite=True)
    assert arrays_of(out) == before
    assert len(open_store(out)) == 10
    seen = []
    build(trajectory, out, GRID, **SIZES, overwrite=True, progress=lambda n: seen.append(len(open_store(out))))
    assert set(seen) == {10}
    assert_same_store(out, store_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.traj", "bh.zarr"]


def test_a_replacement_that_was_stopped_is_begun_anew(trajectory: str, store_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "bh.zarr"
    build(f"{trajectory}@:10", out, GRID)
    (tmp_path / "bh.zarr.replaced").mkdir()
    (tmp_path / "bh.zarr.replaced/left").write_text("by a build that was killed")
    with pytest.raises(StoppedError):
        build(trajectory, out, GRID, seed=7, translate=True, overwrite=True, progress=stop)
    build(trajectory, out, GRID, **SIZES, overwrite=True)
    assert_same_store(out, store_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bh.zarr"]


def test_only_stores_and_empty_folders_are_replaced(trajectory: str, store_path: Path, tmp_path: Path) -> None:
    source = write_frames(tmp_path / "own.traj", read(trajectory, ":5"))
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter").write_text("years of work")
    link = tmp_path / "link.zarr"
    link.symlink_to("nowhere")
    for out in (source, folder, link):
        with pytest.raises(StoreError, match="must be a Zarr store to be replaced; found something else"):
            build(source, out, GRID, overwrite=True)
    assert (folder / "chapter").read_text() == "years of work"
    assert len(read(source, ":")) == 5
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    build(trajectory, empty, GRID, **SIZES, overwrite=True)
    assert_same_store(empty, store_path)


def test_a_store_behind_a_link_is_replaced_by_one_in_its_place(
    trajectory: str, store_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.zarr").symlink_to(store_path)
    build(f"{trajectory}@:10", tmp_path / "link.zarr", GRID, overwrite=True)
    assert len(open_store(tmp_path / "link.zarr")) == 10
    assert len(open_store(store_path)) == N_FRAMES
    assert [path.name for path in tmp_path.iterdir()] == ["link.zarr"]


HOLD = """
import fcntl, os, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(folder, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_build_under_way_elsewhere_is_left_alone(trajectory: str, store_path: Path, tmp_path: Path) -> None:
    building = tmp_path / "bh.zarr.building"
    building.mkdir()
    (building / "precious").write_text("shard")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, building], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "locked\n"
        for option in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(StoreError, match=r"bh\.zarr\.building: another process is writing here; wait for it"):
                build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES, **option)
        assert (building / "precious").read_text() == "shard"
        holder.stdin.close()
    build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES)
    assert_same_store(tmp_path / "bh.zarr", store_path)


def test_a_lock_ends_with_its_build(trajectory: str, store_path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES, progress=stop)
    build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES)
    assert_same_store(tmp_path / "bh.zarr", store_path)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_store_at_a_url_has_the_same_bytes(
    scheme: str, trajectory: str, store_path: Path, memory_url: str, tmp_path: Path
) -> None:
    url = memory_url if scheme == "memory" else f"file://{tmp_path}/url.zarr"
    build(trajectory, url, GRID, **SIZES)
    store = open_store(url)
    assert store.location == url
    indices = [3, 17, 18, 19, -1, 0]
    np.testing.assert_array_equal(store.read(indices), open_store(store_path).read(indices))
    assert store.atoms(7) == open_store(store_path).atoms(7)
    assert verify_store(store)["largest_difference"] == 0.0
    assert_same_store(downloaded(url, tmp_path / "copy.zarr"), store_path)


def test_a_build_at_a_url_is_resumed(trajectory: str, store_path: Path, memory_url: str, tmp_path: Path) -> None:
    counted: list[int] = []

    def progress(n: int) -> None:
        if sum(counted) >= 32:
            raise StoppedError
        counted.append(n)

    with pytest.raises(StoppedError):
        build(trajectory, memory_url, GRID, **SIZES, workers=1, progress=progress)
    with pytest.raises(StoreError, match=r"bh\.zarr: must be a voxel store"):
        open_store(memory_url)
    with pytest.raises(StoreError, match=r"unfinished build \(\d+ of 50 structures\)"):
        build(trajectory, memory_url, GRID, **SIZES)
    assert build(trajectory, memory_url, GRID, **SIZES, resume=True)["resumed_structures"] >= 32
    assert_same_store(downloaded(memory_url, tmp_path / "copy.zarr"), store_path)


def test_a_store_at_a_url_is_replaced_when_asked(
    trajectory: str, store_path: Path, memory_url: str, tmp_path: Path
) -> None:
    build(f"{trajectory}@:10", memory_url, GRID, split_by=("mu_O",))
    with pytest.raises(StoreError, match="must not exist yet"):
        build(trajectory, memory_url, GRID, **SIZES)
    assert len(open_store(memory_url)) == 10
    build(trajectory, memory_url, GRID, **SIZES, overwrite=True)
    assert_same_store(downloaded(memory_url, tmp_path / "copy.zarr"), store_path)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_other_data_at_a_url_are_not_touched(scheme: str, trajectory: str, memory_url: str, tmp_path: Path) -> None:
    url = memory_url if scheme == "memory" else f"file://{tmp_path}/url.zarr"
    with fsspec.open(f"{url}/chapter", "w", auto_mkdir=True) as file:
        file.write("years of work")
    with pytest.raises(StoreError, match="must not exist yet"):
        build(trajectory, url, GRID)
    with pytest.raises(StoreError, match="must be a Zarr store to be replaced; found something else"):
        build(trajectory, url, GRID, overwrite=True)
    with fsspec.open(f"{url}/chapter", "r") as file:
        assert file.read() == "years of work"


def test_a_url_that_leads_nowhere_is_named(trajectory: str) -> None:
    with pytest.raises(StoreError, match=r"nonsense://x/bh\.zarr: must be a URL that fsspec can open; found"):
        build(trajectory, "nonsense://x/bh.zarr", GRID)
    for url in ("memory://nothing.zarr", "nonsense://x/bh.zarr", "file:///nothing.zarr"):
        with pytest.raises(StoreError, match="must be a voxel store"):
            open_store(url)


@pytest.mark.parametrize("out", ["", ".", "/", "..", "a/.."])
def test_a_target_needs_a_name(out: str, trajectory: str) -> None:
    with pytest.raises(StoreError, match=r"must name the store to write, as in bh\.zarr"):
        build(trajectory, out, GRID)


def test_a_target_below_a_file_is_named(trajectory: str) -> None:
    for out in (f"{trajectory}/bh.zarr", f"{trajectory}/folder/bh.zarr", f"file://{trajectory}/bh.zarr"):
        with pytest.raises(StoreError, match=r"bh\.traj/.*bh\.zarr: must be writable; found Not a directory"):
            build(trajectory, out, GRID)


def test_a_name_that_is_too_long_is_named(trajectory: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be writable; found File name too long"):
        build(trajectory, tmp_path / ("x" * 300), GRID)


@pytest.mark.parametrize("n_files", [0, 3, 8])
def test_a_full_disk_is_named_and_loses_nothing(
    n_files: int, trajectory: str, store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, n_put = LocalTarget.put, 0

    def put_until_full(target: LocalTarget, key: str, data: bytes, durable: bool = True) -> None:
        nonlocal n_put
        n_put += 1
        if n_put > n_files:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(target, key, data, durable)

    with monkeypatch.context() as patch:
        patch.setattr(LocalTarget, "put", put_until_full)
        with pytest.raises(StoreError, match=r"have room; found No space left on device\..* go on with --resume"):
            build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES, workers=1)
    summary = build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES, resume=True)
    assert summary["resumed_structures"] == {0: 0, 3: 16, 8: 48}[n_files]
    assert_same_store(tmp_path / "bh.zarr", store_path)


def test_a_file_that_was_not_written_to_the_end_does_not_appear(tmp_path: Path) -> None:
    target = open_target(tmp_path / "bh.zarr")

    def write_half() -> None:
        with target.open("a/b") as file:
            file.write(b"half")
            raise StoppedError

    with pytest.raises(StoppedError):
        write_half()
    assert target.get("a/b") is None
    assert target.size("a/b") is None
    assert list((tmp_path / "bh.zarr.building/a").iterdir()) == []
    target.put("a/b", b"whole")
    with pytest.raises(StoppedError):
        write_half()
    assert target.get("a/b") == b"whole"


@pytest.mark.parametrize("scheme", ["path", "memory"])
def test_keys_are_listed_and_removed(scheme: str, memory_url: str, tmp_path: Path) -> None:
    target = open_target(memory_url if scheme == "memory" else tmp_path / "bh.zarr")
    assert target.keys("a/") == []
    for key in ("a/one", "a/two", "b/three"):
        target.put(key, key.encode())
    assert target.keys("a/") == ["a/one", "a/two"]
    assert target.keys("") == ["a", "b"]
    assert target.size("a/two") == 5
    target.remove("a/one")
    target.remove("a/one")
    target.remove("b")
    assert target.keys("") == ["a"]
    assert target.get("b/three") is None
    target.clear()
    assert target.keys("") == []


def test_a_finished_store_opens_as_plain_zarr_at_its_url(trajectory: str, memory_url: str) -> None:
    build(trajectory, memory_url, GRID, **SIZES)
    group = zarr.open_group(memory_url, mode="r")
    assert group["density"].shape == (N_FRAMES, 2, 8, 10, 12)
    assert group.attrs["complete"] is True
