"""The generator: from a latent vector, and a class where there is one, to a density and lattice lengths."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ruo2_wgan.config import Model
from ruo2_wgan.networks.batch_norm import SyncedBatchNorm
from ruo2_wgan.networks.conditioning import make_condition
from ruo2_wgan.networks.lattice_head import LatticeHead
from ruo2_wgan.networks.layers import SLOPE, PeriodicConv, PeriodicConvTranspose, ResizeConv, periodic_axes
from ruo2_wgan.networks.shapes import coarsest_sides
from ruo2_wgan.spec import DataSpec


class Generated(NamedTuple):
    """b fakes."""

    density: Tensor  # (b, species, ...), in [0, 1]
    lattice_logits: Tensor | None  # (b, axes); a sigmoid makes scaled lengths of them


class Generator(nn.Module):
    """A projection of z to the coarsest grid, then stages that each double its sides.

    Parameters
    ----------
    model
        Widths, upsampling, norm, periodic axes, conditioning, lattice head.
    spec
        Species, grid and classes of the data.

    Raises
    ------
    ConfigError
        A grid whose sides do not divide, conditioning without classes.

    Notes
    -----
    The projection is the first transposed convolution of the thesis (fig. 3.11), from one voxel to a kernel's size:
    the same weights, the same product. Norm and LeakyReLU follow every stage but the last, whose norm is optional;
    then come a bias and the sigmoid.
    """

    def __init__(self, model: Model, spec: DataSpec) -> None:
        super().__init__()
        widths = model.generator_channels
        self._base = (widths[0], *coarsest_sides(spec, len(widths), "model.generator_channels"))
        self.condition = make_condition(model, spec, for_critic=False)
        extra = 0 if self.condition is None else self.condition.size
        self.project = nn.Linear(model.latent + extra, math.prod(self._base))
        self.bottom = nn.Sequential(*_activate(widths[0], model.generator_norm == "batch"))
        periodic = periodic_axes(model.generator_periodic, model.dimensions)
        normed = model.generator_norm == "batch"
        stages: list[nn.Module] = []
        # What doubles the sides, but for the last time.
        for n_in, n_out in pairwise(widths):
            stages += [_upsample(n_in, n_out, model, bias=not normed), *_activate(n_out, normed)]
        if model.upsampling == "resize":
            # A voxel repeated along each axis shows; a second convolution at full size smooths it away.
            stages += [_upsample(widths[-1], widths[-1], model, bias=not normed), *_activate(widths[-1], normed)]
            stages.append(PeriodicConv(widths[-1], spec.n_species, 3, 1, periodic, bias=not model.output_norm))
        else:
            stages.append(_upsample(widths[-1], spec.n_species, model, bias=not model.output_norm))
        if model.output_norm:
            stages.append(SyncedBatchNorm(spec.n_species))
        self.stages = nn.Sequential(*stages)
        self._output_bias = model.output_bias
        self.lattice = LatticeHead(math.prod(self._base), model.lattice_hidden, spec) if model.lattice else None

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Generated:
        """Fakes for latent vectors (b, latent) and classes (b,)."""
        if self.condition is not None:
            latent = torch.cat([latent, self.condition.vector(_given(label), latent.dtype)], dim=1)
        features = self.bottom(self.project(latent).reshape(-1, *self._base))
        # In full precision, for bfloat16 has but three digits near 1.
        density = torch.sigmoid(_exact(self.stages(features)) + self._output_bias)
        return Generated(density, None if self.lattice is None else self.lattice(features))


def _upsample(n_in: int, n_out: int, model: Model, bias: bool) -> nn.Module:
    periodic = periodic_axes(model.generator_periodic, model.dimensions)
    if model.upsampling == "resize":
        return ResizeConv(n_in, n_out, periodic, bias)
    return PeriodicConvTranspose(n_in, n_out, 4, 2, periodic, bias, even=model.upsampling == "even")


def _activate(n_channels: int, normed: bool) -> list[nn.Module]:
    return [*([SyncedBatchNorm(n_channels)] if normed else []), nn.LeakyReLU(SLOPE)]


def _given(label: Tensor | None) -> Tensor:
    if label is None:
        raise TypeError("a conditioned generator needs labels")
    return label


def _exact(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
