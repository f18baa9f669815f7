"""Random numbers of a run, drawn anew for each step from (seed, step, rank): a run that is resumed needs no others.

No state has to be carried from step to step, so what happens between them (pictures, checkpoints, another number of
log lines) cannot change what is learned, and a checkpoint restores every generator by naming its seed and step.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Draws(NamedTuple):
    """What one critic or generator update draws, for b structures."""

    latent: Tensor  # (b, latent), normal
    mix: Tensor  # (b,), uniform in [0, 1): where between real and fake the gradient is looked at


def seed_of(*numbers: int) -> int:
    """A seed of 63 bits for any tuple of whole numbers from 0; neighbouring tuples give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def start_step(seed: int, step: int, rank: int, device: torch.device) -> torch.Generator:
    """Seed torch's global generators, which dropout uses, and return one for the draws of a step."""
    torch.manual_seed(seed_of(seed, step, rank, 0))
    return torch.Generator(device).manual_seed(seed_of(seed, step, rank, 1))


def draw(n: int, latent: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Draws:
    """Draws for n structures, on the device of the generator."""
    device = generator.device
    return Draws(
        torch.randn(n, latent, generator=generator, device=device, dtype=dtype),
        torch.rand(n, generator=generator, device=device, dtype=dtype),
    )
