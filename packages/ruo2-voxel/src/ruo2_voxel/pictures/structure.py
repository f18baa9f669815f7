"""Atoms as spheres, projected on a plane of the cell; what lies farther off is paler."""

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from ruo2_voxel.pictures.colours import FAINT, INK, blend, colour_of
from ruo2_voxel.pictures.views import checked_cell, edges_of, frame_axes, images_in_plane, outline_of, view_of_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import EllipseCollection

RADIUS_SCALE = 0.75  # of the covalent radii: bonds and the atoms behind them stay visible
PALEST = 0.65  # share of white in the farthest atom


def draw_structure(axes: "Axes", atoms: Atoms, plane: str = "xz") -> "EllipseCollection":
    """Atoms of a periodic cell, to scale, cut at its border; images reach in from the other side.

    Parameters
    ----------
    axes
        Where to draw; its coordinates become those of `draw_slice` in the same plane, Å.
    atoms
        Any cell with a volume, taken as periodic in all three directions.
    plane
        "xz", "yz" or "xy": the first axis to the right, the second up; seen from the front, the right, or above.

    Returns
    -------
    spheres
        Two ellipses for each atom or image, from the farthest to the nearest: its disc, and the light on it.

    Raises
    ------
    StructureError
        A cell without volume.
    """
    from matplotlib.collections import EllipseCollection, LineCollection
    from matplotlib.patches import Polygon

    cell = checked_cell(atoms.cell)
    view = view_of_plane(plane, cell)
    inverse = np.linalg.inv(cell)
    radii = RADIUS_SCALE * covalent_radii[atoms.numbers]
    images, owners = images_in_plane(atoms.positions @ inverse, plane, radii[:, None] * np.linalg.norm(inverse, axis=0))
    seen = images @ cell @ view.T
    from_far = np.argsort(np.round(seen[:, 2], 6), kind="stable")
    seen, owners = seen[from_far], owners[from_far]
    depths = edges_of(cell).reshape(-1, 3) @ view[2]
    paleness = PALEST * ((depths.max() - seen[:, 2]) / np.ptp(depths)).clip(0.0, 1.0)[:, None]
    colours = np.array([colour_of(chemical_symbols[number]) for number in atoms.numbers]).reshape(-1, 3)[owners]
    discs = blend(colours, 1.0, paleness)
    rims = blend(blend(colours, 0.0, 0.6), 1.0, paleness)
    lights = blend(discs, 1.0, 0.45)
    size = radii[owners]
    diameters = np.column_stack([2.0 * size, 0.7 * size]).ravel()
    spheres = EllipseCollection(
        diameters,
        diameters,
        np.zeros(len(diameters)),
        units="xy",
        offsets=np.stack([seen[:, :2], seen[:, :2] + size[:, None] * np.array([-0.32, 0.34])], axis=1).reshape(-1, 2),
        offset_transform=axes.transData,
        facecolors=np.stack([discs, lights], axis=1).reshape(-1, 3),
        edgecolors=np.stack([rims, lights], axis=1).reshape(-1, 3),
        linewidths=np.tile([0.6, 0.0], len(owners)),
        zorder=2,
    )
    border = Polygon(outline_of(cell, view), closed=True, facecolor="none", edgecolor=FAINT, linewidth=0.8, zorder=3)
    axes.add_patch(border)
    border.set_clip_on(False)
    edges = edges_of(cell).reshape(-1, 2, 3) @ view[:2].T
    axes.add_collection(LineCollection(list(edges), colors=INK, linewidths=0.3, alpha=0.5, zorder=1, clip_on=False))
    axes.add_collection(spheres)
    spheres.set_clip_path(border)
    frame_axes(axes, plane, cell, view)
    return spheres
