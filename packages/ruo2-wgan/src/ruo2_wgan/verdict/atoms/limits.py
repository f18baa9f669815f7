"""What counts as a valid structure: within what real ones are like, with a margin."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruo2_wgan.verdict.atoms.geometry import Geometry, names_of_pairs
from ruo2_wgan.verdict.typing import BoolArray, FloatArray, IntArray

RARE = 1e-3  # share of the reals that may lie beyond a limit
MARGIN = 0.1  # Å, beyond what reals have
MORE_ATOMS = 0.1  # share of atoms of a species, below the fewest and above the most that reals have
UNEXPLAINED = 0.4  # a clean density has less than 0.01, one with noise of a tenth of a peak about 0.3

REASONS = ("atoms", "unexplained", "distance", "link", "vacuum")
"""Why a structure may be invalid: too few or too many atoms of a species; a density that its atoms do not explain; two
atoms too near; a slab that does not hang together; too little vacuum."""


@dataclass(frozen=True)
class Limits:
    """Of a valid structure."""

    atoms: IntArray  # (species, 2): fewest and most
    unexplained: float  # most
    distance: FloatArray  # (pairs,), Å: least
    link: float  # Å: most
    vacuum: float  # Å: least

    @classmethod
    def of(cls, real: Geometry) -> "Limits":
        """From real structures."""
        fewest, most = real.counts.min(axis=0), real.counts.max(axis=0)
        seen = [column[np.isfinite(column)] for column in real.shortest.T]
        return cls(
            atoms=np.stack([np.floor((1 - MORE_ATOMS) * fewest), np.ceil((1 + MORE_ATOMS) * most)], 1).astype(np.int64),
            unexplained=max(UNEXPLAINED, float(np.quantile(real.unexplained, 1 - RARE))),
            distance=np.array([np.quantile(each, RARE) - MARGIN if len(each) else 0.0 for each in seen]),
            link=float(np.quantile(real.link, 1 - RARE, method="higher")) + MARGIN,
            vacuum=float(np.quantile(real.vacuum, RARE)) - MARGIN,
        )

    def find_faults(self, geometry: Geometry) -> dict[str, BoolArray]:
        """For each of `REASONS`, which structures have that fault; those without atoms lack atoms."""
        counts = geometry.counts
        return {
            "atoms": ((counts < self.atoms[:, 0]) | (counts > self.atoms[:, 1])).any(axis=1)
            | (counts.sum(axis=1) == 0),
            "unexplained": geometry.unexplained > self.unexplained,
            "distance": self.find_near(geometry).any(axis=1),
            "link": geometry.link > self.link,
            "vacuum": geometry.vacuum < self.vacuum,
        }

    def find_near(self, geometry: Geometry) -> BoolArray:
        """Which structures have two atoms too near, by pair of species: shape (n, pairs)."""
        near: BoolArray = geometry.shortest < self.distance
        return near

    def as_dict(self, species: Sequence[str]) -> dict[str, Any]:
        """Plain values that JSON knows, by name; no link where real structures do not hang together either."""
        return {
            "atoms": dict(zip(species, self.atoms.tolist(), strict=True)),
            "unexplained": self.unexplained,
            "distance": dict(zip(names_of_pairs(species), self.distance.round(3).tolist(), strict=True)),
            "link": self.link if math.isfinite(self.link) else None,
            "vacuum": self.vacuum,
        }
