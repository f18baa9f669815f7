"""The figures of a verdict: their names, units and meaning, how they are written, and where samples lie among them."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

COLUMNS = {"samples": "samples", "held_out": "held-out", "control": "control"}
UNDEFINED = "\N{EN DASH}"
APART = 0.1  # a control no farther from held-out structures, as a share of the larger value, cannot tell good from bad


class Figure(NamedTuple):
    """A figure; `key` leads to it, and words in braces of `about` are limits of the verdict."""

    key: str
    name: str
    about: str
    better: Literal["higher", "lower", ""] = ""
    unit: str = ""  # "%" for shares
    broken: bool = True  # whether the control is, in this respect: it is new, and has the data's cells and numbers


class Group(NamedTuple):
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


GROUPS = (
    Group(
        "Valid, unique, new",
        (
            Figure("valid_unique_new", "all three", "Valid, unique and no copy, at once.", "higher", "%"),
            Figure("valid", "valid", "Its grid decodes into atoms that pass all checks below.", "higher", "%"),
            Figure("unique", "unique", "Not the same structure as one before it.", "higher", "%", broken=False),
            Figure(
                "copied",
                "copied",
                "Each atom within {copy_angstrom} Å of where a training structure has it.",
                "lower",
                "%",
                broken=False,
            ),
        ),
    ),
    Group(
        "Why structures are not valid",
        (
            Figure(
                "invalid.unexplained",
                "unexplained",
                "More than {unexplained} of the grid is not explained by its atoms.",
                "lower",
                "%",
                broken=False,
            ),
            Figure("invalid.distance", "too near", "Two atoms nearer than {distance} Å.", "lower", "%"),
            Figure(
                "invalid.link", "in pieces", "A slab that links of up to {link} Å do not hold together.", "lower", "%"
            ),
            Figure("invalid.vacuum", "vacuum", "Less than {vacuum} Å of vacuum.", "lower", "%"),
            Figure("invalid.atoms", "atoms", "Numbers of atoms other than {atoms}.", "lower", "%", broken=False),
        ),
    ),
    Group(
        "Atoms, beside those of the data",
        (
            Figure(
                "composition_w1", "composition", "Distance of the numbers of atoms.", "lower", "atoms", broken=False
            ),
            Figure(
                "ratio_w1", "ratio", "Distance of the ratios of the second species to the first.", "lower", broken=False
            ),
            Figure("coordination_emd", "coordination", "Distance of the coordination numbers.", "lower", "neighbours"),
            Figure(
                "rdf_w1",
                "pair distances",
                "Distance of the radial distributions, mean over pairs of species.",
                "lower",
                "Å",
            ),
            Figure(
                "profile_w1", "heights", "Distance of the heights of atoms above the bottom of the slab.", "lower", "Å"
            ),
            Figure("lattice_w1", "lattice", "Distance of the lattice lengths.", "lower", "Å", broken=False),
            Figure(
                "lattice_mae", "lattice error", "Lattice lengths beside the nearest training structure.", "lower", "Å"
            ),
            Figure(
                "decode_residual",
                "residual",
                "Share of the grid that its atoms do not explain, mean.",
                "lower",
                "%",
                broken=False,
            ),
        ),
    ),
    Group(
        "Densities, beside those of the data",
        (
            Figure(
                "sliced_wasserstein",
                "sliced Wasserstein",
                "Distance of the densities; 1 is the mean distance of two real structures.",
                "lower",
            ),
            Figure(
                "frechet",
                "Fréchet",
                "Distance of means and covariances of 16 principal components, in the same unit squared.",
                "lower",
            ),
            Figure("precision", "precision", "Samples that have real structures around them.", "higher", "%"),
            Figure("recall", "recall", "Real structures that have samples around them.", "higher", "%"),
            Figure(
                "density",
                "density",
                "In how many neighbourhoods of real structures a sample lies, over those expected; may exceed 1.",
                "higher",
            ),
            Figure("coverage", "coverage", "Real structures with a sample in their neighbourhood.", "higher", "%"),
            Figure("diversity", "diversity", "Number of different structures; 1 is the data's, 0 is a single one."),
            Figure(
                "stripe_index",
                "stripes",
                "Power at periods of 2 and 4 voxels; 1, the data's, or less is good.",
                "lower",
                broken=False,
            ),
        ),
    ),
    Group(
        "Memorisation",
        (
            Figure("ssim_train", "SSIM, training", "Mean likeness to the nearest training structure; 1 is identity."),
            Figure("ssim_held_out", "SSIM, held-out", "Mean likeness to the nearest held-out structure."),
            Figure(
                "memorisation_ratio",
                "ratio of both",
                "Far above 1, samples repeat what training has shown.",
                broken=False,
            ),
        ),
    ),
)

LABEL_FIGURES = (
    Figure("exact", "exact", "Found in the class that was asked for.", "higher", "%"),
    Figure("within_one", "within one", "In that class or one next to it.", "higher", "%"),
    Figure("spearman", "rank correlation", "Spearman's, of the class asked for with the value found.", "higher"),
    Figure("label_w1", "distance", "Distance of the values found from those of the data.", "lower"),
)

REASONS = {
    "unexplained": "its atoms do not explain its grid",
    "distance": "atoms too near each other",
    "link": "in pieces",
    "vacuum": "too little vacuum",
    "atoms": "unusual numbers of atoms",
}


class Row(NamedTuple):
    """A figure with its values."""

    figure: Figure
    about: str
    values: tuple[str, ...]  # one of each column
    place: float | None  # see `place_between`
    nearer: str  # "held-out", "control", or nothing


def rows_of(figures: tuple[Figure, ...], of: Mapping[str, Any], limits: Mapping[str, Any] | None = None) -> list[Row]:
    """Rows of a table.

    Parameters
    ----------
    figures
        In their order.
    of
        Mappings named as `COLUMNS` that hold their values; what is missing or null is not defined.
    limits
        Of the verdict.
    """
    words = describe_limits(limits or {})
    rows = []
    for figure in figures:
        values = [_find(of[column], figure.key) for column in COLUMNS]
        place = place_between(*values) if figure.broken else None
        nearer = "" if place is None else "held-out" if place < 0.5 else "control"
        written = tuple(format_value(value, figure.unit) for value in values)
        rows.append(Row(figure, figure.about.format_map(words), written, place, nearer))
    return rows


def place_between(samples: float | None, held_out: float | None, control: float | None) -> float | None:
    """Where samples lie on the way from held-out structures, 0, to the control, 1; it may be below 0 or above 1.

    None where a value is not defined, or where held-out structures and the control are as good as the same: they differ
    by no more than a tenth of the larger one.
    """
    if samples is None or held_out is None or control is None:
        return None
    way = control - held_out
    if not math.isfinite(samples + way) or abs(way) <= APART * max(abs(control), abs(held_out)):
        return None
    return (samples - held_out) / way


def format_value(value: float | None, unit: str = "") -> str:
    """Three digits, or a percentage with one decimal; a dash for what is not defined."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if unit == "%":
        return f"{100 * value:.1f} %"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def describe_limits(limits: Mapping[str, Any]) -> dict[str, str]:
    """Words for each limit of a verdict, as they stand in the sentences of `GROUPS`."""
    words = dict.fromkeys(("unexplained", "distance", "link", "vacuum", "atoms", "copy_angstrom"), UNDEFINED)
    for name in ("link", "vacuum", "copy_angstrom"):
        if limits.get(name) is not None:
            words[name] = f"{limits[name]:.3g}"
    if limits.get("unexplained") is not None:
        words["unexplained"] = f"{100 * limits['unexplained']:.3g} %"
    if limits.get("distance"):
        words["distance"] = ", ".join(f"{pair} {length:.3g}" for pair, length in limits["distance"].items())
    if limits.get("atoms"):
        words["atoms"] = ", ".join(f"{low} to {high} {symbol}" for symbol, (low, high) in limits["atoms"].items())
    return words


def _find(values: Mapping[str, Any], key: str) -> float | None:
    found: Any = values
    for name in key.split("."):
        found = (found or {}).get(name)
    return None if found is None else float(found)
