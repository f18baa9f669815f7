"""A slab seen from the side, along y: atoms as circles, the nearest in front, fixed ones pale."""

from typing import TYPE_CHECKING, Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BULK: Final = 0  # the tag of fixed atoms
OWN_COLOURS: Final = {44: (0.93, 0.71, 0.13), 8: (0.82, 0.10, 0.10)}  # yellow Ru, red O, as in thesis fig. 3.9
PALE: Final = 0.6  # how much white is mixed into fixed atoms
SIZE: Final = 0.62  # of circles, in covalent radii
BORDER: Final = 0.5  # Å; atoms so near a side of the cell are drawn at the other side, too


def draw_slab(axes: "Axes", atoms: Atoms) -> None:
    """Draw a structure along y, x to the right and z up, one cell wide.

    Parameters
    ----------
    axes
        Where to draw; its frame and ticks vanish.
    atoms
        Tags say which atoms are fixed: 0.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle

    width = float(atoms.cell.lengths()[0])
    positions = atoms.get_positions(wrap=True)
    positions[:, 2] = atoms.positions[:, 2]
    order = np.argsort(-positions[:, 1], kind="stable")  # from far to near
    free = atoms.get_tags() != BULK if atoms.has("tags") and atoms.get_tags().any() else np.ones(len(atoms), bool)
    circles, colours = [], []
    for index in order:
        number = int(atoms.numbers[index])
        radius = SIZE * float(covalent_radii[number])
        colour = np.array(OWN_COLOURS.get(number, jmol_colors[number]))
        x, z = float(positions[index, 0]), float(positions[index, 2])
        for image in (x - width, x, x + width):
            if -BORDER < image < width + BORDER:
                circles.append(Circle((image, z), radius))
                colours.append(colour if free[index] else colour + PALE * (1.0 - colour))
    axes.add_collection(PatchCollection(circles, facecolors=colours, edgecolors="#333333", linewidths=0.5))
    bottom, top = float(positions[:, 2].min()) - 1.2, float(positions[:, 2].max()) + 1.2
    for border in (0.0, width):
        axes.plot([border, border], [bottom, top], color="#8a8a8a", linewidth=0.6, linestyle=":", zorder=3)
    margin = BORDER + SIZE * float(covalent_radii[atoms.numbers].max()) + 0.05
    axes.set(xlim=(-margin, width + margin), ylim=(bottom, top), aspect="equal")
    axes.set_axis_off()
