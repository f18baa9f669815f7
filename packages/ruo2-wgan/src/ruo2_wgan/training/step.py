"""One adversarial step: how critic and generator are updated, on one device or on many alike."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ruo2_wgan.config import Config
from ruo2_wgan.data import Operations, apply_operations
from ruo2_wgan.networks import Critic, Generator, use_channels_last
from ruo2_wgan.training.graphs import Recorded
from ruo2_wgan.training.losses import CriticLoss, CriticTerms, GeneratorTerms, generator_loss

Weights = tuple[Tensor, ...] | list[Tensor]


class Part(NamedTuple):
    """What an update works on, or one of the parts in which its gradients are accumulated: b structures."""

    density: Tensor  # real, (b, species, ...)
    label: Tensor | None  # (b,), of reals and fakes
    lattice: Tensor | None  # of the reals, scaled, (b, axes)
    latent: Tensor  # (b, latent)
    mix: Tensor  # (b,)
    operations: Operations | None  # symmetry operations on the fakes


class Adversaries:
    """Generator and critic with their optimizers, and the update of each.

    Parameters
    ----------
    fabric
        Launched; it places the networks, wraps them for several ranks and sets the precision.
    generator, critic
        Initialised.
    config
        Of the run.

    Notes
    -----
    On several ranks the gradients are means over ranks, so that parts of equal size on n ranks give what one process
    gives on all of them: losses are means over structures, the critic compares structures only within groups, and the
    generator's batch norm takes its statistics over all ranks.
    """

    def __init__(self, fabric: Fabric, generator: Generator, critic: Critic, config: Config) -> None:
        self._fabric = fabric
        self._loss = config.loss
        self._rates = {"critic": config.optimizer.critic_lr, "generator": config.optimizer.generator_lr}
        if config.training.channels_last:
            use_channels_last(generator)
            use_channels_last(critic)
        self.generator, self.critic = generator, critic
        critic_loss = CriticLoss(critic, config.loss)
        if config.training.compile:
            _compile(critic_loss)
        # foreach Adam is the plain loop bit for bit; the fused one is not.
        betas = (config.optimizer.beta1, config.optimizer.beta2)
        self._critic_loss, self.critic_optimizer = fabric.setup(
            critic_loss, torch.optim.Adam(critic.parameters(), lr=self._rates["critic"], betas=betas, foreach=True)
        )
        self._generator, self.generator_optimizer = fabric.setup(
            generator, torch.optim.Adam(generator.parameters(), lr=self._rates["generator"], betas=betas, foreach=True)
        )
        self.average = average_of(generator, config.training.ema) if config.training.ema else None
        self._n_parts = config.training.accumulate
        self._recorded = config.training.cuda_graphs
        self._critic_gradient: Callable[[Part], Tensor] = self._add_critic_gradient
        self._generator_gradient: Callable[[Part], Tensor] = self._add_generator_gradient
        if self._recorded:
            self._critic_gradient = Recorded(self._add_critic_gradient, critic, runs=(generator, critic))
            self._generator_gradient = Recorded(self._add_generator_gradient, generator, runs=(generator, critic))

    def set_rate(self, factor: float) -> None:
        """Learning rates, as a share of the configured ones."""
        for optimizer, name in ((self.critic_optimizer, "critic"), (self.generator_optimizer, "generator")):
            for group in optimizer.param_groups:
                group["lr"] = factor * self._rates[name]

    def update_critic(self, parts: Sequence[Part]) -> tuple[CriticTerms, Tensor]:
        """One update of the critic; returns means of its terms over the parts, and the norm of the gradient."""
        self.critic_optimizer.zero_grad(set_to_none=not self._recorded)
        terms = []
        for part in parts:
            with self._fabric.no_backward_sync(self._critic_loss, enabled=part is not parts[-1]):
                terms.append(self._critic_gradient(part))
        norm = _gradient_norm(self.critic)
        self.critic_optimizer.step()
        return CriticTerms(*_means(terms)), norm

    def update_generator(self, parts: Sequence[Part]) -> tuple[GeneratorTerms, Tensor]:
        """One update of the generator and of its average; returns what `update_critic` does."""
        self.generator_optimizer.zero_grad(set_to_none=not self._recorded)
        self.critic.requires_grad_(False)  # and bare, so that no wrapper waits for its gradients
        terms = []
        for part in parts:
            with self._fabric.no_backward_sync(self._generator, enabled=part is not parts[-1]):
                terms.append(self._generator_gradient(part))
        self.critic.requires_grad_(True)
        norm = _gradient_norm(self.generator)
        self.generator_optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.generator)
        return GeneratorTerms(*_means(terms)), norm

    def _add_critic_gradient(self, part: Part) -> Tensor:
        """Add the share of a part to the critic's gradient; returns its terms."""
        with torch.no_grad(), self._fabric.autocast():
            # The bare generator: gradients of fakes are not wanted, and a wrapper would expect some.
            fake = self.generator(part.latent, part.label).density
            fake = _move(fake, part.operations)
        found = self._critic_loss(part.density, fake, part.mix, part.label, part.lattice)
        self._fabric.backward(found.loss / self._n_parts)
        return torch.stack(found).detach()

    def _add_generator_gradient(self, part: Part) -> Tensor:
        """The same for the generator, whose fakes the critic judges."""
        made = self._generator(part.latent, part.label)
        with self._fabric.autocast():
            judged = self.critic(_move(made.density, part.operations), part.label)
            of_real = None
            if self._loss.kind == "relativistic":
                with torch.no_grad():
                    of_real = self.critic(part.density, part.label).score
        found = generator_loss(judged, made.lattice_logits, self._loss, of_real)
        self._fabric.backward(found.loss / self._n_parts)
        return torch.stack(found).detach()

    def sampler(self) -> Generator:
        """The generator that samples are taken from: the averaged one where there is one."""
        chosen = self.generator if self.average is None else self.average.module
        assert isinstance(chosen, Generator)
        return chosen


def average_of(generator: Generator, decay: float) -> AveragedModel:
    """An exponential moving average of weights and batch-norm statistics, which follows faster in the first steps."""

    def follow(averages: Weights, currents: Weights, n_averaged: Tensor | int) -> None:
        n = int(n_averaged)
        share = 1 - min(decay, (1 + n) / (10 + n))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, currents, share)
        else:
            torch._foreach_copy_(averages, currents)

    average = AveragedModel(generator, multi_avg_fn=follow, use_buffers=True)
    average.requires_grad_(False)
    return average


def _move(fake: Tensor, operations: Operations | None) -> Tensor:
    return fake if operations is None else apply_operations(fake, None, operations)[0]


def _gradient_norm(network: nn.Module) -> Tensor:
    return torch.nn.utils.get_total_norm([each.grad for each in network.parameters() if each.grad is not None])


def _means(terms: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.stack(tuple(terms)).mean(dim=0).unbind()


def _compile(critic_loss: CriticLoss) -> None:
    """Compile the loss with the gradient taken inside it; the plain way, a compiled critic alone, raises."""
    torch._dynamo.config.trace_autograd_ops = True
    torch._dynamo.config.optimize_ddp = False
    critic_loss.evaluate = torch.compile(critic_loss.evaluate)  # type: ignore[method-assign]
