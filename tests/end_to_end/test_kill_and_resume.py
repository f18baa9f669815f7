"""Builds that are killed without a word, and what is left of them."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
import xarray

from ruo2_voxel import StoreError, open_store
from tests.end_to_end.commands import TRAJECTORY, run, voxel

# 3,018 structures in 48 shards: enough to be killed in the middle of.
BUILD = ("build", "--db", TRAJECTORY, "--copies", "2", "--translate", "--rotate", "--shard", "64", "--workers", "2")
KILLS = 5


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run(*BUILD, "--out", "bh.zarr", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "bh.zarr"


def files_of(store: Path) -> dict[str, bytes]:
    """Every file but the root metadata, which holds the time."""
    paths = [path for path in store.rglob("*") if path.is_file() and path != store / "zarr.json"]
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def kill_when(command: list[str], folder: Path, ready: "object") -> bool:
    """Start a build and kill it once `ready(folder)`; False if it ended before."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if ready(folder):  # type: ignore[operator]
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
    return False


def require_no_store(folder: Path) -> None:
    for name in ("bh.zarr", "bh.zarr.building"):
        with pytest.raises(StoreError):
            open_store(folder / name)
        with pytest.raises((FileNotFoundError, OSError, ValueError)):
            xarray.open_zarr(folder / name, consolidated=False)


def test_a_killed_build_looks_like_no_store_and_resumes_to_the_same_bytes(uninterrupted: Path, tmp_path: Path) -> None:
    killed = 0
    for attempt in range(KILLS):
        wanted = 8 * (attempt + 1)

        def far_enough(folder: Path, wanted: int = wanted) -> bool:
            return len(list((folder / "bh.zarr.building" / ".build").glob("shard-*.json"))) >= wanted

        if not kill_when(voxel(*BUILD, "--out", "bh.zarr", "--resume"), tmp_path, far_enough):
            break
        killed += 1
        require_no_store(tmp_path)
    assert killed >= 3
    refused = run(*BUILD, "--out", "bh.zarr", folder=tmp_path)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    resumed = run(*BUILD, "--out", "bh.zarr", "--resume", "--json", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert files_of(tmp_path / "bh.zarr") == files_of(uninterrupted)
    assert not list((tmp_path / "bh.zarr").rglob("*.partial"))
    assert not (tmp_path / "bh.zarr.building").exists()
    assert run("verify", "bh.zarr", folder=tmp_path).returncode == 0


def test_a_build_killed_in_its_last_step_is_no_store_either(uninterrupted: Path, tmp_path: Path) -> None:
    def finishing(folder: Path) -> bool:
        return (folder / "bh.zarr.building" / "positions" / "zarr.json").exists()

    assert kill_when(voxel(*BUILD, "--out", "bh.zarr"), tmp_path, finishing)
    require_no_store(tmp_path)
    assert run(*BUILD, "--out", "bh.zarr", "--resume", folder=tmp_path).returncode == 0
    assert files_of(tmp_path / "bh.zarr") == files_of(uninterrupted)


def test_a_killed_overwrite_leaves_the_old_store_whole(tmp_path: Path) -> None:
    small = ("build", "--db", f"{TRAJECTORY}@:100", "--out", "bh.zarr")
    assert run(*small, folder=tmp_path).returncode == 0
    before = files_of(tmp_path / "bh.zarr")

    def begun(folder: Path) -> bool:
        return bool(list((folder / "bh.zarr.building" / ".build").glob("shard-*.json")))

    assert kill_when(voxel(*BUILD, "--out", "bh.zarr", "--overwrite"), tmp_path, begun)
    assert files_of(tmp_path / "bh.zarr") == before
    assert len(open_store(tmp_path / "bh.zarr")) == 100
