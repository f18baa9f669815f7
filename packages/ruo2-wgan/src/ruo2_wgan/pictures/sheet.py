"""A sheet of paper in inches, from its upper left corner: pictures of densities, words, a title with the species."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruo2_voxel import mix_inks, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.floating[Any]]

WIDTH = 10.0
EDGE = 0.2  # around the sheet
HEADER = 0.38  # title and species
INK, FAINT = "#333333", "#8a8a8a"
FULL = 0.6  # density at which an ink is purest


class Box(NamedTuple):
    """A place on the sheet, inches."""

    left: float
    top: float
    width: float
    height: float


class Sheet:
    """A figure with one pair of axes for all pictures: hundreds of axes would take seconds.

    Parameters
    ----------
    height, width
        Inches.
    """

    def __init__(self, height: float, width: float = WIDTH) -> None:
        self.height, self.width = height, width
        self.figure: Figure = new_figure(width, height)
        self.paper: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.paper.set(xlim=(0.0, width), ylim=(height, 0.0))
        self.paper.set_axis_off()

    def add_picture(self, colours: FloatArray, box: Box) -> None:
        """Colours (u, z, 3) of the nodes of a periodic plane, u to the right and z upwards, in a thin frame."""
        from matplotlib.patches import Rectangle

        right, bottom = box.left + box.width, box.top + box.height
        x, z = 0.5 * box.width / colours.shape[0], 0.5 * box.height / colours.shape[1]
        # A square around each node, and one more node each way, so that the cell is covered from border to border.
        image = self.paper.imshow(
            np.pad(colours, [(0, 1), (0, 1), (0, 0)], mode="wrap").swapaxes(0, 1),
            origin="lower",
            interpolation="nearest",
            extent=(box.left - x, right + x, bottom + z, box.top - z),
            aspect="auto",
        )
        frame = Rectangle((box.left, box.top), box.width, box.height, facecolor="none", edgecolor=FAINT, linewidth=0.5)
        self.paper.add_patch(frame)
        image.set_clip_path(frame)

    def add_axes(self, box: Box) -> "Axes":
        """Axes of its own, for what is no plane."""
        bottom = 1.0 - (box.top + box.height) / self.height
        return self.figure.add_axes(
            (box.left / self.width, bottom, box.width / self.width, box.height / self.height), frame_on=False
        )

    def write(self, left: float, top: float, words: str, **style: Any) -> None:
        """Words whose upper left corner, unless `style` says otherwise, lies there."""
        look: dict[str, Any] = {"fontsize": 7.0, "color": INK, "va": "top"} | style
        self.paper.text(left, top, words, **look)

    def write_header(self, title: str, species: Sequence[str]) -> None:
        """The title at the left, the colour of each species at the right."""
        self.write(EDGE, EDGE, title, fontsize=11, fontweight="bold")
        at = self.width - EDGE
        for symbol, colour in reversed(list(zip(species, colours_of(species), strict=True))):
            words = "others" if symbol == "*" else symbol
            at -= 0.1 + 0.085 * len(words)
            self.write(at, EDGE + 0.01, words, fontsize=10)
            at -= 0.1
            self.paper.plot(at, EDGE + 0.085, "o", color=colour, markersize=8)
            at -= 0.15


def colours_of(species: Sequence[str]) -> FloatArray:
    """One colour for each, shape (species, 3)."""
    return mix_inks(FULL * np.eye(len(species)), species)
