"""What the machine allows: the time of the kernel's innermost step in the first-level cache, and of copying memory."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from rounds import Timed
from ruo2_voxel.density.simd import LANES, add_rows, aligned_zeros

FLOATS_IN_L1 = 2048  # 8 KiB: within every first-level cache
SWEEPS = 4000
WIDTHS = (1, 2, 4)  # vectors that a row takes


def time_limits(copied_bytes: int) -> dict[str, Timed]:
    """Contenders for `time_in_rounds`.

    "read-modify-write, rows of ...": units are vectors of eight lanes loaded, fused and stored within L1 by the
    kernel's own primitive. "copy": units are bytes copied, of an array much larger than the second-level cache.
    """
    acc = aligned_zeros(FLOATS_IN_L1)
    weights = np.ones(FLOATS_IN_L1 // LANES, dtype=np.float32)
    table = np.full(max(WIDTHS) * LANES, 1e-6, dtype=np.float32)
    source = np.ones(copied_bytes // 8)
    target = np.zeros_like(source)

    def sweep(n_vectors: int) -> Timed:
        sweep = _sweep_of_width(n_vectors)
        return Timed(lambda: sweep(acc, weights, table), SWEEPS * FLOATS_IN_L1 // LANES)

    limits = {read_modify_write(n_vectors): sweep(n_vectors) for n_vectors in WIDTHS}
    return {**limits, "copy": Timed(lambda: np.copyto(target, source), copied_bytes)}


def read_modify_write(n_vectors: int) -> str:
    return f"read-modify-write, rows of {n_vectors}"


def vectors_touched(n_atoms: int, window: int) -> float:
    """Vectors in the rows of all atoms' windows, each a read-modify-write: times its time, the L1 bound of a structure.

    A row of the window begins at any of eight lanes and takes the vectors that it then overlaps: two for nine voxels.
    """
    per_row = sum(math.ceil((shift + window) / LANES) for shift in range(LANES)) / LANES
    return n_atoms * window * window * per_row


@cache
def _sweep_of_width(n_vectors: int) -> Callable[..., None]:
    stride = n_vectors * LANES
    n_rows = FLOATS_IN_L1 // stride

    @njit(nogil=True)
    def sweep(acc, weights, table):
        for _ in range(SWEEPS):
            add_rows(n_vectors, acc, 0, stride, n_rows, np.float32(1.0), weights, 0, table, 0)

    return sweep
