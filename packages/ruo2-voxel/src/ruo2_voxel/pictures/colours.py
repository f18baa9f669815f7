"""The colour of each element, the same in every picture, and the scale from white through it for its density."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers
from ase.data.colors import jmol_colors

from ruo2_voxel.density.grid import CATCH_ALL
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap

INK = "#333333"  # text and lines
FAINT = "#8a8a8a"  # lines and words that matter less

# Yellow ruthenium and red oxygen, as in thesis fig. 3.9; far enough apart in lightness to tell without seeing hues.
OWN_COLOURS = {"Ru": (0.93, 0.71, 0.13), "O": (0.82, 0.10, 0.10), CATCH_ALL: (0.36, 0.42, 0.60)}
LIGHTEST = 0.80  # mean of red, green and blue beyond which a colour is lost on white paper


def colour_of(symbol: str) -> FloatArray:
    """Red, green and blue in [0, 1] of an element, or of the catch-all channel; Jmol's, but for Ru and O."""
    if symbol in OWN_COLOURS:
        return np.array(OWN_COLOURS[symbol])
    colour = np.array(jmol_colors[atomic_numbers[symbol]], dtype=np.float64)
    return colour * min(1.0, LIGHTEST / max(float(colour.mean()), 1e-6))


def blend(colour: FloatArray, other: FloatArray | float, share: FloatArray | float) -> FloatArray:
    """Colours (..., 3) mixed with `share` of another; other = 1 whitens, 0 darkens."""
    mixed: FloatArray = colour * (1.0 - np.asarray(share)) + np.asarray(other) * np.asarray(share)
    return mixed


def density_colours(symbol: str) -> "LinearSegmentedColormap":
    """One hue from white to a dark shade: the lightness falls all the way, so that no hue need be seen."""
    from matplotlib.colors import LinearSegmentedColormap

    colour = colour_of(symbol)
    stops = [(0.0, np.ones(3)), (0.6, colour), (1.0, blend(colour, 0.0, 0.55))]
    return LinearSegmentedColormap.from_list(f"density of {symbol}", [(at, tuple(rgb)) for at, rgb in stops])


def mix_inks(values: FloatArray, species: Sequence[str]) -> FloatArray:
    """Densities (species, ...) in one picture, colours (..., 3), as inks of one print: darker where they overlap."""
    inks = [density_colours(symbol)(channel)[..., :3] for symbol, channel in zip(species, values, strict=True)]
    mixed: FloatArray = np.prod(inks, axis=0)
    return mixed
