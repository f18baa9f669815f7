"""The operation that brings a fake nearest to a real one: of all rolls at once, by correlation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ruo2_wgan.verdict.operations import Operation, apply_operation, point_operations
from ruo2_wgan.verdict.typing import FloatArray


class Alignment(NamedTuple):
    """A fake laid over some reals, in their order."""

    operations: list[Operation]  # of the fake, one for each real
    squares: FloatArray  # (reals,), what then is left between both: sum of squared differences


class Aligner:
    """Lays fakes over reals of one shape.

    Parameters
    ----------
    shape
        Of a row, without species.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._points = point_operations(shape)
        self._sides = tuple(shape[:-1])

    def align(self, fake: FloatArray, real: FloatArray) -> Alignment:
        """The best operation for each real.

        Parameters
        ----------
        fake
            Shape (species, *shape).
        real
            Shape (n, species, *shape).

        Notes
        -----
        Of all rolls at once, by the theorem of correlation: sum_r real(r) fake(r - t) is the inverse transform of the
        product of one transform and the conjugate of the other; over heights and species it is summed before.
        """
        variants = torch.from_numpy(np.stack([apply_operation(fake, point) for point in self._points]))
        of_fake, of_real = self._waves(variants), self._waves(torch.from_numpy(real))
        products = torch.einsum("kvd,knd->vnk", of_fake.conj(), of_real)
        half = (*self._sides[:-1], self._sides[-1] // 2 + 1)
        correlation = torch.fft.irfftn(products.unflatten(2, half), s=self._sides, dim=tuple(range(2, 2 + len(half))))
        highest, places = correlation.flatten(2).max(dim=2)  # (variants, reals)
        best = highest.argmax(dim=0).numpy()
        rows = np.arange(len(real))
        shifts = np.stack(np.unravel_index(places.numpy()[best, rows], self._sides), axis=1)
        operations = [
            self._points[which]._replace(shifts=tuple(shift))
            for which, shift in zip(best.tolist(), shifts.tolist(), strict=True)
        ]
        own = np.array([np.vdot(each, each) for each in real]) + np.vdot(fake, fake)
        return Alignment(operations, np.maximum(own - 2.0 * highest.numpy()[best, rows], 0.0))

    def _waves(self, density: Tensor) -> Tensor:
        """Transforms in the plane, shape (waves, n, species and heights)."""
        in_plane = tuple(range(2, 2 + len(self._sides)))
        waves: Tensor = torch.fft.rfftn(density, dim=in_plane)
        return waves.movedim(in_plane, tuple(range(len(in_plane)))).flatten(0, len(in_plane) - 1).flatten(2)
