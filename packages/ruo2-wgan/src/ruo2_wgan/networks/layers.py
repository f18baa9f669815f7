"""Convolutions that know which axes of a cell are periodic, in two and three dimensions."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ruo2_wgan.networks.borders import continue_grid

SLOPE = 0.2  # of LeakyReLU below 0
_CONVOLUTIONS: dict[int, Any] = {2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED: dict[int, Any] = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def periodic_axes(names: str, dimensions: int) -> tuple[bool, ...]:
    """Which axes of a grid are periodic, from the names of a configuration; x and y are both the first of a slice."""
    if dimensions == 2:
        return ("x" in names or "y" in names, "z" in names)
    return tuple(axis in names for axis in "xyz")


class PeriodicConv(nn.Module):
    """A convolution that divides the sides of a grid by its stride, without losing anything at the borders.

    Parameters
    ----------
    n_in, n_out
        Channels.
    kernel, stride
        Along every axis; the kernel is odd where the stride is 1.
    periodic
        Of each axis: continued with the grid itself, or with zeros.
    bias
        Whether a number is added to each channel; before batch norm, which takes it away again, none should be.

    Notes
    -----
    Rolling the input by the stride along a periodic axis rolls the output by one.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel: int, stride: int, periodic: Sequence[bool], bias: bool = True
    ) -> None:
        super().__init__()
        self._periodic, self._stride = tuple(periodic), stride
        around = kernel - stride
        self._widths = [(around // 2, around - around // 2)] * len(self._periodic)
        self.weight = nn.Parameter(torch.empty(n_out, n_in, *[kernel] * len(self._periodic)))
        self.bias = nn.Parameter(torch.empty(n_out)) if bias else None

    def forward(self, density: Tensor) -> Tensor:
        if self._stride == 1:
            # The same as transposed with the kernel turned round, and on a CPU far faster where few channels come out.
            turned = self.weight.transpose(0, 1).flip(*range(2, self.weight.dim()))
            return conv_transpose(density, turned, self.bias, 1, self._periodic)
        padded = continue_grid(density, self._widths, self._periodic)
        out: Tensor = _CONVOLUTIONS[len(self._periodic)](padded, self.weight, self.bias, self._stride)
        return out


class PeriodicConvTranspose(nn.Module):
    """A transposed convolution that multiplies the sides of a grid by its stride, exact on periodic axes.

    Parameters
    ----------
    n_in, n_out
        Channels.
    kernel, stride
        Along every axis; the kernel is no smaller than the stride, and odd where that is 1.
    periodic
        Of each axis; what reaches past the border of another is lost.
    bias
        As for `PeriodicConv`.
    even
        Whether its initial weights favour no voxel by its place: those of a `ResizeConv`, which it may then leave
        behind (arXiv:1707.02937 begins so). Of kernel 4 and stride 2.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        stride: int,
        periodic: Sequence[bool],
        bias: bool = True,
        even: bool = False,
    ) -> None:
        super().__init__()
        self.even = even
        self._periodic, self._stride = tuple(periodic), stride
        self.weight = nn.Parameter(torch.empty(n_in, n_out, *[kernel] * len(self._periodic)))
        self.bias = nn.Parameter(torch.empty(n_out)) if bias else None

    def forward(self, density: Tensor) -> Tensor:
        return conv_transpose(density, self.weight, self.bias, self._stride, self._periodic)


class ResizeConv(nn.Module):
    """Each voxel repeated along every axis, then a convolution with kernel 3: no voxel is favoured by its place.

    A transposed convolution gives voxels of even and odd places other numbers of weights, and so starts with stripes.

    Notes
    -----
    Computed as one transposed convolution, whose kernel of size 4 is that of size 3 convolved with a box of two
    voxels: the same function, with 8 products for 27 in three dimensions and no large grid in between.
    """

    def __init__(self, n_in: int, n_out: int, periodic: Sequence[bool], bias: bool = True) -> None:
        super().__init__()
        self._periodic = tuple(periodic)
        self.weight = nn.Parameter(torch.empty(n_in, n_out, *[3] * len(self._periodic)))
        self.bias = nn.Parameter(torch.empty(n_out)) if bias else None

    def forward(self, density: Tensor) -> Tensor:
        return conv_transpose(density, widen_kernel(self.weight), self.bias, 2, self._periodic)


def widen_kernel(kernel: Tensor) -> Tensor:
    """A kernel (n_in, n_out, 3, ...) convolved with a box of two voxels, which is how it acts on repeated voxels."""
    for axis in range(2, kernel.dim()):
        beside = torch.zeros_like(kernel.narrow(axis, 0, 1))
        kernel = torch.cat([kernel, beside], axis) + torch.cat([beside, kernel], axis)
    return kernel


def conv_transpose(
    density: Tensor, weight: Tensor, bias: Tensor | None, stride: int, periodic: Sequence[bool]
) -> Tensor:
    """Transposed convolution to sides `stride` times as long, of a grid that is periodic or ends in zeros.

    Parameters
    ----------
    density, weight, bias
        Shapes (b, n_in, ...), (n_in, n_out, kernel, ...) and (n_out,).
    stride, periodic
        As for `PeriodicConvTranspose`.

    Notes
    -----
    out[o] is the sum of in[i] weight[o - s i + p] over all whole i, with p = ceil((k - s) / 2). PyTorch knows zeros
    beyond the border only, so the grid is first continued by the q voxels that reach into the result, and p + s q
    voxels are cut off it. Rolling the input by one then rolls the output by s.
    """
    kernel = weight.shape[-1]
    padding = (kernel - stride + 1) // 2
    halo = max(math.ceil((kernel - 1 - padding) / stride), (stride + padding - 1) // stride)
    density = continue_grid(density, [(halo, halo) if wraps else (0, 0) for wraps in periodic], periodic)
    cut = [padding + stride * halo if wraps else padding for wraps in periodic]
    whole: Tensor = _TRANSPOSED[len(periodic)](density, weight, bias, stride, cut, stride + 2 * padding - kernel)
    return whole


class MinibatchStd(nn.Module):
    """One more channel with the spread of the features among the structures of a group, the same everywhere.

    Groups are neighbouring rows, so that ranks that hold parts of a batch find what one finds that holds all of it.
    A critic that sees the spread notices a generator whose fakes are all alike (arXiv:1710.10196, section 3).

    Parameters
    ----------
    group
        Structures in a group; batches are multiples of it.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self._group = group

    def forward(self, features: Tensor) -> Tensor:
        grouped = features.reshape(-1, self._group, *features.shape[1:])
        # Without the small number, the second derivative of the root is infinite where all structures agree.
        spread = (grouped.var(dim=1, correction=0) + 1e-8).sqrt().flatten(1).mean(dim=1)
        spread = spread.repeat_interleave(self._group).reshape(-1, *[1] * (features.dim() - 1))
        return torch.cat([features, spread.expand(-1, 1, *features.shape[2:])], dim=1)
