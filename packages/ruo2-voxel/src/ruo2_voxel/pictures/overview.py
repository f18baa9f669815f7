"""One page on one structure: atoms and densities in three planes, surfaces in space, its place in the data set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from ruo2_voxel.density.grid import CATCH_ALL
from ruo2_voxel.errors import GridError, StructureError
from ruo2_voxel.pictures.colours import INK, colour_of
from ruo2_voxel.pictures.figure import new_figure
from ruo2_voxel.pictures.histogram import draw_energy_histogram
from ruo2_voxel.pictures.isosurface import draw_isosurface
from ruo2_voxel.pictures.layout import EDGE, WIDTH, Box, find_layout
from ruo2_voxel.pictures.slices import draw_slice, find_densest_planes
from ruo2_voxel.pictures.structure import draw_structure
from ruo2_voxel.pictures.views import axes_of, checked_cell
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_overview(
    density: FloatArray,
    atoms: Atoms,
    grid_species: Sequence[str],
    energies: FloatArray | Sequence[float] | None = None,
    edges: FloatArray | Sequence[float] | None = None,
    marked_energy: float | None = None,
    title: str | None = None,
    positions: tuple[int, int, int] | None = None,
    level: float = 0.5,
    energy_label: str = "energy (eV/atom)",
) -> "Figure":
    """A page with a structure, slices of its density beside it to the same scale, isosurfaces, and an energy histogram.

    Parameters
    ----------
    density
        Shape (species, nx, ny, nz), from 0 to 1.
    atoms
        The structure it was made from; any cell with a volume.
    grid_species
        Element symbols in the order of the channels; "*" for all others.
    energies, edges, marked_energy, energy_label
        As for `draw_energy_histogram`: of the data set, of its classes, of this structure.
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
    density = np.asarray(density)
    if density.ndim != 4 or len(density) != len(grid_species) or density.size == 0:
        names = ",".join(grid_species)
        raise GridError(f"density must have the shape (species, nx, ny, nz) with species {names}, got {density.shape}")
    if not np.isfinite(density).all():
        raise GridError("density must be finite, got NaN or infinite values")
    if not np.isfinite(atoms.positions).all():
        raise StructureError("positions must be finite, got NaN or infinite ones")
    cell = checked_cell(atoms.cell)
    shown = find_densest_planes(density) if positions is None else positions
    layout = find_layout(cell, 1 + len(grid_species))
    figure = new_figure(WIDTH, layout.height)

    def add_axes(box: Box) -> "Axes":
        bottom = layout.height - box.top - box.height
        axes = figure.add_axes(
            (box.left / WIDTH, bottom / layout.height, box.width / WIDTH, box.height / layout.height)
        )
        axes.tick_params(labelsize=8)
        return axes

    for plane, boxes in layout.planes.items():
        panels = [add_axes(box) for box in boxes]
        position = shown[axes_of(plane)[2]]
        _draw_plane(panels, density, atoms, grid_species, plane, position)
        _write_heading(figure, boxes, layout.height, _name_plane(plane, position, density.shape[1:], cell))
    space = add_axes(layout.space)
    draw_isosurface(space, density, cell, grid_species, level)
    _write_heading(figure, [layout.space], layout.height, f"Surfaces of density {level:g}")
    histogram = add_axes(layout.histogram)
    draw_energy_histogram(histogram, energies, edges, marked_energy, energy_label)
    for text in (histogram.xaxis.label, histogram.yaxis.label):
        text.set_fontsize(8.5)
    _write_header(figure, layout.height, atoms, grid_species, title)
    return figure


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


def _name_plane(plane: str, position: int, shape: tuple[int, ...], cell: FloatArray) -> str:
    across = axes_of(plane)[2]
    if np.abs(cell - np.diag(np.diag(cell))).max() < 1e-9:
        return f"{plane}-plane at {'xyz'[across]} = {position / shape[across] * cell[across, across]:.2f} Å"
    return f"{plane}-plane {position} of {shape[across]} along {'abc'[across]}"


def _write_heading(figure: "Figure", boxes: list[Box], page_height: float, text: str) -> None:
    left, top = boxes[0].left, boxes[0].top - 0.28
    figure.text(left / WIDTH, 1.0 - top / page_height, text, fontsize=9, fontweight="bold", color=INK, va="bottom")


def _write_header(
    figure: "Figure", page_height: float, atoms: Atoms, species: Sequence[str], title: str | None
) -> None:
    """The title, and the colour of each element and channel."""
    from matplotlib.lines import Line2D

    if title is None:
        lengths = " x ".join(f"{length:.2f}" for length in atoms.cell.lengths())
        title = f"{atoms.get_chemical_formula(mode='metal')}, {lengths} Å"
    top = 1.0 - EDGE / page_height
    figure.text(EDGE / WIDTH, top, title, fontsize=11, fontweight="bold", color=INK, va="top")
    names = {chemical_symbols[number]: f"{chemical_symbols[number]} ({count})" for number, count in _count(atoms)}
    names |= {symbol: symbol for symbol in species if symbol not in names and symbol != CATCH_ALL}
    names |= {CATCH_ALL: "others"} if CATCH_ALL in species else {}
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=8, color=tuple(colour_of(symbol)), label=name)
        for symbol, name in names.items()
    ]
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1.0 - EDGE / WIDTH, 1.0 - 0.6 * EDGE / page_height),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0.0,
    )


def _count(atoms: Atoms) -> list[tuple[int, int]]:
    """Atomic numbers, the heaviest first, and how many atoms have each."""
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return [(int(number), int(count)) for number, count in zip(numbers[::-1], counts[::-1], strict=True)]
