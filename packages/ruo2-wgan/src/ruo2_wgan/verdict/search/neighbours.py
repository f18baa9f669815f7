"""The nearest real structure of each sample, over a whole store and all exact symmetries; and which samples are copies.

Three sieves, each finer than the one before. Features find a shortlist in one pass over the store; correlation finds,
for each structure on it, the operation that lays the sample over it best; structural similarity (SSIM) chooses. How
often that finds what an exhaustive search finds is measured in `benchmarks/verdict.py`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from ruo2_wgan.verdict.atoms.matching import largest_displacement, move_sites
from ruo2_wgan.verdict.atoms.sites import find_sites
from ruo2_wgan.verdict.operations import Operation, apply_operation
from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.search.alignment import Aligner
from ruo2_wgan.verdict.search.shortlist import Query
from ruo2_wgan.verdict.search.ssim import similarity
from ruo2_wgan.verdict.structure_set import StructureSet
from ruo2_wgan.verdict.typing import BoolArray, FloatArray, IntArray

CLOSEST = 4  # of them, whose atoms are compared
EARLIER = 8  # samples that each is compared with, to see whether it came before

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Nearest:
    """Of n samples: the most similar real of some, and those that differ least, voxel by voxel."""

    row: IntArray  # (n,), of the store
    similarity: FloatArray  # (n, species): SSIM with that
    operations: list[Operation]  # that lay each sample over it
    close_rows: IntArray  # (n, CLOSEST)
    close_operations: list[list[Operation]]


def find_nearest(samples: StructureSet, listed: IntArray, reals: Reals, advance: Advance) -> Nearest:
    """The most similar real structure of each sample.

    Parameters
    ----------
    samples
        n of them.
    listed
        Rows to choose from for each, shape (n, k).
    reals
        Whose rows they are.
    advance
        Called with the number of samples just done.
    """
    aligner = Aligner(samples.spec.shape)

    def look(number: int) -> tuple[int, FloatArray, list[Operation], IntArray]:
        sample, candidates = samples.density[number], reals.read(listed[number])
        operations, squares = aligner.align(sample, candidates)
        found = [
            similarity(apply_operation(sample, operation), real)
            for operation, real in zip(operations, candidates, strict=True)
        ]
        advance(1)
        return int(np.mean(found, axis=1).argmax()), np.stack(found), operations, np.argsort(squares, kind="stable")

    with _one_thread_each(samples.n_threads) as pool:
        looked = list(pool.map(look, range(len(samples))))
    best = [place for place, *_ in looked]
    close = [order[:CLOSEST] for *_, order in looked]
    numbers = range(len(samples))
    return Nearest(
        row=listed[numbers, best],
        similarity=np.stack([looked[i][1][best[i]] for i in numbers]),
        operations=[looked[i][2][best[i]] for i in numbers],
        close_rows=np.stack([listed[i][close[i]] for i in numbers]),
        close_operations=[[looked[i][2][place] for place in close[i]] for i in numbers],
    )


def find_copies(samples: StructureSet, nearest: Nearest, reals: Reals) -> FloatArray:
    """How far each sample is from the real structure that it copies best.

    Returns
    -------
    displacements
        Shape (n,), Å: of the atom that moves most between both; infinite where no atoms match.
    """
    rows = np.unique(nearest.close_rows)
    sites = find_sites(reals.read(rows), reals.lattice(rows), samples.spec, samples.n_threads)
    of_row = dict(zip(rows.tolist(), sites, strict=True))
    found = np.full(len(samples), np.inf)
    for number, sample in enumerate(samples.sites):
        pairs = zip(nearest.close_rows[number].tolist(), nearest.close_operations[number], strict=True)
        moves = [largest_displacement(move_sites(sample, each, samples.spec.shape), of_row[row]) for row, each in pairs]
        found[number] = min(moves)
    return found


def find_repeats(samples: StructureSet, query: Query, farthest: float) -> BoolArray:
    """Which samples are one that came before, all atoms within a distance.

    Parameters
    ----------
    samples
        n of them.
    query
        Of the samples.
    farthest
        Å that an atom may move.
    """
    aligner, sites = Aligner(samples.spec.shape), samples.sites
    distances = torch.stack([torch.cdist(each, query.features) for each in query.variants]).amin(dim=0).numpy()

    def came_before(number: int) -> bool:
        before = np.argsort(distances[number, :number], kind="stable")[:EARLIER]
        if not len(before):
            return False
        operations, _ = aligner.align(samples.density[number], samples.density[before])
        moved = [move_sites(sites[number], operation, samples.spec.shape) for operation in operations]
        return any(largest_displacement(a, sites[b]) <= farthest for a, b in zip(moved, before.tolist(), strict=True))

    with _one_thread_each(samples.n_threads) as pool:
        return np.array(list(pool.map(came_before, range(len(samples)))))


@contextmanager
def _one_thread_each(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool within whose threads torch starts no others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)
