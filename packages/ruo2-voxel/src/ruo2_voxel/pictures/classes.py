"""The classes of a data set: a bar for each, between its edges, however wide it is (thesis, figs. 3.2 and 3.4)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ruo2_voxel.pictures.colours import FAINT, INK
from ruo2_voxel.pictures.histogram import BAR, count, dress, name_label, scale_counts
from ruo2_voxel.pictures.layout import EDGE, HEADER, WIDTH, Box
from ruo2_voxel.pictures.page import Page
from ruo2_voxel.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT = 2.8  # of the bars' frame, inches
BESIDE, AFTER = 0.75, 0.25  # at its left and right
LETTERS = 8.5  # points, where bars are wide enough for them
LETTER_WIDTH = 0.65  # of a digit, in units of its height
DIGITS = 2  # of the narrowest class that its edges must show


def draw_classes(
    counts: IntArray,
    edges: FloatArray,
    label: str,
    method: str,
    units: str = "",
    noun: str = "structure",
    n_without: int = 0,
) -> "Figure":
    """A page with a bar of equal width for each class: its count above it, its number and its edges below it.

    Parameters
    ----------
    counts
        Of each class, shape (classes,).
    edges
        Of the label, ascending, shape (classes + 1,).
    label, method, units
        As in a store's attribute `classes`.
    noun
        What is counted.
    n_without
        How many more have no class.

    Returns
    -------
    figure
        Ten inches wide. Counts are in powers of ten where they are skewed, and the page says so.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    n = len(counts)
    width = WIDTH - 2 * EDGE - BESIDE - AFTER
    letters = min(LETTERS, 0.8 * 72.0 * width / n)  # points, so that words on their side fit as well

    def turn(words: list[str]) -> float:
        """Upright, or on its side where a bar is too narrow for the longest of the words."""
        longest = max(map(len, words)) + 1
        return 0.0 if longest * LETTER_WIDTH * letters < 72.0 * width / n else 90.0

    borders, numbers = _name_edges(edges), [str(number) for number in range(n)]
    above = [f"{number:,}" for number in counts]
    heights = [
        LETTER_WIDTH * letters * max(map(len, words)) if turn(words) else 1.4 * letters for words in (numbers, borders)
    ]
    below = (sum(heights) + 12.0) / 72.0 + 0.22
    top = EDGE + HEADER + 0.1
    page = Page(top + HEIGHT + below + EDGE)
    name = name_label(label, units)
    without = f", {n_without:,} more without a class" if n_without else ""
    kind = "" if n == 1 else f"{method} "
    many = count(n, "class").replace(" ", f" {kind}", 1)
    page.write_header(f"{count(int(np.sum(counts)), noun)} in {many} of {name}{without}", {})

    axes = page.add_axes(Box(EDGE + BESIDE, top, width, HEIGHT))
    axes.bar(np.arange(n) + 0.5, counts, width=0.86, color=BAR)
    in_powers = scale_counts(axes, np.asarray(counts))
    dress(axes, f"class, and its edges: {name}", f"{noun}s (log scale)" if in_powers else f"{noun}s")
    axes.set_xlim(0.0, n)
    floor = axes.get_ylim()[0]
    for number, words in enumerate(above):
        axes.annotate(
            words,
            (number + 0.5, max(float(counts[number]), floor)),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=turn(above),
            fontsize=letters,
            color=INK if counts[number] else FAINT,
        )
    # Numbers between long ticks, edges at their ends.
    axes.set_xticks(np.arange(n) + 0.5, numbers, minor=True)
    axes.set_xticks(np.arange(n + 1), borders)
    style: dict[str, Any] = {"axis": "x", "labelsize": letters}
    axes.tick_params(which="minor", length=0, pad=3, labelrotation=turn(numbers), **style)
    axes.tick_params(which="major", length=heights[0] + 5.0, pad=1, labelrotation=turn(borders), **style)
    for text in axes.get_xticklabels(minor=True):
        text.set_fontweight("bold")
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(9)
    return page.figure


def _name_edges(edges: FloatArray) -> list[str]:
    """With as many decimals as tell them apart."""
    gaps = np.diff(edges)
    narrowest = float(gaps[gaps > 0.0].min(initial=np.inf))
    decimals = 3 if not np.isfinite(narrowest) else int(np.clip(DIGITS - 1 - np.floor(np.log10(narrowest)), 0, 9))
    return [f"{edge:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for edge in edges]
