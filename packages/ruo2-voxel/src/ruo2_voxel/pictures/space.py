"""The view in space alone: the densities of a structure as surfaces in its cell (thesis, fig. 3.9)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel.pictures.isosurface import ELEVATION, azimuth_before, draw_isosurface
from ruo2_voxel.pictures.layout import EDGE, HEADER, TALLEST, WIDTH, Box
from ruo2_voxel.pictures.page import Page, name_elements, name_lengths
from ruo2_voxel.pictures.views import checked_cell, checked_density, outline_of, view_from
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BESIDE, BELOW = 0.5, 0.35  # inches around the cell, for its lengths
NARROWEST = 5.5  # page
FINENESS = 2.0  # of the surfaces, beside those of a small picture


def draw_space(
    density: FloatArray, cell: FloatArray, species: Sequence[str], level: float = 0.5, title: str | None = None
) -> "Figure":
    """A page with the isosurfaces of all channels, as large as it can be.

    Parameters
    ----------
    density
        Shape (species, nx, ny, nz), from 0 to 1.
    cell
        Cell vectors in rows, Å.
    species
        Element symbols in the order of the channels; "*" for all others.
    level
        Density on the surfaces.
    title
        Above the page; the lattice lengths if None.

    Returns
    -------
    figure
        As wide as the view of the cell, from 5.5 to 10 inches.

    Raises
    ------
    MissingExtraError
        matplotlib or scikit-image is not installed.
    GridError
        A density that is no such array.
    StructureError
        A cell without volume.
    """
    density, cell = checked_density(density, species), checked_cell(cell)
    wide, tall = np.ptp(outline_of(cell, view_from(azimuth_before(cell), ELEVATION)), axis=0)
    top = EDGE + HEADER + 0.3
    scale = min((WIDTH - 2 * (EDGE + BESIDE)) / wide, (TALLEST - top - BELOW - EDGE) / tall)  # inches to an Å
    width = max(float(wide * scale) + 2 * (EDGE + BESIDE), NARROWEST)
    page = Page(top + float(tall * scale) + BELOW + EDGE, width)
    draw_isosurface(
        page.add_axes(Box(EDGE + BESIDE, top, width - 2 * (EDGE + BESIDE), float(tall * scale))),
        density,
        cell,
        species,
        level,
        fineness=FINENESS,
    )
    page.write(EDGE, EDGE + HEADER, f"surfaces of density {level:g}")
    page.write_header(title or name_lengths(cell), name_elements(species))
    return page.figure
