"""The real structures that may be nearest to each sample: found by their features, in one pass over a store."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.search.features import FeatureSpace
from ruo2_wgan.verdict.typing import FloatArray, IntArray

LENGTH = 32
AT_ONCE = 512  # reals


class Query:
    """Samples to find reals for.

    Parameters
    ----------
    density
        Shape (n, species, *shape).
    space
        Features. Where x and y of a structure may be exchanged, both ways count.
    """

    def __init__(self, density: FloatArray, space: FeatureSpace) -> None:
        self.features = space.describe(density)
        self.variants = [self.features]
        if density.ndim == 5 and density.shape[2] == density.shape[3]:
            self.variants.append(space.describe(np.ascontiguousarray(density.swapaxes(2, 3))))

    def __len__(self) -> int:
        return len(self.features)


def shortlist(
    queries: Sequence[Query],
    rows: IntArray,
    reals: Reals,
    space: FeatureSpace,
    length: int = LENGTH,
    advance: Callable[[int], None] | None = None,
) -> list[IntArray]:
    """Rows whose features are nearest to those of each sample.

    Parameters
    ----------
    queries
        Sets of samples; all are answered in one pass.
    rows
        Of the store, to choose from.
    reals
        Reads them.
    space
        The features.
    length
        Of each list, at most as many as there are rows.
    advance
        Called with the number of rows just passed.

    Returns
    -------
    shortlists
        For each set of n samples, shape (n, length), rows of the store, the nearest first.
    """
    length = min(length, len(rows))
    variants = [torch.cat(parts) for parts in zip(*(query.variants for query in queries), strict=True)]
    nearest = torch.full((len(variants[0]), length), torch.inf)
    found = torch.zeros(nearest.shape, dtype=torch.int64)
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        squares = _squares(variants, space.describe(reals.read(some)))
        both = torch.cat([nearest, squares], dim=1)
        places = torch.cat([found, torch.from_numpy(some).expand(len(found), -1)], dim=1)
        nearest, kept = both.topk(length, dim=1, largest=False)
        found = places.gather(1, kept)
        if advance is not None:
            advance(len(some))
    return [part.numpy() for part in found.split([len(query) for query in queries])]


def _squares(variants: Sequence[Tensor], features: Tensor) -> Tensor:
    """Squared distances, less the square of each sample, which leaves the order."""
    own = features.square().sum(dim=1)
    return torch.stack([own - 2.0 * (variant @ features.T) for variant in variants]).amin(dim=0)
