"""Layers obey the laws of a periodic cell, and agree with sums written out."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from ruo2_wgan.networks.layers import (
    MinibatchStd,
    PeriodicConv,
    PeriodicConvTranspose,
    ResizeConv,
    periodic_axes,
)

SHAPES = [(6, 10), (4, 6, 8)]
KERNELS = [(2, 2), (3, 2), (4, 2), (5, 2), (3, 1), (5, 3)]  # with strides


def fill(layer: torch.nn.Module) -> torch.nn.Module:
    random = torch.Generator().manual_seed(1)
    layer.double()
    for weight in layer.parameters():
        weight.data = torch.randn(weight.shape, generator=random, dtype=torch.float64)
    return layer


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("sides", SHAPES)
@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
def test_rolling_the_input_of_a_transposed_convolution_rolls_its_output(
    sides: tuple[int, ...], kernel: int, stride: int
) -> None:
    layer = fill(PeriodicConvTranspose(2, 3, kernel, stride, [True] * len(sides)))
    density = draw(2, 2, *sides)
    out = layer(density)
    assert out.shape == (2, 3, *(stride * side for side in sides))
    axes = tuple(range(2, 2 + len(sides)))
    shifts = (1, 3, 2)[: len(sides)]
    moved = layer(density.roll(shifts, axes))
    torch.testing.assert_close(moved, out.roll([stride * n for n in shifts], axes), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sides", SHAPES)
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (3, 1), (5, 1)])
def test_rolling_the_input_of_a_convolution_by_its_stride_rolls_its_output(
    sides: tuple[int, ...], kernel: int, stride: int
) -> None:
    layer = fill(PeriodicConv(2, 3, kernel, stride, [True] * len(sides)))
    density = draw(2, 2, *sides)
    out = layer(density)
    assert out.shape == (2, 3, *(side // stride for side in sides))
    axes = tuple(range(2, 2 + len(sides)))
    moved = layer(density.roll([stride] * len(sides), axes))
    torch.testing.assert_close(moved, out.roll([1] * len(sides), axes), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@pytest.mark.parametrize("periodic", [(True, True), (True, False), (False, True), (False, False)])
def test_a_transposed_convolution_is_the_sum_of_its_definition(
    kernel: int, stride: int, periodic: tuple[bool, bool]
) -> None:
    """Each voxel of the input adds its kernel, begun `padding` before stride times its place."""
    layer = fill(PeriodicConvTranspose(2, 2, kernel, stride, periodic))
    density = draw(1, 2, 4, 5)
    padding = (kernel - stride + 1) // 2
    expected = np.zeros((2, 4 * stride, 5 * stride)) + layer.bias.detach().numpy()[:, None, None]
    for i, j, a, b in itertools.product(range(4), range(5), range(kernel), range(kernel)):
        place = [stride * i + a - padding, stride * j + b - padding]
        sides = expected.shape[1:]
        place = [at % side if wraps else at for at, side, wraps in zip(place, sides, periodic, strict=True)]
        if all(0 <= at < side for at, side in zip(place, sides, strict=True)):
            weights = layer.weight.detach().numpy()[:, :, a, b]
            expected[:, place[0], place[1]] += density[0, :, i, j].numpy() @ weights
    np.testing.assert_allclose(layer(density)[0].detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer_of", [PeriodicConv, PeriodicConvTranspose])
def test_without_periodic_axes_it_is_torch_with_zero_padding(layer_of: type) -> None:
    layer = fill(layer_of(2, 3, 4, 2, [False, False, False]))
    density = draw(2, 2, 4, 6, 8)
    torchs = torch.nn.functional.conv3d if layer_of is PeriodicConv else torch.nn.functional.conv_transpose3d
    expected = torchs(density, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(layer(density), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_convolution_that_keeps_the_sides_is_torchs(kernel: int) -> None:
    layer = fill(PeriodicConv(2, 3, kernel, 1, [True, True, False]))
    density = draw(2, 2, 4, 6, 8)
    width = kernel // 2
    padded = torch.nn.functional.pad(density, [0, 0, *[width] * 4], mode="circular")
    expected = torch.nn.functional.conv3d(padded, layer.weight, layer.bias, padding=(0, 0, width))
    torch.testing.assert_close(layer(density), expected, rtol=0, atol=1e-12)


def test_a_wall_is_not_a_period() -> None:
    layer = fill(PeriodicConvTranspose(1, 1, 4, 2, [True, False]))
    density = draw(1, 1, 4, 6)
    out = layer(density)
    torch.testing.assert_close(layer(density.roll(1, 2)), out.roll(2, 2), rtol=0, atol=1e-12)
    assert (layer(density.roll(1, 3)) - out.roll(2, 3)).abs().max() > 0.1


@pytest.mark.parametrize("periodic", [(True, True, False), (False, False, False), (True, True, True)])
def test_resizing_is_repeating_and_a_convolution(periodic: tuple[bool, bool, bool]) -> None:
    """Its kernel is that of a convolution, turned round as transposed ones have it."""
    layer = fill(ResizeConv(2, 3, periodic))
    density = draw(1, 2, 4, 6, 8)
    repeated = density.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    plain = PeriodicConv(2, 3, 3, 1, periodic)
    plain.weight.data = layer.weight.data.transpose(0, 1).flip(2, 3, 4)
    plain.bias.data = layer.bias.data
    out = layer(density)
    torch.testing.assert_close(out, plain(repeated), rtol=0, atol=1e-12)
    if periodic[1]:
        torch.testing.assert_close(layer(density.roll(1, 3)), out.roll(2, 3), rtol=0, atol=1e-12)


def test_axes_of_a_slice_are_one_of_x_and_y_and_then_z() -> None:
    assert periodic_axes("xy", 2) == (True, False)
    assert periodic_axes("y", 2) == (True, False)
    assert periodic_axes("xz", 2) == (True, True)
    assert periodic_axes("", 2) == (False, False)
    assert periodic_axes("yz", 3) == (False, True, True)


def test_spread_is_that_of_each_group_of_neighbours() -> None:
    features = draw(8, 3, 2, 4)
    out = MinibatchStd(4)(features)
    assert out.shape == (8, 4, 2, 4)
    assert torch.equal(out[:, :3], features)
    for begin in (0, 4):
        expected = features[begin : begin + 4].numpy().std(axis=0).mean()
        np.testing.assert_allclose(out[begin : begin + 4, 3].numpy(), expected, rtol=1e-6)
    torch.testing.assert_close(MinibatchStd(4)(features[4:]), out[4:])  # as on a rank that holds the second half
    same = draw(1, 3, 2, 4).expand(4, -1, -1, -1).clone().requires_grad_()
    spread = MinibatchStd(4)(same)[:, 3].sum()
    (slope,) = torch.autograd.grad(spread, same, create_graph=True)
    assert torch.autograd.grad(slope.square().sum(), same)[0].isfinite().all()
