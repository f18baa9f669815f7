"""Exact symmetry operations of a slab's grid, drawn for each structure and applied to a whole batch on its device.

Rolls along x and y, mirrors through planes that hold the origin, and quarter turns, which swap the lattice lengths.
All are permutations of voxels, so that they lose nothing, and differentiable, so that fakes can have them as well.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ruo2_wgan.errors import ConfigError
from ruo2_wgan.spec import DataSpec


class Operations(NamedTuple):
    """One operation for each of n structures: swap x and y, then mirror, then roll."""

    shifts: Tensor  # (n, axes), whole voxels
    mirrors: Tensor  # (n, axes), bool
    swaps: Tensor  # (n,), bool


def draw_operations(n: int, spec: DataSpec, names: Sequence[str], generator: torch.Generator) -> Operations:
    """Operations for n structures, uniform over what `names` allow, on the device of the generator.

    Parameters
    ----------
    n
        Structures.
    spec
        Of the data. Of a slice, the first axis is x or y, and a quarter turn leaves it alone: slices of both are there.
    names
        "roll" along all axes but z, "roll-z", "mirror" of all axes but z, "rotate" by quarter turns.
    generator
        Of random numbers.

    Raises
    ------
    ConfigError
        "rotate" of a grid that is not the same along x and y.
    """
    check_augment(names, spec.shape)
    # Plain numbers throughout: a tensor made of them would have to wait for the device.
    device, axes = generator.device, spec.dimensions
    turned, mirrored = "rotate" in names and axes == 3, "mirror" in names
    shares = torch.rand(n, axes, generator=generator, device=device)
    coins = torch.rand(n, axes, generator=generator, device=device) < 0.5
    none = torch.zeros(n, dtype=torch.bool, device=device)
    swaps, mirrors = coins[:, -1] if turned else none, [*coins.unbind(1)[:-1], none]
    if turned and not mirrored:
        # Turns alone: by 0 and 180 degrees both mirrors or none, by 90 and 270 a swap with one of them.
        mirrors[1] = mirrors[0] ^ swaps
    elif not mirrored:
        mirrors = [none] * axes
    rolled = ["roll" in names] * (axes - 1) + ["roll-z" in names]
    # A share just below 1 may round up to a whole side.
    shifts = [
        (shares[:, axis] * side).long().clamp(max=side - 1) * rolled[axis] for axis, side in enumerate(spec.shape)
    ]
    return Operations(torch.stack(shifts, dim=1), torch.stack(mirrors, dim=1), swaps)


def apply_operations(density: Tensor, lattice: Tensor | None, operations: Operations) -> tuple[Tensor, Tensor | None]:
    """Densities (n, species, ...) and lattice lengths (n, axes) after each structure's operation.

    Notes
    -----
    A mirror takes voxel i to -i, so that voxel 0, on the cell's corner, stays; a roll by t takes voxel i to i + t.
    """
    shifts, mirrors, swaps = operations
    sides = density.shape[2:]
    strides: list[Tensor | int] = [math.prod(sides[axis + 1 :]) for axis in range(len(sides))]
    if len(sides) == 3:
        x, y, z = strides
        strides = [torch.where(swaps, y, x)[:, None], torch.where(swaps, x, y)[:, None], z]
        lattice = None if lattice is None else swap_lengths(lattice, swaps)
    # One gather with flat places of the source: out[i] = in[sign (i - shift)], and in[j, i] for in[i, j] where swapped.
    flat: Tensor | int = 0
    for axis, (side, stride) in enumerate(zip(sides, strides, strict=True)):
        sign = 1 - 2 * mirrors[:, axis, None].long()
        source = sign * (torch.arange(side, device=density.device) - shifts[:, axis, None]) % side
        flat = flat + (source * stride).reshape(-1, *[side if other == axis else 1 for other in range(len(sides))])
    assert isinstance(flat, Tensor)
    places = flat.reshape(len(density), 1, -1).expand(-1, density.shape[1], -1)
    return density.flatten(2).gather(2, places).reshape(density.shape), lattice


def swap_lengths(lengths: Tensor, swaps: Tensor) -> Tensor:
    """Values along x, y and z, shape (n, 3), those of x and y exchanged where `swaps` (n,) says so."""
    swapped = torch.cat([lengths[:, 1:2], lengths[:, :1], lengths[:, 2:]], dim=1)
    return torch.where(swaps[:, None], swapped, lengths)


def check_augment(names: Sequence[str], shape: Sequence[int]) -> None:
    """See that rows of that shape can have those operations.

    Raises
    ------
    ConfigError
        "rotate" of a grid that is not the same along x and y.
    """
    if "rotate" in names and len(shape) == 3 and shape[0] != shape[1]:
        raise ConfigError(
            f'data.augment: "rotate" turns x into y, so that the grid must have as many voxels along both; found '
            f"{' x '.join(map(str, shape))}. Leave it out"
        )
