"""A page of pictures: places in inches become axes, and above them stand its title and the colour of each element."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from ruo2_voxel.density.grid import CATCH_ALL
from ruo2_voxel.pictures.colours import INK, colour_of
from ruo2_voxel.pictures.figure import DPI, new_figure
from ruo2_voxel.pictures.layout import EDGE, WIDTH, Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text


class Page:
    """A figure whose parts are placed in inches, counted from its left and upper ends.

    Parameters
    ----------
    height, width
        Inches.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """

    def __init__(self, height: float, width: float = WIDTH) -> None:
        self.height, self.width = height, width
        self.figure = new_figure(width, height)

    def add_axes(self, box: Box) -> "Axes":
        """Axes that fill a box."""
        bottom = self.height - box.top - box.height
        axes = self.figure.add_axes(
            (box.left / self.width, bottom / self.height, box.width / self.width, box.height / self.height)
        )
        axes.tick_params(labelsize=8)
        return axes

    def write(self, left: float, top: float, text: str, **style: Any) -> "Text":
        """Text whose upper left corner, unless `style` says otherwise, lies there."""
        look: dict[str, Any] = {"fontsize": 9, "color": INK, "va": "top"} | style
        return self.figure.text(left / self.width, 1.0 - top / self.height, text, **look)

    def fit(self, words: "Text", width: float) -> None:
        """Smaller letters, where words are wider than so many inches."""
        for _ in range(4):  # letters are whole pixels wide: one step may not be enough
            share = width * DPI / max(words.get_window_extent().width, 1.0)
            if share >= 1.0:
                break
            words.set_fontsize(0.98 * share * float(words.get_fontsize()))

    def write_heading(self, box: Box, text: str, above: float = 0.28) -> None:
        """Bold words, so many inches above a box."""
        self.write(box.left, box.top - above, text, fontweight="bold", va="bottom")

    def write_header(self, title: str, elements: dict[str, str]) -> None:
        """The title, in smaller letters where it is long, and what each colour stands for.

        Parameters
        ----------
        elements
            Words for each symbol, from left to right; see `name_elements`.
        """
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], linestyle="none", marker="o", markersize=8, color=tuple(colour_of(symbol)), label=words)
            for symbol, words in elements.items()
        ]
        legend = self.figure.legend(
            handles=handles,
            loc="upper right",
            bbox_to_anchor=(1.0 - EDGE / self.width, 1.0 - 0.6 * EDGE / self.height),
            ncols=max(len(handles), 1),
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            handletextpad=0.1,
            columnspacing=1.2,
            borderaxespad=0.0,
        )
        words = self.write(EDGE, EDGE, title, fontsize=11, fontweight="bold")
        self.fit(words, self.width - 3.0 * EDGE - legend.get_window_extent().width / DPI)


def name_elements(species: Sequence[str], atoms: Atoms | None = None) -> dict[str, str]:
    """Words for each symbol: of the atoms, the heaviest first, how many there are; then channels without any."""
    names = {}
    if atoms is not None:
        numbers, counts = np.unique(atoms.numbers, return_counts=True)
        symbols = [chemical_symbols[number] for number in numbers[::-1]]
        names = {symbol: f"{symbol} ({count})" for symbol, count in zip(symbols, counts[::-1], strict=True)}
    names |= {symbol: symbol for symbol in species if symbol not in names and symbol != CATCH_ALL}
    return names | ({CATCH_ALL: "others"} if CATCH_ALL in species else {})


def name_lengths(cell: Any) -> str:
    """Lattice lengths: 6.33 x 6.39 x 20.87 Å."""
    return " x ".join(f"{length:.2f}" for length in np.linalg.norm(cell, axis=1)) + " Å"
