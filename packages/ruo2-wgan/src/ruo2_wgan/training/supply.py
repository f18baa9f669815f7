"""Parts that the updates of a step work on: real rows under random symmetry operations, and what else is drawn."""

import torch
from torch import Tensor

from ruo2_wgan.config import Config
from ruo2_wgan.data import Batches, Operations, apply_operations, draw_operations
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training.chance import draw
from ruo2_wgan.training.launch import dtype_of
from ruo2_wgan.training.step import Part


class Supply:
    """Parts for critic and generator, from the batches of one rank.

    Parameters
    ----------
    batches
        Of this rank.
    config, spec
        Of the run.
    """

    def __init__(self, batches: Batches, config: Config, spec: DataSpec) -> None:
        self.batches = batches
        self._config, self._spec = config, spec
        self._dtype = dtype_of(config.training)

    def for_critic(self, size: int, random: torch.Generator) -> list[Part]:
        """Parts of `size` fresh real rows each."""
        return [self._make_part(size, random) for _ in range(self._config.training.accumulate)]

    def for_generator(self, parts: list[Part], random: torch.Generator) -> list[Part]:
        """The reals of earlier parts again, with everything else drawn anew."""
        redrawn = []
        for part in parts:
            latent, mix = draw(len(part.latent), self._config.model.latent, random, self._dtype)
            operations = self._fake_operations(len(latent), random)
            redrawn.append(part._replace(latent=latent, mix=mix, operations=operations))
        return redrawn

    def _make_part(self, size: int, random: torch.Generator) -> Part:
        density, label, lengths = self.batches.next(size)
        lattice: Tensor | None = lengths
        model, names = self._config.model, self._config.data.augment
        if names and self.batches.source_name != "atoms":  # those were moved before they became grids
            density, lattice = apply_operations(density, lengths, draw_operations(size, self._spec, names, random))
        return Part(
            density,
            label if model.conditioning != "none" else None,
            lattice if model.lattice else None,
            *draw(size, model.latent, random, self._dtype),
            self._fake_operations(size, random),
        )

    def _fake_operations(self, size: int, random: torch.Generator) -> Operations | None:
        data = self._config.data
        return draw_operations(size, self._spec, data.augment, random) if data.augment_fake and data.augment else None
