"""Signs that a generator collapses, and the distance to the data that picks the best checkpoint; knows no networks.

Structures are compared by the magnitudes of their Fourier coefficients in the plane of the slab, for each species and
each height z. A roll in the plane changes only phases, so the same structure in another place counts as the same one;
and because the magnitudes differ by no more than the coefficients do, two structures are at most as far apart as
their densities at the best roll. The coefficients of zero frequency are the profile along z.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ruo2_wgan.errors import DataError

# Where the kernel that tells structures apart has fallen to exp(-1/2), in mean distances of two real ones. Wider ones
# take two far modes for many; narrower ones count the real ones of two random halves less alike (1.10 against 1.07).
BANDWIDTH = 0.35
N_PROJECTIONS = 128
PERIODS = (2, 4)  # of stripes, voxels
ROUNDING = 1.0 / (12 * 255**2)  # mean square error of a density in 256 levels: no weaker power is a stripe

# Beyond these a figure is a sign. On densities of real structures in two and three dimensions, 256 at a time: held-out
# runs 0.89 to 0.99, two structures over and over 0.05 to 0.09, eight 0.15 to 0.42.
LEAST_DIVERSITY = 0.12
# Other reals to 1.0, a single structure to 3.0; planted stripes of amplitude 0.1 and period 4 from 4.8 on, of period 2
# from 58 on.
MOST_STRIPES = 3.5
# Held-out runs to 0.14, one structure over and over 0.9 to 1.0, uniform noise 5 to 8.
MOST_DISTANCE = 1.0
# No planted case: losses may drift far before anything shows. A hundredfold has one network far ahead.
MOST_LOSS_RATIO = 100.0


class Watch:
    """Compares fakes with the same reals through a run.

    Parameters
    ----------
    real
        Shape (n, species, *shape), float in [0, 1], n > 1, under the symmetry operations that training applies; held
        out, or training ones where none are. Everything is computed on their device.
    n_projections
        For the distance.
    seed
        Of the projections: figures of different steps are compared along the same ones.

    Raises
    ------
    DataError
        Reals of another form, or fewer than two.
    """

    def __init__(self, real: Tensor, n_projections: int = N_PROJECTIONS, seed: int = 0) -> None:
        _check(real, "reals")
        self._shape, self._device = real.shape[1:], real.device
        features = _features(real)
        distances = _pair_distances(features)
        self._scale = _scale(distances)
        self._likeness = _likeness(distances, self._scale)
        self._stripes = stripe_ratios(real)
        random = torch.Generator().manual_seed(seed)
        self._directions = _draw_directions(features, n_projections, random)
        self._projected = (features @ self._directions).sort(dim=0).values

    def look(self, fake: Tensor, history: Sequence[Mapping[str, float]] = ()) -> dict[str, float]:
        """Figures for a line of statistics.

        Parameters
        ----------
        fake
            Shape (n, species, *shape), n > 1, on any device.
        history
            The latest lines of statistics, for the ratio of the losses.

        Returns
        -------
        figures
            `diversity`, `stripe_index` and `distance`, of which lower is better; with a history, `loss_ratio`, the
            critic's loss over the generator's, medians of their absolute values.

        Raises
        ------
        DataError
            Fakes of another form than the reals, or fewer than two.
        """
        _check(fake, "fakes", self._shape)
        fake = fake.to(self._device)
        features = _features(fake)
        projected = (features @ self._directions).sort(dim=0).values
        figures = {
            "diversity": _compare(_likeness(_pair_distances(features), self._scale), self._likeness, len(fake)),
            "stripe_index": _worst(stripe_ratios(fake), self._stripes),
            "distance": _transport(projected, self._projected) / self._scale,
        }
        losses = [(abs(line["critic_loss"]), abs(line["generator_loss"])) for line in history]
        if losses:
            of_critic, of_generator = (statistics.median(each) for each in zip(*losses, strict=True))
            figures["loss_ratio"] = of_critic / max(of_generator, 1e-12)
        return figures

    @staticmethod
    def signs(figures: Mapping[str, float]) -> list[str]:
        """A sentence for each figure of `look` that is a sign of collapse; figures that are missing are none."""
        found = []
        if (diversity := figures.get("diversity", 1.0)) < LEAST_DIVERSITY:
            found.append(
                f"the fakes are a few structures over and over: diversity {diversity:.2f} of the data's, 1 is best"
            )
        if (stripes := figures.get("stripe_index", 1.0)) > MOST_STRIPES:
            found.append(f"the fakes have stripes: {_times(stripes)} the data's power at periods of 2 or 4 voxels")
        if (distance := figures.get("distance", 0.0)) > MOST_DISTANCE:
            found.append(f"the fakes are unlike the data: {_times(distance)} as far as real structures are apart")
        ratio = figures.get("loss_ratio", 1.0)
        if not 1.0 / MOST_LOSS_RATIO <= ratio <= MOST_LOSS_RATIO:
            found.append(f"one network may be far ahead: the critic's loss is {_times(ratio)} the generator's")
        return found


def diversity(fake: Tensor, real: Tensor) -> float:
    """How many different structures there are among fakes, over how many there are among as many reals.

    Parameters
    ----------
    fake, real
        Shape (n, species, *shape), n > 1; n may differ.

    Returns
    -------
    diversity
        0 for one structure over and over, wherever it is rolled to; about 1 for other reals; above 1 where fakes are
        less like each other than reals are, as noise is.

    Notes
    -----
    The number of different ones is the Vendi score of order 2 (doi:10.48550/arXiv.2310.12952), 1 / mean(k_ij^2) for a
    Gaussian kernel k of distances; one is taken off both numbers. Mean distances alone would not do: two modes that are
    far apart reach 0.3 to 0.7 of the data's, as much as the structures of one real run.
    """
    _check(real, "reals")
    _check(fake, "fakes", real.shape[1:])
    distances = _pair_distances(_features(real))
    scale = _scale(distances)
    return _compare(_likeness(_pair_distances(_features(fake)), scale), _likeness(distances, scale), len(fake))


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

    Strides of 2 leave such stripes behind. Rows of atoms can have that power too: then ratios are counted in the
    data's, but no less than 1, or noise would pass for stripes beside smooth Gaussians.
    """
    _check(real, "reals")
    _check(fake, "fakes", real.shape[1:])
    return _worst(stripe_ratios(fake), stripe_ratios(real))


def sliced_wasserstein(
    fake: Tensor, real: Tensor, n_projections: int = N_PROJECTIONS, generator: torch.Generator | None = None
) -> float:
    """Distance between the distributions of fakes and reals, in mean distances of two reals: lower is better.

    Parameters
    ----------
    fake, real
        Shape (n, species, *shape), n > 1; n may differ.
    n_projections
        Random lines that both are projected on.
    generator
        Draws the lines, on the CPU; seeded with 0 if None.

    Returns
    -------
    distance
        0 for the same structures, above 0 for others of the same distribution.

    Notes
    -----
    The mean over lines of the Wasserstein-1 distance of the projections (doi:10.1007/s10851-014-0506-3), scaled so that
    a shift by v costs |v|, whatever the number of dimensions.
    """
    _check(real, "reals")
    _check(fake, "fakes", real.shape[1:])
    of_real, of_fake = _features(real), _features(fake.to(real.device))
    directions = _draw_directions(of_real, n_projections, generator or torch.Generator().manual_seed(0))
    projected = [(features @ directions).sort(dim=0).values for features in (of_fake, of_real)]
    return _transport(*projected) / _scale(_pair_distances(of_real))


def _worst(fakes: Tensor, reals: Tensor) -> float:
    return float((fakes / reals.clamp(min=1.0)).max())


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 10.0 else f"{factor:.2g} times"


def _features(density: Tensor) -> Tensor:
    """Magnitudes of the Fourier coefficients in the plane, shape (n, features); their distances are those of grids."""
    in_plane = tuple(range(2, density.ndim - 1))
    waves = torch.fft.rfftn(density.float(), dim=in_plane, norm="ortho").abs()
    side = density.shape[in_plane[-1]]
    # Half of the coefficients are left out, as the others' conjugates: each of those stands for two.
    weights = torch.full((side // 2 + 1, 1), math.sqrt(2.0), device=density.device)
    weights[0] = 1.0
    if side % 2 == 0:
        weights[-1] = 1.0
    features: Tensor = (waves * weights).flatten(1)
    return features


def _pair_distances(features: Tensor) -> Tensor:
    """Between all pairs, once each."""
    first, second = torch.triu_indices(len(features), len(features), offset=1, device=features.device)
    return torch.cdist(features, features)[first, second]


def _scale(distances: Tensor) -> float:
    """Mean distance; 1 where all reals are the same."""
    return float(distances.mean()) or 1.0


def _likeness(distances: Tensor, scale: float) -> float:
    """Mean of the squared Gaussian kernel over pairs."""
    return float(torch.exp(-(distances / (BANDWIDTH * scale)).square()).mean())


def _compare(likeness: float, of_reals: float, n: int) -> float:
    """From the mean likeness of pairs, the numbers of different ones among n, beyond the first, one over the other."""
    fakes, reals = (1.0 / (1.0 / n + (1.0 - 1.0 / n) * mean) - 1.0 for mean in (likeness, of_reals))
    return fakes / max(reals, 1e-12)


def _draw_directions(features: Tensor, n: int, random: torch.Generator) -> Tensor:
    """Shape (features, n), not of length 1: the projection of v has the mean |v|."""
    directions = torch.randn(features.shape[1], n, generator=random) * math.sqrt(math.pi / 2.0)
    return directions.to(features.device)


def _transport(first: Tensor, second: Tensor) -> float:
    """Mean Wasserstein-1 distance of the columns, which are sorted and may differ in length."""
    n = max(len(first), len(second))
    middles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    taken = [column[(middles * len(column)).long().to(column.device)] for column in (first, second)]
    return float((taken[0] - taken[1]).abs().mean())


def _check(density: Tensor, name: str, shape: torch.Size | None = None) -> None:
    if density.ndim not in (4, 5) or len(density) < 2:
        raise DataError(
            f"{name} to compare must be two or more, with species and two or three axes; "
            f"found shape {tuple(density.shape)}"
        )
    if shape is not None and density.shape[1:] != shape:
        raise DataError(
            f"{name} must have the species and axes of the reals, {tuple(shape)}; found {tuple(density.shape[1:])}"
        )
