"""How a label of a data set is spread, where its classes part, and where one structure stands."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_voxel.pictures.colours import FAINT, INK
from ruo2_voxel.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR = "#5b7fa6"
MARK = "#c2410c"
N_BINS = 50
OWN_NAMES = {"energy-per-atom": "energy", "energy": "total energy", "surface-free-energy": "surface free energy"}
SQUARED = "\N{SUPERSCRIPT TWO}"
SKEWED = 50  # times as many structures in the fullest bar as in the emptiest that has any: count in powers of ten


def draw_histogram(
    axes: "Axes",
    values: FloatArray | Sequence[float] | None,
    edges: FloatArray | Sequence[float] | None = None,
    marked: float | None = None,
    name: str = "energy (eV/atom)",
) -> IntArray:
    """Histogram of what the structures of a data set have, in fifty equal bins; it says so where they have nothing.

    Parameters
    ----------
    axes
        Where to draw.
    values
        One for each structure; NaN where a structure has none.
    edges
        Borders of the classes, ascending: drawn as lines, with the number of each class between them.
    marked
        Value of a structure to point out.
    name
        What the values are, with their unit in parentheses.

    Returns
    -------
    counts
        Structures in each bin; empty where there are no values.
    """
    every = np.asarray([] if values is None else values, dtype=np.float64).ravel()
    known = every[np.isfinite(every)]
    quantity = name.partition(" (")[0]
    title = count(known.size, "structure")
    if every.size > known.size > 0:
        title += f", {every.size - known.size:,} more without {quantity}"
    if known.size == 0:
        message = f"no {quantity} in this data set" if every.size != 1 else f"this structure has no {quantity}"
        axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=9)
        axes.set_axis_off()
        return np.zeros(0, dtype=np.int64)

    from matplotlib.ticker import MaxNLocator

    lowest, highest = float(known.min()), float(known.max())
    if highest - lowest <= 1e-9 * max(1.0, abs(lowest)):
        lowest, highest = lowest - 0.51, highest + 0.49  # the one value in the middle of a bar
    counts, borders = np.histogram(known, bins=N_BINS, range=(lowest, highest))
    axes.bar(borders[:-1], counts, width=np.diff(borders), align="edge", color=BAR, edgecolor="white", linewidth=0.3)
    scale_counts(axes, counts)
    marks = [marked] if marked is not None and np.isfinite(marked) else []
    left, right = min([lowest, *marks]), max([highest, *marks])
    axes.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
    dress(axes, name, "structures")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    if edges is not None and len(edges) > 1:
        title += f" in {count(len(edges) - 1, 'class')}"
        _draw_classes(axes, np.asarray(edges, dtype=np.float64))
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK, pad=17 if edges is not None else 6)
    for value in marks:
        _mark(axes, value)
    return counts


def name_label(label: str, units: str) -> str:
    """A label of a store in words, with its unit: surface free energy (eV/Å²)."""
    words = OWN_NAMES.get(label, label.removeprefix("info:"))
    return f"{words} ({units.replace('^2', SQUARED)})" if units else words


def count(n: int, noun: str) -> str:
    """A number of things: 1 class, 1,200 classes."""
    return f"{n:,} {noun}" + ("" if n == 1 else "es" if noun.endswith("s") else "s")


def scale_counts(axes: "Axes", counts: IntArray) -> bool:
    """Set the axis of counts, in powers of ten where they are skewed: returns whether they are."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    most = max(int(counts.max(initial=0)), 1)
    in_powers = most > SKEWED * int(counts[counts > 0].min(initial=most))
    axes.set_yscale("log" if in_powers else "linear")
    # A fifth of the height stays free for words.
    axes.set_ylim((0.7, 0.7 * (most / 0.7) ** 1.25) if in_powers else (0.0, 1.25 * most))
    if in_powers:
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    return in_powers


def dress(axes: "Axes", horizontal: str, vertical: str) -> None:
    """Names of the axes, and no more lines than are needed."""
    axes.set_xlabel(horizontal, color=INK)
    axes.set_ylabel(vertical, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in ("left", "bottom"):
        axes.spines[spine].set(color=FAINT, linewidth=0.8)
    axes.tick_params(colors=INK, which="both", length=3, width=0.6)


def _draw_classes(axes: "Axes", edges: FloatArray) -> None:
    """Lines between the classes, and the number of each above the frame where there is room for it."""
    left, right = axes.get_xlim()
    for edge in edges[(edges >= left) & (edges <= right)]:
        axes.axvline(edge, color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    inside = edges.clip(left, right)
    for number, (low, high) in enumerate(itertools.pairwise(inside)):
        if high - low > 0.03 * (right - left):
            axes.annotate(
                str(number),
                (0.5 * (low + high), 1.0),
                xycoords=axes.get_xaxis_transform(),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                color=FAINT,
            )


def _mark(axes: "Axes", value: float) -> None:
    left, right = axes.get_xlim()
    to_right = value < 0.5 * (left + right)
    axes.axvline(value, color=MARK, linewidth=1.4, zorder=4)
    axes.annotate(
        f"shown: {value:.3f}".replace("-", "\N{MINUS SIGN}"),
        (value, 0.92),
        xycoords=axes.get_xaxis_transform(),
        xytext=(5 if to_right else -5, 0),
        textcoords="offset points",
        ha="left" if to_right else "right",
        va="center",
        fontsize=8,
        color=MARK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
        zorder=5,
    )
