"""Whether two structures are the same one: every atom of either near an atom of the other."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ruo2_wgan.verdict.atoms.sites import Sites
from ruo2_wgan.verdict.operations import Operation, move_scaled


def largest_displacement(first: Sites, second: Sites) -> float:
    """How far, Å, the atom moves that moves most between two structures that lie over each other.

    Returns
    -------
    displacement
        Infinite where they have other numbers of atoms, or two atoms of one are nearest to one atom of the other.

    Notes
    -----
    Distances are those in the second one's cell; the mean displacement in the plane does not count, for rolls by whole
    voxels leave up to half of one. In slices an atom's distance from the plane, which its height tells, is a third
    coordinate.
    """
    if not np.array_equal(np.sort(first.species), np.sort(second.species)):
        return math.inf
    if len(first) == 0:
        return 0.0
    steps = second.scaled[None] - first.scaled[:, None]
    steps = (steps - np.round(steps)) * second.lattice
    squares = np.where(first.species[:, None] == second.species, (steps**2).sum(axis=2), np.inf)
    partner = squares.argmin(axis=1)
    if len(np.unique(partner)) < len(partner):
        return math.inf
    moved = steps[np.arange(len(first)), partner]
    moved[:, :-1] -= moved[:, :-1].mean(axis=0)
    across = second.across[partner] - first.across
    return float(np.sqrt((moved**2).sum(axis=1) + across**2).max())


def move_sites(sites: Sites, operation: Operation, shape: Sequence[int]) -> Sites:
    """Sites after a symmetry operation of their density."""
    lattice = sites.lattice[[1, 0, 2]] if operation.swap else sites.lattice
    return replace(sites, scaled=move_scaled(sites.scaled, operation, shape), lattice=lattice)
