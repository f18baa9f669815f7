"""Sheets of slices: those of one structure in order, or those of a store at random (thesis, figs. 3.7 and 3.8)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel.pictures.colours import INK
from ruo2_voxel.pictures.layout import (
    ABOVE,
    BELOW,
    BESIDE,
    EDGE,
    GAP,
    HEADER,
    LARGEST_SCALE,
    SMALLEST_SCALE,
    TALLEST,
    WIDTH,
    Box,
)
from ruo2_voxel.pictures.page import Page, name_elements, name_lengths
from ruo2_voxel.pictures.slices import draw_overlay
from ruo2_voxel.pictures.views import (
    axes_of,
    checked_cell,
    checked_density,
    is_upright,
    name_place,
    outline_of,
    view_of_plane,
)
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, ROWS = 8, 3
CAPTION = 0.68  # below a slice of a store: three lines
SHEET_PLANES = ("xz", "yz")


def draw_structure_sheet(
    density: FloatArray, cell: FloatArray, species: Sequence[str], title: str | None = None
) -> "Figure":
    """A page with a row of xz- and a row of yz-planes of a density, all to one scale, all channels in each.

    Parameters
    ----------
    density
        Shape (species, nx, ny, nz), from 0 to 1.
    cell
        Cell vectors in rows, Å.
    species
        Element symbols in the order of the channels; "*" for all others.
    title
        Above the page, before the lattice lengths.

    Returns
    -------
    figure
        Ten inches wide: up to eight planes of each kind, at equal distances from the first.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    GridError
        A density that is no such array.
    StructureError
        A cell without volume.
    """
    density, cell = checked_density(density, species), checked_cell(cell)
    sizes = {plane: np.ptp(outline_of(cell, view_of_plane(plane, cell)), axis=0) for plane in SHEET_PLANES}
    widest, tallest = max(size[0] for size in sizes.values()), float(sum(size[1] for size in sizes.values()))
    beside = EDGE + HEADER + 2 * (ABOVE + BELOW) + EDGE
    column = (WIDTH - 2 * EDGE - BESIDE + GAP) / COLUMNS
    scale = _scale(column - GAP, widest, TALLEST - beside, tallest)
    page = Page(beside + scale * tallest)
    top, upright = EDGE + HEADER + ABOVE, is_upright(cell)
    for plane, (wide, tall) in sizes.items():
        across = axes_of(plane)[2]
        n = density.shape[1 + across]
        shown = min(n, COLUMNS)
        for place, position in enumerate(np.arange(shown) * n // shown):
            box = Box(EDGE + BESIDE + place * column, top, scale * float(wide), scale * float(tall))
            axes = page.add_axes(box)
            draw_overlay(axes, density, cell, species, plane, int(position))
            words = name_place(plane, int(position), density.shape[1:], cell) if upright else f"voxel {position}"
            axes.set_title(words, fontsize=7.5, color=INK, pad=6.5)  # clear of a tick label at the top
            _quieten(axes, first=place == 0)
            if place == 0:
                page.write_heading(
                    box, f"{plane}-planes" if upright else f"{plane}-planes, at voxels along {'abc'[across]}"
                )
        top += scale * float(tall) + BELOW + ABOVE
    lengths = name_lengths(cell)
    page.write_header(f"{title}, {lengths}" if title else lengths, name_elements(species))
    return page.figure


def draw_slice_sheet(
    slices: FloatArray,
    lattice_lengths: FloatArray,
    planes: Sequence[str],
    captions: Sequence[str],
    species: Sequence[str],
    title: str,
) -> "Figure":
    """A page with slices of a store, all to one scale, all channels in each, and words below each.

    Parameters
    ----------
    slices
        Shape (slices, species, m, nz), from 0 to 1; up to 24 of them.
    lattice_lengths
        Shape (slices, 2), Å.
    planes
        "xz" or "yz" of each.
    captions
        Of each; its lattice lengths are added.
    species
        Element symbols in the order of the channels; "*" for all others.
    title
        Above the page.

    Returns
    -------
    figure
        Ten inches wide: rows of eight, on a common ground line.
    """
    n_rows = -(-len(slices) // COLUMNS)
    heights = [float(lattice_lengths[row * COLUMNS : (row + 1) * COLUMNS, 1].max()) for row in range(n_rows)]
    column = (WIDTH - 2 * EDGE + GAP) / COLUMNS
    beside = EDGE + HEADER + 0.1 + n_rows * CAPTION + EDGE
    scale = _scale(column - GAP, float(lattice_lengths[:, 0].max()), TALLEST - beside, sum(heights))
    page = Page(beside + scale * sum(heights))
    ground = EDGE + HEADER + 0.1
    for row, height in enumerate(heights):
        ground += scale * height
        for place in range(row * COLUMNS, min((row + 1) * COLUMNS, len(slices))):
            wide, tall = (float(length) for length in lattice_lengths[place])
            middle = EDGE + (place % COLUMNS) * column + 0.5 * (column - GAP)
            axes = page.add_axes(Box(middle - 0.5 * scale * wide, ground - scale * tall, scale * wide, scale * tall))
            # A structure that is one voxel thick, where the slice was cut.
            across = axes_of(planes[place])[2]
            cell = np.diag(np.insert([wide, tall], across, 1.0))
            draw_overlay(axes, np.expand_dims(slices[place], 1 + across), cell, species, planes[place], 0)
            axes.set_axis_off()
            caption = f"{captions[place]}\n{wide:.2f} x {tall:.2f} Å"
            page.write(middle, ground + 0.05, caption, fontsize=7.5, ha="center", linespacing=1.3)
        ground += CAPTION
    page.write_header(title, name_elements(species))
    return page.figure


def _scale(width: float, widest: float, height: float, tallest: float) -> float:
    """Inches to an Å by which both fit."""
    return min(max(min(width / widest, height / tallest), SMALLEST_SCALE), LARGEST_SCALE)


def _quieten(axes: "Axes", first: bool) -> None:
    """Small names of the axes; of the second one only at the first picture of a row."""
    axes.tick_params(labelsize=7.5, labelleft=first)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    axes.xaxis.labelpad, axes.yaxis.labelpad = 1.0, 3.0
    if not first:
        axes.set_ylabel("")
