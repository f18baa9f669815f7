"""Exact symmetry operations of periodic slabs, on densities and on the structures they come from.

A density and its lattice lengths change together: a quarter turn about z relabels the cell vectors (a, b) as (b, -a),
so the lengths along x and y change places.
"""

import operator

import numpy as np

from ruo2_voxel.errors import GridError
from ruo2_voxel.typing import Array, FloatArray


def translate(density: Array, shift: tuple[int, int, int]) -> Array:
    """Periodic translation by whole voxels.

    Parameters
    ----------
    density
        Shape (..., nx, ny, nz).
    shift
        Voxels along x, y and z, whole numbers; content moves towards higher indices.

    Returns
    -------
    moved
        A copy of the same shape: exactly the density of the structure moved by `shift` voxel steps.

    Raises
    ------
    GridError
        Fewer than three axes, or a shift that is not whole; shift the atoms before voxelizing instead.
    """
    _require_axes(density)
    try:
        voxels = tuple(operator.index(n) for n in shift)
    except TypeError:
        raise GridError(
            f"a shift of a density must be whole voxels, got {shift!r}. For a finer one move the atoms first."
        ) from None
    if len(voxels) != 3:
        raise GridError(f"a shift must give voxels along x, y and z, got {shift!r}")
    return np.roll(density, voxels, axis=(-3, -2, -1))


def rotate_z(density: Array, lattice_lengths: FloatArray, quarter_turns: int) -> tuple[Array, FloatArray]:
    """Rotation about z by multiples of 90 degrees, counter-clockwise seen from above.

    Parameters
    ----------
    density
        Shape (..., nx, ny, nz).
    lattice_lengths
        Shape (..., 3), Å.
    quarter_turns
        Any whole number.

    Returns
    -------
    rotated, lengths
        Copies. After an odd number of turns the shape is (..., ny, nx, nz) and the lengths along x and y have changed
        places.

    Notes
    -----
    One turn takes the point with scaled coordinates (u, v, w) to (-v, u, w) of the new cell, whose vectors are the
    rotated b, reversed, and the rotated a.
    """
    _require_axes(density)
    lengths = np.array(lattice_lengths, dtype=np.float64)
    if lengths.shape[-1:] != (3,):
        raise GridError(f"lattice_lengths must hold three lengths, got shape {lengths.shape}")
    for _ in range(_whole_turns(quarter_turns)):
        mirrored = np.roll(np.flip(density, axis=-2), 1, axis=-2)  # node j to node -j
        density = np.swapaxes(mirrored, -3, -2)
        lengths[..., [0, 1]] = lengths[..., [1, 0]]
    return np.array(density, order="C"), lengths


def move_atoms(
    positions: FloatArray, cell: FloatArray, shift: FloatArray, quarter_turns: int
) -> tuple[FloatArray, FloatArray]:
    """What `translate` and then `rotate_z` do to a density, done to the structure before voxelizing, at any shift.

    Parameters
    ----------
    positions, cell
        Shapes (atoms, 3) and (3, 3), Å; cell vectors in rows.
    shift
        In scaled coordinates, shape (3,).
    quarter_turns
        Whole number of counter-clockwise quarter turns about z.

    Returns
    -------
    positions, cell
        Of the moved structure. Atoms are not wrapped back into the cell.
    """
    positions = positions + shift @ cell
    cell = np.array(cell, dtype=np.float64)
    for _ in range(_whole_turns(quarter_turns)):
        positions = _quarter_turn(positions)
        a, b, c = _quarter_turn(cell)
        cell = np.array([-b, a, c])
    return positions, cell + 0.0  # no negative zeros


def _whole_turns(quarter_turns: int) -> int:
    try:
        return operator.index(quarter_turns) % 4
    except TypeError:
        raise GridError(f"quarter_turns must be a whole number, got {quarter_turns!r}") from None


def _quarter_turn(vectors: FloatArray) -> FloatArray:
    x, y, z = vectors.T
    return np.stack([-y, x, z], axis=-1)


def _require_axes(density: Array) -> None:
    if np.ndim(density) < 3:
        raise GridError(f"a density must have the axes (..., x, y, z), got shape {np.shape(density)}")
