"""Laws of the figures that a run is watched by, and the planted collapses that they must name."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from ruo2_wgan.errors import DataError
from ruo2_wgan.training.watch import Watch, diversity, sliced_wasserstein, stripe_index, stripe_ratios
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
    figures = Watch(reals, n_projections=16, seed=3).look(others)
    assert figures == pytest.approx(
        {
            "diversity": diversity(others, reals),
            "stripe_index": stripe_index(others, reals),
            "distance": sliced_wasserstein(others, reals, 16, torch.Generator().manual_seed(3)),
        }
    )


def test_order_does_not_matter_and_distance_to_itself_is_none():
    reals = real_slices()
    shuffled = reals[torch.randperm(len(reals), generator=torch.Generator().manual_seed(0))]
    assert sliced_wasserstein(shuffled, reals) == pytest.approx(0.0, abs=1e-6)
    assert diversity(shuffled, reals) == pytest.approx(1.0, abs=1e-4)


def test_distance_grows_with_what_is_wrong():
    reals, others = (real_slices(**half) for half in HALVES)
    distances = [sliced_wasserstein(others * (1.0 - share), reals) for share in (0.0, 0.1, 0.3, 1.0)]
    assert distances == sorted(distances)


def test_diversity_counts_modes():
    """Of structures without anything in common, and as many of each: their number, less one, by the reals'."""
    far = torch.zeros(64, 1, 8, 8)
    far[torch.arange(64), 0, 0, :] = 100.0 * torch.eye(8)[torch.arange(64) % 8]
    for modes in (1, 2, 4, 8):
        assert diversity(far[torch.arange(64) % modes], far) == pytest.approx((modes - 1) / 7, abs=1e-3)


def test_distance_is_the_mean_over_lines_of_that_of_scipy():
    """Numbers of fakes and reals that divide, so that both count alike; features by NumPy's full transform."""
    reals, fakes = real_slices()[:32], real_slices(**HALVES[1])[:16]
    features = [np.abs(np.fft.fft(d.double().numpy(), axis=2, norm="ortho")) for d in (fakes, reals)]
    halved = [f[:, :, :9] * np.sqrt([1, *[2] * 7, 1])[:, None] for f in features]  # |F(-k)| = |F(k)|
    a, b = (f.reshape(len(f), -1) for f in halved)
    lines = torch.randn(a.shape[1], 8, generator=torch.Generator().manual_seed(5)).double().numpy()
    scale = np.mean([np.linalg.norm(features[1][i] - features[1][j]) for i in range(32) for j in range(i)])
    expected = np.mean([wasserstein_distance(a @ line, b @ line) for line in lines.T]) * np.sqrt(np.pi / 2) / scale
    found = sliced_wasserstein(fakes, reals, 8, torch.Generator().manual_seed(5))
    assert found == pytest.approx(expected, rel=1e-4)


def test_stripe_ratios_are_those_of_a_direct_sum():
    density = real_volumes()[:3].double().numpy()
    x = np.arange(16)
    waves = {k: np.einsum("nsxyz,x->nsyz", density, np.exp(-2j * np.pi * k * x / 16)) / 4.0 for k in range(1, 9)}
    power = {k: np.mean(np.abs(wave) ** 2) + 1 / (12 * 255**2) for k, wave in waves.items()}
    expected = [
        power[8] / np.mean([power[k] for k in (5, 6, 7)]),
        power[4] / np.mean([power[k] for k in (1, 2, 3, 5, 6, 7)]),
    ]
    np.testing.assert_allclose(stripe_ratios(real_volumes()[:3])[0], expected, rtol=1e-3)


def test_noise_and_single_structures_have_no_stripes():
    reals = real_volumes()
    noise = torch.rand(reals.shape, generator=torch.Generator().manual_seed(0))
    for fakes in (noise, *(row.expand_as(reals) for row in reals[::24])):
        assert stripe_index(fakes, reals) < 3.5


def test_empty_and_short_densities_have_no_stripes():
    torch.testing.assert_close(stripe_ratios(torch.zeros(2, 2, 16, 8)), torch.ones(2, 2, dtype=torch.float64))
    assert (stripe_ratios(torch.rand(2, 2, 6, 10))[0] == 1.0).all()


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
    for compare in (diversity, stripe_index, sliced_wasserstein, lambda fake, real: Watch(real).look(fake)):
        with pytest.raises(DataError, match=words):
            compare(torch.rand(fake), torch.rand(real))
