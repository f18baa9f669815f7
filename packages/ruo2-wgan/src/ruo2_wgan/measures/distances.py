"""How many different ones there are among fakes, and how far their distribution is from the reals'."""

import math

import torch
from torch import Tensor

# Where the kernel that tells structures apart has fallen to exp(-1/2), in mean distances of two real ones. Wider ones
# take two far modes for many; narrower ones count the real ones of two random halves less alike (1.10 against 1.07).
BANDWIDTH = 0.35
N_PROJECTIONS = 128


class RealDistribution:
    """Some real structures, that others are compared with.

    Parameters
    ----------
    features
        Shape (n, features), n > 1. Everything is computed on their device.
    n_projections
        Random lines for the distance.
    seed
        Of these.
    """

    def __init__(self, features: Tensor, n_projections: int = N_PROJECTIONS, seed: int = 0) -> None:
        distances = torch.pdist(features)
        self.unit = float(distances.mean()) or 1.0
        """Mean distance of two of them; 1 where all are the same."""
        self._likeness = self._likeness_of(distances)
        # Not of length 1: the projection of v has the mean |v|.
        directions = torch.randn(features.shape[1], n_projections, generator=torch.Generator().manual_seed(seed))
        self._directions = (directions * math.sqrt(math.pi / 2.0)).to(features.device)
        self._projected = self._project(features)

    def diversity(self, fake: Tensor) -> float:
        """How many different structures there are among fakes, over how many there are among as many reals.

        Parameters
        ----------
        fake
            Shape (m, features), m > 1.

        Returns
        -------
        diversity
            0 for one structure over and over; about 1 for other reals; above 1 where fakes are less like each other
            than reals are, as noise is.

        Notes
        -----
        The number of different ones is the Vendi score of order 2 (doi:10.48550/arXiv.2310.12952), 1 / mean(k_ij^2) for
        a Gaussian kernel k of distances; one is taken off both numbers. Mean distances alone would not do: two modes
        that are far apart reach 0.3 to 0.7 of the data's, as much as the structures of one real run.
        """
        fakes, reals = (
            1.0 / (1.0 / len(fake) + (1.0 - 1.0 / len(fake)) * mean) - 1.0
            for mean in (self._likeness_of(torch.pdist(fake)), self._likeness)
        )
        return fakes / max(reals, 1e-12)

    def sliced_wasserstein(self, fake: Tensor) -> float:
        """Distance between the distributions of fakes and reals, in mean distances of two reals: lower is better.

        Parameters
        ----------
        fake
            Shape (m, features).

        Returns
        -------
        distance
            0 for the same rows, above 0 for others of the same distribution.

        Notes
        -----
        The mean over lines of the Wasserstein-1 distance of the projections (doi:10.1007/s10851-014-0506-3), scaled so
        that a shift by v costs |v|, whatever the number of dimensions.
        """
        return _transport(self._project(fake), self._projected) / self.unit

    def _likeness_of(self, distances: Tensor) -> float:
        """Mean over pairs of the squared Gaussian kernel."""
        return float(torch.exp(-(distances / (BANDWIDTH * self.unit)).square()).mean())

    def _project(self, features: Tensor) -> Tensor:
        """Places of the rows along each line, ascending."""
        return (features @ self._directions).sort(dim=0).values


def _transport(first: Tensor, second: Tensor) -> float:
    """Mean Wasserstein-1 distance of the columns, which are sorted and may differ in length."""
    n = max(len(first), len(second))
    middles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    taken = [column[(middles * len(column)).long().to(column.device)] for column in (first, second)]
    return float((taken[0] - taken[1]).abs().mean())
