"""Where a density equals a level, in space: a closed surface for each channel, seen from a corner of the cell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel.errors import GridError, MissingExtraError
from ruo2_voxel.pictures.colours import FAINT, INK, blend, colour_of
from ruo2_voxel.pictures.views import checked_cell, corners_of, edges_of, is_upright, view_from
from ruo2_voxel.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

ELEVATION = 18.0  # of the viewer above the xy-plane, degrees
FINE, FINE_SHARE = 0.2, 1 / 120  # between interpolated nodes: Å, or part of the longest cell vector if that is less
MOST_FACES = 200_000  # in one picture, about: interpolate less where there would be more
LIGHT = np.array([-0.45, 0.55, 0.70])  # right, up, towards the viewer


def find_isosurface(
    channel: FloatArray, cell: FloatArray, level: float = 0.5, refinement: tuple[int, int, int] = (1, 1, 1)
) -> tuple[FloatArray, IntArray]:
    """The surface on which a density equals `level`, closed by flat lids where it meets the border of the cell.

    Parameters
    ----------
    channel
        Shape (nx, ny, nz), periodic; node (0, 0, 0) lies on the corner of the cell.
    cell
        Cell vectors in rows, Å.
    level
        Density on the surface.
    refinement
        Nodes to interpolate, along each axis, for one node of the grid.

    Returns
    -------
    vertices, faces
        Positions, shape (vertices, 3), Å, and the three vertices of each triangle, shape (faces, 3), counter-clockwise
        seen from outside. Both empty where the density is below the level everywhere.

    Raises
    ------
    MissingExtraError
        scikit-image is not installed.

    Notes
    -----
    Marching cubes (doi:10.1080/10867651.2003.10487582) on the periodic cubic spline through the nodes.
    """
    try:
        from skimage.measure import marching_cubes
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "skimage":
            raise
        raise MissingExtraError("the isosurface view", "pictures") from error

    cell = checked_cell(cell)
    values = np.asarray(channel, dtype=np.float32)
    for axis, times in enumerate(refinement):
        values = _refine(values, axis, times)
    if not (values > level).any():
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    sides = values.shape
    # From border to border, and a layer of nothing beyond, which the clipping below makes into flat lids.
    values = np.pad(np.pad(values, (0, 1), mode="wrap"), 1, constant_values=level - 1.0)
    vertices, faces, _, _ = marching_cubes(values, level, allow_degenerate=False)
    scaled = ((vertices - 1.0) / sides).clip(0.0, 1.0)
    if np.linalg.det(cell) > 0.0:  # scikit-image turns its triangles clockwise
        faces = faces[:, ::-1]
    return scaled @ cell, faces.astype(np.int64)


def draw_isosurface(
    axes: "Axes",
    density: FloatArray,
    cell: FloatArray,
    species: Sequence[str],
    level: float = 0.5,
    azimuth: float | None = None,
    elevation: float = ELEVATION,
    fineness: float = 1.0,
) -> "PolyCollection":
    """The isosurfaces of all channels, each in its colour, in the cell; orthographic, true to Å in every direction.

    Parameters
    ----------
    axes
        Where to draw: ordinary axes, in Å on paper.
    density
        Shape (species, nx, ny, nz).
    cell
        Cell vectors in rows, Å.
    species
        Element symbols in the order of the channels; "*" for all others.
    level
        Density on the surfaces; channels that do not reach it are named in the picture.
    azimuth, elevation
        Where the viewer stands, degrees from x and above the xy-plane; before the edge between a and -b if None.

    fineness
        Of the triangles: 2 halves their sides, for a large picture.

    Raises
    ------
    MissingExtraError
        scikit-image is not installed.
    GridError
        Not one symbol for each channel.
    StructureError
        A cell without volume.
    """
    from matplotlib.collections import PolyCollection

    cell = checked_cell(cell)
    if density.ndim != 4 or len(species) != len(density):
        raise GridError(f"density must have a channel for each of {','.join(species)}, got shape {density.shape}")
    view = view_from(azimuth_before(cell) if azimuth is None else azimuth, elevation)
    surfaces = _find_surfaces(density, cell, level, fineness)
    triangles = np.concatenate([vertices[faces] for vertices, faces in surfaces])
    channels = np.repeat(np.arange(len(species)), [len(faces) for _, faces in surfaces])
    colours = np.array([colour_of(symbol) for symbol in species])[channels]

    seen = triangles @ view.T
    normals = np.cross(seen[:, 1] - seen[:, 0], seen[:, 2] - seen[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    front = np.flatnonzero(normals[:, 2] > 0.0)
    front = front[np.argsort(seen[front, :, 2].mean(axis=1), kind="stable")]
    depths = corners_of(cell) @ view[2]
    farness = (depths.max() - seen[front, :, 2].mean(axis=1)) / np.ptp(depths)
    shades = _shade(colours[front], normals[front], farness)
    collection = PolyCollection(
        seen[front, :, :2],  # type: ignore[arg-type]  # one array is taken over far faster than a list of triangles
        facecolors=shades,
        edgecolors=shades,  # hairlines close the seams between triangles
        linewidths=0.25,
        zorder=2,
    )
    collection.set_rasterized(True)  # in PDF and SVG: the rest stays lines and letters
    axes.add_collection(collection)
    _draw_cell(axes, cell, view)
    missing = [symbol for symbol, (_, faces) in zip(species, surfaces, strict=True) if len(faces) == 0]
    if missing:
        note = f"{', '.join(missing)}: below {level:g} everywhere"
        axes.annotate(
            note,
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(0, 4),
            textcoords="offset points",
            fontsize=7.5,
            color=FAINT,
        )
    return collection


def azimuth_before(cell: FloatArray) -> float:
    """Degrees from x at which the viewer stands before the edge between a and -b, a little to its right."""
    between = cell[0] / np.linalg.norm(cell[0]) - cell[1] / np.linalg.norm(cell[1])
    return float(np.degrees(np.arctan2(between[1], between[0]))) - 15.0


def _refine(values: FloatArray, axis: int, times: int) -> FloatArray:
    """The periodic cubic spline through the nodes along one axis, at `times` as many nodes."""
    n = values.shape[axis]
    if times == 1:
        return values
    nodes = np.arange(n)
    knots = np.zeros((n, n))
    for step, weight in zip((-1, 0, 1), (1 / 6, 4 / 6, 1 / 6), strict=True):
        np.add.at(knots, (nodes, (nodes + step) % n), weight)
    fine, part = np.divmod(np.arange(n * times), times)
    t = part / times
    pieces = ((1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3)
    spline = np.zeros((n * times, n))
    for step, piece in zip((-1, 0, 1, 2), pieces, strict=True):
        np.add.at(spline, (np.arange(n * times), (fine + step) % n), piece / 6)
    matrix = np.linalg.solve(knots.T, spline.T).T.astype(values.dtype)
    refined: FloatArray = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return refined


def _find_surfaces(
    density: FloatArray, cell: FloatArray, level: float, fineness: float
) -> list[tuple[FloatArray, IntArray]]:
    """Interpolated until Gaussians look round, or until there are about MOST_FACES."""
    surfaces = [find_isosurface(channel, cell, level) for channel in density]
    n_faces = sum(len(faces) for _, faces in surfaces)
    lengths = np.linalg.norm(cell, axis=1)
    spacing = min(FINE, FINE_SHARE * lengths.max()) / fineness
    wanted = np.maximum(lengths / density.shape[1:] / spacing, 1.0)
    affordable = np.sqrt(MOST_FACES / max(n_faces, 1)) / np.cbrt(wanted.prod())
    x, y, z = (max(1, round(times * min(1.0, affordable))) for times in wanted)
    if x == y == z == 1:
        return surfaces
    return [find_isosurface(channel, cell, level, (x, y, z)) for channel in density]


def _shade(colours: FloatArray, normals: FloatArray, farness: FloatArray) -> FloatArray:
    """Colours (faces, 3) lit from the upper left, with a soft gleam, paler far off."""
    light = LIGHT / np.linalg.norm(LIGHT)
    half_way = light + np.array([0.0, 0.0, 1.0])
    half_way /= np.linalg.norm(half_way)
    lit = (normals @ light).clip(0.0)[:, None]
    gleam = 0.35 * (normals @ half_way).clip(0.0)[:, None] ** 24
    return blend(blend(colours * (0.45 + 0.62 * lit), 1.0, gleam), 1.0, 0.35 * farness[:, None]).clip(0.0, 1.0)


def _draw_cell(axes: "Axes", cell: FloatArray, view: FloatArray) -> None:
    """The edges of the cell, the hidden ones behind what it holds, with their lengths; and limits around them."""
    from matplotlib.collections import LineCollection

    edges = edges_of(cell) @ view.T
    corners = corners_of(cell) @ view.T
    farthest = corners[corners[:, 2].argmin()]
    hidden = (np.abs(edges - farthest).max(axis=-1) < 1e-9).any(axis=-1)
    for which, order, width in ((hidden, 1, 0.5), (~hidden, 3, 0.8)):
        axes.add_collection(LineCollection(list(edges[which][:, :, :2]), colors=INK, linewidths=width, zorder=order))
    upright = is_upright(cell)
    centre = corners[:, :2].mean(axis=0)
    for vector in range(3):
        along = (view @ cell[vector])[:2]
        if np.linalg.norm(along) < 1e-6 * np.linalg.norm(cell):
            continue  # seen from its end
        along /= np.linalg.norm(along)
        outwards = np.array([-along[1], along[0]])
        # At the left of what rises, along it; below what does not, upright, and away from the middle.
        rises = bool(abs(along[1]) > abs(along[0]))
        outwards *= -np.sign(outwards[0 if rises else 1])
        middles = edges[vector, :, :, :2].mean(axis=1)
        middle = middles[((middles - centre) @ outwards).round(9).argmax()]
        axes.annotate(
            f"{('xyz' if upright else 'abc')[vector]} = {np.linalg.norm(cell[vector]):.2f} Å",
            middle,
            xytext=tuple((8.0 if rises else 4.0) * outwards),
            textcoords="offset points",
            ha="center" if rises else "right" if middle[0] < centre[0] else "left",
            va="center" if rises else "top",
            rotation=(np.degrees(np.arctan2(along[1], along[0])) + 89.9) % 180.0 - 89.9 if rises else 0.0,
            rotation_mode="anchor",
            fontsize=7.5,
            color=INK,
        )
    (left, bottom), (right, top) = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_axis_off()
