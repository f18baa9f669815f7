"""What the atoms of many structures are like: how many, how near to each other, how they hang together, where."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from vesin import NeighborList

from ruo2_wgan.verdict.atoms.sites import Sites
from ruo2_wgan.verdict.typing import FloatArray, IntArray

REACH = 6.0  # Å: of distributions of distances
REACH_IN_SLICE = 20.0  # Å: a slice has few atoms, and gaps between them where layers lie beside its plane
BIN = 0.05  # Å, of distances and heights
BONDED = 1.25  # times the sum of covalent radii: nearer atoms are neighbours
DEEP = 1000.0  # Å across a slice: no images there


@dataclass(frozen=True)
class Geometry:
    """Figures of n structures; pairs of species as in `pairs_of`."""

    counts: IntArray  # (n, species)
    shortest: FloatArray  # (n, pairs), Å; infinite where there is no such pair
    link: FloatArray  # (n,), Å: the longest step that must be taken to go from atom to atom through all of them
    vacuum: FloatArray  # (n,), Å: the largest gap between atoms along z
    unexplained: FloatArray  # (n,)
    lattice: FloatArray  # (n, axes), Å
    pair_counts: IntArray  # (pairs, bins): distances up to REACH
    coordination: list[IntArray]  # for each ordered pair of different species: neighbours of each atom of the first
    heights: list[FloatArray]  # for each species: of all atoms above the lowest atom of their slab, Å

    def __len__(self) -> int:
        return len(self.counts)


def pairs_of(n_species: int) -> list[tuple[int, int]]:
    """Pairs of species, each once."""
    return [(a, b) for a in range(n_species) for b in range(a, n_species)]


def ordered_pairs_of(n_species: int) -> list[tuple[int, int]]:
    """Pairs of different species, in both orders; of the same species where there is but one."""
    return [(a, b) for a in range(n_species) for b in range(n_species) if a != b] or [(0, 0)]


def names_of_pairs(species: Sequence[str]) -> list[str]:
    """As Ru-O, in their order."""
    return ["-".join((species[a], species[b])) for a, b in pairs_of(len(species))]


def names_of_ordered_pairs(species: Sequence[str]) -> list[str]:
    """As O around Ru, in their order."""
    return [f"{species[b]} around {species[a]}" for a, b in ordered_pairs_of(len(species))]


def measure_geometry(sites: Sequence[Sites], species: Sequence[str]) -> Geometry:
    """Figures of structures, of which each may have any number of atoms, none too.

    Parameters
    ----------
    sites
        One for each structure or slice.
    species
        Element symbols in the order of the channels.

    Notes
    -----
    `link` is the longest edge of a minimum spanning tree over all images: a slab in one piece has one of about a bond.
    In slices all distances are those within the plane.
    """
    n, n_species = len(sites), len(species)
    pairs, ordered = pairs_of(n_species), ordered_pairs_of(n_species)
    number = np.zeros((n_species, n_species), dtype=np.int64)
    for which, (a, b) in enumerate(pairs):
        number[a, b] = number[b, a] = which
    radii = covalent_radii[[atomic_numbers.get(symbol, 0) for symbol in species]]
    bonded = BONDED * (radii[:, None] + radii)
    shortest = np.full((n, len(pairs)), np.inf)
    link, vacuum = np.full(n, np.inf), np.zeros(n)
    n_bins = round(REACH / BIN)
    pair_counts = np.zeros((len(pairs), n_bins), dtype=np.int64)
    coordination: list[list[IntArray]] = [[] for _ in ordered]
    heights: list[list[FloatArray]] = [[] for _ in range(n_species)]
    for row, each in enumerate(sites):
        first, second, distances = _find_pairs(each)
        kinds = number[each.species[first], each.species[second]]
        np.minimum.at(shortest[row], kinds, distances)
        bins = (distances / BIN).astype(np.int64)
        np.add.at(pair_counts, (kinds[bins < n_bins], bins[bins < n_bins]), 1)
        link[row] = _longest_link(first, second, distances, len(each))
        vacuum[row], above = _measure_gap(each)
        near = distances < bonded[each.species[first], each.species[second]]
        for which, (a, b) in enumerate(ordered):
            ends = np.concatenate(
                [
                    first[near & (each.species[first] == a) & (each.species[second] == b)],
                    second[near & (each.species[second] == a) & (each.species[first] == b)],
                ]
            )
            coordination[which].append(np.bincount(ends, minlength=len(each))[each.species == a])
        for channel in range(n_species):
            heights[channel].append(above[each.species == channel])
    return Geometry(
        counts=np.stack([each.counts(n_species) for each in sites]),
        shortest=shortest,
        link=link,
        vacuum=vacuum,
        unexplained=np.array([each.unexplained for each in sites]),
        lattice=np.stack([each.lattice for each in sites]),
        pair_counts=pair_counts,
        coordination=[np.concatenate(parts) for parts in coordination],
        heights=[np.concatenate(parts) for parts in heights],
    )


def _find_pairs(sites: Sites) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs up to REACH, or REACH_IN_SLICE, each once, over all images."""
    if len(sites) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    positions, lengths = sites.positions, sites.lattice
    reach = REACH
    if len(lengths) == 2:
        positions, lengths = np.insert(positions, 1, 0.0, axis=1), np.insert(lengths, 1, DEEP)
        reach = REACH_IN_SLICE
    pairs, distances = NeighborList(cutoff=reach, full_list=False, n_threads=1).compute(
        np.ascontiguousarray(positions), np.diag(lengths), True, "Pd"
    )
    ends = pairs.astype(np.int64)
    return ends[:, 0], ends[:, 1], distances


def _longest_link(first: IntArray, second: IntArray, distances: FloatArray, n: int) -> float:
    """Of a minimum spanning tree; infinite where some are farther than all pairs from the others."""
    if n < 2:
        return 0.0
    apart = first != second
    ends, lengths = np.sort([first[apart], second[apart]], axis=0), distances[apart]
    order = np.lexsort((lengths, *ends))
    ends, lengths = ends[:, order], lengths[order]
    nearest = np.ones(len(order), dtype=bool)  # of several images of a pair
    nearest[1:] = (ends[:, 1:] != ends[:, :-1]).any(axis=0)
    # A graph takes a length of 0 for no edge.
    graph = coo_matrix((np.maximum(lengths[nearest], 1e-12), ends[:, nearest]), shape=(n, n))
    tree = minimum_spanning_tree(graph.tocsr())
    return float(tree.data.max()) if tree.nnz == n - 1 else np.inf


def _measure_gap(sites: Sites) -> tuple[float, FloatArray]:
    """The largest gap along z, Å, and the heights of all atoms above its upper end."""
    if len(sites) == 0:
        return float(sites.lattice[-1]), np.empty(0)
    z, length = sites.positions[:, -1], sites.lattice[-1]
    levels = np.sort(z)
    gaps = np.diff(levels, append=levels[0] + length)
    widest = int(gaps.argmax())
    bottom = levels[(widest + 1) % len(levels)]
    return float(gaps[widest]), (z - bottom) % length
