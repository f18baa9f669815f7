"""The endless sequence of rows that each rank sees: a pure function of seed, rank and position."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class Order:
    """Numbers of rows, shuffled anew for each epoch and dealt to ranks that never share one within it.

    Parameters
    ----------
    n
        Rows.
    seed
        Of the shuffling.
    rank, n_ranks
        Which share.
    block
        Rows that stay neighbours: blocks are shuffled and dealt, not rows, so that a stream reads runs.
    window
        Rows, rounded to whole blocks, that are shuffled among each other; all of the rank's if None.

    Notes
    -----
    All ranks have n // n_ranks rows an epoch; the few that are left over differ from epoch to epoch. Where a run is
    resumed, one number tells where: no state is kept.
    """

    def __init__(
        self, n: int, seed: int, rank: int = 0, n_ranks: int = 1, block: int = 1, window: int | None = None
    ) -> None:
        self._n, self._seed, self._rank, self._n_ranks, self._block = n, seed, rank, n_ranks, block
        self.window = None if window is None else max(window // block, 1) * block
        self.per_epoch = n // n_ranks
        self._of_epoch = lru_cache(maxsize=2)(self._shuffle)

    def take(self, cursor: int, size: int) -> NDArray[np.int64]:
        """Rows number `cursor` to `cursor + size` of the rank's sequence; it may run over the end of an epoch."""
        parts = []
        while size:
            epoch, place = divmod(cursor, self.per_epoch)
            part = self._of_epoch(epoch)[place : place + size]
            parts.append(part)
            cursor, size = cursor + len(part), size - len(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def window_rows(self, number: int) -> NDArray[np.int64]:
        """Rows of a window, numbered through all epochs, in the order of the store: what a stream reads ahead."""
        return np.sort(self._window(number))

    def window_of(self, cursor: int) -> tuple[int, int]:
        """The window that a position lies in, and its place there."""
        epoch, place = divmod(cursor, self.per_epoch)
        size = self.window or self.per_epoch
        return epoch * self._windows_per_epoch + place // size, place % size

    def window_places(self, number: int) -> NDArray[np.int64]:
        """Where in `window_rows` each row of a window stands, in the order in which they are taken."""
        return np.argsort(np.argsort(self._window(number)))

    @property
    def _windows_per_epoch(self) -> int:
        return -(-self.per_epoch // (self.window or self.per_epoch))

    def _window(self, number: int) -> NDArray[np.int64]:
        epoch, place = divmod(number, self._windows_per_epoch)
        size = self.window or self.per_epoch
        return self._of_epoch(epoch)[place * size : (place + 1) * size]

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        blocks = np.random.default_rng([self._seed, epoch]).permutation(-(-self._n // self._block))
        rows = (blocks[:, None] * self._block + np.arange(self._block)).ravel()
        rows = rows[rows < self._n]  # the last block may be a short one
        # A stretch of shuffled blocks for each rank: so all have equally many rows, and only blocks at an end are cut.
        mine = rows[self._rank * self.per_epoch : (self._rank + 1) * self.per_epoch].copy()
        random = np.random.default_rng([self._seed, epoch, self._rank])
        size = self.window or len(mine)
        for begin in range(0, len(mine), size):
            random.shuffle(mine[begin : begin + size])
        return mine
