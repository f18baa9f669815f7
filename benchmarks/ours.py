"""Our package at work on a workload, in every way that is timed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms

from rounds import Timed
from ruo2_voxel import Grid, voxelize, voxelize_many
from ruo2_voxel.density import kernels
from ruo2_voxel.density.grid import SMALLEST_TOL
from ruo2_voxel.density.voxelize import make_batch, render
from workloads import ATOMIC_NUMBERS, SHEAR, SPECIES, FloatArray, Structure, Workload, draw_structures

# Whole batches, from Atoms to float32, on one thread unless it says two.
ORTHORHOMBIC, TRICLINIC = "orthorhombic", "triclinic"
ORTHORHOMBIC_TWO, TRICLINIC_TWO = "orthorhombic, two threads", "triclinic, two threads"
# One call a structure, with its checks: into a new array each, and all into the same one, which stays in cache.
SINGLE, SINGLE_OUT = "single calls", "single calls, out given"
# Whole batches, from arrays.
TO_FLOAT32, TO_UINT8 = "render to float32", "render to uint8"


class Ours:
    """The structures of a workload in cubic and in sheared cells, and room for their densities."""

    def __init__(self, workload: Workload, n_structures: int) -> None:
        self.cubic = draw_structures(workload, n_structures)
        self.sheared = draw_structures(workload, n_structures, SHEAR)
        shape = (n_structures, len(SPECIES), *workload.shape)
        self.floats = np.zeros(shape, dtype=np.float32)
        self.bytes = np.zeros(shape, dtype=np.uint8)
        self.clipped = np.zeros(n_structures, dtype=np.int64)

    def contenders(self, grid: Grid) -> dict[str, Timed]:
        n, floats = len(self.cubic), self.floats
        cubic, sheared = [to_atoms(s) for s in self.cubic], [to_atoms(s) for s in self.sheared]
        return {
            ORTHORHOMBIC: Timed(lambda: voxelize_many(cubic, grid, out=floats), n),
            ORTHORHOMBIC_TWO: Timed(lambda: voxelize_many(cubic, grid, n_threads=2, out=floats), n),
            TRICLINIC: Timed(lambda: voxelize_many(sheared, grid, out=floats), n),
            TRICLINIC_TWO: Timed(lambda: voxelize_many(sheared, grid, n_threads=2, out=floats), n),
            SINGLE: Timed(lambda: [voxelize(atoms, grid) for atoms in cubic], n),
            SINGLE_OUT: Timed(lambda: [voxelize_many([atoms], grid, out=floats[:1]) for atoms in reversed(cubic)], n),
            TO_FLOAT32: Timed(lambda: render(to_batch(self.cubic, grid), grid, 1, floats), n),
            TO_UINT8: Timed(lambda: render(to_batch(self.cubic, grid), grid, 1, self.bytes, self.clipped), n),
        }

    def largest_errors(self, contenders: Mapping[str, Timed], exact: Mapping[str, FloatArray]) -> dict[str, float]:
        """Of the first structure, against its exact density in the cell that the contender renders."""
        errors = {}
        for name, timed in contenders.items():
            self.floats[0] = self.bytes[0] = 0
            result = timed.run()
            density, expected = self.floats[0], exact[TRICLINIC if name.startswith(TRICLINIC) else ORTHORHOMBIC]
            if name == SINGLE:
                density = result[0]
            elif name == TO_UINT8:
                density, expected = self.bytes[0] / 255.0, np.clip(expected, 0.0, 1.0)
            errors[name] = float(np.abs(density - expected).max())
        return errors


def to_atoms(structure: Structure) -> Atoms:
    numbers = np.array(ATOMIC_NUMBERS)[structure.channel]
    return Atoms(numbers=numbers, scaled_positions=structure.scaled, cell=structure.cell, pbc=True)


def to_batch(structures: Sequence[Structure], grid: Grid) -> kernels.Batch:
    return make_batch(
        positions=np.concatenate([s.scaled @ s.cell for s in structures]),
        numbers=np.array(ATOMIC_NUMBERS)[np.concatenate([s.channel for s in structures])],
        counts=np.array([len(s.channel) for s in structures]),
        cells=np.array([s.cell for s in structures]),
        grid=grid,
        where=lambda index: f"structure {index}",
    )


def grid_of(workload: Workload, tol: float) -> Grid:
    return Grid(species=SPECIES, shape=workload.shape, sigma=workload.sigma, tol=tol)


def cutoff_of(structure: Structure, grid: Grid) -> float:
    """Where the structure's Gaussians are truncated, Å."""
    return float(to_batch([structure], grid).cutoffs[0]) * grid.sigma


def window_of(structure: Structure, grid: Grid) -> list[int]:
    """Voxels along the three axes that a Gaussian of the structure may reach."""
    window: list[int] = kernels.window_of(to_batch([structure], grid).radii)[0].tolist()
    return window


def tightest_tol(workload: Workload, structures: Sequence[Structure], window: int) -> float:
    """The smallest tolerance that needs windows of no more than `window` voxels in any of the structures."""
    low, high = SMALLEST_TOL, 0.1
    while high / low > 1.0 + 1e-6:
        middle = math.sqrt(low * high)
        grid = grid_of(workload, middle)
        if max(max(window_of(structure, grid)) for structure in structures) <= window:
            high = middle
        else:
            low = middle
    return high
