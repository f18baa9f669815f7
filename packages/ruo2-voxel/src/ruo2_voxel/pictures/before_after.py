"""A structure before and after its preparation, side by side to one scale (thesis, fig. 3.3)."""

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from ruo2_voxel.pictures.layout import (
    BELOW,
    BESIDE,
    EDGE,
    GUTTER,
    HEADER,
    LARGEST_SCALE,
    SMALLEST_SCALE,
    TALLEST,
    WIDTH,
    Box,
)
from ruo2_voxel.pictures.page import Page, name_elements, name_lengths
from ruo2_voxel.pictures.structure import draw_structure
from ruo2_voxel.pictures.views import checked_cell, outline_of, view_of_plane
from ruo2_voxel.structures.preparation import Changes
from ruo2_voxel.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VIEWS = {"xz": "along y", "xy": "from above"}
CAPTION = 0.42  # inches, two lines below the title
ABOVE = 0.36  # a line above each picture
LEAST_COLUMN = 2.0  # for the words above it
NARROWEST = 6.5  # page
SAME = 5e-3  # Å; less is not shown


def draw_before_and_after(before: Atoms, after: Atoms, changes: Changes, title: str) -> "Figure":
    """A page with two structures, each seen along y and from above, and what was done in between.

    Parameters
    ----------
    before, after
        Any cell with a volume.
    changes
        What preparation did.
    title
        Above the page.

    Returns
    -------
    figure
        Ten inches wide.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    StructureError
        A cell without volume.
    """
    structures = {"before": before, "after": after}
    cells = {name: checked_cell(atoms.cell) for name, atoms in structures.items()}
    sizes = {
        (name, plane): np.ptp(outline_of(cell, view_of_plane(plane, cell)), axis=0)
        for name, cell in cells.items()
        for plane in VIEWS
    }
    tall = {plane: max(sizes[name, plane][1] for name in cells) for plane in VIEWS}
    wide = {name: max(sizes[name, plane][0] for plane in VIEWS) for name in cells}
    # The scale by which both columns fit, none of them narrower than its words.
    room = WIDTH - 2 * EDGE - 2 * BESIDE - GUTTER
    words = EDGE + HEADER + CAPTION + 2 * (ABOVE + BELOW) + EDGE
    scale = min(
        room / sum(wide.values()),
        (room - LEAST_COLUMN) / max(wide.values()),
        (TALLEST - words) / sum(tall.values()),
    )
    scale = min(max(scale, SMALLEST_SCALE), LARGEST_SCALE)

    columns = {name: max(scale * float(width), LEAST_COLUMN) for name, width in wide.items()}
    width = min(WIDTH, max(2 * EDGE + 2 * BESIDE + GUTTER + sum(columns.values()), NARROWEST))
    page = Page(words + scale * float(sum(tall.values())), width)
    left = EDGE + BESIDE
    for name, atoms in structures.items():
        top = EDGE + HEADER + CAPTION + ABOVE
        for plane, view in VIEWS.items():
            across, up = (scale * float(side) for side in sizes[name, plane])
            box = Box(left, top + scale * float(tall[plane]) - up, across, up)  # on a common ground line
            axes = page.add_axes(box)
            draw_structure(axes, atoms, plane)
            axes.xaxis.label.set_fontsize(8.5)
            axes.yaxis.label.set_fontsize(8.5)
            axes.xaxis.labelpad, axes.yaxis.labelpad = 1.0, 3.0
            page.write_heading(box, f"{name}, {view}", above=0.1)
            top += scale * float(tall[plane]) + BELOW + ABOVE
        left += columns[name] + GUTTER + BESIDE
    caption = page.write(EDGE, EDGE + HEADER, "\n".join(describe_changes(before, after, changes)), linespacing=1.4)
    page.fit(caption, width - 2 * EDGE)
    page.write_header(title, name_elements(list(name_elements((), after))))
    return page.figure


def describe_changes(before: Atoms, after: Atoms, changes: Changes) -> tuple[str, str]:
    """What was done to the cell, and what became of its atoms and lengths."""
    done = []
    (i, j), (k, m) = changes.supercell
    if j == k == 0 and (i, m) != (1, 1):
        done.append(f"repeated {i} x {m}")
    elif (j, k) != (0, 0):
        done.append(f"made of {changes.n_cells} cells with a' = {_name_vector(i, j)} and b' = {_name_vector(k, m)}")
    if changes.shear > 0.0:
        done.append(f"sheared by {changes.shear:.2g} Å for each Å")
    if _slant(before.cell.array) > SAME > _slant(after.cell.array):
        done.append("c made perpendicular")
    if abs(changes.vacuum_after - changes.vacuum_before) > SAME:
        done.append(f"vacuum {changes.vacuum_before:.2f} to {changes.vacuum_after:.2f} Å")
    if abs(changes.lift) > SAME:
        done.append(f"slab moved by {changes.lift:.2f} Å along its normal".replace("-", "\N{MINUS SIGN}"))
    if not done:
        return "not changed", f"{len(after)} atoms, {name_lengths(after.cell)}"
    atoms = f"{len(before)} to {len(after)} atoms" if len(after) != len(before) else f"{len(after)} atoms"
    lengths = f"{name_lengths(before.cell).removesuffix(' Å')} to {name_lengths(after.cell)}"
    return "; ".join(done), f"{atoms}, {lengths}"


def _name_vector(a: int, b: int) -> str:
    """A sum of cell vectors: 3a - 2b."""
    words = ""
    for times, name in ((a, "a"), (b, "b")):
        if times:
            sign = "\N{MINUS SIGN}" if times < 0 else "+"
            joint = f" {sign} " if words else sign.strip("+")
            words += f"{joint}{abs(times) if abs(times) != 1 else ''}{name}"
    return words


def _slant(cell: FloatArray) -> float:
    """How far the third cell vector leans from the normal of the first two, Å."""
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    return float(np.linalg.norm(cell[2] - (cell[2] @ normal) * normal))
