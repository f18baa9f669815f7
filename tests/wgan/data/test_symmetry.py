"""Operations on grids against the package that moves structures before it voxelizes them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from ruo2_voxel import Grid, move_atoms, rotate_z, translate, voxelize
from ruo2_wgan.data import Operations, apply_operations, draw_operations
from ruo2_wgan.errors import ConfigError
from tests.wgan.specs import make_spec

NAMES = [["roll"], ["roll-z"], ["mirror"], ["rotate"], ["roll", "mirror"], ["rotate", "mirror", "roll", "roll-z"]]


def operations(shifts: Sequence[int], mirrors: Sequence[bool], swap: bool) -> Operations:
    return Operations(torch.tensor([shifts]), torch.tensor([mirrors]), torch.tensor([swap]))


def random_grid(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rolls_are_translations() -> None:
    density = random_grid(1, 2, 5, 6, 7)
    moved, _ = apply_operations(density, None, operations((3, 5, 6), (False,) * 3, False))
    np.testing.assert_array_equal(moved[0], translate(density[0].numpy(), (3, 5, 6)))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_mirrors_and_swap_make_quarter_turns(turns: int) -> None:
    density, lengths = random_grid(1, 2, 6, 6, 5), torch.tensor([[4.0, 5.0, 9.0]], dtype=torch.float64)
    mirrors = {1: (True, False, False), 2: (True, True, False), 3: (False, True, False)}[turns]
    turned, turned_lengths = apply_operations(density, lengths, operations((0, 0, 0), mirrors, turns % 2 == 1))
    expected, expected_lengths = rotate_z(density[0].numpy(), lengths[0].numpy(), turns)
    np.testing.assert_array_equal(turned[0], expected)
    assert turned_lengths is not None
    np.testing.assert_array_equal(turned_lengths[0], expected_lengths)


def test_a_moved_grid_is_the_grid_of_the_moved_structure() -> None:
    grid = Grid(shape=(10, 10, 12), sigma=0.6, tol=1e-5)
    cell = np.diag([5.0, 5.8, 7.0])
    positions = np.random.default_rng(3).uniform(0, 6, (5, 3))
    symbols = ["Ru", "O", "O", "Ru", "O"]
    density = torch.from_numpy(voxelize(Atoms(symbols, positions=positions, cell=cell, pbc=True), grid))[None]

    found, _ = apply_operations(density, None, operations((2, 7, 4), (True, False, False), True))

    # A quarter turn is a swap with a mirror in x; then the roll, along the axes of the turned cell.
    turned, turned_cell = move_atoms(positions, cell, np.zeros(3), 1)
    moved, moved_cell = move_atoms(turned, turned_cell, np.array([0.2, 0.7, 4 / 12]), 0)
    expected = voxelize(Atoms(symbols, positions=moved, cell=moved_cell, pbc=True), grid)
    np.testing.assert_allclose(found[0], expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(5, 8), (4, 6, 5)])
def test_a_mirror_takes_voxel_i_to_minus_i(shape: tuple[int, ...]) -> None:
    density = random_grid(2, 1, *shape)
    for axis in range(len(shape)):
        mirrors = torch.zeros(2, len(shape), dtype=torch.bool)
        mirrors[1, axis] = True  # of the second structure alone
        how = Operations(torch.zeros(2, len(shape), dtype=torch.int64), mirrors, torch.zeros(2, dtype=torch.bool))
        found, _ = apply_operations(density, None, how)
        expected = density[1].flip(axis + 1).roll(1, axis + 1)
        assert torch.equal(found[0], density[0])
        assert torch.equal(found[1], expected)


@pytest.mark.parametrize("names", NAMES)
def test_each_structure_keeps_its_voxels_and_its_own_lengths(names: list[str]) -> None:
    spec = make_spec((6, 6, 4))
    how = draw_operations(40, spec, names, torch.Generator().manual_seed(1))
    density, lengths = random_grid(40, 2, 6, 6, 4), random_grid(40, 3, seed=2)
    moved, moved_lengths = apply_operations(density, lengths, how)
    assert torch.equal(moved.flatten(2).sort().values, density.flatten(2).sort().values)
    assert moved_lengths is not None
    assert torch.equal(moved_lengths.sort().values, lengths.sort().values)
    assert torch.equal(moved_lengths[:, 2], lengths[:, 2])
    swapped = (moved_lengths != lengths).any(dim=1)
    assert torch.equal(swapped, how.swaps)


@pytest.mark.parametrize(
    ("names", "n_different"),
    [
        ([], 1),
        (["roll"], 16),
        (["roll-z"], 3),
        (["mirror"], 4),
        (["rotate"], 4),
        (["rotate", "mirror"], 8),
        (["roll", "rotate", "mirror"], 128),
    ],
)
def test_draws_reach_every_operation_that_is_asked_for_and_no_other(names: list[str], n_different: int) -> None:
    spec = make_spec((4, 4, 3))
    density = random_grid(1, 1, 4, 4, 3).expand(3000, -1, -1, -1, -1)
    moved, _ = apply_operations(density, None, draw_operations(3000, spec, names, torch.Generator().manual_seed(5)))
    assert len(torch.unique(moved.flatten(1), dim=0)) == n_different


def test_turns_alone_are_proper_rotations() -> None:
    how = draw_operations(500, make_spec((4, 4, 3)), ["rotate"], torch.Generator().manual_seed(5))
    reversals = how.mirrors.sum(dim=1) + how.swaps  # each of these changes the hand
    assert torch.all(reversals % 2 == 0)


@pytest.mark.parametrize("names", NAMES)
def test_slices_roll_and_mirror_along_their_axis_and_keep_their_lengths(names: list[str]) -> None:
    how = draw_operations(300, make_spec((5, 4)), names, torch.Generator().manual_seed(2))
    assert not how.swaps.any()
    assert bool(how.mirrors[:, 0].any()) == ("mirror" in names)
    assert not how.mirrors[:, 1].any()
    assert set(how.shifts[:, 0].tolist()) == (set(range(5)) if "roll" in names else {0})
    assert set(how.shifts[:, 1].tolist()) == (set(range(4)) if "roll-z" in names else {0})


def test_gradients_go_back_to_the_voxels_that_they_came_from() -> None:
    how = draw_operations(6, make_spec((4, 4, 5)), NAMES[-1], torch.Generator().manual_seed(3))
    density = random_grid(6, 2, 4, 4, 5).requires_grad_()
    weights = random_grid(6, 2, 4, 4, 5, seed=9)
    moved, _ = apply_operations(density, None, how)
    (gradient,) = torch.autograd.grad((weights * moved**2).sum(), density)
    # A permutation takes the gradient back by its transpose, its inverse: where it sends the gradient is the weights.
    with torch.no_grad():
        forth, _ = apply_operations(gradient, None, how)
    torch.testing.assert_close(forth, 2 * weights * moved.detach(), rtol=0, atol=0)


def test_a_grid_that_a_quarter_turn_would_alter_is_refused() -> None:
    spec = make_spec((4, 6, 5))
    with pytest.raises(ConfigError, match=r'data\.augment: "rotate" .* as many voxels along both; found 4 x 6 x 5'):
        draw_operations(1, spec, ["rotate"], torch.Generator())
    draw_operations(1, replace(spec, shape=(4, 5)), ["rotate"], torch.Generator())  # a slice has no such axes
