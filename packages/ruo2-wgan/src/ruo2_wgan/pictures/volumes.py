"""A sheet of structures: surfaces in space, and densities seen along y and x (thesis, figs. 4.31 to 4.34)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel import draw_isosurface, mix_inks
from ruo2_wgan.pictures.sheet import EDGE, FAINT, HEADER, WIDTH, Box, FloatArray, Sheet
from ruo2_wgan.pictures.slices import check_sheet, name_lengths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_VOLUMES = 8
LEVEL = 0.5

# Inches.
LEGEND = 0.22  # what the pictures of each structure are
CLOSE, APART = 0.06, 0.22
CAPTION = 0.22
TALLEST = 2.6
FINENESS = 0.7  # of surfaces, beside those of a larger picture


def draw_volumes(
    density: FloatArray,
    species: Sequence[str],
    lattice: FloatArray,
    title: str = "",
    *,
    captions: Sequence[str] | None = None,
    columns: int = 4,
) -> "Figure":
    """The first eight structures, all to one scale: in space, from the side and from the front, and one slice.

    Parameters
    ----------
    density
        Shape (n, species, x, y, z), in [0, 1].
    species
        Element symbols in the order of the channels; "*" for all others.
    lattice
        Å, shape (n, 3).
    title
        Above the sheet.
    captions
        Below each structure; its lattice lengths if None.
    columns
        Structures in a row.

    Returns
    -------
    figure
        Ten inches wide. Of each structure: surfaces of density 0.5; the highest density along y, and along x; the
        xz-plane of `find_fullest`.

    Raises
    ------
    DataError
        No structures, arguments that do not fit each other, or no column.
    MissingExtraError
        scikit-image is not installed.
    """
    n_axes = 3
    check_sheet(density, species, lattice, captions, n_axes)
    words = captions if captions is not None else [name_lengths(lengths) for lengths in lattice]
    density = np.nan_to_num(np.clip(density[:N_VOLUMES], 0.0, 1.0))
    lattice = np.asarray(lattice[:N_VOLUMES], dtype=float)
    columns = max(1, min(columns, len(density)))
    n_rows = -(-len(density) // columns)

    # Of a cell seen from before an edge: its diagonal is the widest that it can be, and its height that of its sides.
    x, y, z = lattice.max(axis=0)
    space = float(np.hypot(x, y))
    cell = (WIDTH - 2 * EDGE + APART) / columns
    scale = min((cell - APART - 3 * CLOSE) / (space + 2 * x + y), TALLEST / (z + 0.3 * space))  # inches to an Å
    height = scale * float(z + 0.3 * space)
    top = EDGE + HEADER + LEGEND
    sheet = Sheet(top + n_rows * (height + CAPTION) + EDGE)
    sheet.write(
        EDGE,
        EDGE + HEADER - 0.1,
        f"of each: surfaces of density {LEVEL:g}; the highest density along y, and along x; the fullest xz-plane",
        fontsize=8,
        color=FAINT,
    )
    for number, (row, lengths) in enumerate(zip(density, lattice, strict=True)):
        left = EDGE + (number % columns) * cell
        ground = top + (number // columns) * (height + CAPTION) + height
        axes = sheet.add_axes(Box(left, ground - height, scale * space, height))
        draw_isosurface(axes, row, np.diag(lengths), species, LEVEL, fineness=FINENESS)
        # From the bottom of the cell, in the sheet's scale rather than as large as it would fit.
        (begin, end), bottom = axes.get_xlim(), axes.get_ylim()[0]
        middle = 0.5 * (begin + end)
        axes.set(xlim=(middle - 0.5 * space, middle + 0.5 * space), ylim=(bottom, bottom + height / scale))
        for label in list(axes.texts):  # lattice lengths, which stand in the caption, and would not fit here
            label.remove()
        wide, deep, tall = scale * lengths
        at = left + scale * space + CLOSE
        for plane, side in ((row.max(axis=2), wide), (row.max(axis=1), deep), (row[:, :, find_fullest(row)], wide)):
            sheet.add_picture(mix_inks(plane, species), Box(at, ground - tall, side, tall))
            at += side + CLOSE
        sheet.write(0.5 * (left + at - CLOSE), ground + 0.05, words[number], ha="center")
    sheet.write_header(title, species)
    return sheet.figure


def find_fullest(density: FloatArray) -> int:
    """Position along y of the xz-plane that shows most of every channel; density has the shape (species, x, y, z)."""
    held = density.sum(axis=(1, 3), dtype=np.float64)
    shares = held / np.maximum(held.sum(axis=1, keepdims=True), 1e-30)
    # Roots, or a plane full of one species would beat one with some of each.
    return int(np.sqrt(shares).sum(axis=0).round(6).argmax())
