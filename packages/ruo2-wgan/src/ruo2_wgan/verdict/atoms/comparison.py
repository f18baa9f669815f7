"""Distances between the structures of two sets: composition, neighbours, distances, heights, lattice lengths."""

from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from ruo2_wgan.verdict.atoms.geometry import BIN, Geometry
from ruo2_wgan.verdict.typing import FloatArray

MOST_VALUES = 100_000  # of a distribution: more change nothing that shows

Figures = dict[str, float | None]


def compare_structures(found: Geometry, real: Geometry) -> Figures:
    """Wasserstein-1 distances between both sets, each in the unit of its quantity; None where a set has nothing.

    Returns
    -------
    figures
        `composition_w1`: atoms, of the numbers of atoms in a structure, mean over species. `ratio_w1`: of the ratio of
        the second species to the first, where there are two. `coordination_emd`: neighbours of an atom, mean over
        ordered pairs of species. `rdf_w1`: Å, mean over pairs, of distances weighted by 1 / r^2 (1 / r in slices), so
        that a gas has an even distribution. `profile_w1`: Å, mean over species, of heights above the lowest atom of the
        slab. `lattice_w1`: Å, mean over axes. `decode_residual`: mean share of a density that its atoms leave.
    """
    n_species, power = found.counts.shape[1], found.lattice.shape[1] - 1
    return {
        "composition_w1": _mean(_w1(a, b) for a, b in zip(found.counts.T, real.counts.T, strict=True)),
        "ratio_w1": _w1(ratios(found), ratios(real)) if n_species > 1 else None,
        "coordination_emd": _mean(_w1(a, b) for a, b in zip(found.coordination, real.coordination, strict=True)),
        "rdf_w1": _mean(
            _w1_of_histograms(radial(a, power), radial(b, power))
            for a, b in zip(found.pair_counts, real.pair_counts, strict=True)
        ),
        "profile_w1": _mean(_w1(a, b) for a, b in zip(found.heights, real.heights, strict=True)),
        "lattice_w1": _mean(_w1(a, b) for a, b in zip(found.lattice.T, real.lattice.T, strict=True)),
        "decode_residual": float(found.unexplained.mean()),
    }


def ratios(geometry: Geometry) -> FloatArray:
    """Atoms of the second species for one of the first, of the structures that have the first."""
    first, second = geometry.counts[:, 0], geometry.counts[:, 1]
    values: FloatArray = second[first > 0] / first[first > 0]
    return values


def radial(counts: Any, power: int) -> FloatArray:
    """Counts of distances, over the area of each shell."""
    middles = (np.arange(len(counts)) + 0.5) * BIN
    values: FloatArray = counts / middles**power
    return values


def _w1(first: Any, second: Any) -> float | None:
    if not (len(first) and len(second)):
        return None
    return float(wasserstein_distance(_thin(first), _thin(second)))


def _thin(values: Any) -> Any:
    every = -(-len(values) // MOST_VALUES)
    return np.sort(values)[every // 2 :: every] if every > 1 else values


def _w1_of_histograms(first: FloatArray, second: FloatArray) -> float | None:
    if not (first.sum() and second.sum()):
        return None
    shares = np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()
    return float(np.abs(shares).sum() * BIN)


def _mean(values: Any) -> float | None:
    """None where nothing can be compared; what one set has and the other lacks is no distance."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
