"""How well fakes cover what is real: precision, recall, density, coverage, and the Frechet distance."""

import numpy as np
import torch
from torch import Tensor

N_DIMENSIONS = 16  # in more, balls around reals are nearly all of space: a collapsed set would seem to cover it
NEIGHBOURS = 5


class PrincipalSpace:
    """The directions along which real structures differ most.

    Parameters
    ----------
    features
        Of the reals, shape (n, features), n > 1.
    n_dimensions
        At most; fewer where there are fewer features or reals.
    """

    def __init__(self, features: Tensor, n_dimensions: int = N_DIMENSIONS) -> None:
        # In double precision: in single, rounding adds directions that the reals do not span.
        exact = features.double()
        mean = exact.mean(dim=0)
        centred = exact - mean
        self._mean = mean.float()
        # The smaller of both matrices of products has the same spectrum.
        few = centred.shape[0] <= centred.shape[1]
        products = centred @ centred.T if few else centred.T @ centred
        values, vectors = torch.linalg.eigh(products)
        kept = min(n_dimensions, int((values > 1e-9 * values[-1].clamp(min=1e-30)).sum()) or 1)
        values, vectors = values[-kept:], vectors[:, -kept:]
        axes = centred.T @ vectors / values.clamp(min=1e-30).sqrt() if few else vectors
        self._axes = axes.float()
        self.unit = float(torch.pdist(self.project(features)).mean()) or 1.0
        """Mean distance of two reals."""

    def project(self, features: Tensor) -> Tensor:
        """Coordinates (n, dimensions), float32."""
        points: Tensor = (features - self._mean) @ self._axes
        return points


def cover(fake: Tensor, real: Tensor, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density and coverage.

    Parameters
    ----------
    fake, real
        Shape (n, dimensions), n > k; n may differ.
    k
        The ball around each point reaches to its k-th neighbour in its own set.

    Returns
    -------
    figures
        `precision`: share of fakes in a ball of a real (doi:10.48550/arXiv.1904.06991). `recall`: share of reals in a
        ball of a fake. `density`: balls of reals that a fake lies in, over k; above 1 in the middle of the data.
        `coverage`: share of reals whose ball holds a fake (doi:10.48550/arXiv.2002.09797).
    """
    distances = torch.cdist(fake.double(), real.double())
    of_reals, of_fakes = _radii(real, k), _radii(fake, k)
    in_ball = distances < of_reals
    return {
        "precision": float(in_ball.any(dim=1).double().mean()),
        "recall": float((distances < of_fakes[:, None]).any(dim=0).double().mean()),
        "density": float(in_ball.double().sum(dim=1).mean() / k),
        "coverage": float(in_ball.any(dim=0).double().mean()),
    }


def frechet(fake: Tensor, real: Tensor) -> float:
    """Frechet distance of the Gaussians with the means and covariances of both, in the unit of the points squared.

    Notes
    -----
    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) (doi:10.1016/0047-259X(82)90077-X); the trace of the root is the sum of the
    roots of the eigenvalues of C^(1/2) C' C^(1/2).
    """
    a, b = fake.double().numpy(), real.double().numpy()
    first, second = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(second)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    both = np.linalg.eigvalsh(root @ first @ root)
    shift = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    spread = float(np.trace(first) + np.trace(second) - 2.0 * np.sqrt(np.maximum(both, 0.0)).sum())
    return max(shift + spread, 0.0)


def _radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point from its k-th neighbour, or from the last where there are fewer."""
    nearest = torch.cdist(points.double(), points.double()).topk(min(k + 1, len(points)), dim=1, largest=False).values
    return nearest[:, -1]
