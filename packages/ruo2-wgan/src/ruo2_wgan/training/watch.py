"""Signs that a generator collapses, and the distance to the data that picks the best checkpoint; knows no networks.

Structures are compared by `plane_magnitudes`: wherever in the plane they stand, they count as the same.
"""

import statistics
from collections.abc import Mapping, Sequence

from torch import Tensor

from ruo2_wgan.measures import (
    RealDistribution,
    check_densities,
    compare_stripes,
    plane_magnitudes,
    stripe_ratios,
)
from ruo2_wgan.measures.stripes import MOST_STRIPES

# Beyond these a figure is a sign. On densities of real structures in two and three dimensions, 256 at a time: held-out
# runs 0.89 to 0.99, two structures over and over 0.05 to 0.09, eight 0.15 to 0.42.
LEAST_DIVERSITY = 0.12
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
    seed
        Of the distance's projections: figures of different steps are compared along the same ones.

    Raises
    ------
    DataError
        Reals of another form, or fewer than two.
    """

    def __init__(self, real: Tensor, seed: int = 0) -> None:
        check_densities(real, "reals")
        self._shape, self._device = real.shape[1:], real.device
        self._real = RealDistribution(plane_magnitudes(real).flatten(1), seed=seed)
        self._stripes = stripe_ratios(real)

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
        check_densities(fake, "fakes", self._shape)
        fake = fake.to(self._device)
        features = plane_magnitudes(fake).flatten(1)
        figures = {
            "diversity": self._real.diversity(features),
            "stripe_index": compare_stripes(stripe_ratios(fake), self._stripes),
            "distance": self._real.sliced_wasserstein(features),
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


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 10.0 else f"{factor:.2g} times"
