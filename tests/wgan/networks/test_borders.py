"""A grid continued past its borders is what NumPy makes of it, and its derivatives are those of torch's own padding."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ruo2_wgan.networks.borders import continue_grid

CASES = [
    ((4, 6), ((1, 1), (1, 1)), (True, False)),
    ((3, 4, 5), ((1, 2), (2, 1), (1, 1)), (True, True, True)),
    ((4, 3, 6), ((1, 1), (1, 1), (1, 2)), (True, True, False)),
    ((4, 3, 2), ((1, 1), (0, 0), (1, 1)), (True, True, True)),
    ((1, 2, 3), ((1, 1), (1, 1), (1, 1)), (True, True, True)),  # each border is the same voxels twice
    ((2, 2, 2), ((1, 0), (0, 1), (1, 1)), (False, False, False)),
]
cases = pytest.mark.parametrize(("sides", "widths", "periodic"), CASES)


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


@cases
def test_it_wraps_where_it_is_periodic_and_is_zero_elsewhere(
    sides: tuple[int, ...], widths: tuple[tuple[int, int], ...], periodic: tuple[bool, ...]
) -> None:
    grid = draw(2, 3, *sides)
    expected = grid.numpy()
    for axis, (width, wraps) in enumerate(zip(widths, periodic, strict=True), start=2):
        pads = [(0, 0)] * expected.ndim
        pads[axis] = width
        expected = np.pad(expected, pads, mode="wrap" if wraps else "constant")
    np.testing.assert_array_equal(continue_grid(grid, widths, periodic).numpy(), expected)


@cases
def test_first_and_second_derivatives_are_those_of_finite_differences(
    sides: tuple[int, ...], widths: tuple[tuple[int, int], ...], periodic: tuple[bool, ...]
) -> None:
    def continued(grid: Tensor) -> Tensor:
        return continue_grid(grid, widths, periodic).sin()  # so that there is a second derivative

    grid = draw(1, 1, *sides).requires_grad_()
    assert torch.autograd.gradcheck(continued, [grid])
    assert torch.autograd.gradgradcheck(continued, [grid])


@pytest.mark.parametrize("sides", [(6, 4, 8), (1, 2, 3)])
def test_gradients_are_those_of_circular_padding_bit_for_bit(sides: tuple[int, ...]) -> None:
    found = []
    for ours in (True, False):
        grid = draw(2, 3, *sides, dtype=torch.float32).requires_grad_()
        if ours:
            continued = continue_grid(grid, [(1, 1)] * 3, [True] * 3)
        else:
            continued = functional.pad(grid, [1] * 6, mode="circular")
        weights = draw(*continued.shape, dtype=torch.float32).requires_grad_()
        (slope,) = torch.autograd.grad(continued, grid, weights, create_graph=True)
        (second,) = torch.autograd.grad(slope, weights, draw(*sides, dtype=torch.float32).expand_as(slope))
        found.append((continued, slope, second))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_channels_stay_last_there_and_back() -> None:
    """Else each convolution would have to lay its input out anew."""
    found = []
    for memory_format in (torch.channels_last_3d, torch.contiguous_format):
        grid = draw(2, 3, 4, 4, 6).contiguous(memory_format=memory_format).requires_grad_()
        continued = continue_grid(grid, [(1, 1)] * 3, [True, True, False])
        assert continued.is_contiguous(memory_format=memory_format)
        weights = draw(*continued.shape).contiguous(memory_format=memory_format)
        (slope,) = torch.autograd.grad(continued, grid, weights)
        assert slope.is_contiguous(memory_format=memory_format)
        found.append(slope)
    assert torch.equal(*found)


def test_without_borders_it_is_the_grid_itself() -> None:
    grid = draw(1, 2, 3, 4)
    assert continue_grid(grid, [(0, 0), (0, 0)], [True, False]) is grid
