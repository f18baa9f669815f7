"""The logged steps of a run on one page (thesis, figs. 4.5 to 4.32)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruo2_voxel import new_figure
from ruo2_wgan.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]


class Panel(NamedTuple):
    """Figures that are drawn together: what a line calls each, and what the page does."""

    title: str
    names: Mapping[str, str]
    best: float | None = None  # a dashed line there
    from_zero: bool = False


PANELS = (
    Panel("losses", {"critic_loss": "critic", "generator_loss": "generator"}),
    Panel("Wasserstein estimate, reals above fakes", {"wasserstein": ""}),
    Panel("gradient penalty, without its weight", {"gradient_penalty": ""}),
    Panel("gradient norms", {"critic_gradient_norm": "critic", "generator_gradient_norm": "generator"}),
    Panel("lattice losses", {"critic_lattice_loss": "critic", "generator_lattice_loss": "generator"}),
    Panel("distance of samples from the data, lower is better", {"distance": ""}, from_zero=True),
    Panel("samples beside the data, 1 is best", {"diversity": "diversity", "stripe_index": "stripes"}, best=1.0),
    Panel("structures a second", {"structures_per_second": ""}, from_zero=True),
    Panel("share of the time spent waiting for data", {"data_wait": ""}, from_zero=True),
)
INK, FAINT = "#333333", "#8a8a8a"
COLOURS = ("#1f5f8b", "#c2410c")
WIDTH, HEIGHT, COLUMNS = 10.0, 2.15, 2  # inches: page, panel
SPAN = 20  # the smoothed line is the mean over the length of a run by this
MOST_POINTS = 2000  # faint ones, of each line
WIDE = 30.0  # times between values from which on scales are logarithmic


def draw_losses(stats: Sequence[Mapping[str, Any]]) -> "Figure":
    """A panel for each kind of figure that the lines have: logged points faint, a smoothed line bold.

    Parameters
    ----------
    stats
        Lines of stats.jsonl, in order, each with `step` and `epoch`; other figures may be on some of them only. What is
        no finite number is left out.

    Returns
    -------
    figure
        Ten inches wide, against the step, epochs above the first panels. Scales are logarithmic where values differ
        widely; where they change signs as well, linear around 0 and logarithmic beyond.

    Raises
    ------
    DataError
        No line, or none with a figure to draw.
    """
    series, panels = _choose(stats)
    n_rows = -(-len(panels) // COLUMNS)
    figure = new_figure(WIDTH, HEIGHT * n_rows + 0.7)
    grid = figure.subplots(n_rows, COLUMNS, squeeze=False, sharex=True).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel, series, MOST_POINTS)
        axes.set_title(_title_of(axes, panel), loc="left", fontsize=9, color=INK)
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes in grid[max(len(panels) - COLUMNS, 0) : len(panels)]:
        axes.set_xlabel("step", color=INK, fontsize=8.5)
        axes.tick_params(labelbottom=True)
    for axes in grid[: min(COLUMNS, len(panels))]:
        _number_epochs(axes, *_read(stats, "epoch"))
    figure.tight_layout(h_pad=1.2, w_pad=2.0)
    return figure


def draw_loss_panels(
    stats: Sequence[Mapping[str, Any]], width: float, height: float, most_points: int = MOST_POINTS
) -> dict[str, "Figure"]:
    """The panels of `draw_losses` as figures of their own, for a page that places them itself.

    Parameters
    ----------
    stats
        As for `draw_losses`.
    width, height
        Of each figure, inches.
    most_points
        Faint ones, of each line.

    Returns
    -------
    figures
        By title, which is not in the figure.

    Raises
    ------
    DataError
        As for `draw_losses`.
    """
    series, panels = _choose(stats)
    figures = {}
    for panel in panels:
        figure = new_figure(width, height)
        axes = figure.subplots()
        _draw_panel(axes, panel, series, most_points)
        axes.set_xlabel("step", color=INK, fontsize=8.5)
        figure.tight_layout(pad=0.3)
        figures[_title_of(axes, panel)] = figure
    return figures


def _choose(stats: Sequence[Mapping[str, Any]]) -> tuple[dict[str, tuple[FloatArray, FloatArray]], list[Panel]]:
    """Steps and values by name, and the panels that have some."""
    series = {name: _read(stats, name) for panel in PANELS for name in panel.names}
    panels = [panel for panel in PANELS if any(len(series[name][0]) for name in panel.names)]
    if not panels:
        raise DataError(
            f"losses are drawn from lines of statistics, one of which must have a figure such as wasserstein; "
            f"found {len(stats)} lines without"
        )
    return series, panels


def _read(stats: Sequence[Mapping[str, Any]], name: str) -> tuple[FloatArray, FloatArray]:
    """Steps and values of the lines that have a finite one."""
    pairs = [(line["step"], line[name]) for line in stats if line.get(name) is not None and np.isfinite(line[name])]
    steps, values = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return steps, values


def smooth(values: FloatArray) -> FloatArray:
    """Running mean over a twentieth of the values, over as much of it as there is at both ends."""
    reach = len(values) // (2 * SPAN)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first), dtype=np.float64)


def _draw_panel(
    axes: "Axes", panel: Panel, series: Mapping[str, tuple[FloatArray, FloatArray]], most_points: int
) -> None:
    drawn = {name: words for name, words in panel.names.items() if len(series[name][0])}
    for colour, (name, words) in zip(COLOURS, drawn.items(), strict=False):
        _draw_series(axes, *series[name], colour, words, most_points)
    if panel.from_zero:
        axes.set_ylim(bottom=0.0)
    else:
        _scale(axes, [series[name][1] for name in drawn])
    if panel.best is not None:
        axes.axhline(panel.best, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    if len(panel.names) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=2, loc="best", handlelength=1.2)
    _dress(axes)


def _draw_series(
    axes: "Axes", steps: FloatArray, values: FloatArray, colour: str, words: str, most_points: int
) -> None:
    line = smooth(values)
    every = -(-len(values) // most_points)
    few = len(values) < 2 * SPAN  # nothing to smooth: the points are the figure
    axes.plot(
        steps[::every],
        values[::every],
        linestyle="none",
        marker="o",
        markersize=3.0 if few else 2.0,
        markeredgewidth=0.0,
        color=colour,
        alpha=0.9 if few else 0.22,
    )
    axes.plot(steps, line, color=colour, linewidth=1.4, label=f"{words} {_number(line[-1])}".strip())


def _scale(axes: "Axes", series: Sequence[FloatArray]) -> None:
    """Linear, unless the largest value is far above the middle ones of a series."""
    sizes = [np.abs(values[values != 0.0]) for values in series if values.any()]
    if not sizes:
        return
    low = float(min(np.median(each) for each in sizes))
    if all((values > 0.0).all() for values in series):
        if max(values.max() for values in series) > WIDE * min(values.min() for values in series):
            axes.set_yscale("log")
    elif max(each.max() for each in sizes) > WIDE * low:
        axes.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(low)))


def _title_of(axes: "Axes", panel: Panel) -> str:
    """With the last smoothed value, where there is but one and no legend tells it."""
    return panel.title if len(panel.names) > 1 else f"{panel.title}, now {axes.lines[1].get_label()}"


def _dress(axes: "Axes") -> None:
    """No more lines than are needed."""
    axes.grid(color=FAINT, alpha=0.2, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=FAINT, linewidth=0.8)
    axes.tick_params(which="both", labelsize=8, colors=INK, length=3, width=0.6)


def _number_epochs(axes: "Axes", steps: FloatArray, epochs: FloatArray) -> None:
    """A second axis, above: epochs between the logged steps, and on along the last slope."""
    if len(steps) < 2 or (np.diff(steps) <= 0.0).any() or (np.diff(epochs) <= 0.0).any():
        return
    slopes = (epochs[1] - epochs[0]) / (steps[1] - steps[0]), (epochs[-1] - epochs[-2]) / (steps[-1] - steps[-2])

    def to_epoch(step: Any) -> Any:
        below, above = np.minimum(step - steps[0], 0.0), np.maximum(step - steps[-1], 0.0)
        return np.interp(step, steps, epochs) + slopes[0] * below + slopes[1] * above

    def to_step(epoch: Any) -> Any:
        below, above = np.minimum(epoch - epochs[0], 0.0), np.maximum(epoch - epochs[-1], 0.0)
        return np.interp(epoch, epochs, steps) + below / slopes[0] + above / slopes[1]

    second = axes.secondary_xaxis("top", functions=(to_epoch, to_step))
    second.set_xlabel("epoch", color=FAINT, fontsize=8)
    second.tick_params(labelsize=7.5, colors=FAINT, length=3, width=0.6)
    second.spines["top"].set(color=FAINT, linewidth=0.6)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
