"""Losses against their formulas, written out for critics whose gradients are known."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ruo2_wgan.config import Loss, make_config
from ruo2_wgan.networks import Judged
from ruo2_wgan.training.losses import CriticLoss, generator_loss, lattice_loss_of


class LinearCritic(nn.Module):
    """score = w . density: its gradient is w everywhere. The lattice logits are two voxels."""

    def __init__(self, n: int, lattice: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 2, n, dtype=torch.float64))
        self._lattice = lattice

    def forward(self, density: Tensor, label: Tensor | None = None) -> Judged:
        flat = density.flatten(1)
        score = flat @ self.weight + (0 if label is None else label)
        return Judged(score, flat[:, :2] * self.weight[:2] if self._lattice else None)


class SquareCritic(LinearCritic):
    """score = sum of w density^2: its gradient is 2 w density."""

    def forward(self, density: Tensor, label: Tensor | None = None) -> Judged:
        return Judged(density.flatten(1).square() @ self.weight, None)


def loss_of(**options: Any) -> Loss:
    return make_config({"loss": options}).loss


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Reals, fakes and shares."""
    random = torch.Generator().manual_seed(3)
    real, fake = (torch.rand(5, 2, 4, 3, generator=random, dtype=torch.float64) for _ in range(2))
    return real, fake, torch.rand(5, generator=random, dtype=torch.float64)


def test_wgan_gp_by_its_formula(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    real, fake, mix = batch
    critic = SquareCritic(24)
    terms = CriticLoss(critic, loss_of(gp_weight=7.0, drift=0.3))(real, fake, mix)
    x, y, share = (each.numpy() for each in (real.flatten(1), fake.flatten(1), mix[:, None]))
    w = critic.weight.detach().numpy()
    between = (1 - share) * x + share * y
    penalty = np.mean((np.linalg.norm(2 * w * between, axis=1) - 1) ** 2)
    gap = np.mean(x**2 @ w) - np.mean(y**2 @ w)
    assert terms.wasserstein.item() == pytest.approx(gap)
    assert terms.penalty.item() == pytest.approx(penalty)
    assert terms.loss.item() == pytest.approx(-gap + 7 * penalty + 0.3 * np.mean((x**2 @ w) ** 2))


def test_the_gradient_of_the_penalty_reaches_the_weights(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Of a linear critic it is 2 (|w| - 1) w / |w|."""
    real, _, mix = batch
    critic = LinearCritic(24)
    CriticLoss(critic, loss_of(gp_weight=1.0))(real, real, mix).loss.backward()
    w = critic.weight.detach()
    torch.testing.assert_close(critic.weight.grad, 2 * (w.norm() - 1) * w / w.norm())


def test_a_critic_without_slope_has_a_finite_gradient(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    critic = LinearCritic(24)
    critic.weight.data.zero_()
    terms = CriticLoss(critic, loss_of())(*batch)
    terms.loss.backward()
    assert terms.penalty.item() == pytest.approx(1.0)
    assert critic.weight.grad.isfinite().all()


def test_the_relativistic_loss_by_its_formula(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    real, fake, mix = batch
    critic = SquareCritic(24)
    loss = loss_of(kind="relativistic", r1_weight=0.7, r2_weight=0.2)
    terms = CriticLoss(critic, loss)(real, fake, mix)
    x, y, w = real.flatten(1).numpy(), fake.flatten(1).numpy(), critic.weight.detach().numpy()
    of_real, of_fake = x**2 @ w, y**2 @ w
    r1, r2 = (np.mean(np.sum((2 * w * each) ** 2, axis=1)) / 2 for each in (x, y))
    expected = np.mean(np.log1p(np.exp(of_fake - of_real))) + 0.7 * r1 + 0.2 * r2
    assert terms.loss.item() == pytest.approx(expected)
    judged = Judged(torch.from_numpy(of_fake), None)
    of_generator = generator_loss(judged, None, loss, torch.from_numpy(of_real))
    assert of_generator.loss.item() == pytest.approx(np.mean(np.log1p(np.exp(of_real - of_fake))))
    with pytest.raises(TypeError, match="needs the scores of reals"):
        generator_loss(judged, None, loss)


def test_the_lattice_loss_is_that_of_the_thesis() -> None:
    """Eq. 3.2, as a mean over structures and axes."""
    random = np.random.default_rng(1)
    logits, lengths = random.normal(size=(4, 3)), random.random((4, 3))
    sigmoid = 1 / (1 + np.exp(-logits))
    expected = -np.mean(lengths * np.log(sigmoid) + (1 - lengths) * np.log(1 - sigmoid))
    found = lattice_loss_of(torch.from_numpy(logits), torch.from_numpy(lengths))
    assert found.item() == pytest.approx(expected)


def test_the_critic_learns_lengths_of_reals_alone(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    real, fake, mix = batch
    critic, lengths = LinearCritic(24, lattice=True), torch.rand(5, 2, dtype=torch.float64)
    for other in (fake, fake.flip(0) / 2):
        terms = CriticLoss(critic, loss_of())(real, other, mix, None, lengths)
        expected = lattice_loss_of(real.flatten(1)[:, :2] * critic.weight[:2], lengths)
        assert terms.lattice.item() == pytest.approx(expected.item())
        plain = CriticLoss(critic, loss_of())(real, other, mix)
        assert (terms.loss - plain.loss).item() == pytest.approx(expected.item())


def test_what_the_critic_infers_of_a_fake_is_a_target_and_detached() -> None:
    density = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    own = torch.full((3, 2), 0.7, dtype=torch.float64, requires_grad=True)  # at 0 the loss has no slope in its target
    judged = Judged(density.sum(1) * 0, density * 5)
    terms = generator_loss(judged, own, loss_of(lattice_weight=0.1))
    target = (density * 5).sigmoid()
    assert terms.lattice.item() == pytest.approx(lattice_loss_of(own, target).item())
    assert terms.loss.item() == pytest.approx(0.1 * terms.lattice.item())
    terms.loss.backward()
    assert (density.grad == 0).all()
    torch.testing.assert_close(own.grad, 0.1 * (own.detach().sigmoid() - target.detach()) / 6)


def test_labels_are_told_for_reals_fakes_and_interpolates(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """This critic adds the label to the score: told alike for both, it leaves the gap alone."""
    critic = LinearCritic(24)
    label = torch.arange(5)
    with_label = CriticLoss(critic, loss_of(drift=1.0))(*batch, label)
    without = CriticLoss(critic, loss_of(drift=1.0))(*batch)
    assert with_label.wasserstein.item() == pytest.approx(without.wasserstein.item())
    assert with_label.loss.item() != pytest.approx(without.loss.item())
