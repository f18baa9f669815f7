"""Laws of the figures that compare distributions of densities."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from ruo2_wgan.measures import RealDistribution, plane_magnitudes, stripe_index, stripe_ratios
from tests.wgan.real_densities import real_slices, real_volumes

HALVES = {"start": 0, "step": 16}, {"start": 8, "step": 16}


def features(density: torch.Tensor) -> torch.Tensor:
    return plane_magnitudes(density).flatten(1)


def test_order_does_not_matter_and_distance_to_itself_is_none():
    reals = features(real_slices())
    shuffled = reals[torch.randperm(len(reals), generator=torch.Generator().manual_seed(0))]
    real = RealDistribution(reals)
    assert real.sliced_wasserstein(shuffled) == pytest.approx(0.0, abs=1e-6)
    assert real.diversity(shuffled) == pytest.approx(1.0, abs=1e-4)


def test_distance_grows_with_what_is_wrong():
    reals, others = (real_slices(**half) for half in HALVES)
    real = RealDistribution(features(reals))
    shares = (0.0, 0.1, 0.3, 1.0)
    distances = [real.sliced_wasserstein(features(others * (1.0 - share))) for share in shares]
    assert distances == sorted(distances)


def test_diversity_counts_modes():
    """Of structures without anything in common, and as many of each: their number, less one, by the reals'."""
    far = 100.0 * torch.eye(8)[torch.arange(64) % 8]
    for modes in (1, 2, 4, 8):
        assert RealDistribution(far).diversity(far[torch.arange(64) % modes]) == pytest.approx(
            (modes - 1) / 7, abs=1e-3
        )


def test_distance_is_the_mean_over_lines_of_that_of_scipy():
    """Numbers of fakes and reals that divide, so that both count alike; features by NumPy's full transform."""
    reals, fakes = real_slices()[:32], real_slices(**HALVES[1])[:16]
    magnitudes = [np.abs(np.fft.fft(d.double().numpy(), axis=2, norm="ortho")) for d in (fakes, reals)]
    halved = [f[:, :, :9] * np.sqrt([1, *[2] * 7, 1])[:, None] for f in magnitudes]  # |F(-k)| = |F(k)|
    a, b = (f.reshape(len(f), -1) for f in halved)
    lines = torch.randn(a.shape[1], 8, generator=torch.Generator().manual_seed(5)).double().numpy()
    scale = np.mean([np.linalg.norm(b[i] - b[j]) for i in range(32) for j in range(i)])
    expected = np.mean([wasserstein_distance(a @ line, b @ line) for line in lines.T]) * np.sqrt(np.pi / 2) / scale
    found = RealDistribution(features(reals), 8, seed=5).sliced_wasserstein(features(fakes))
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
