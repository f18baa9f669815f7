"""A search on one page: the ways of its walkers, the lowest structures, what became of moves, compositions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruo2_hopping.history import START, History, Step, Walker
from ruo2_hopping.pictures.figure import new_figure
from ruo2_hopping.pictures.panels import (
    FAINT,
    INK,
    LINES,
    draw_acceptance,
    draw_compositions,
    draw_ways,
    name_mu,
)
from ruo2_hopping.pictures.scale import Scale
from ruo2_hopping.pictures.slab import draw_slab

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, NARROWEST = 2.9, 8.5  # widths of a panel and of the page, inches
WAYS, SLABS, BOTTOM, HEAD = 2.3, 2.5, 2.9, 0.8  # heights


def draw_search(history: History) -> "Figure":
    """Draw what came of a search.

    Parameters
    ----------
    history
        A search, with an oxygen energy or without one.

    Returns
    -------
    figure
        For each slab a row of panels, one for each mu_O, with the ways of its walkers: Omega above the lowest of this
        slab and mu_O, whoever found it; energy per atom where no oxygen energy is known. Lines are the accepted
        structures, dots accepted steps, rings steps that Metropolis refused (carets where they lie above the panel),
        crosses invalid structures. Below each, the lowest structure of its walkers seen from the side, fixed atoms
        pale. At the bottom, what became of each kind of move, and the valid ends by composition.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    walkers = history.walkers()
    slabs = sorted({steps[0].slab for steps in walkers.values()})
    levels = sorted({walker.mu_o for walker in walkers})
    starts = sorted({walker.start for walker in walkers})
    heights = [*[WAYS, SLABS] * len(slabs), BOTTOM]
    figure = new_figure(max(COLUMN * len(levels) + 0.4, NARROWEST), HEAD + sum(heights))
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    columns = max(len(levels), 1)
    grid = figure.add_gridspec(len(heights), 2 * columns, height_ratios=heights)
    colours = _colours(levels)
    lines = {start: LINES[index % len(LINES)] for index, start in enumerate(starts)}
    scale = Scale(history)
    for row, slab in enumerate(slabs):
        upper, lower = (
            [figure.add_subplot(grid[2 * row + half, 2 * column : 2 * column + 2]) for column in range(columns)]
            for half in range(2)
        )
        own = {walker: steps for walker, steps in walkers.items() if steps[0].slab == slab}
        _draw_row(upper, lower, scale, slab, own, colours, lines)
    left, right = figure.add_subplot(grid[-1, :columns]), figure.add_subplot(grid[-1, columns:])
    left.set_title("what became of moves", fontsize=10, color=INK)
    draw_acceptance(left, [step for steps in walkers.values() for step in steps])
    right.set_title("valid structures (filled: accepted)", fontsize=10, color=INK)
    right.set_ylabel(scale.label, fontsize=9)
    draw_compositions(right, scale, colours)
    n_steps = sum(step.walker.run != START for step in history.steps)
    title = f"{Path(history.path).name}: {len(walkers)} walkers, {n_steps} steps"
    _explain(figure, title, lines)
    return figure


def _colours(levels: Sequence[float]) -> dict[float, str]:
    """Of each mu_O, from dark to light."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    last = max(len(levels) - 1, 1)
    return {mu_o: to_hex(colormaps["plasma"](0.05 + 0.75 * index / last)) for index, mu_o in enumerate(levels)}


def _explain(figure: "Figure", title: str, lines: Mapping[str, Any]) -> None:
    """The title, and below it what lines and marks mean."""
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], color=INK, linewidth=1.2, linestyle=line, label=f"from {start}") for start, line in lines.items()
    ]
    keys += [
        Line2D([], [], color=INK, linestyle="", marker="o", markersize=3.6, label="accepted"),
        Line2D([], [], color=INK, linestyle="", marker="o", markersize=3.4, markerfacecolor="none", label="refused"),
        Line2D([], [], color=INK, linestyle="", marker="^", markersize=3.4, markerfacecolor="none", label="above"),
        Line2D([], [], color=FAINT, linestyle="", marker="x", markersize=4, label="invalid"),
    ]
    figure.legend(
        handles=keys,
        title=title,
        title_fontsize=12,
        alignment="left",
        loc="outside upper left",
        ncols=len(keys),
        frameon=False,
        fontsize=8.5,
    )


def _draw_row(
    upper: Sequence["Axes"],
    lower: Sequence["Axes"],
    scale: Scale,
    slab: str,
    walkers: Mapping[Walker, Sequence[Step]],
    colours: Mapping[float, str],
    lines: Mapping[str, Any],
) -> None:
    """The ways of the walkers on a slab, one panel for each mu_O, and below it their lowest structure."""
    low, ceiling = scale.limits(slab, walkers)
    for above, below, (mu_o, colour) in zip(upper, lower, colours.items(), strict=True):
        ways = {walker: steps for walker, steps in walkers.items() if walker.mu_o == mu_o}
        if not ways:
            above.set_axis_off()
            below.set_axis_off()
            continue
        draw_ways(above, scale, slab, ways, colour, lines, ceiling)
        above.set_title(f"{slab}, {name_mu(mu_o)} eV", fontsize=10, color=INK)
        above.set_ylim(low - 0.12 * (ceiling - low), ceiling + 0.05 * (ceiling - low))
        above.tick_params(labelsize=8, labelleft=above is upper[0])
        lowest = scale.lowest(slab, ways)
        (structure,) = scale.history.structures([lowest])
        draw_slab(below, structure)
        run = lowest.walker.run
        where = f"run {run} step {lowest.step}" if run != START else f"{lowest.walker.start} start"
        below.set_title(f"{lowest.formula}, {where}", fontsize=8.5, color=INK, y=-0.1)
    upper[0].set_ylabel(scale.label, fontsize=9)
