"""What the kernel benchmark renders, and what the right answer is."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

CELL_LENGTH = 18.0  # Å, cubic
SHEAR = 0.2  # of the triclinic cells: b = (SHEAR a, a, 0)
SIGMA_IN_VOXELS = 1.2
SPECIES = ("Ru", "O")
ATOMIC_NUMBERS = (44, 8)
ORACLE_REACH = 8.0  # in sigma: what lies beyond is below 2e-14


@dataclass(frozen=True)
class Workload:
    """Random atoms, half of each species, on a cubic number of voxels."""

    name: str
    n_atoms: int
    side: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.side, self.side, self.side)

    @property
    def sigma(self) -> float:
        """Å."""
        return SIGMA_IN_VOXELS * CELL_LENGTH / self.side


@dataclass(frozen=True)
class Structure:
    """Scaled positions (atoms, 3), channel of each atom (atoms,), cell vectors in rows (3, 3) in Å."""

    scaled: FloatArray
    channel: NDArray[np.int64]
    cell: FloatArray


WORKLOADS = (Workload("W1", 2000, 32), Workload("W2", 400, 32), Workload("W3", 120, 64))


def draw_structures(workload: Workload, n_structures: int, shear: float = 0.0) -> list[Structure]:
    """The same atoms, in scaled positions, whatever the shear and however many structures follow."""
    rng = np.random.default_rng([workload.n_atoms, workload.side])
    cell = CELL_LENGTH * np.array([[1.0, 0.0, 0.0], [shear, 1.0, 0.0], [0.0, 0.0, 1.0]])
    channel = np.arange(workload.n_atoms) % len(SPECIES)
    return [Structure(rng.random((workload.n_atoms, 3)), channel, cell) for _ in range(n_structures)]


def exact_density(structure: Structure, shape: tuple[int, int, int], sigma: float) -> FloatArray:
    """Direct float64 sum over every atom and periodic image within 8 sigma of a node; (species, nx, ny, nz)."""
    steps = structure.cell / np.array(shape)[:, None]
    plane_spacings = 1.0 / np.linalg.norm(np.linalg.inv(steps), axis=0)
    reach = [math.ceil(ORACLE_REACH * sigma / spacing) + 1 for spacing in plane_spacings]
    axes = [np.arange(-r, r + 1) for r in reach]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    density = np.zeros((len(SPECIES), math.prod(shape)))
    for scaled, channel in zip(structure.scaled, structure.channel, strict=True):
        t = scaled * shape
        nodes = np.rint(t).astype(np.int64) + offsets
        square = (((nodes - t) @ steps) ** 2).sum(axis=1)
        x, y, z = (nodes % shape).T
        np.add.at(density[channel], (x * shape[1] + y) * shape[2] + z, np.exp(-0.5 * square / sigma**2))
    return density.reshape(-1, *shape)
