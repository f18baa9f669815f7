"""What is found of one set of structures, and the figures that stand for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ruo2_wgan.measures import RealDistribution, compare_stripes, stripe_ratios
from ruo2_wgan.measures.manifold import PrincipalSpace, cover, frechet
from ruo2_wgan.verdict.atoms.comparison import compare_structures
from ruo2_wgan.verdict.atoms.geometry import Geometry, measure_geometry, names_of_pairs
from ruo2_wgan.verdict.atoms.limits import Limits
from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.search.features import FeatureSpace
from ruo2_wgan.verdict.search.neighbours import Advance, Nearest, find_copies, find_nearest, find_repeats
from ruo2_wgan.verdict.search.shortlist import LENGTH, Query, shortlist
from ruo2_wgan.verdict.structure_set import StructureSet
from ruo2_wgan.verdict.typing import BoolArray, FloatArray, IntArray

COPY = 0.25  # Å: an atom that moves less between two structures has hardly moved
FULLEST = 3.0  # times the mean density of the fullest real structure: what is fuller is no structure
Stage = Callable[[str, int], Advance]  # what begins, and of how many structures it is


@dataclass(frozen=True)
class Findings:
    """Of a set of n structures."""

    structures: StructureSet
    geometry: Geometry
    faults: dict[str, BoolArray]  # for each reason, who is invalid for it
    features: Tensor  # (n, features)
    nearest: Nearest  # among all training rows
    displacement: FloatArray  # (n,), Å, from the training structure that it copies best; infinite where it copies none
    repeated: BoolArray  # (n,): the same as one before
    held_out_similarity: FloatArray  # (n,): SSIM with the nearest structure of one half of the held-out ones

    @property
    def valid(self) -> BoolArray:
        """Who has no fault."""
        invalid: BoolArray = np.any(list(self.faults.values()), axis=0)
        return ~invalid

    @property
    def copied(self) -> BoolArray:
        """Who is a training structure again."""
        return self.displacement <= COPY


class Reference:
    """The training structures that sets are compared with, and what is known of them.

    Parameters
    ----------
    reals
        Rows of the store.
    rows
        The training rows whose distributions count; neighbours are sought among all of them.
    n_threads
        For what can be shared.
    stage
        Called as work begins.
    """

    def __init__(self, reals: Reals, rows: IntArray, n_threads: int, stage: Stage) -> None:
        self.reals = reals
        structures = reals.take(rows, n_threads)
        structures.find_sites(stage("decoding training structures", len(rows)))
        self._fullest = FULLEST * float(structures.density.mean(axis=tuple(range(1, structures.density.ndim))).max())
        self.space = FeatureSpace(structures.density)
        features = self.space.describe(structures.density)
        self._distribution = RealDistribution(features)
        self.geometry = measure_geometry(structures.sites, reals.spec.species)
        self.limits = Limits.of(self.geometry)
        self._stripes = stripe_ratios(torch.from_numpy(structures.density))
        self._principal = PrincipalSpace(features)
        self._points = self._principal.project(features)

    def examine(self, sets: Mapping[str, tuple[StructureSet, IntArray]], stage: Stage) -> dict[str, Findings]:
        """Find all that there is to say of some sets.

        Parameters
        ----------
        sets
            Of each, n structures, and for each of these with which half of the held-out rows it is compared, 0 or 1.
        stage
            Called as work begins.
        """
        queries = [Query(structures.density, self.space) for structures, _ in sets.values()]
        advance = stage("passing over the store", len(self.reals.train) + len(self.reals.held_out))
        in_train = shortlist(queries, self.reals.train, self.reals, self.space, LENGTH, advance)
        parts = self.reals.halves()
        length = min(LENGTH, *map(len, parts))
        in_halves = [shortlist(queries, rows, self.reals, self.space, length, advance) for rows in parts]
        found = {}
        for number, (name, (structures, halves)) in enumerate(sets.items()):
            in_held_out = np.where(halves[:, None] == 0, in_halves[0][number], in_halves[1][number])
            found[name] = self._examine(name, structures, queries[number], in_train[number], in_held_out, stage)
        return found

    def _examine(
        self,
        name: str,
        structures: StructureSet,
        query: Query,
        in_train: IntArray,
        in_held_out: IntArray,
        stage: Stage,
    ) -> Findings:
        structures.find_sites(stage(f"decoding {name.replace('_', '-')} structures", len(structures)), self._fullest)
        advance = stage(f"comparing {name.replace('_', '-')} with their nearest", 2 * len(structures))
        nearest = find_nearest(structures, in_train, self.reals, advance)
        in_other = find_nearest(structures, in_held_out, self.reals, advance)
        geometry = measure_geometry(structures.sites, self.reals.spec.species)
        return Findings(
            structures=structures,
            geometry=geometry,
            faults=self.limits.find_faults(geometry),
            features=query.features,
            nearest=nearest,
            displacement=find_copies(structures, nearest, self.reals),
            repeated=find_repeats(structures, query, COPY),
            held_out_similarity=in_other.similarity.mean(axis=1),
        )

    def figures(self, of: Findings) -> dict[str, object]:
        """The figures of a set beside these training structures; None where one is not defined.

        Notes
        -----
        `sliced_wasserstein` and `diversity` are of the features; `frechet`, `precision`, `recall`, `density` and
        `coverage` of their 16 first principal components. `frechet` is in the square of the mean distance of two
        training structures there.
        """
        features, nearest = of.features, of.nearest
        points = self._principal.project(features)
        to_train, to_held_out = nearest.similarity.mean(axis=1).mean(), of.held_out_similarity.mean()
        lengths = self.reals.lattice(nearest.row)
        too_near = self.limits.find_near(of.geometry).mean(axis=0).tolist()
        return {
            "n": len(of.structures),
            "with_atoms": share(of.geometry.counts.sum(axis=1) > 0),
            "valid": share(of.valid),
            "unique": share(~of.repeated),
            "copied": share(of.copied),
            "valid_unique_new": share(of.valid & ~of.repeated & ~of.copied),
            "invalid": {reason: share(faults) for reason, faults in of.faults.items()},
            "too_near": dict(zip(names_of_pairs(self.reals.spec.species), too_near, strict=True)),
            **compare_structures(of.geometry, self.geometry),
            "lattice_mae": float(np.abs(moved_lattice(of) - lengths).mean()),
            "sliced_wasserstein": self._distribution.sliced_wasserstein(features),
            "frechet": frechet(points, self._points) / self._principal.unit**2,
            **cover(points, self._points),
            "diversity": self._distribution.diversity(features),
            "stripe_index": compare_stripes(stripe_ratios(torch.from_numpy(of.structures.density)), self._stripes),
            "ssim_train": float(to_train),
            "ssim_held_out": float(to_held_out),
            "memorisation_ratio": float(to_train / to_held_out) if to_held_out > 0.0 else None,
        }


def share(of: BoolArray) -> float:
    """How many of all."""
    return float(of.mean())


def moved_lattice(of: Findings) -> FloatArray:
    """Lattice lengths of samples along the axes of their nearest training structures, Å, shape (n, axes)."""
    lattice = of.structures.lattice.copy()
    swapped = [operation.swap for operation in of.nearest.operations]
    lattice[swapped, :2] = lattice[swapped, 1::-1]
    return lattice
