"""Sites, operations and rows that tests of the verdict begin with."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruo2_wgan.config import make_config
from ruo2_wgan.data import open_rows
from ruo2_wgan.verdict.atoms.sites import Sites, sites_of
from ruo2_wgan.verdict.operations import Operation, point_operations
from ruo2_wgan.verdict.reals import Reals
from tests.voxel.match import apart

SHAPES = [(8, 8, 6), (7, 7, 5), (6, 9, 5), (5, 8, 6), (12, 7), (9, 6)]  # square and not, odd and even


def open_reals(store: Path, dimensions: int = 3, **data: Any) -> Reals:
    return Reals(open_rows(store, make_config({"model": {"dimensions": dimensions}, "data": data})))


def random_operation(random: np.random.Generator, shape: tuple[int, ...]) -> Operation:
    """Any point operation, then any roll."""
    points = point_operations(shape)
    shifts = tuple(int(random.integers(side)) for side in shape[:-1])
    return points[random.integers(len(points))]._replace(shifts=shifts)


def make_sites(
    scaled: Any, species: Any, lattice: Any = (7.0, 8.0, 20.0), across: Any = None, unexplained: float = 0.0
) -> Sites:
    scaled, species = np.atleast_2d(np.asarray(scaled, dtype=float)), np.asarray(species, dtype=np.int64)
    far = np.zeros(len(species)) if across is None else np.asarray(across, dtype=float)
    return Sites(scaled.reshape(len(species), len(lattice)), species, far, np.asarray(lattice, float), unexplained)


def random_sites(
    seed: int, n_atoms: int = 9, shortest: float = 2.0, lattice: tuple[float, float, float] = (7.0, 8.0, 9.0)
) -> Sites:
    """Ru and O, no two of which are nearer than `shortest` (Å)."""
    return sites_of(apart(n_atoms, np.diag(lattice), shortest, seed), ("Ru", "O"))


def random_densities(seed: int, n: int, shape: tuple[int, ...], n_species: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((n, n_species, *shape), dtype=np.float32)
