"""What a user would write with NumPy and SciPy."""

from functools import partial

import numpy as np

from peers.task import N_SPECIES, InProcess, Peer, Renderer, Task, by_species
from workloads import FloatArray


def scipy_histogram(task: Task) -> Renderer:
    """Atoms snapped to the nearest node, then a periodic Gaussian filter."""
    from scipy.ndimage import gaussian_filter

    n, width = task.side, task.sigma / task.voxel
    peak = np.float32((2.0 * np.pi) ** 1.5 * width**3)

    def render(species: list[FloatArray]) -> FloatArray:
        density = np.empty((N_SPECIES, n, n, n), dtype=np.float32)
        for s, scaled in enumerate(species):
            x, y, z = (np.rint(scaled * n).astype(np.int64) % n).T
            counts = np.bincount((x * n + y) * n + z, minlength=n**3).astype(np.float32).reshape(n, n, n)
            gaussian_filter(counts * peak, width, mode="wrap", radius=task.window // 2, output=density[s])
        return density

    return InProcess(by_species, render)


def scipy_trilinear(task: Task) -> Renderer:
    """Atoms shared among the eight nodes around them, then a periodic Gaussian filter."""
    from scipy.ndimage import gaussian_filter

    n, width = task.side, task.sigma / task.voxel
    peak = (2.0 * np.pi) ** 1.5 * width**3
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)

    def render(species: list[FloatArray]) -> FloatArray:
        density = np.empty((N_SPECIES, n, n, n), dtype=np.float32)
        for s, scaled in enumerate(species):
            t = scaled * n
            node = np.floor(t).astype(np.int64)
            part = t - node
            counts = np.zeros(n**3)
            for corner in corners:
                x, y, z = ((node + corner) % n).T
                share = np.where(corner, part, 1.0 - part).prod(axis=1)
                counts += np.bincount((x * n + y) * n + z, weights=share, minlength=n**3)
            deposit = (counts * peak).astype(np.float32).reshape(n, n, n)
            gaussian_filter(deposit, width, mode="wrap", radius=task.window // 2, output=density[s])
        return density

    return InProcess(by_species, render)


def numpy_gemm(task: Task, atoms_per_block: int | None = None) -> Renderer:
    """Exact: periodised Gaussians along each axis, and the sum over atoms of their products as a matrix product."""
    n = task.side
    nodes = np.arange(n, dtype=np.float32)
    exponent = np.float32(-0.5 * (task.voxel / task.sigma) ** 2)

    def tables(t: FloatArray) -> FloatArray:
        # The nearest image suffices: the next is more than half a cell, 13 sigma, away. The floor, exp(-32), keeps
        # denormal numbers out of the products, which would take thirty times as long.
        d = t.T[:, :, None] - nodes
        d -= np.rint(d / n) * n
        d *= d
        d *= exponent
        np.maximum(d, np.float32(-32.0), out=d)
        return np.exp(d, out=d)

    def render(species: list[FloatArray]) -> FloatArray:
        density = np.zeros((N_SPECIES, n, n * n), dtype=np.float32)
        for s, t in enumerate(species):
            x, y, z = tables(t)
            if atoms_per_block is None:
                np.matmul(x.T, (y[:, :, None] * z[:, None, :]).reshape(-1, n * n), out=density[s])
                continue
            for b in range(0, len(t), atoms_per_block):
                block = slice(b, b + atoms_per_block)
                density[s] += x[block].T @ (y[block, :, None] * z[block, None, :]).reshape(-1, n * n)
        return density.reshape(N_SPECIES, n, n, n)

    return InProcess(lambda structure: [(scaled * n).astype(np.float32) for scaled in by_species(structure)], render)


def numpy_stencil(task: Task) -> Renderer:
    """A window of nodes around each atom, all atoms at once, summed with bincount."""
    n, half = task.side, task.window // 2
    offsets = np.arange(-half, half + 1)
    exponent = np.float32(-0.5 * (task.voxel / task.sigma) ** 2)

    def render(species: list[FloatArray]) -> FloatArray:
        density = np.empty((N_SPECIES, n**3), dtype=np.float32)
        for s, scaled in enumerate(species):
            t = scaled * n
            nodes = np.rint(t).astype(np.int64)[:, :, None] + offsets
            wx, wy, wz = np.exp(exponent * (nodes - t[:, :, None]).astype(np.float32) ** 2).transpose(1, 0, 2)
            ix, iy, iz = (nodes % n).transpose(1, 0, 2)
            weights = wx[:, :, None, None] * wy[:, None, :, None] * wz[:, None, None, :]
            index = (ix[:, :, None, None] * n + iy[:, None, :, None]) * n + iz[:, None, None, :]
            density[s] = np.bincount(index.reshape(-1), weights=weights.reshape(-1), minlength=n**3)
        return density.reshape(N_SPECIES, n, n, n)

    return InProcess(by_species, render)


BY_HAND = (
    Peer("scipy-histogram", "by hand", ("scipy",), scipy_histogram),
    Peer("scipy-trilinear", "by hand", ("scipy",), scipy_trilinear),
    Peer("numpy-gemm", "by hand", (), numpy_gemm),
    Peer("numpy-gemm-blocks", "by hand", (), partial(numpy_gemm, atoms_per_block=128)),  # products stay in cache
    Peer("numpy-stencil", "by hand", (), numpy_stencil),
)
