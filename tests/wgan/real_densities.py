"""Densities of real structures, from the trajectory that ships with the project."""

from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import torch

from ruo2_voxel import Grid, voxelize_many

TRAJECTORY = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
GRID = Grid(species=("Ru", "O"), shape=(16, 16, 32), sigma=0.45)


@cache
def real_volumes(start: int = 0, step: int = 16) -> torch.Tensor:
    """Every `step`-th structure, shape (n, 2, 16, 16, 32)."""
    structures = ase.io.read(TRAJECTORY, index=slice(start, None, step))
    return torch.from_numpy(np.minimum(voxelize_many(structures, GRID), 1.0))


@cache
def real_slices(start: int = 0, step: int = 16) -> torch.Tensor:
    """A yz-plane of each of them, shape (n, 2, 16, 32)."""
    volumes = real_volumes(start, step)
    return volumes[torch.arange(len(volumes)), :, torch.arange(len(volumes)) % 16]
