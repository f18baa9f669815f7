"""What goes where on a page of slices: as many pixels to an Å as fit, the same number in every picture of a plane."""

from dataclasses import dataclass

from ruo2_voxel.pictures.views import AXES_OF_PLANE, outline_of, view_of_plane
from ruo2_voxel.typing import FloatArray

# Inches, on a page of fixed width.
WIDTH = 10.0
TALLEST = 8.6
EDGE = 0.2  # around the page
HEADER = 0.32  # its title
ABOVE = 0.52  # the two lines of words above the pictures of a plane
BELOW = 0.46  # tick labels and the name of the axis
BESIDE = 0.45  # the same, at the left of the first picture
GAP = 0.12  # between pictures of one plane
GUTTER = 0.3  # between groups
LEAST_SPACE_VIEW = 2.0  # width of the view in space
LEAST_HISTOGRAM = 1.35  # height

LARGEST_SCALE, SMALLEST_SCALE = 0.5, 0.001  # inches to an Å, whatever there is room for


@dataclass(frozen=True)
class Box:
    """A place on the page, in inches: its left end, its upper end below the page's, its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Inches to an Å, the height of the page, and the places of the pictures of each plane and of the other two."""

    scale: float
    height: float
    planes: dict[str, list[Box]]
    space: Box
    histogram: Box


def find_layout(cell: FloatArray, n_panels: int) -> Layout:
    """Planes beside each other, which makes the better page, unless below each other they are much larger.

    Parameters
    ----------
    cell
        Cell vectors in rows, Å.
    n_panels
        Pictures of each plane.
    """
    sizes = {plane: _size_of(plane, cell) for plane in AXES_OF_PLANE}
    beside, below = _beside_each_other(sizes, n_panels), _below_each_other(sizes, n_panels)
    return beside if beside.scale > 0.8 * below.scale else below


def _size_of(plane: str, cell: FloatArray) -> tuple[float, float]:
    outline = outline_of(cell, view_of_plane(plane, cell))
    width, height = outline.max(axis=0) - outline.min(axis=0)
    return float(width), float(height)


def _beside_each_other(sizes: dict[str, tuple[float, float]], n_panels: int) -> Layout:
    """xz, yz and the view in space; below them xy and the histogram."""
    gaps = (n_panels - 1) * GAP
    wide = sizes["xz"][0] + sizes["yz"][0]
    tall = max(sizes["xz"][1], sizes["yz"][1])
    words = HEADER + 2 * (ABOVE + BELOW) + 2 * EDGE
    width_left = WIDTH - 2 * EDGE - 2 * (BESIDE + gaps) - 2 * GUTTER - LEAST_SPACE_VIEW
    height_left = TALLEST - words
    scale = min(width_left / (n_panels * wide), height_left / (tall + sizes["xy"][1]))
    scale = min(scale, (height_left - LEAST_HISTOGRAM) / tall)
    scale = min(max(scale, SMALLEST_SCALE), LARGEST_SCALE)

    top = EDGE + HEADER + ABOVE
    planes = {"xz": _row(EDGE + BESIDE, top, sizes["xz"], scale, n_panels)}
    planes["yz"] = _row(_right_of(planes["xz"]) + GUTTER + BESIDE, top, sizes["yz"], scale, n_panels)
    second = top + tall * scale + BELOW + ABOVE
    planes["xy"] = _row(EDGE + BESIDE, second, sizes["xy"], scale, n_panels)
    height_second = max(sizes["xy"][1] * scale, LEAST_HISTOGRAM)
    left_space = _right_of(planes["yz"]) + GUTTER
    left_histogram = _right_of(planes["xy"]) + GUTTER + 1.5 * BESIDE
    return Layout(
        scale=scale,
        height=second + height_second + BELOW + EDGE,
        planes=planes,
        space=Box(left_space, top, WIDTH - EDGE - left_space, tall * scale + 0.5 * BELOW),
        histogram=Box(left_histogram, second, WIDTH - EDGE - left_histogram, height_second),
    )


def _below_each_other(sizes: dict[str, tuple[float, float]], n_panels: int) -> Layout:
    """xz, yz and xy in rows; at their right the view in space above the histogram."""
    gaps = (n_panels - 1) * GAP
    wide = max(width for width, _ in sizes.values())
    tall = sum(height for _, height in sizes.values())
    least_right = 1.5 * LEAST_SPACE_VIEW
    width_left = WIDTH - 2 * EDGE - BESIDE - gaps - GUTTER - least_right
    height_left = TALLEST - 2 * EDGE - HEADER - 3 * (ABOVE + BELOW)
    scale = min(width_left / (n_panels * wide), height_left / tall)
    scale = min(max(scale, SMALLEST_SCALE), LARGEST_SCALE)

    planes, top = {}, EDGE + HEADER + ABOVE
    for plane, size in sizes.items():
        planes[plane] = _row(EDGE + BESIDE, top, size, scale, n_panels)
        top += size[1] * scale + BELOW + ABOVE
    bottom = max(top - ABOVE - BELOW, EDGE + HEADER + 2.0 * LEAST_SPACE_VIEW)
    left = max(_right_of(boxes) for boxes in planes.values()) + GUTTER
    height_histogram = max(LEAST_HISTOGRAM, 0.26 * bottom)
    top_space = EDGE + HEADER + ABOVE
    top_histogram = bottom - height_histogram
    return Layout(
        scale=scale,
        height=bottom + BELOW + EDGE,
        planes=planes,
        space=Box(left, top_space, WIDTH - EDGE - left, top_histogram - 1.2 * ABOVE - top_space),
        histogram=Box(left + 1.5 * BESIDE, top_histogram, WIDTH - EDGE - left - 1.5 * BESIDE, height_histogram),
    )


def _row(left: float, top: float, size: tuple[float, float], scale: float, n_panels: int) -> list[Box]:
    width, height = scale * size[0], scale * size[1]
    return [Box(left + index * (width + GAP), top, width, height) for index in range(n_panels)]


def _right_of(boxes: list[Box]) -> float:
    return boxes[-1].left + boxes[-1].width
