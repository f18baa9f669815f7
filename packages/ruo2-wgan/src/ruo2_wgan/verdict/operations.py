"""The exact symmetry operations of a slab's grid: permutations of voxels, which move its atoms alike.

Rolls in the plane of the slab by whole voxels, mirrors of the axes in that plane, and, where the grid has as many
voxels along x as along y, the exchange of both.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ruo2_wgan.verdict.typing import FloatArray


class Operation(NamedTuple):
    """Exchange x and y, then mirror, then roll, as in training."""

    swap: bool
    mirrors: tuple[bool, ...]  # of each axis in the plane
    shifts: tuple[int, ...]  # voxels, along each of them


def point_operations(shape: Sequence[int]) -> list[Operation]:
    """All operations of a row of that shape that keep voxel 0 in its place: 2 of a slice, 4 or 8 of a structure."""
    n_axes = len(shape) - 1
    swaps = (False, True) if n_axes == 2 and shape[0] == shape[1] else (False,)
    mirrors = list(itertools.product((False, True), repeat=n_axes))
    return [Operation(swap, flips, (0,) * n_axes) for swap in swaps for flips in mirrors]


def apply_operation(density: FloatArray, operation: Operation) -> FloatArray:
    """A density (..., x, y, z) or (..., u, z) after the operation."""
    n_axes = len(operation.shifts)
    axes = range(density.ndim - 1 - n_axes, density.ndim - 1)
    if operation.swap:
        density = density.swapaxes(axes[0], axes[1])
    for axis, mirror in zip(axes, operation.mirrors, strict=True):
        if mirror:  # voxel 0 stays
            density = np.roll(np.flip(density, axis), 1, axis)
    return np.roll(density, operation.shifts, tuple(axes))


def move_scaled(scaled: FloatArray, operation: Operation, shape: Sequence[int]) -> FloatArray:
    """Scaled positions (k, axes) after the operation that `apply_operation` does to a row of that shape."""
    moved = scaled.copy()
    if operation.swap:
        moved[:, [0, 1]] = moved[:, [1, 0]]
    for axis, (mirror, shift) in enumerate(zip(operation.mirrors, operation.shifts, strict=True)):
        sign = -1.0 if mirror else 1.0
        moved[:, axis] = (sign * moved[:, axis] + shift / shape[axis]) % 1.0
    return moved
