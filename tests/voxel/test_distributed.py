"""On a Dask cluster a build gives the bytes that it gives here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ruo2_voxel import StoreError, StructureError, build
from ruo2_voxel.store import distributed as on_cluster
from tests.voxel.stores import GRID, assert_same_store, structure, write_frames

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.distributed

SIZES: dict[str, Any] = {"chunk": 4, "shard": 16}  # as in the store that tests share


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Two worker processes, and a scheduler that gives up on a task as soon as its worker dies."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_cluster_gives_the_same_bytes(scheduler: str, trajectory: str, store_path: Path, tmp_path: Path) -> None:
    counted: list[int] = []
    summary = build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES, scheduler=scheduler, progress=counted.append)
    assert sorted(counted) == [2, 16, 16, 16]
    assert summary["structures"] == 50
    assert_same_store(tmp_path / "bh.zarr", store_path)


def test_workers_may_stand_in_another_folder(
    scheduler: str, trajectory: str, store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with distributed.Client(scheduler, set_as_default=False) as client:
        before = client.run(os.getcwd)
        client.run(os.chdir, elsewhere)
        monkeypatch.chdir(tmp_path)
        build(trajectory, "bh.zarr", GRID, **SIZES, scheduler=scheduler)
        client.run(os.chdir, next(iter(before.values())))
    assert_same_store(tmp_path / "bh.zarr", store_path)
    assert list(elsewhere.iterdir()) == []


def test_a_build_here_goes_on_there(scheduler: str, tmp_path: Path) -> None:
    structures = [structure(index) for index in range(60)]
    structures[40].positions[0, 0] = np.nan
    source = write_frames(tmp_path / "bh.traj", structures)
    with pytest.raises(StructureError, match="frame 40"):
        build(source, tmp_path / "bh.zarr", GRID, **SIZES)
    resumed = {"resume": True, "on_error": "skip", "scheduler": scheduler}
    assert build(source, tmp_path / "bh.zarr", GRID, **SIZES, **resumed)["resumed_structures"] == 32
    build(source, tmp_path / "whole.zarr", GRID, **SIZES, on_error="skip")
    assert_same_store(tmp_path / "bh.zarr", tmp_path / "whole.zarr")


def test_what_a_worker_cannot_write_is_named(scheduler: str, trajectory: str, tmp_path: Path) -> None:
    blocked = tmp_path / "bh.zarr.building/density"
    blocked.parent.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ruo2_voxel.store.target.LocalTarget.clear", lambda target: None)
        blocked.write_text("no folder")
        with pytest.raises(StoreError, match=r"bh\.zarr: must be writable and have room; found"):
            build(trajectory, tmp_path / "bh.zarr", GRID, **SIZES, scheduler=scheduler)


def test_a_worker_that_dies_is_named(scheduler: str) -> None:
    def submit() -> None:
        with on_cluster.connect(scheduler) as (executor, n_threads):
            assert n_threads == 2
            executor.submit(os._exit, 1).result()

    with pytest.raises(StoreError, match=r"workers must live until their shards are written; .* --resume goes on"):
        submit()


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("tcp://127.0.0.1:9", "Timed out trying to connect"),
        ("nonsense", "missing port number"),
        ("nonsense://127.0.0.1:9", "unknown address scheme"),
        ("", "missing port number"),
    ],
)
def test_a_scheduler_that_does_not_answer_is_named(
    address: str, found: str, trajectory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "ANSWER_WITHIN", "1s")
    with pytest.raises(StoreError, match=rf"{address}: must be a Dask scheduler that answers, .*; found: {found}"):
        build(trajectory, tmp_path / "bh.zarr", GRID, scheduler=address)
    assert not (tmp_path / "bh.zarr").exists()


def test_a_scheduler_without_workers_is_named(trajectory: str, tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        with pytest.raises(StoreError, match=rf"{address}: the scheduler must have workers; found none\. Start some"):
            build(trajectory, tmp_path / "bh.zarr", GRID, scheduler=address)
