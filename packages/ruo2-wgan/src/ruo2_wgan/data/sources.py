"""Ways from a store to a batch: rows kept on the device, or streamed from disk.

Each gives the rows of a rank's order from a position on, and depends on nothing else.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ruo2_wgan.data.order import Order
from ruo2_wgan.data.rows import Rows

BLOCK = 64  # rows that a stream reads as a run
PIECE = 4096  # rows read at once into memory


class Loaded(NamedTuple):
    """Rows on their way to the device."""

    density: Tensor  # as stored
    rows: Tensor  # of the training rows, counted from 0; int64
    swaps: Tensor | None  # whose x and y have changed places


class Source(ABC):
    """Where rows come from; `load` may run in another thread, but only in one."""

    in_background = True  # whether loading is worth a thread
    scale: float  # density of one step of what is loaded

    def __init__(self, rows: Rows, order: Order) -> None:
        self._rows, self.order = rows, order
        self.scale = rows.scale

    @abstractmethod
    def load(self, cursor: int, size: int) -> Loaded:
        """Rows number `cursor` to `cursor + size` of the order."""


class ResidentSource(Source):
    """All training rows on the device, as stored."""

    in_background = False

    def __init__(self, rows: Rows, order: Order, device: torch.device) -> None:
        super().__init__(rows, order)
        self._data = torch.empty(
            (len(rows.train), rows.spec.n_species, *rows.spec.shape), dtype=_torch_dtype(rows.dtype), device=device
        )
        for begin in range(0, len(rows.train), PIECE):
            piece = rows.read(rows.train[begin : begin + PIECE])
            self._data[begin : begin + len(piece)] = torch.from_numpy(piece).to(device)

    def load(self, cursor: int, size: int) -> Loaded:
        taken = send(torch.from_numpy(self.order.take(cursor, size)), self._data.device)
        return Loaded(self._data.index_select(0, taken), taken, None)


class StreamSource(Source):
    """Windows of shuffled blocks, read from disk ahead of their turn, a part with each batch."""

    def __init__(self, rows: Rows, order: Order) -> None:
        super().__init__(rows, order)
        self._windows: dict[int, _Window] = {}

    def load(self, cursor: int, size: int) -> Loaded:
        taken = self.order.take(cursor, size)
        out = np.empty((size, self._rows.spec.n_species, *self._rows.spec.shape), dtype=self._rows.dtype)
        done = 0
        while done < size:
            number, place = self.order.window_of(cursor + done)
            window = self._open(number)
            window.read_until(1.0)
            end = min(place + size - done, len(window))
            np.take(window.data, window.places[place:end], axis=0, out=out[done : done + end - place], mode="clip")
            done += end - place
        # Of the next window as much is there as is used up of this one, so that its turn begins without a pause.
        self._open(number + 1).read_until(end / len(window))
        for old in [each for each in self._windows if each not in (number, number + 1)]:
            del self._windows[old]
        return Loaded(torch.from_numpy(out), torch.from_numpy(taken), None)

    def _open(self, number: int) -> "_Window":
        if number not in self._windows:
            self._windows[number] = _Window(self._rows, self.order, number)
        return self._windows[number]


class _Window:
    """Rows that are shuffled among each other, being read in the order of the store."""

    def __init__(self, rows: Rows, order: Order, number: int) -> None:
        self._rows = rows
        self._wanted = rows.train[order.window_rows(number)]
        self.places = order.window_places(number)
        self.data = np.empty((len(self._wanted), rows.spec.n_species, *rows.spec.shape), dtype=rows.dtype)
        self._n_read = 0

    def __len__(self) -> int:
        return len(self._wanted)

    def read_until(self, share: float) -> None:
        """Read on, in whole blocks, until so much of the window is there."""
        end = min(len(self), -(-int(np.ceil(share * len(self))) // BLOCK) * BLOCK)
        if end > self._n_read:
            self._rows.read(self._wanted[self._n_read : end], out=self.data[self._n_read : end])
            self._n_read = end


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; to a GPU by way of pinned memory, or the copy would wait for all that runs there."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype=dtype)).dtype
