"""What structures are compared by, wherever they lie: magnitudes of Fourier coefficients in the plane of the slab.

For each species and each height z. A roll in the plane changes only phases, so the same structure in another place
counts as the same one; and because the magnitudes differ by no more than the coefficients do, two structures are at
most as far apart as their densities at the best roll. The coefficients of zero frequency are the profile along z.
"""

import math

import torch
from torch import Tensor

from ruo2_wgan.errors import DataError


def plane_magnitudes(density: Tensor) -> Tensor:
    """Magnitudes of the Fourier coefficients in the plane, as `torch.fft.rfftn` orders them.

    Parameters
    ----------
    density
        Shape (n, species, x, y, z) or (n, species, u, z).

    Returns
    -------
    magnitudes
        Shape (n, species, x, y // 2 + 1, z) or (n, species, u // 2 + 1, z), weighted so that distances between them,
        when flattened, are in the units of distances between densities.
    """
    in_plane = tuple(range(2, density.ndim - 1))
    waves = torch.fft.rfftn(density.float(), dim=in_plane, norm="ortho").abs()
    side = density.shape[in_plane[-1]]
    # Half of the coefficients are left out, as the others' conjugates: each of those stands for two.
    weights = torch.full((side // 2 + 1, 1), math.sqrt(2.0), device=density.device)
    weights[0] = 1.0
    if side % 2 == 0:
        weights[-1] = 1.0
    magnitudes: Tensor = waves * weights
    return magnitudes


def check_densities(density: Tensor, name: str, shape: torch.Size | None = None) -> None:
    """See that densities can be compared.

    Raises
    ------
    DataError
        Fewer than two, other than two or three axes, or another shape than that of those that they are compared with.
    """
    if density.ndim not in (4, 5) or len(density) < 2:
        raise DataError(
            f"{name} to compare must be two or more, with species and two or three axes; "
            f"found shape {tuple(density.shape)}"
        )
    if shape is not None and density.shape[1:] != shape:
        raise DataError(
            f"{name} must have the species and axes of the reals, {tuple(shape)}; found {tuple(density.shape[1:])}"
        )
