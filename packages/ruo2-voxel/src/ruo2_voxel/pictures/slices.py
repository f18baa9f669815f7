"""Planes of a density, one channel or all of them, in the colours of the elements; and which planes show most."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel.errors import GridError
from ruo2_voxel.pictures.colours import FAINT, INK, density_colours, mix_inks
from ruo2_voxel.pictures.views import axes_of, checked_cell, frame_axes, images_in_plane, view_of_plane
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.patches import Patch

NEAR = 0.5  # Å from a plane within which an atom is marked on it
MARK = 0.28  # radius of that mark, Å


def find_densest_planes(density: FloatArray) -> tuple[int, int, int]:
    """The yz-, xz- and xy-plane, by position along x, y and z, that show most of every channel.

    Parameters
    ----------
    density
        Shape (species, nx, ny, nz).
    """
    found = []
    for axis in (1, 2, 3):
        of_plane = density.sum(axis=tuple({1, 2, 3} - {axis}), dtype=np.float64)
        shares = of_plane / np.maximum(of_plane.sum(axis=1, keepdims=True), 1e-30)
        # Roots, or a plane full of one species would beat one with a fair share of each. Rounded, or the last bit of a
        # sum would choose between planes that symmetry makes equal.
        found.append(int(np.round(np.sqrt(shares.clip(0.0)).sum(axis=0), 6).argmax()))
    x, y, z = found
    return x, y, z


def draw_slice(
    axes: "Axes",
    channel: FloatArray,
    cell: FloatArray,
    symbol: str,
    plane: str = "xz",
    position: int | None = None,
    atom_positions: FloatArray | None = None,
) -> "AxesImage":
    """One plane of one channel, to scale: a square of colour around each node, cut at the border of the cell.

    Parameters
    ----------
    axes
        Where to draw; its coordinates become those of `draw_structure` in the same plane, Å.
    channel
        Shape (nx, ny, nz), from 0 to 1.
    cell
        Cell vectors in rows, Å.
    symbol
        Whose colour to use: an element, or "*".
    plane
        "xz", "yz" or "xy": the first axis to the right, the second up.
    position
        Which plane, counted in voxels along the third axis; the densest one if None.
    atom_positions
        Shape (atoms, 3), Å: those within 0.5 Å of the plane are marked by small circles.

    Raises
    ------
    GridError
        A plane or position that is not there.
    StructureError
        A cell without volume.
    """
    across = axes_of(plane)[2]
    cell = checked_cell(cell)
    if position is None:
        position = find_densest_planes(channel[None])[across]
    values = _cut(channel, plane, position)
    image, outline = _lay(axes, values, cell, plane, position / channel.shape[across])
    image.set(cmap=density_colours(symbol), clim=(0.0, 1.0))
    if atom_positions is not None and len(atom_positions) > 0:
        view = view_of_plane(plane, cell)
        marks = _atoms_near(atom_positions, cell, plane, position / channel.shape[across]) @ view[:2].T
        _mark_atoms(axes, marks, outline)
    return image


def draw_overlay(
    axes: "Axes", density: FloatArray, cell: FloatArray, species: Sequence[str], plane: str, position: int
) -> "AxesImage":
    """One plane of all channels, each in its colour, to scale as in `draw_slice`.

    Parameters
    ----------
    axes, cell, plane, position
        As for `draw_slice`.
    density
        Shape (species, nx, ny, nz), from 0 to 1.
    species
        Element symbols in the order of the channels; "*" for all others.

    Raises
    ------
    GridError
        A plane or position that is not there.
    StructureError
        A cell without volume.
    """
    cell = checked_cell(cell)
    values = np.stack([_cut(channel, plane, position) for channel in density])
    height = position / density.shape[1 + axes_of(plane)[2]]
    return _lay(axes, mix_inks(values, species), cell, plane, height)[0]


def _cut(channel: FloatArray, plane: str, position: int) -> FloatArray:
    """One plane; the axes that stay keep their order: first right, then up."""
    across = axes_of(plane)[2]
    if not 0 <= position < channel.shape[across]:
        raise GridError(
            f"position of the {plane}-plane must lie between 0 and {channel.shape[across] - 1}, got {position}"
        )
    values: FloatArray = np.moveaxis(channel, across, 0)[position]
    return values


def _lay(axes: "Axes", pixels: FloatArray, cell: FloatArray, plane: str, height: float) -> "tuple[AxesImage, Patch]":
    """Numbers or colours, shape (m, n) or (m, n, 3), on the plane of the cell at this scaled height; its border."""
    from matplotlib.patches import Polygon
    from matplotlib.transforms import Affine2D

    right, up, across = axes_of(plane)
    view = view_of_plane(plane, cell)
    corner = view[:2] @ (cell[across] * height)
    to_right, upwards = view[:2] @ cell[right], view[:2] @ cell[up]
    sides = np.linalg.norm(cell[[right, up]], axis=1)
    half_voxels = 0.5 * sides / pixels.shape[:2]
    # One more node each way, so that the cell is covered from border to border.
    image = axes.imshow(
        np.pad(pixels, [(0, 1), (0, 1), (0, 0)][: pixels.ndim], mode="wrap").swapaxes(0, 1),
        origin="lower",
        interpolation="nearest",
        extent=(-half_voxels[0], sides[0] + half_voxels[0], -half_voxels[1], sides[1] + half_voxels[1]),
    )
    skew = np.eye(3)
    skew[:2] = np.column_stack([to_right / sides[0], upwards / sides[1], corner])
    image.set_transform(Affine2D(skew) + axes.transData)
    border = corner + np.array([np.zeros(2), to_right, to_right + upwards, upwards])
    outline = Polygon(border, closed=True, facecolor="none", edgecolor=FAINT, linewidth=0.8, zorder=3)
    axes.add_patch(outline)
    outline.set_clip_on(False)
    image.set_clip_path(outline)
    frame_axes(axes, plane, cell, view)
    return image, outline


def _atoms_near(atom_positions: FloatArray, cell: FloatArray, plane: str, height: float) -> FloatArray:
    """Atoms and images, shape (n, 3), Å, within reach of the plane at this scaled height, inside its border."""
    across = axes_of(plane)[2]
    inverse = np.linalg.inv(cell)
    scaled = atom_positions @ inverse
    above = (scaled[:, across] - height + 0.5) % 1.0 - 0.5
    scaled = scaled[np.abs(above) <= NEAR * np.linalg.norm(inverse[:, across])]
    margins = np.broadcast_to(MARK * np.linalg.norm(inverse, axis=0), scaled.shape)
    # Wrapped in the plane, but across it next to the plane, be that beyond the border.
    scaled[:, across] += np.round(height - scaled[:, across])
    images, owners = images_in_plane(scaled, plane, margins)
    images[:, across] = scaled[owners, across]
    positions: FloatArray = images @ cell
    return positions


def _mark_atoms(axes: "Axes", marks: FloatArray, border: "Patch") -> None:
    from matplotlib.collections import EllipseCollection

    size = np.full(len(marks), 2.0 * MARK)
    for colour, width in (("white", 1.8), (INK, 0.8)):  # a dark line on a white one shows on every colour
        circles = EllipseCollection(
            size,
            size,
            np.zeros(len(marks)),
            units="xy",
            offsets=marks,
            offset_transform=axes.transData,
            facecolors="none",
            edgecolors=colour,
            linewidths=width,
            zorder=2,
        )
        axes.add_collection(circles)
        circles.set_clip_path(border)
