"""Two-dimensional cuts through a density, along z and one in-plane axis (thesis, section 3.2.1)."""

import operator
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from ruo2_voxel.errors import GridError
from ruo2_voxel.typing import Array, FloatArray, IntArray

Plane = Literal["xz", "yz"]
PLANES: Final[tuple[Plane, ...]] = ("xz", "yz")
ACROSS: Final = {"xz": 1, "yz": 0}  # the axis that a plane is cut across
ALONG: Final = {"xz": 0, "yz": 1}  # its first axis; the second is z
EMPTY_BELOW: Final = 0.5 / 255  # density; less is stored as 0 in eight bits
Positions = Literal["even", "all"] | int | Sequence[int]


class Slices(NamedTuple):
    """Cuts of one density.

    Parameters
    ----------
    values
        Shape (n_slices, n_species, m, nz), as the density.
    lattice_lengths
        Of the two axes of each, (x, z) or (y, z), shape (n_slices, 2), Å.
    planes, positions
        Where each was cut: indices into `PLANES`, and voxels along the axis that it was cut across.
    """

    values: Array
    lattice_lengths: FloatArray
    planes: IntArray
    positions: IntArray


def slices(
    density: Array,
    lattice_lengths: FloatArray,
    planes: Sequence[Plane] = PLANES,
    positions: Positions = "even",
    drop_empty: bool = False,
) -> Slices:
    """Cut a density along planes that contain z.

    Parameters
    ----------
    density
        Shape (n_species, nx, ny, nz).
    lattice_lengths
        Shape (3,), Å.
    planes
        "xz" (cut across y), "yz" (cut across x) or both; both need as many voxels along x as along y.
    positions
        Voxels at which to cut: "even" (0, 2, 4, ...), "all", one position or a list; the same for each plane.
    drop_empty
        Leave out slices without a Gaussian.

    Returns
    -------
    slices
        Plane by plane, each by ascending position.

    Raises
    ------
    GridError
        A density, plane or position that cannot be.
    """
    density = np.asarray(density)
    if density.ndim != 4:
        raise GridError(f"a density to slice must have the axes (species, x, y, z), got shape {density.shape}")
    lengths = np.asarray(lattice_lengths, dtype=np.float64)
    if lengths.shape != (3,):
        raise GridError(f"lattice_lengths must hold three lengths, got shape {lengths.shape}")
    shape = density.shape[1:]
    cuts = [(plane, position) for plane, position in find_cuts(shape, planes, positions)]
    values = [cut(density, plane, position) for plane, position in cuts]
    kept = [i for i, value in enumerate(values) if not (drop_empty and is_empty(value))]
    size = (density.shape[0], shape[ALONG[planes[0]]], shape[2])
    return Slices(
        np.stack([values[i] for i in kept]) if kept else np.zeros((0, *size), dtype=density.dtype),
        np.array([lengths[[ALONG[cuts[i][0]], 2]] for i in kept]).reshape(-1, 2),
        np.array([PLANES.index(cuts[i][0]) for i in kept], dtype=np.int8),
        np.array([cuts[i][1] for i in kept], dtype=np.int32),
    )


def find_cuts(shape: tuple[int, ...], planes: Sequence[Plane], positions: Positions) -> list[tuple[Plane, int]]:
    """Every plane and position of a grid of that shape (nx, ny, nz), in order."""
    if not planes or len(set(planes)) != len(planes) or not set(planes) <= set(PLANES):
        raise GridError(f"planes must be different ones of {', '.join(PLANES)}, got {', '.join(planes) or 'none'}")
    if len(planes) > 1 and shape[0] != shape[1]:
        raise GridError(
            f"xz- and yz-planes of one set must have the same shape, so as many voxels along x as along y; got "
            f"{shape[0]} and {shape[1]}. Cut one kind of plane at a time"
        )
    return [(plane, position) for plane in planes for position in _resolve(positions, shape[ACROSS[plane]])]


def _resolve(positions: Positions, n: int) -> list[int]:
    if isinstance(positions, str):
        if positions not in ("even", "all"):
            raise GridError(f'positions must be "even", "all", a position or a list of them; got {positions!r}')
        return list(range(0, n, 2 if positions == "even" else 1))
    wanted: Sequence[int] = [positions] if isinstance(positions, int | np.integer) else positions
    try:
        found = [operator.index(position) for position in wanted]
    except TypeError:
        raise GridError(f"positions must be whole numbers of voxels, got {positions!r}") from None
    if not found or len(set(found)) != len(found) or min(found) < 0 or max(found) >= n:
        raise GridError(f"positions must be different ones from 0 to {n - 1}, at least one; got {found}")
    return sorted(found)


def cut(density: Array, plane: Plane, position: int) -> Array:
    """One slice of densities (..., x, y, z), as a view."""
    return density[..., position, :] if plane == "xz" else density[..., position, :, :]


def is_empty(values: Array) -> bool:
    """Whether a slice, as float or as stored in eight bits, shows no Gaussian."""
    return bool(values.max(initial=0) < EMPTY_BELOW)
