"""Precision and its kin against plain loops and what they must be; the Frechet distance against SciPy's root."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from ruo2_wgan.measures.manifold import NEIGHBOURS, PrincipalSpace, cover, frechet

KEYS = ("precision", "recall", "density", "coverage")


def normal(seed: int, n: int, dimensions: int = 4, scale: float = 1.0, at: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return at + scale * torch.randn(n, dimensions, generator=generator)


def by_loops(fake: Tensor, real: Tensor, k: int) -> dict[str, float]:
    """One pair after the other."""
    fakes, reals = fake.double().tolist(), real.double().tolist()
    of_real = [sorted(math.dist(r, other) for other in reals)[min(k, len(reals) - 1)] for r in reals]
    of_fake = [sorted(math.dist(f, other) for other in fakes)[min(k, len(fakes) - 1)] for f in fakes]
    within = [[math.dist(f, r) < radius for r, radius in zip(reals, of_real, strict=True)] for f in fakes]
    near = [[math.dist(f, r) < radius for f, radius in zip(fakes, of_fake, strict=True)] for r in reals]
    return {
        "precision": sum(any(row) for row in within) / len(fakes),
        "recall": sum(any(row) for row in near) / len(reals),
        "density": sum(sum(row) for row in within) / len(fakes) / k,
        "coverage": sum(any(row[j] for row in within) for j in range(len(reals))) / len(reals),
    }


@pytest.mark.parametrize("k", [1, 3, NEIGHBOURS])
@pytest.mark.parametrize(("scale", "at"), [(1.0, 0.0), (0.4, 0.5), (1.5, 1.0)])
def test_they_are_those_of_plain_loops(k, scale, at):
    fake, real = normal(0, 50, scale=scale, at=at), normal(1, 80)
    found = cover(fake, real, k)
    assert found == pytest.approx(by_loops(fake, real, k))
    assert 0.0 < found["precision"] < 1.0 or 0.0 < found["recall"] < 1.0


def test_the_same_set_covers_itself():
    real = normal(2, 100)
    found = cover(real, real)
    assert (found["precision"], found["recall"], found["coverage"]) == (1.0, 1.0, 1.0)
    assert found["density"] == pytest.approx(1.0, abs=0.2)


def test_a_far_set_covers_nothing():
    assert cover(normal(3, 60, at=50.0), normal(4, 60)) == dict.fromkeys(KEYS, 0.0)


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_one_point_over_and_over_is_precise_and_covers_hardly_anything(offset):
    """A real one, wherever the data lie: in the balls of those nearby, while its own ball is empty."""
    real = normal(5, 200, at=offset)
    at = (real - real.mean(dim=0)).norm(dim=1).argmin()
    found = cover(real[at].repeat(100, 1), real)
    assert found["precision"] == 1.0
    assert found["recall"] == 0.0
    balls = by_loops(real[at : at + 1].repeat(NEIGHBOURS + 1, 1), real, NEIGHBOURS)
    assert found["coverage"] == pytest.approx(balls["coverage"])
    assert found["coverage"] < 0.2
    assert found["density"] == pytest.approx(found["coverage"] * 200 / NEIGHBOURS)


def test_of_two_modes_one_is_missed():
    modes = normal(6, 100), normal(7, 100, at=40.0)
    found = cover(normal(8, 150), torch.cat(modes))
    assert found["precision"] > 0.8
    assert 0.35 < found["recall"] <= 0.5
    assert 0.35 < found["coverage"] <= 0.5


def test_other_reals_are_like_the_reals():
    found = cover(normal(9, 400), normal(10, 400))
    assert min(found.values()) > 0.85
    assert found["density"] == pytest.approx(1.0, abs=0.15)


def test_balls_of_few_points_reach_to_the_last_one():
    fake, real = normal(11, 3), normal(12, 4)
    assert cover(fake, real) == pytest.approx(by_loops(fake, real, NEIGHBOURS))


@pytest.mark.parametrize("dimensions", [1, 3, 8])
def test_frechet_is_what_the_root_of_scipy_gives(dimensions):
    mix = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(0))
    fake, real = normal(13, 60, dimensions) @ mix + 0.3, normal(14, 90, dimensions)
    a, b = fake.double().numpy(), real.double().numpy()
    first, second = np.cov(a.T).reshape(dimensions, -1), np.cov(b.T).reshape(dimensions, -1)
    spread = np.trace(first + second - 2.0 * np.real(sqrtm(first @ second)))
    expected = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + spread
    assert frechet(fake, real) == pytest.approx(expected, rel=1e-6)
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_gaussians_along_the_axes():
    """|m - m'|^2 + sum (s - s')^2, exactly where the covariances of both samples are diagonal."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    unbiased = math.sqrt(8 / 7)
    first, second = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([3.0, 1.0, 0.5])
    shift = torch.tensor([0.0, 4.0, 3.0])
    expected = 25.0 + float(((first - second) * unbiased).square().sum())
    assert frechet(signs * first + shift, signs * second) == pytest.approx(expected)


def test_frechet_of_a_set_with_itself_is_none_and_of_a_shifted_one_the_shift():
    real = normal(15, 40, 16)
    assert frechet(real, real) == pytest.approx(0.0, abs=1e-9)
    assert frechet(real + 2.0, real) == pytest.approx(64.0, rel=1e-5)
    assert frechet(real[:1].repeat(30, 1), real) > 1.0


@pytest.mark.parametrize("shape", [(30, 50), (80, 40), (20, 20), (5, 60), (60, 3)])
def test_the_space_is_that_of_a_singular_value_decomposition(shape):
    """Distances in it do not depend on the signs of its axes."""
    scale = torch.linspace(3.0, 0.1, shape[1])
    features = normal(16, shape[0], shape[1]) * scale + 5.0
    others = normal(17, 10, shape[1]) * scale + 5.0
    space = PrincipalSpace(features)
    mean = features.double().numpy().mean(axis=0)
    axes = np.linalg.svd(features.double().numpy() - mean, full_matrices=False)[2]
    kept = min(16, shape[0] - 1, shape[1])
    points = (others.double().numpy() - mean) @ axes[:kept].T
    found = space.project(others)
    assert found.shape == (10, kept)
    torch.testing.assert_close(torch.pdist(found).double(), torch.pdist(torch.from_numpy(points)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.sort(found.abs(), axis=1), np.sort(np.abs(points), axis=1), atol=2e-3)
    assert space.unit == pytest.approx(float(torch.pdist(space.project(features)).mean()))


def test_the_space_of_points_that_are_all_the_same():
    space = PrincipalSpace(torch.ones(6, 9))
    assert space.unit == 1.0
    assert torch.isfinite(space.project(torch.zeros(2, 9))).all()


def test_a_line_has_one_dimension():
    features = torch.linspace(0.0, 1.0, 20)[:, None] * torch.tensor([[3.0, 4.0, 0.0]])
    points = PrincipalSpace(features).project(features)
    assert points.shape == (20, 1)
    assert float(points.max() - points.min()) == pytest.approx(5.0, rel=1e-5)
