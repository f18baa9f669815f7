"""Files and stores that many tests read, made once. Tests that alter one copy it first."""

from pathlib import Path

import pytest

from ruo2_voxel import build
from tests.voxel.stores import GRID, N_FRAMES, structure, write_frames


@pytest.fixture(scope="session")
def trajectory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fifty frames."""
    return write_frames(tmp_path_factory.mktemp("frames") / "bh.traj", [structure(index) for index in range(N_FRAMES)])


@pytest.fixture(scope="session")
def store_path(trajectory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of them in four shards, the last shard and its last chunk only partly filled."""
    path = tmp_path_factory.mktemp("store") / "bh.zarr"
    build(trajectory, path, GRID, shard=16, chunk=4, workers=2)
    return path
