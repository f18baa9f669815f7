"""Where things lie on paper: orthographic views of a periodic cell, in Å.

A view is a 3 x 3 matrix whose rows are the unit vectors to the right, up, and towards the viewer. All pictures of one
view share its coordinates: the corner of the cell, node (0, 0, 0), lies at (0, 0).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel.errors import GridError, StructureError
from ruo2_voxel.pictures.colours import INK
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES_OF_PLANE = {"xz": (0, 2, 1), "yz": (1, 2, 0), "xy": (0, 1, 2)}  # to the right, up, across


def axes_of(plane: str) -> tuple[int, int, int]:
    """The cell vectors to the right, up, and out of a plane."""
    try:
        return AXES_OF_PLANE[plane]
    except KeyError:
        raise GridError(f"plane must be xz, yz or xy, got {plane!r}") from None


def checked_cell(cell: object) -> FloatArray:
    """Cell vectors in rows, Å, float64; they must span a volume."""
    vectors = np.asarray(cell, dtype=np.float64)
    if vectors.shape != (3, 3) or not np.isfinite(vectors).all() or not abs(np.linalg.det(vectors)) > 1e-6:
        raise StructureError(f"the cell must be three vectors that span a volume, got {vectors.tolist()} Å")
    return vectors


def is_upright(cell: FloatArray) -> bool:
    """Whether the cell vectors lie along x, y and z."""
    return bool(np.abs(cell - np.diag(np.diag(cell))).max() < 1e-9)


def checked_density(density: object, species: Sequence[str]) -> FloatArray:
    """Shape (species, nx, ny, nz); it must have a channel for each species, and no number that is none."""
    values = np.asarray(density)
    if values.ndim != 4 or len(values) != len(species) or values.size == 0:
        names = ",".join(species)
        raise GridError(f"density must have the shape (species, nx, ny, nz) with species {names}, got {values.shape}")
    if not np.isfinite(values).all():
        raise GridError("density must be finite, got NaN or infinite values")
    return values


def view_of_plane(plane: str, cell: FloatArray) -> FloatArray:
    """The plane of two cell vectors seen head-on: the first to the right, the second up."""
    right, up, _ = axes_of(plane)
    e_right = cell[right] / np.linalg.norm(cell[right])
    e_up = cell[up] - (cell[up] @ e_right) * e_right
    e_up /= np.linalg.norm(e_up)
    return np.array([e_right, e_up, np.cross(e_right, e_up)])


def view_from(azimuth: float, elevation: float) -> FloatArray:
    """What one sees from a far point at these angles, degrees, from x and above the xy-plane; z is up."""
    phi, theta = np.radians(azimuth), np.radians(elevation)
    towards = np.array([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)])
    right = np.array([-np.sin(phi), np.cos(phi), 0.0])
    return np.array([right, np.cross(towards, right), towards])


def corners_of(cell: FloatArray) -> FloatArray:
    """The eight corners of the cell, shape (8, 3), Å; corner 4 i + 2 j + k lies at i a + j b + k c."""
    return np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64) @ cell


def edges_of(cell: FloatArray) -> FloatArray:
    """The twelve edges, four along each cell vector in turn: shape (3, 4, 2, 3), Å."""
    corners = corners_of(cell)
    starts = [[corner for corner in range(8) if not corner & (4 >> axis)] for axis in range(3)]
    return np.array([[corners[[s, s + (4 >> axis)]] for s in starts[axis]] for axis in range(3)])


def outline_of(cell: FloatArray, view: FloatArray) -> FloatArray:
    """What the cell covers on paper: the corners of a convex polygon, counter-clockwise, shape (n, 2), Å."""
    points = sorted({(round(float(x), 9), round(float(y), 9)) for x, y, _ in corners_of(cell) @ view.T})
    return np.array(_lower_hull(points)[:-1] + _lower_hull(points[::-1])[:-1])


def _lower_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 1e-7:
                break
            hull.pop()
        hull.append((x, y))
    return hull


def images_in_plane(scaled: FloatArray, plane: str, margins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Atoms wrapped into the cell, and their images in the plane that reach into the cell across its border.

    Parameters
    ----------
    scaled
        Scaled positions, shape (atoms, 3).
    margins
        How far beyond the border, in scaled coordinates, an atom still reaches in; shape (atoms, 3).

    Returns
    -------
    scaled, atom
        Scaled positions of atoms and images, shape (n, 3), and which atom each is.
    """
    right, up, _ = axes_of(plane)
    wrapped = scaled - np.floor(scaled + 1e-6)  # an atom a rounding error below the border stays on it
    images, owners = [], []
    for i in (0, -1, 1):
        for j in (0, -1, 1):
            image = wrapped.copy()
            image[:, right] += i
            image[:, up] += j
            outside = np.maximum(-image, image - 1.0)[:, [right, up]]
            seen = np.flatnonzero((outside <= margins[:, [right, up]]).all(axis=1))
            images.append(image[seen])
            owners.append(seen)
    return np.concatenate(images), np.concatenate(owners)


def frame_axes(axes: "Axes", plane: str, cell: FloatArray, view: FloatArray) -> None:
    """Limits that hold the whole cell, one scale for both axes, and their names in Å."""
    from matplotlib.ticker import MaxNLocator

    outline = outline_of(cell, view)
    (left, bottom), (right, top) = outline.min(axis=0), outline.max(axis=0)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", frame_on=False)
    inches = axes.bbox.transformed(axes.figure.dpi_scale_trans.inverted())
    sides = (axes.xaxis, inches.width), (axes.yaxis, inches.height)
    for (axis, room), direction, vector in zip(sides, view[:2], axes_of(plane)[:2], strict=True):
        axis.set_label_text(f"{_name_of(direction, vector)} (Å)", color=INK)
        axis.set_major_locator(MaxNLocator(nbins=min(4, max(1, int(room / 0.2))), steps=[1, 2, 5, 10], integer=True))
        axis.set_tick_params(colors=INK, length=3, width=0.6)


def name_place(plane: str, position: int, shape: tuple[int, ...], cell: FloatArray) -> str:
    """Where a plane lies: in Å in an orthorhombic cell that stands upright, else in voxels."""
    across = axes_of(plane)[2]
    if is_upright(cell):
        return f"{'xyz'[across]} = {position / shape[across] * cell[across, across]:.2f} Å"
    return f"voxel {position} of {shape[across]} along {'abc'[across]}"


def _name_of(direction: FloatArray, vector: int) -> str:
    for name, unit in zip("xyz", np.eye(3), strict=True):
        if direction @ unit > 1.0 - 1e-9:
            return name
    return f"along {'abc'[vector]}" if vector == 0 else f"towards {'abc'[vector]}"
