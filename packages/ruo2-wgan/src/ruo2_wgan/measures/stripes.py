"""Stripes that strided layers leave behind: power at periods of two and four voxels."""

import torch
from torch import Tensor

from ruo2_wgan.measures.features import check_densities

PERIODS = (2, 4)  # voxels
# Other reals to 1.0, a single structure to 3.0; planted stripes of amplitude 0.1 and period 4 from 4.8 on, of period 2
# from 58 on.
MOST_STRIPES = 3.5
ROUNDING = 1.0 / (12 * 255**2)  # mean square error of a density in 256 levels: no weaker power is a stripe


def stripe_ratios(density: Tensor) -> Tensor:
    """Power at periods of two and four voxels, over the mean of that at the three frequencies on either side.

    Parameters
    ----------
    density
        Shape (n, species, *shape).

    Returns
    -------
    ratios
        Shape (axes, 2), for periods 2 and 4; 1 along an axis whose side is below 8 or not divisible by the period.

    Notes
    -----
    White noise has 1. Three on either side, because a slab that repeats within its cell has no power at all at some.
    """
    ratios = torch.ones(density.ndim - 2, len(PERIODS), dtype=torch.float64)
    for axis, side in enumerate(density.shape[2:]):
        waves = torch.fft.rfft(density.float(), dim=axis + 2, norm="ortho")
        others = tuple(dim for dim in range(density.ndim) if dim != axis + 2)
        power = torch.view_as_real(waves).square().sum(-1).mean(dim=others).double().cpu() + ROUNDING
        striped = [side // period for period in PERIODS]
        for which, period in enumerate(PERIODS):
            if side >= 8 and side % period == 0:
                at = side // period
                beside = [k for k in range(max(at - 3, 1), min(at + 4, len(power))) if k not in striped]
                ratios[axis, which] = power[at] / power[beside].mean()
    return ratios


def stripe_index(fake: Tensor, real: Tensor) -> float:
    """Stripes of fakes, at the period and along the axis where they are worst, over those of reals: 1 or less is good.

    Parameters
    ----------
    fake, real
        Shape (n, species, *shape), n > 1; n may differ.

    Raises
    ------
    DataError
        Other forms.
    """
    check_densities(real, "reals")
    check_densities(fake, "fakes", real.shape[1:])
    return compare_stripes(stripe_ratios(fake), stripe_ratios(real))


def compare_stripes(fakes: Tensor, reals: Tensor) -> float:
    """The worst of the fakes' ratios over the reals'.

    Rows of atoms can have that power too: then ratios are counted in the data's, but no less than 1, or noise would
    pass for stripes beside smooth Gaussians.
    """
    return float((fakes / reals.clamp(min=1.0)).max())
