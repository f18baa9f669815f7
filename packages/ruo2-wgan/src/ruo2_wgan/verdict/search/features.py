"""The numbers that structures are compared by: the same wherever in the plane a structure stands, mirrored or not."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ruo2_wgan.measures import plane_magnitudes
from ruo2_wgan.verdict.typing import FloatArray

MOST_FEATURES = 4096
AT_ONCE = 256  # densities


def invariants(density: Tensor) -> Tensor:
    """Magnitudes of Fourier coefficients in the plane, made the same for a structure and its mirror images.

    Parameters
    ----------
    density
        Shape (n, species, x, y, z) or (n, species, u, z).

    Returns
    -------
    invariants
        Shape (n, k), float32. Two structures are at most as far apart as their densities at the best roll and mirror.

    Notes
    -----
    A mirror exchanges the coefficients of k_x and -k_x. Of each such pair of magnitudes a and b stand here (a + b) and
    |a - b|, both over sqrt(2). Of a slice, which has one axis in its plane, both magnitudes are the same anyhow.
    """
    waves = plane_magnitudes(density)
    if density.ndim == 5:
        side = waves.shape[2]
        half = (side + 1) // 2
        alone = waves[:, :, [0, half] if side % 2 == 0 else [0]]  # k_x = 0, and the highest of even sides
        ahead, behind = waves[:, :, 1:half], waves[:, :, side - half + 1 :].flip(2)
        waves = torch.cat([alone, (ahead + behind) / math.sqrt(2.0), (ahead - behind).abs() / math.sqrt(2.0)], dim=2)
    return waves.flatten(1)


class FeatureSpace:
    """The invariants that vary most among some real structures.

    Parameters
    ----------
    density
        Of the reals, shape (n, species, *shape), n > 1.
    """

    def __init__(self, density: FloatArray) -> None:
        total = squares = torch.zeros(1)
        for begin in range(0, len(density), AT_ONCE):
            found = invariants(torch.from_numpy(density[begin : begin + AT_ONCE])).double()
            total, squares = total + found.sum(dim=0), squares + found.square().sum(dim=0)
        variance = squares / len(density) - (total / len(density)).square()
        self._chosen = variance.topk(min(MOST_FEATURES, len(variance))).indices.sort().values
        self.share = float(variance[self._chosen].sum() / variance.sum().clamp(min=1e-30))
        """Of the variance of all invariants."""

    def __len__(self) -> int:
        return len(self._chosen)

    def describe(self, density: FloatArray, progress: Callable[[int], None] | None = None) -> Tensor:
        """Features of densities (n, species, *shape), shape (n, features)."""
        parts = []
        for begin in range(0, len(density), AT_ONCE):
            part = torch.from_numpy(density[begin : begin + AT_ONCE])
            parts.append(invariants(part).index_select(1, self._chosen))
            if progress is not None:
                progress(len(part))
        return torch.cat(parts)
