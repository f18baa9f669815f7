"""What the critic and the generator minimise, and the penalties on the critic's gradient.

Formulas: WGAN-GP, arXiv:1704.00028; drift, arXiv:1710.10196; the relativistic pairing loss with R1 and R2,
arXiv:2501.05441; lattice losses, thesis section 3.3.3 after doi:10.1126/sciadv.aax9324.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ruo2_wgan.config import Loss
from ruo2_wgan.networks import Critic, Judged


class CriticTerms(NamedTuple):
    """Of one critic update, scalars; all but the loss are detached."""

    loss: Tensor  # what is minimised
    wasserstein: Tensor  # mean score of reals minus that of fakes: the estimate of the distance
    penalty: Tensor  # on the gradient, without its weight
    lattice: Tensor  # 0 without lattice heads


class GeneratorTerms(NamedTuple):
    """Of one generator update, scalars; all but the loss are detached."""

    loss: Tensor
    score: Tensor  # mean score of the fakes
    lattice: Tensor


class CriticLoss(nn.Module):
    """The critic with its loss: one forward that ends in one scalar.

    Wrapped as a whole for several ranks, an update is one forward and one backward of the wrapper, penalty included,
    which is what makes the gradients of all ranks together those of the whole batch.
    """

    def __init__(self, critic: Critic, loss: Loss) -> None:
        super().__init__()
        self.critic = critic
        self._loss = loss

    def forward(
        self, real: Tensor, fake: Tensor, mix: Tensor, label: Tensor | None = None, lattice: Tensor | None = None
    ) -> CriticTerms:
        """Loss of paired real and fake densities.

        Parameters
        ----------
        real, fake
            Shape (b, species, ...), in [0, 1]; no gradient flows into them.
        mix
            Shape (b,): share of the fake in each interpolate.
        label
            Classes, shape (b,), which reals and fakes have in common.
        lattice
            Lattice lengths of the reals, scaled to [0, 1], shape (b, axes), where there are heads for them.
        """
        # Where the critic's gradient is taken. They are made here and not in `evaluate`, for a compiled function
        # differentiates rightly with respect to what it is given only.
        if self._loss.kind == "wgan-gp":
            points = torch.lerp(real, fake, mix.reshape(-1, *[1] * (real.dim() - 1)))
        else:
            points = torch.cat([real, fake])
        return self.evaluate(real, fake, points.requires_grad_(), label, lattice)

    def evaluate(
        self, real: Tensor, fake: Tensor, points: Tensor, label: Tensor | None, lattice: Tensor | None
    ) -> CriticTerms:
        """The terms, with the points where the gradient is taken: interpolates, or reals and then fakes."""
        if self._loss.kind == "wgan-gp":
            judged, gap, penalty, loss = self._wgan(real, fake, points, label)
        else:
            judged, gap, penalty, loss = self._relativistic(points, label)
        lattice_loss = torch.zeros_like(gap)
        if judged.lattice_logits is not None and lattice is not None:
            lattice_loss = lattice_loss_of(judged.lattice_logits[: len(real)], lattice)
            loss = loss + lattice_loss
        return CriticTerms(loss, gap.detach(), penalty.detach(), lattice_loss.detach())

    def _wgan(
        self, real: Tensor, fake: Tensor, between: Tensor, label: Tensor | None
    ) -> tuple[Judged, Tensor, Tensor, Tensor]:
        # Interpolates have a forward of their own: in one with the others, the penalty would differentiate all three.
        judged = self.critic(torch.cat([real, fake]), _twice(label))
        of_real, of_fake = judged.score.chunk(2)
        slope = gradient_of(self.critic(between, label).score, between)
        # vector_norm has the gradient 0 where the slope vanishes; a square root of a sum has none.
        penalty = (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1).square().mean()
        gap = of_real.mean() - of_fake.mean()
        loss = -gap + self._loss.gp_weight * penalty
        if self._loss.drift:
            loss = loss + self._loss.drift * of_real.square().mean()
        return judged, gap, penalty, loss

    def _relativistic(self, both: Tensor, label: Tensor | None) -> tuple[Judged, Tensor, Tensor, Tensor]:
        judged = self.critic(both, _twice(label))
        of_real, of_fake = judged.score.chunk(2)
        squares = gradient_of(judged.score, both).flatten(1).square().sum(dim=1)
        r1, r2 = (half.mean() / 2 for half in squares.chunk(2))
        loss = functional.softplus(of_fake - of_real).mean() + self._loss.r1_weight * r1 + self._loss.r2_weight * r2
        return judged, of_real.mean() - of_fake.mean(), r1 + r2, loss


def generator_loss(
    judged: Judged, lattice_logits: Tensor | None, loss: Loss, of_real: Tensor | None = None
) -> GeneratorTerms:
    """What the generator minimises.

    Parameters
    ----------
    judged
        The critic's view of the fakes.
    lattice_logits
        The generator's own, shape (b, axes).
    loss
        Kind and weights.
    of_real
        Scores of as many reals, which the relativistic loss compares with.

    Notes
    -----
    The length that the critic infers of a fake is the target of the generator's head and is detached: else the
    generator could lower its loss by making structures whose lengths the critic misreads.
    """
    if loss.kind == "wgan-gp":
        total = -judged.score.mean()
    elif of_real is None:
        raise TypeError("the relativistic loss needs the scores of reals")
    else:
        total = functional.softplus(of_real - judged.score).mean()
    lattice = torch.zeros_like(total)
    if judged.lattice_logits is not None and lattice_logits is not None:
        lattice = lattice_loss_of(lattice_logits, judged.lattice_logits.detach().sigmoid())
        total = total + loss.lattice_weight * lattice
    return GeneratorTerms(total, judged.score.detach().mean(), lattice.detach())


def lattice_loss_of(logits: Tensor, scaled: Tensor) -> Tensor:
    """Multilabel soft-margin loss of scaled lattice lengths (thesis eq. 3.2), a mean over structures and axes."""
    return functional.multilabel_soft_margin_loss(logits, scaled)


def gradient_of(score: Tensor, density: Tensor) -> Tensor:
    """Gradient of each score with respect to its density, to be differentiated once more."""
    (gradient,) = torch.autograd.grad(score.sum(), density, create_graph=True)
    return gradient


def _twice(label: Tensor | None) -> Tensor | None:
    return None if label is None else torch.cat([label, label])
