"""The panels of a search: the ways of walkers, what became of each kind of move, compositions of valid structures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ruo2_hopping.history import START, Step, Walker
from ruo2_hopping.pictures.scale import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK: Final = "#333333"  # text
FAINT: Final = "#8a8a8a"  # lines and words that matter less
LINES: Final = ("-", (0, (4, 1.5)), (0, (1, 1)), "-.")  # of starts
MANY: Final = 60  # steps; of more, marks are small
MARKERS: Final = ("o", "s", "^", "D", "v", "P")  # of slabs


def name_mu(mu_o: float) -> str:
    """A mu_O in symbols, without its unit."""
    return f"$\\mu_\\mathrm{{O}}$ = {mu_o:g}".replace("-", "\N{MINUS SIGN}")


def draw_ways(
    axes: "Axes",
    scale: Scale,
    slab: str,
    ways: Mapping[Walker, Sequence[Step]],
    colour: str,
    lines: Mapping[str, object],
    ceiling: float,
) -> None:
    """Energies against steps: a line for the accepted structures of each walker, dots and rings for its steps.

    Parameters
    ----------
    axes, scale
        Where and what to draw.
    slab
        All walkers are on it.
    ways
        Steps of walkers of one mu_O.
    colour, lines
        Of the mu_O, and of each start.
    ceiling
        Refused steps above it are drawn there, as carets.
    """
    from matplotlib.ticker import MaxNLocator

    size = 3.4 if max(len(steps) for steps in ways.values()) <= MANY else 2.2
    for walker, steps in ways.items():
        way = scale.way(walker, steps)
        at = np.array([step.step for step in way])
        values = np.array(scale.values(way, slab, walker.mu_o))
        accepted = np.array([step.accepted for step in way])
        valid = np.array([step.valid for step in way])
        if accepted.any():
            kept_at = np.append(at[accepted], at[-1])
            kept = np.append(values[accepted], values[accepted][-1])
            axes.step(kept_at, kept, where="post", color=colour, linewidth=1.1, linestyle=lines[walker.start], zorder=3)
        axes.plot(at[accepted], values[accepted], "o", color=colour, markersize=size, zorder=4)
        refused = valid & ~accepted
        for shown, marker in ((refused & (values <= ceiling), "o"), (refused & (values > ceiling), "^")):
            axes.plot(
                at[shown],
                np.minimum(values[shown], ceiling),
                marker,
                markersize=size,
                markeredgewidth=0.6,
                markerfacecolor="none",
                markeredgecolor=colour,
                alpha=0.55,
                zorder=2,
            )
        edge = axes.get_xaxis_transform()
        invalid = at[~valid]
        axes.plot(invalid, np.full(len(invalid), 0.05), "x", color=FAINT, markersize=size, transform=edge)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step", fontsize=9)


def draw_acceptance(axes: "Axes", steps: Sequence[Step]) -> None:
    """Each kind of move as a bar: accepted, refused by Metropolis, invalid."""
    kinds = sorted({step.move for step in steps}, reverse=True)
    left = np.zeros(len(kinds))
    made = np.array([sum(step.move == kind for step in steps) for kind in kinds])
    fates = {
        "accepted": ("#3b6ea5", [step.move for step in steps if step.accepted]),
        "refused": ("#c9d6e4", [step.move for step in steps if step.valid and not step.accepted]),
        "invalid": ("#b0b0b0", [step.move for step in steps if not step.valid and not step.accepted]),
    }
    for name, (colour, moves) in fates.items():
        share = np.array([moves.count(kind) for kind in kinds]) / np.maximum(made, 1)
        bars = axes.barh(
            kinds, share, left=left, color=colour, edgecolor="white", linewidth=0.8, height=0.62, label=name
        )
        texts = [f"{100 * each:.0f} %" if each > 0.07 else "" for each in share]
        axes.bar_label(bars, texts, label_type="center", fontsize=8, color="white" if name == "accepted" else INK)
        left += share
    axes.set_yticks(range(len(kinds)), [f"{kind} ({n})" for kind, n in zip(kinds, made, strict=True)])
    axes.set(xlim=(0, 1), xticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if kinds:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=8)


def draw_compositions(axes: "Axes", scale: Scale, colours: Mapping[float, str]) -> None:
    """Valid ends by oxygen atoms for each metal atom, coloured by mu_O; filled where accepted."""
    steps = [step for step in scale.history.steps if step.valid and step.walker.run != START]
    slabs = sorted({step.slab for step in steps})
    for index, slab in enumerate(slabs):
        marker = MARKERS[index % len(MARKERS)]
        for mu_o, colour in colours.items():
            own = [step for step in steps if step.slab == slab and step.walker.mu_o == mu_o]
            for accepted in (False, True):
                shown = [step for step in own if step.accepted == accepted]
                axes.plot(
                    [step.oxygen_per_metal for step in shown],
                    scale.values(shown, slab, mu_o),
                    marker,
                    markersize=4.5,
                    markeredgewidth=0.8,
                    color=colour,
                    markerfacecolor=colour if accepted else "none",
                    alpha=0.9 if accepted else 0.55,
                )
        axes.plot([], [], marker, color=FAINT, markersize=4.5, label=slab)
    for mu_o, colour in colours.items():
        axes.plot([], [], "o", color=colour, markersize=4.5, label=f"{mu_o:g} eV".replace("-", "\N{MINUS SIGN}"))
    axes.set_xlabel("O atoms for each metal atom", fontsize=9)
    axes.tick_params(labelsize=8)
    if slabs:
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=min(len(slabs) + len(colours), 6),
            frameon=False,
            fontsize=8,
            handletextpad=0.0,
            columnspacing=0.7,
        )
