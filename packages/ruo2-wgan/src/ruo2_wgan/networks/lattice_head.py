"""Lattice lengths from features: the auxiliary network of both sides (thesis 3.3.3, after ZeoGAN)."""

import torch
from torch import Tensor, nn

from ruo2_wgan.networks.layers import SLOPE
from ruo2_wgan.spec import DataSpec


class LatticeHead(nn.Module):
    """One hidden layer from all features to a logit for each axis, in full precision.

    Parameters
    ----------
    n_features
        Of a structure, all channels and voxels.
    n_hidden
        Width of the hidden layer.
    spec
        Of the data.
    """

    def __init__(self, n_features: int, n_hidden: int, spec: DataSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, n_hidden), nn.LeakyReLU(SLOPE), nn.Linear(n_hidden, spec.dimensions)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits, shape (b, axes), of features (b, channels, ...)."""
        with torch.autocast(features.device.type, enabled=False):
            exact = features if features.dtype == torch.float64 else features.float()
            logits: Tensor = self.layers(exact.flatten(1))
        return logits
