"""A sheet of slices, each as large as its lattice lengths say (thesis, figs. 4.1 to 4.30)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ruo2_voxel import mix_inks
from ruo2_wgan.errors import DataError
from ruo2_wgan.pictures.sheet import EDGE, HEADER, WIDTH, Box, FloatArray, Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Channels = Literal["print", "apart", "both"]
CHANNELS: tuple[Channels, ...] = ("print", "apart", "both")

# Inches.
CLOSE, APART = 0.03, 0.14  # between pictures of one slice, and between slices
CAPTION, NAME = 0.17, 0.7  # below a slice, and at the left of a row
ROW_GAP = 0.05
TALLEST = 2.2  # slice
WIDEST = 1.6


def draw_slices(
    density: FloatArray,
    species: Sequence[str],
    lattice: FloatArray | None = None,
    title: str = "",
    *,
    columns: int = 8,
    captions: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    channels: Channels = "both",
) -> "Figure":
    """Slices in rows, z upwards, all to one scale.

    Parameters
    ----------
    density
        Shape (n, species, u, z), in [0, 1]; what lies outside is drawn as the nearest of both.
    species
        Element symbols in the order of the channels; "*" for all others.
    lattice
        Lengths along u and z, Å, shape (n, 2): predicted ones show in the shape of each slice (thesis, fig. 4.29).
        Square voxels if None.
    title
        Above the sheet.
    columns
        Slices in a row.
    captions
        Below each slice; its lattice lengths if None.
    row_names
        At the left of each row, as a class that all of its slices have (thesis, figs. 4.12 to 4.23).
    channels
        "print": all channels in one picture, as inks of one print; "apart": each on its own; "both": the print, and
        beside it each on its own.

    Returns
    -------
    figure
        Ten inches wide.

    Raises
    ------
    DataError
        No slices, or arguments that do not fit each other.
    """
    n_axes = 2
    check_sheet(density, species, lattice, captions, n_axes)
    n_rows = -(-len(density) // max(columns, 1))
    if columns < 1 or channels not in CHANNELS or (row_names is not None and len(row_names) != n_rows):
        raise DataError(
            f"a sheet must have one or more columns, a name for each row or none, and channels as one of "
            f"{', '.join(CHANNELS)}; found {columns} columns, {len(row_names or ())} names of {n_rows} rows, {channels}"
        )
    lengths = np.asarray(lattice if lattice is not None else np.tile(density.shape[2:], (len(density), 1)), dtype=float)
    pictures = _mix(density, species, channels)  # (n, pictures of a slice, u, z, 3)
    beside = pictures.shape[1]

    left = EDGE + (NAME if row_names is not None else 0.0)
    cell = (WIDTH - EDGE - left + APART) / columns
    room = (cell - APART - (beside - 1) * CLOSE) / beside
    scale = min(min(room, WIDEST) / lengths[:, 0].max(), TALLEST / lengths[:, 1].max())  # inches to an Å
    words = (
        captions if captions is not None else [name_lengths(each) for each in lengths] if lattice is not None else []
    )
    caption = CAPTION if any(words) else 0.0
    heights = [scale * lengths[row * columns : (row + 1) * columns, 1].max() for row in range(n_rows)]
    sheet = Sheet(EDGE + HEADER + sum(heights) + n_rows * (caption + ROW_GAP) + EDGE)

    ground = EDGE + HEADER
    for row, height in enumerate(heights):
        ground += height
        if row_names is not None:
            sheet.write(EDGE, ground - 0.5 * height, row_names[row], fontsize=8.5, va="center")
        for place in range(row * columns, min((row + 1) * columns, len(density))):
            wide, tall = scale * lengths[place]
            span = beside * wide + (beside - 1) * CLOSE
            begin = left + (place % columns) * cell + 0.5 * (cell - APART - span)
            for number, colours in enumerate(pictures[place]):
                sheet.add_picture(colours, Box(begin + number * (wide + CLOSE), ground - tall, wide, tall))
            if caption:
                sheet.write(begin + 0.5 * span, ground + 0.04, words[place], ha="center", fontsize=6.5)
        ground += caption + ROW_GAP
    sheet.write_header(title, species)
    return sheet.figure


def name_lengths(lengths: FloatArray) -> str:
    """6.3 x 20.9 Å."""
    return " x ".join(f"{length:.1f}" for length in lengths) + " Å"


def check_sheet(
    density: FloatArray,
    species: Sequence[str],
    lattice: FloatArray | None,
    captions: Sequence[str] | None,
    n_axes: int,
) -> None:
    """Densities of so many axes, and as many of all else.

    Raises
    ------
    DataError
        They do not fit each other, or lattice lengths are not above 0.
    """
    n = len(density)
    names = "x, y, z" if n_axes == 3 else "u, z"
    fits = density.ndim == 2 + n_axes and n > 0 and density.shape[1] == len(species)
    fits = fits and (lattice is None or np.shape(lattice) == (n, n_axes)) and (captions is None or len(captions) == n)
    if not fits:
        raise DataError(
            f"a sheet must have densities (n, species, {names}), n > 0, and as many "
            f"lattice lengths and captions; found densities {density.shape} of {','.join(species)}, "
            f"lattice lengths {np.shape(lattice) if lattice is not None else 'none'}, "
            f"captions {len(captions) if captions is not None else 'none'}"
        )
    if lattice is not None and not (np.asarray(lattice) > 0.0).all():
        raise DataError(f"lattice lengths must be above 0 Å; found {np.min(lattice):g}")


def _mix(density: FloatArray, species: Sequence[str], channels: Channels) -> FloatArray:
    """Colours of the pictures of each slice, shape (n, pictures, u, z, 3)."""
    values = np.nan_to_num(np.clip(density, 0.0, 1.0)).swapaxes(0, 1)
    pictures = [] if channels == "apart" else [mix_inks(values, species)]
    if channels == "apart" or (channels == "both" and len(species) > 1):
        pictures += [mix_inks(values[i : i + 1], species[i : i + 1]) for i in range(len(species))]
    return np.stack(pictures, axis=1)
