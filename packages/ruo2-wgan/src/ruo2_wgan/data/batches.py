"""Batches of one rank, prepared ahead of their turn and finished on the device."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ruo2_wgan.config import Config
from ruo2_wgan.data.atoms_source import AtomsSource
from ruo2_wgan.data.lattice import scale_lattice
from ruo2_wgan.data.order import Order
from ruo2_wgan.data.rows import Rows
from ruo2_wgan.data.sources import BLOCK, Loaded, ResidentSource, Source, StreamSource, send
from ruo2_wgan.data.symmetry import swap_lengths
from ruo2_wgan.errors import DataError


class Batch(NamedTuple):
    """b real rows on the device."""

    density: Tensor  # (b, species, ...), in [0, 1]
    label: Tensor | None  # (b,), int64
    lattice: Tensor  # (b, axes), scaled to [0, 1]


class Batches:
    """The rows of a rank, batch by batch: a pure function of seed, rank and cursor.

    Parameters
    ----------
    rows
        Of an open store; only those for training are used.
    config
        Source of the rows and how much is read ahead.
    device
        Where batches are wanted.
    seed
        Of their order.
    rank, n_ranks
        Which share of the rows.
    cursor
        Rows of this rank that an earlier run has taken.
    dtype
        Of densities and lattice lengths.

    Raises
    ------
    DataError
        More ranks than rows.
    """

    def __init__(
        self,
        rows: Rows,
        config: Config,
        device: torch.device,
        *,
        seed: int,
        rank: int = 0,
        n_ranks: int = 1,
        cursor: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.cursor = cursor  # rows taken; what is read ahead is not counted
        self.seconds_waited = 0.0
        self._device, self._dtype = device, dtype
        self._location, self._n_ranks = rows.location, n_ranks
        self.source_name = choose_source(rows, config)
        self._source = _make_source(self.source_name, rows, config, device, seed, rank, n_ranks)
        self.check_size(1)
        self._read_ahead = config.data.read_ahead
        self._lattice = scale_lattice(rows.spec, torch.from_numpy(rows.lattice[rows.train])).to(device, dtype)
        self._labels = None
        if rows.spec.n_classes:
            self._labels = torch.from_numpy(rows.energy_class[rows.train]).to(device)
        self._pool = _start_thread(device) if self._source.in_background else None
        self._ahead: deque[tuple[int, int, Future[Loaded]]] = deque()

    def check_size(self, size: int) -> None:
        """See that an epoch of this rank has at least one batch of so many rows.

        Raises
        ------
        DataError
            It has not.
        """
        per_epoch = self._source.order.per_epoch
        if per_epoch < size:
            raise DataError(
                f"{self._location}: each of {self._n_ranks} ranks must have at least one batch of rows an epoch; found "
                f"{per_epoch} rows for a rank and batches of {size}. Take fewer ranks, or a smaller training.batch"
            )

    def next(self, size: int) -> Batch:
        """The next rows.

        Parameters
        ----------
        size
            How many, for this rank alone.
        """
        begin = time.perf_counter()
        loaded = self._load(size)
        self.seconds_waited += time.perf_counter() - begin
        self.cursor += size
        density = send(loaded.density, self._device).to(self._dtype).mul_(self._source.scale)
        if loaded.density.is_floating_point():
            density.clamp_(max=1.0)  # of plain sums: from atoms, or a store built with combine="none"
        chosen = send(loaded.rows, self._device)
        lattice = self._lattice[chosen]
        if loaded.swaps is not None:
            lattice = swap_lengths(lattice, send(loaded.swaps, self._device))
        return Batch(density, None if self._labels is None else self._labels[chosen], lattice)

    def close(self) -> None:
        """Stop reading ahead."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _load(self, size: int) -> Loaded:
        if self._pool is None:
            return self._source.load(self.cursor, size)
        if self._ahead and self._ahead[0][:2] != (self.cursor, size):  # the batch has grown
            for *_, future in self._ahead:
                future.cancel()
            self._ahead.clear()
        while len(self._ahead) <= self._read_ahead:
            cursor = self._ahead[-1][0] + size if self._ahead else self.cursor
            self._ahead.append((cursor, size, self._pool.submit(self._prepare, cursor, size)))
        return self._ahead.popleft()[2].result()

    def _prepare(self, cursor: int, size: int) -> Loaded:
        loaded = self._source.load(cursor, size)
        if self._device.type == "cuda":  # here, where nobody waits for it
            loaded = loaded._replace(density=loaded.density.pin_memory())
        return loaded


def _start_thread(device: torch.device) -> ThreadPoolExecutor:
    """One thread; it pins memory, for which it must know which GPU is this rank's."""
    if device.type == "cuda":
        return ThreadPoolExecutor(1, "batches", torch.cuda.set_device, (device,))
    return ThreadPoolExecutor(1, "batches")


def choose_source(rows: Rows, config: Config) -> str:
    """The source that "auto" stands for: rows are resident where they fit."""
    if config.data.source != "auto":
        return config.data.source
    n_bytes = rows.spec.n_train * rows.spec.n_species * int(np.prod(rows.spec.shape)) * rows.dtype.itemsize
    return "resident" if n_bytes <= config.data.resident_gigabytes * 1e9 else "stream"


def _make_source(
    name: str, rows: Rows, config: Config, device: torch.device, seed: int, rank: int, n_ranks: int
) -> Source:
    n = rows.spec.n_train
    if name == "resident":
        return ResidentSource(rows, Order(n, seed, rank, n_ranks), device)
    if name == "stream":
        return StreamSource(rows, Order(n, seed, rank, n_ranks, BLOCK, config.data.window))
    return AtomsSource(rows, Order(n, seed, rank, n_ranks), config.data.augment, seed, rank)
