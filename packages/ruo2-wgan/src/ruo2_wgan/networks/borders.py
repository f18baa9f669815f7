"""A grid continued past its borders, and the adjoint of that: each is the other's derivative.

PyTorch's circular padding is a chain of copies into slices, and every one of them copies the whole gradient on the way
back, once more in the second derivative that a gradient penalty takes. Here the way back is one copy as well.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Widths = tuple[tuple[int, int], ...]


def continue_grid(grid: Tensor, widths: Sequence[tuple[int, int]], periodic: Sequence[bool]) -> Tensor:
    """A grid continued past its borders: with itself where it is periodic, with zeros elsewhere.

    Parameters
    ----------
    grid
        Shape (b, channels, ...).
    widths
        Voxels before and after each axis; along periodic ones no more than there are.
    periodic
        Of each axis.

    Returns
    -------
    continued
        In the memory format of the grid; differentiable any number of times.
    """
    if not any(map(any, widths)):
        return grid
    if torch.compiler.is_compiling():
        # A compiler makes one kernel of torch's chain, and loses second derivatives of what brings its own first.
        return _padded(grid, widths, periodic)
    continued: Tensor = _Continue.apply(grid, tuple(widths), tuple(periodic))  # type: ignore[no-untyped-call]
    return continued


class _Continue(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, grid: Tensor, widths: Widths, periodic: tuple[bool, ...]) -> Tensor:
        ctx.borders = widths, periodic
        return _continued(grid, widths, periodic)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Fold.apply(gradients[0], *ctx.borders), None, None  # type: ignore[no-untyped-call]


class _Fold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, widths: Widths, periodic: tuple[bool, ...]) -> Tensor:
        ctx.borders = widths, periodic
        return _folded(gradient, widths, periodic)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Continue.apply(gradients[0], *ctx.borders), None, None  # type: ignore[no-untyped-call]


def _continued(grid: Tensor, widths: Widths, periodic: tuple[bool, ...]) -> Tensor:
    sides = [before + side + after for side, (before, after) in zip(grid.shape[2:], widths, strict=True)]
    out = torch.empty(
        (*grid.shape[:2], *sides), dtype=grid.dtype, device=grid.device, memory_format=_memory_format(grid)
    )
    inner = out
    for axis, (before, _) in enumerate(widths, start=2):
        inner = inner.narrow(axis, before, grid.shape[axis])
    inner.copy_(grid)
    # Axis by axis at the full extent of the others, so that the last one to be filled makes the corners right.
    for axis, before, after, wraps in reversed(_axes(widths, periodic)):
        side = grid.shape[axis]
        first, last = out.narrow(axis, 0, before), out.narrow(axis, before + side, after)
        if wraps:
            first.copy_(out.narrow(axis, side, before))
            last.copy_(out.narrow(axis, before, after))
        else:
            first.zero_()
            last.zero_()
    return out


def _folded(gradient: Tensor, widths: Widths, periodic: tuple[bool, ...]) -> Tensor:
    """What lies past periodic borders, added where it was taken from; what lies past others, cut off."""
    whole = gradient.clone()
    for axis, before, after, wraps in _axes(widths, periodic):  # the last to be filled is the first to be emptied
        side = whole.shape[axis] - before - after
        inner = whole.narrow(axis, before, side)
        if wraps:
            inner.narrow(axis, 0, after).add_(whole.narrow(axis, before + side, after))
            inner.narrow(axis, side - before, before).add_(whole.narrow(axis, 0, before))
        whole = inner
    return whole.contiguous(memory_format=_memory_format(gradient))


def _padded(grid: Tensor, widths: Sequence[tuple[int, int]], periodic: Sequence[bool]) -> Tensor:
    """The same by torch's own padding, which counts axes from the last."""
    flat = [(width, wraps) for pair, wraps in reversed(list(zip(widths, periodic, strict=True))) for width in pair]
    if any(periodic):
        grid = functional.pad(grid, [width * wraps for width, wraps in flat], mode="circular")
    return functional.pad(grid, [width * (not wraps) for width, wraps in flat])


def _axes(widths: Widths, periodic: tuple[bool, ...]) -> list[tuple[int, int, int, bool]]:
    """Each axis of a grid with its widths and whether it is periodic."""
    return [(axis, *width, wraps) for axis, (width, wraps) in enumerate(zip(widths, periodic, strict=True), start=2)]


def _memory_format(grid: Tensor) -> torch.memory_format:
    last = torch.channels_last_3d if grid.dim() == 5 else torch.channels_last
    is_last = grid.is_contiguous(memory_format=last) and not grid.is_contiguous()
    return last if is_last else torch.contiguous_format
