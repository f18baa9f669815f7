"""Rows voxelized from their atoms, moved by other fractions of a voxel and turned another way each time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ruo2_voxel import VoxelStore, voxelize_many
from ruo2_wgan.data.order import Order
from ruo2_wgan.data.rows import Rows
from ruo2_wgan.data.sources import Loaded, Source

IntArray = NDArray[np.integer[Any]]

NUMBERS = 8  # random ones for each row, of which six are used: Philox makes four at a time


class AtomsSource(Source):
    """Structures, or slices of them, under translations of any length and the symmetries that are asked for.

    Translations are along x and y, and z with "roll-z"; of slices along their own axis, and across it by up to half a
    voxel, for a slice further away is another one. With "mirror", x and y are mirrored; with "rotate", structures are
    turned by quarter turns.

    Parameters
    ----------
    rows, order
        As for any source.
    augment
        What is done beyond translations.
    seed, rank
        Of the random numbers: a row's are those of its position in the order, whatever the batches.
    """

    def __init__(self, rows: Rows, order: Order, augment: Sequence[str], seed: int, rank: int) -> None:
        super().__init__(rows, order)
        assert isinstance(rows.store, VoxelStore)
        self.scale = 1.0
        self._augment = augment
        self._seeds = np.random.SeedSequence([seed, rank])
        self._grid, self._cell = rows.store.grid, rows.store.cell
        self._structure: IntArray = rows.train
        self._cut: tuple[IntArray, IntArray] | None = None  # plane and voxel of each slice
        if rows.view is not None:
            self._structure = rows.view.structure[rows.train]
            self._cut = rows.view.plane[rows.train], rows.view.position[rows.train]
        self._offset = rows.store.atom_offset
        self._positions: NDArray[np.float32] = rows.store.array("positions")[:]
        self._numbers: NDArray[np.uint8] = rows.store.array("atom_number")[:]

    def load(self, cursor: int, size: int) -> Loaded:
        taken = self.order.take(cursor, size)
        shares = self._draw(cursor, size)
        if self._cut is None:
            return self._load_structures(taken, shares)
        return self._load_slices(taken, shares, *(of_slice[taken] for of_slice in self._cut))

    def _draw(self, cursor: int, size: int) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1) for each position, shape (size, NUMBERS)."""
        bits = np.random.Philox(self._seeds).advance(cursor * NUMBERS // 4)
        return np.random.Generator(bits).random((size, NUMBERS))

    def _load_structures(self, taken: NDArray[np.int64], shares: NDArray[np.float64]) -> Loaded:
        rotate, mirror = "rotate" in self._augment, "mirror" in self._augment
        shifts = shares[:, :3] * (1, 1, "roll-z" in self._augment)
        mirrors = (shares[:, 3:5] < 0.5) & (mirror or rotate)
        swaps = (shares[:, 5] < 0.5) & rotate
        if not mirror:  # turns alone: a swap with one mirror, or both mirrors or none without
            mirrors[:, 1] = mirrors[:, 0] ^ swaps
        moved = [
            self._move(row, *how) for row, *how in zip(taken.tolist(), shifts, mirrors, swaps.tolist(), strict=True)
        ]
        density = voxelize_many(moved, self._grid, n_threads=torch.get_num_threads())
        return Loaded(torch.from_numpy(density), torch.from_numpy(taken), torch.from_numpy(swaps))

    def _load_slices(
        self, taken: NDArray[np.int64], shares: NDArray[np.float64], planes: IntArray, places: IntArray
    ) -> Loaded:
        density = np.empty((len(taken), self._grid.n_species, *self._rows.spec.shape), dtype=np.float32)
        nx, ny, nz = self._grid.shape
        for plane, across in enumerate((1, 0)):  # "xz" is cut across y, "yz" across x
            chosen = np.flatnonzero(planes == plane)
            shifts = shares[chosen, :3] * (1, 1, "roll-z" in self._augment)
            # A grid of one voxel across holds the slice through the origin, and takes a fraction of the time.
            shifts[:, across] = (shares[chosen, across] - 0.5 - places[chosen]) / self._grid.shape[across]
            mirrors = (shares[chosen, 3:5] < 0.5) & ("mirror" in self._augment)
            mirrors[:, across] = False
            moved = [self._move(row, *how) for row, *how in zip(taken[chosen].tolist(), shifts, mirrors, strict=True)]
            grid = replace(self._grid, shape=(nx, 1, nz) if across else (1, ny, nz))
            density[chosen] = voxelize_many(moved, grid, n_threads=torch.get_num_threads()).squeeze(2 + across)
        return Loaded(torch.from_numpy(density), torch.from_numpy(taken), None)

    def _move(self, row: int, shift: NDArray[np.float64], mirrors: NDArray[np.bool_], swap: bool = False) -> Atoms:
        """The structure of a row, in a cell whose vectors are swapped and then reversed, then shifted along these.

        A grid follows its cell's vectors, so this is a swap of its axes and a mirror through its origin, exact in
        cells of any shape; the atoms stay where they are.
        """
        structure = self._structure[row]
        begin, end = self._offset[structure], self._offset[structure + 1]
        cell = self._cell[structure][[1, 0, 2] if swap else [0, 1, 2]]
        cell[:2] *= np.where(mirrors, -1.0, 1.0)[:, None]
        return Atoms(self._numbers[begin:end], positions=self._positions[begin:end] + shift @ cell, cell=cell, pbc=True)
