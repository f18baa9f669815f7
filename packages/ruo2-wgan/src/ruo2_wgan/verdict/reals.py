"""The real structures that samples are judged beside: training rows of a store, and rows that no network has seen."""

import math

import numpy as np

from ruo2_wgan.data import Rows
from ruo2_wgan.errors import DataError
from ruo2_wgan.verdict.structure_set import FEWEST, StructureSet
from ruo2_wgan.verdict.typing import FloatArray, IntArray

MOST_BYTES = 2_000_000_000  # of slices that are kept in memory
LAST = 0.1  # share of the rows that stands in for held-out ones where a store has none


class Reals:
    """Rows of a store, as densities.

    Parameters
    ----------
    rows
        Of the store. Where none are held out, the last tenth of its rows is set apart; a network that was trained on
        the store has seen those as well, so that what is said of held-out structures is too good.

    Raises
    ------
    DataError
        Too few rows to compare.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.spec = rows.spec
        self.location = rows.location
        # A slice cut on the fly costs as much as its structure, and each is looked at many times.
        n_bytes = len(rows) * self.spec.n_species * math.prod(self.spec.shape) * rows.dtype.itemsize
        in_memory = rows.view is not None and n_bytes <= MOST_BYTES
        self._kept = rows.read(np.arange(len(rows))) if in_memory else None
        self.train, self.held_out = rows.train, rows.held_out
        self.held_out_from = "split"
        if not len(self.held_out):
            at = len(self.train) - max(int(LAST * len(self.train)), 2 * FEWEST)
            self.train, self.held_out = self.train[: max(at, 0)], self.train[max(at, 0) :]
            self.held_out_from = "last tenth"
        if min(len(self.train), len(self.held_out) // 2) < FEWEST:
            raise DataError(
                f"{self.location}: a verdict needs {FEWEST} or more training rows and {2 * FEWEST} or more held-out "
                f"ones; found {len(self.train)} and {len(self.held_out)}. Build the store with --held-out, or of more "
                f"structures"
            )

    def read(self, indices: IntArray) -> FloatArray:
        """Densities of rows, in any order, shape (n, species, *shape), float32."""
        stored = self._rows.read(indices.astype(np.int64)) if self._kept is None else self._kept[indices]
        density: FloatArray = np.multiply(stored, np.float32(self._rows.scale), dtype=np.float32)
        return density

    def lattice(self, indices: IntArray) -> FloatArray:
        """Lattice lengths of rows, Å, shape (n, axes)."""
        return self._rows.lattice[indices]

    def take(self, indices: IntArray, n_threads: int = 1) -> StructureSet:
        """Rows as a set to judge, each asked for the class that it has."""
        return StructureSet(
            density=self.read(indices),
            lattice=self.lattice(indices),
            asked=self._rows.energy_class[indices],
            spec=self.spec,
            n_threads=n_threads,
        )

    def halves(self) -> tuple[IntArray, IntArray]:
        """The held-out rows, in two parts that share no structure but perhaps one."""
        middle = len(self.held_out) // 2
        return self.held_out[:middle], self.held_out[middle:]
