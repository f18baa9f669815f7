"""How the energies of a data set are spread, where its classes part, and where one structure stands."""

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
SKEWED = 50  # times as many structures in the fullest bin as in the emptiest that has any: count in powers of ten


def draw_energy_histogram(
    axes: "Axes",
    energies: FloatArray | Sequence[float] | None,
    edges: FloatArray | Sequence[float] | None = None,
    marked_energy: float | None = None,
    label: str = "energy (eV/atom)",
) -> IntArray:
    """Histogram of a data set's energies in fifty equal bins; it says so where there are none.

    Parameters
    ----------
    axes
        Where to draw.
    energies
        One for each structure, in the unit that `label` names; NaN where a structure has none.
    edges
        Borders of the energy classes, ascending: drawn as lines, with the number of each class between them.
    marked_energy
        Energy of a structure to point out.
    label
        What the energies are.

    Returns
    -------
    counts
        Structures in each bin; empty where there are no energies.
    """
    values = np.asarray([] if energies is None else energies, dtype=np.float64).ravel()
    known = values[np.isfinite(values)]
    title = _count(known.size, "structure")
    if values.size > known.size > 0:
        title += f", {values.size - known.size:,} more without energy"
    if known.size == 0:
        message = "no energies in this data set" if values.size != 1 else "this structure has no energy"
        axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", color=FAINT, fontsize=9)
        axes.set_axis_off()
        return np.zeros(0, dtype=np.int64)

    lowest, highest = float(known.min()), float(known.max())
    if highest - lowest <= 1e-9 * max(1.0, abs(lowest)):
        lowest, highest = lowest - 0.51, highest + 0.49  # the one value in the middle of a bar
    counts, borders = np.histogram(known, bins=N_BINS, range=(lowest, highest))
    axes.bar(borders[:-1], counts, width=np.diff(borders), align="edge", color=BAR, edgecolor="white", linewidth=0.3)
    in_powers = counts.max() > SKEWED * counts[counts > 0].min()
    axes.set_yscale("log" if in_powers else "linear")
    # A fifth of the height stays free for words.
    axes.set_ylim((0.7, 0.7 * (counts.max() / 0.7) ** 1.25) if in_powers else (0.0, 1.25 * counts.max()))
    marks = [marked_energy] if marked_energy is not None and np.isfinite(marked_energy) else []
    left, right = min([lowest, *marks]), max([highest, *marks])
    axes.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
    _dress(axes, label, in_powers)
    if edges is not None and len(edges) > 1:
        title += f" in {_count(len(edges) - 1, 'class')}"
        _draw_classes(axes, np.asarray(edges, dtype=np.float64))
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK, pad=17 if edges is not None else 6)
    for energy in marks:
        _mark(axes, energy)
    return counts


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "es" if noun.endswith("s") else "s")


def _dress(axes: "Axes", label: str, in_powers: bool) -> None:
    """Names, lines and ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    axes.set_xlabel(label, color=INK)
    axes.set_ylabel("structures", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in ("left", "bottom"):
        axes.spines[spine].set(color=FAINT, linewidth=0.8)
    axes.tick_params(colors=INK, which="both", length=3, width=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    if in_powers:
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))


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


def _mark(axes: "Axes", energy: float) -> None:
    left, right = axes.get_xlim()
    to_right = energy < 0.5 * (left + right)
    axes.axvline(energy, color=MARK, linewidth=1.4, zorder=4)
    axes.annotate(
        f"shown: {energy:.3f}".replace("-", "\N{MINUS SIGN}"),
        (energy, 0.92),
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
