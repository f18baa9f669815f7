"""One page on one structure: atoms and densities in three planes, surfaces in space, its place in the data set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ruo2_voxel.density.grid import CATCH_ALL
from ruo2_voxel.errors import StructureError
from ruo2_voxel.pictures.colours import INK
from ruo2_voxel.pictures.histogram import draw_histogram
from ruo2_voxel.pictures.isosurface import draw_isosurface
from ruo2_voxel.pictures.layout import find_layout
from ruo2_voxel.pictures.page import Page, name_elements, name_lengths
from ruo2_voxel.pictures.slices import draw_slice, find_densest_planes
from ruo2_voxel.pictures.structure import draw_structure
from ruo2_voxel.pictures.views import axes_of, checked_cell, checked_density, name_place
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_overview(
    density: FloatArray,
    atoms: Atoms,
    grid_species: Sequence[str],
    values: FloatArray | Sequence[float] | None = None,
    edges: FloatArray | Sequence[float] | None = None,
    marked: float | None = None,
    title: str | None = None,
    positions: tuple[int, int, int] | None = None,
    level: float = 0.5,
    values_name: str = "energy (eV/atom)",
) -> "Figure":
    """A page with a structure, slices of its density beside it to the same scale, isosurfaces, and a histogram.

    Parameters
    ----------
    density
        Shape (species, nx, ny, nz), from 0 to 1.
    atoms
        The structure it was made from; any cell with a volume.
    grid_species
        Element symbols in the order of the channels; "*" for all others.
    values, edges, marked, values_name
        As for `draw_histogram`: of the data set, of its classes, of this structure.
    title
        Above the page; the formula and the lattice lengths if None.
    positions
        Which yz-, xz- and xy-plane to show, counted in voxels along x, y and z; the densest ones if None.
    level
        Density on the isosurfaces.

    Returns
    -------
    figure
        Ten inches wide, 1600 pixels as a PNG.

    Raises
    ------
    MissingExtraError
        matplotlib or scikit-image is not installed.
    GridError
        A density that is no such array, or planes outside it.
    StructureError
        A cell without volume, or positions that are not finite.
    """
    density = checked_density(density, grid_species)
    if not np.isfinite(atoms.positions).all():
        raise StructureError("positions must be finite, got NaN or infinite ones")
    cell = checked_cell(atoms.cell)
    shown = find_densest_planes(density) if positions is None else positions
    layout = find_layout(cell, 1 + len(grid_species))
    page = Page(layout.height)
    for plane, boxes in layout.planes.items():
        panels = [page.add_axes(box) for box in boxes]
        position = shown[axes_of(plane)[2]]
        _draw_plane(panels, density, atoms, grid_species, plane, position)
        place = name_place(plane, position, density.shape[1:], cell)
        page.write_heading(boxes[0], f"{plane}-plane at {place}")
    draw_isosurface(page.add_axes(layout.space), density, cell, grid_species, level)
    page.write_heading(layout.space, f"Surfaces of density {level:g}")
    histogram = page.add_axes(layout.histogram)
    draw_histogram(histogram, values, edges, marked, values_name)
    for text in (histogram.xaxis.label, histogram.yaxis.label):
        text.set_fontsize(8.5)
    if title is None:
        title = f"{atoms.get_chemical_formula(mode='metal')}, {name_lengths(cell)}"
    page.write_header(title, name_elements(grid_species, atoms))
    return page.figure


def _draw_plane(
    panels: "list[Axes]", density: FloatArray, atoms: Atoms, species: Sequence[str], plane: str, position: int
) -> None:
    """The atoms, then each channel; the names of the axes only where they are needed."""
    draw_structure(panels[0], atoms, plane)
    panels[0].set_title("atoms", fontsize=9, color=INK, pad=4)
    for axes, symbol, channel in zip(panels[1:], species, density, strict=True):
        draw_slice(axes, channel, atoms.cell, symbol, plane, position, _positions_in(symbol, atoms, species))
        axes.set_title("others" if symbol == CATCH_ALL else symbol, fontsize=9, color=INK, pad=4)
    for axes in panels:
        axes.xaxis.label.set_fontsize(8.5)
        axes.yaxis.label.set_fontsize(8.5)
        axes.xaxis.labelpad, axes.yaxis.labelpad = 1.0, 3.0
    for axes in panels[1:]:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)


def _positions_in(symbol: str, atoms: Atoms, species: Sequence[str]) -> FloatArray:
    """Of the atoms that one channel shows, Å."""
    named = [atomic_numbers[name] for name in species if name != CATCH_ALL]
    mine = ~np.isin(atoms.numbers, named) if symbol == CATCH_ALL else atoms.numbers == atomic_numbers[symbol]
    positions: FloatArray = atoms.positions[mine]
    return positions
