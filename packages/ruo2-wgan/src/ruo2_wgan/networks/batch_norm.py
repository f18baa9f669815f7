"""Batch norm whose statistics are those of all ranks, on any device and in any precision."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SyncedBatchNorm(nn.Module):
    """Batch norm over structures and voxels of all ranks together.

    torch's SyncBatchNorm runs on GPUs only; this one gives the statistics, gradients and running averages of the whole
    batch anywhere, so that several ranks train what one would with all their structures. Alone it is plain batch norm.

    Parameters
    ----------
    n_channels
        Channels.
    momentum
        Of the running averages that evaluation uses.
    eps
        Added to variances.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n_channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))
        self._momentum, self._eps = momentum, eps
        self.register_buffer("running_mean", torch.zeros(n_channels))
        self.register_buffer("running_var", torch.ones(n_channels))

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or not _ranks_are_many():
            return nn.functional.batch_norm(
                features,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                self.training,
                self._momentum,
                self._eps,
            )
        return self._normalize_over_ranks(features)

    def _normalize_over_ranks(self, features: Tensor) -> Tensor:
        exact = features if features.dtype == torch.float64 else features.float()
        axes = [0, *range(2, features.dim())]
        n = exact.numel() // exact.shape[1] * dist.get_world_size()
        mean = _sum_over_ranks(exact.sum(axes)) / n
        shape = (1, -1, *[1] * (features.dim() - 2))
        centred = exact - mean.reshape(shape)
        # From centred values: the difference of two sums of squares would cancel.
        variance = _sum_over_ranks(centred.square().sum(axes)) / n
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self._momentum)
            self.running_var.lerp_((variance * (n / (n - 1))).to(self.running_var.dtype), self._momentum)
        factor = self.weight * torch.rsqrt(variance + self._eps)
        normalized = centred * factor.reshape(shape) + self.bias.reshape(shape)
        return normalized.to(features.dtype)


class _SumOverRanks(torch.autograd.Function):
    """A sum over ranks. What a rank adds enters the losses of all, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum_over_ranks(value: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(value)  # type: ignore[no-untyped-call]
    return total


def _ranks_are_many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
