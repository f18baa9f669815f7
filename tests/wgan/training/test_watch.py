"""Laws of the figures that a run is watched by, and the planted collapses that they must name."""

import pytest
import torch

from ruo2_wgan.errors import DataError
from ruo2_wgan.measures import RealDistribution, plane_magnitudes, stripe_index
from ruo2_wgan.training.watch import Watch
from tests.wgan.real_densities import real_slices, real_volumes

BOTH = pytest.mark.parametrize("read", [real_slices, real_volumes])
HALVES = {"start": 0, "step": 16}, {"start": 8, "step": 16}


def two_modes(real: torch.Tensor) -> torch.Tensor:
    half = len(real) // 2
    return real[[0] * half + [half] * (len(real) - half)]


def roll_each(density: torch.Tensor) -> torch.Tensor:
    """In the plane, each by another number of voxels."""
    axes = list(range(1, density.ndim - 2))
    return torch.stack([torch.roll(row, [3 * n + 1] * len(axes), axes) for n, row in enumerate(density)])


def add_stripes(density: torch.Tensor, period: int, axis: int, amplitude: float = 0.1) -> torch.Tensor:
    wave = torch.tensor(([1.0] * (period // 2) + [-1.0] * (period // 2)) * (density.shape[axis] // period))
    shape = [1] * density.ndim
    shape[axis] = -1
    return (density + amplitude * wave.view(shape)).clamp(0.0, 1.0)


@BOTH
def test_other_reals_are_no_sign(read):
    reals, others = (read(**half) for half in HALVES)
    figures = Watch(reals).look(others)
    assert Watch.signs(figures) == []
    assert figures["diversity"] == pytest.approx(1.0, abs=0.2)
    assert figures["stripe_index"] < 1.2
    assert figures["distance"] < 0.2


@BOTH
def test_planted_collapses_are_named(read):
    reals, others = (read(**half) for half in HALVES)
    watch = Watch(reals)
    random = torch.Generator().manual_seed(0)
    planted = {
        "over and over": [others[:1].expand_as(others), roll_each(others[:1].expand_as(others)), two_modes(others)],
        "stripes": [add_stripes(others, period, axis) for period in (2, 4) for axis in range(2, others.ndim)],
        "unlike the data": [torch.rand(others.shape, generator=random)],
    }
    for words, cases in planted.items():
        for case in cases:
            assert words in " ".join(watch.signs(watch.look(case)))


def test_a_network_far_ahead_is_named():
    reals = real_slices()
    watch = Watch(reals)
    losses = [(0.01, -54.0), (-0.02, -50.0), (0.03, 0.0)]  # a generator loss that crosses zero once is no sign
    history = [{"step": 1, "critic_loss": critic, "generator_loss": generator} for critic, generator in losses]
    figures = watch.look(reals, history)
    assert figures["loss_ratio"] == pytest.approx(0.02 / 50.0)
    assert "the critic's loss is 0.0004 times the generator's" in watch.signs(figures)[0]
    assert "loss_ratio" not in watch.look(reals)


@BOTH
def test_rolls_in_the_plane_change_no_figure(read):
    reals, others = (read(**half) for half in HALVES)
    watch = Watch(reals)
    assert watch.look(roll_each(others)) == pytest.approx(watch.look(others), rel=1e-4)


def test_figures_are_those_of_the_functions():
    reals, others = (real_volumes(**half) for half in HALVES)
    figures = Watch(reals, seed=3).look(others)
    real, fake = RealDistribution(plane_magnitudes(reals).flatten(1), seed=3), plane_magnitudes(others).flatten(1)
    assert figures == pytest.approx(
        {
            "diversity": real.diversity(fake),
            "stripe_index": stripe_index(others, reals),
            "distance": real.sliced_wasserstein(fake),
        }
    )


@pytest.mark.parametrize(
    ("real", "fake", "words"),
    [
        ((1, 2, 8, 8), (4, 2, 8, 8), "reals to compare must be two or more"),
        ((4, 2, 8), (4, 2, 8), "reals to compare must be two or more"),
        ((4, 2, 8, 8), (1, 2, 8, 8), "fakes to compare must be two or more"),
        ((4, 2, 8, 8), (4, 3, 8, 8), r"the species and axes of the reals, \(2, 8, 8\); found \(3, 8, 8\)"),
    ],
)
def test_other_forms_are_refused(real, fake, words):
    for compare in (stripe_index, lambda fake, real: Watch(real).look(fake)):
        with pytest.raises(DataError, match=words):
            compare(torch.rand(fake), torch.rand(real))
