"""What the figures say in words: a sentence for each thing that is wrong with the samples."""

from collections.abc import Mapping
from typing import Any

from ruo2_wgan.measures.stripes import MOST_STRIPES
from ruo2_wgan.verdict.findings import COPY

# Beyond these, beside held-out structures, a figure is a sign.
MORE = 0.1  # share of samples
TIMES = 3.0  # as large
NEARER = 0.5  # times as unlike the nearest training structure
LEAST_DIVERSITY = 0.5

FAULTS = {
    "atoms": "too few or too many atoms of a species",
    "unexplained": "a density that atoms do not explain",
    "distance": "atoms nearer to each other than in the data: {pairs}",
    "link": "a slab that does not hang together",
    "vacuum": "less vacuum than in the data",
}
"""What each reason means; with {pairs} of species that are too near."""


def read_signs(columns: Mapping[str, Mapping[str, Any]], labels: Mapping[str, Any] | None = None) -> list[str]:
    """Sentences about the samples, beside the held-out structures; none where nothing is wrong.

    Parameters
    ----------
    columns
        Figures of `samples`, `held_out` and `control`, as `Reference.figures` gives them.
    labels
        As `EnergyTest.judge` gives it.
    """
    of, real = columns["samples"], columns["held_out"]
    pairs = ", ".join(f"{name} {value:.0%}" for name, value in of["too_near"].items() if value > real["too_near"][name])
    found = [
        f"{of['invalid'][reason]:.0%} of the samples have {words.format(pairs=pairs)} (held-out structures: "
        f"{real['invalid'][reason]:.0%})"
        for reason, words in FAULTS.items()
        if of["invalid"][reason] > real["invalid"][reason] + MORE
    ]
    if of["copied"] > real["copied"] + MORE:
        found.append(
            f"{of['copied']:.0%} of the samples are copies of training structures, each atom within {COPY:g} Å "
            f"(held-out structures: {real['copied']:.0%})"
        )
    if 1.0 - of["ssim_train"] < NEARER * (1.0 - real["ssim_train"]):
        found.append(
            f"the generator memorises: samples differ from their nearest training structures by "
            f"{1 - of['ssim_train']:.3f} in SSIM, held-out structures by {1 - real['ssim_train']:.3f}"
        )
    if of["unique"] < real["unique"] - MORE:
        found.append(
            f"{1 - of['unique']:.0%} of the samples have come before (held-out structures: {1 - real['unique']:.0%})"
        )
    if of["diversity"] < LEAST_DIVERSITY * min(real["diversity"], 1.0):
        found.append(f"the samples are a few kinds over and over: diversity {of['diversity']:.2f}, the data's is 1")
    for name, words in (("precision", "few samples lie among"), ("recall", "samples cover little of the")):
        if of[name] < NEARER * real[name]:
            found.append(f"{words} real structures: {name} {of[name]:.2f} (held-out structures: {real[name]:.2f})")
    if of["stripe_index"] > max(MOST_STRIPES, TIMES * real["stripe_index"]):
        found.append(f"the samples have stripes: {of['stripe_index']:.1f} times the data's power at periods of 2 or 4")
    for name, words in (
        ("composition_w1", "numbers of atoms"),
        ("coordination_emd", "numbers of neighbours"),
        ("rdf_w1", "distances between atoms"),
        ("profile_w1", "heights of atoms"),
        ("lattice_w1", "lattice lengths"),
    ):
        control = columns["control"][name]
        if None not in (of[name], real[name], control) and of[name] > max(TIMES * real[name], 0.5 * control):
            found.append(f"{words} are not the data's: {name} {of[name]:.3g} (held-out structures: {real[name]:.3g})")
    if labels is not None:
        found += _read_labels(labels["samples"], labels["held_out"])
    if not of["with_atoms"]:
        found.append("no sample shows an atom: figures of atoms are not defined")
    if of["valid_unique_new"] == 0.0:
        found.append("no sample is valid, unique and new")
    return found


def _read_labels(of: Mapping[str, Any], real: Mapping[str, Any]) -> list[str]:
    found = []
    if of["failed"] > of["n"] * MORE:
        found.append(f"{of['failed']} of {of['n']} samples have no energy: {of['failures'][0]['error']}")
    if None not in (of["within_one"], real["within_one"]) and of["within_one"] < real["within_one"] - MORE:
        found.append(
            f"{of['within_one']:.0%} of the samples have the class asked for or one beside it (held-out structures: "
            f"{real['within_one']:.0%})"
        )
    if None not in (of["spearman"], real["spearman"]) and of["spearman"] < NEARER * real["spearman"]:
        found.append(
            f"labels hardly follow the classes asked for: rank correlation {of['spearman']:.2f} (held-out structures: "
            f"{real['spearman']:.2f})"
        )
    return found
