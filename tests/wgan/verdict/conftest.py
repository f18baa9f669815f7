"""A store of real structures, made once for all that look for neighbours in it."""

from pathlib import Path

import pytest

from ruo2_voxel import build
from tests.wgan.real_densities import GRID, TRAJECTORY


@pytest.fixture(scope="session")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fifth structure of the shipped trajectory on 16 x 16 x 32 voxels, some runs held out."""
    path = tmp_path_factory.mktemp("real") / "real.zarr"
    split = {"split_by": ("facet", "run"), "held_out": 0.2}
    build(f"{TRAJECTORY}@::5", path, GRID, n_classes=3, class_method="quantile", workers=1, **split)
    return path
