"""The critic: from a density, and a class where there is one, to a score and the lattice lengths it infers."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ruo2_wgan.config import Model
from ruo2_wgan.networks.conditioning import make_condition
from ruo2_wgan.networks.lattice_head import LatticeHead
from ruo2_wgan.networks.layers import SLOPE, MinibatchStd, PeriodicConv, periodic_axes
from ruo2_wgan.networks.shapes import coarsest_sides
from ruo2_wgan.spec import DataSpec


class Judged(NamedTuple):
    """b densities, judged."""

    score: Tensor  # (b,), float32 or float64: higher for what looks real
    lattice_logits: Tensor | None  # (b, axes)


class Critic(nn.Module):
    """Strided convolutions that each halve the sides of the grid; what is left becomes one score.

    Parameters
    ----------
    model
        Widths, norm, dropout, periodic axes, comparison within groups, conditioning, lattice head.
    spec
        Species, grid and classes of the data.

    Raises
    ------
    ConfigError
        A grid whose sides do not divide, conditioning without classes.

    Notes
    -----
    The last convolution has the size of the grid that is left, and so is a product with all features. It runs in full
    precision whatever the rest does: in bfloat16 the differences between scores, which are all that counts, vanish.
    """

    def __init__(self, model: Model, spec: DataSpec) -> None:
        super().__init__()
        widths = model.critic_channels
        self.condition = make_condition(model, spec, for_critic=True)
        periodic = periodic_axes(model.critic_periodic, model.dimensions)
        stages: list[nn.Module] = []
        n_in, sides = spec.n_species + (self.condition is not None), spec.shape
        coarsest = coarsest_sides(spec, len(widths), "model.critic_channels")
        for number, width in enumerate(widths):
            if model.minibatch_std and number == len(widths) - 1:
                # Before the last stage, so that the spread is weighed together with what a structure looks like.
                stages.append(MinibatchStd(model.minibatch_std))
                n_in += 1
            sides = tuple(side // 2 for side in sides)
            stages.append(PeriodicConv(n_in, width, 4, 2, periodic))
            if model.critic_norm == "layer":
                stages.append(nn.LayerNorm([width, *sides]))
            stages.append(nn.LeakyReLU(SLOPE))
            if number == 0 and model.critic_dropout:
                stages.append(nn.Dropout(model.critic_dropout))
            n_in = width
        self.stages = nn.Sequential(*stages)
        n_features = widths[-1] * math.prod(coarsest)
        self.lattice = LatticeHead(n_features, model.lattice_hidden, spec) if model.lattice else None
        self.score = nn.Linear(n_features, 1)

    def forward(self, density: Tensor, label: Tensor | None = None) -> Judged:
        """Scores of densities (b, species, ...) with classes (b,)."""
        if self.condition is not None:
            if label is None:
                raise TypeError("a conditioned critic needs labels")
            density = torch.cat([density, self.condition.channel(label, density.dtype)], dim=1)
        features = self.stages(density)
        with torch.autocast(density.device.type, enabled=False):
            exact = features if features.dtype == torch.float64 else features.float()
            score = self.score(exact.flatten(1)).squeeze(1)
        return Judged(score, None if self.lattice is None else self.lattice(features))
