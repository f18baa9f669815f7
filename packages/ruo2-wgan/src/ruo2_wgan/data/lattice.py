"""Lattice lengths in Å, and scaled to the range of the training data (thesis eq. 3.1)."""

import torch
from torch import Tensor

from ruo2_wgan.spec import DataSpec


def scale_lattice(spec: DataSpec, lengths: Tensor) -> Tensor:
    """Lengths (n, axes) in Å to [0, 1] of the training rows' range; 0.5 along an axis where all are equal."""
    low, span = _range(spec, lengths)
    return torch.where(span > 0, (lengths - low) / torch.where(span > 0, span, 1), 0.5)


def unscale_lattice(spec: DataSpec, scaled: Tensor) -> Tensor:
    """Scaled lengths (n, axes) back to Å."""
    low, span = _range(spec, scaled)
    return low + scaled * span


def _range(spec: DataSpec, like: Tensor) -> tuple[Tensor, Tensor]:
    low, high = (like.new_tensor(values) for values in (spec.lattice_low, spec.lattice_high))
    return low, high - low
